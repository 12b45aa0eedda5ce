# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from scripts.networks.hosts import Host
from scripts.networks.hosts.base import check_levels


class _Context(NamedTuple):
    offset: Tensor


class _Constant(Host):
    """Answers with what the context holds."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = ("c4",)

    def decode(self, features: dict[str, Tensor], context: Any) -> Tensor:
        return context.offset


def test_default_training_term() -> None:
    host = _Constant()
    mask = torch.ones(1, 1, 2, 3)
    context = _Context(torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]]))
    (term,) = host.training_terms({}, {}, mask[:, None], mask, context)
    assert term.weight == 1.0
    assert term.target is mask
    assert term.logits.shape == (1, 2, 2, 3)
    assert term.logits[0, 0, 1].tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_upsample_rules_differ() -> None:
    host, logits, mask = _Constant(), torch.arange(3.0).view(1, 1, 1, 3), torch.zeros(1, 1, 1, 5)
    assert host.upsample(logits, mask).flatten().tolist() == pytest.approx([0.0, 0.4, 1.0, 1.6, 2.0])
    host.align_corners = True
    assert host.upsample(logits, mask).flatten().tolist() == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])


def test_abstract_methods_say_so() -> None:
    with pytest.raises(NotImplementedError, match=r"Host\.encode"):
        Host().encode({}, torch.zeros(1))
    with pytest.raises(NotImplementedError, match=r"Host\.decode"):
        Host().decode({}, None)


def test_check_levels() -> None:
    assert check_levels("x", ["c3", "c4"], {"c4": 1, "c3": 2}) == ("c3", "c4")
    assert check_levels("x", ["c9"], None) == ("c9",)
    with pytest.raises(ValueError, match=r"host 'x' asks for levels \['c9'\], the backbone has \['c4'\]"):
        check_levels("x", ["c4", "c9"], {"c4": 1})
    with pytest.raises(ValueError, match=r"different names, got \['c4', 'c4'\]"):
        check_levels("x", ["c4", "c4"], None)
