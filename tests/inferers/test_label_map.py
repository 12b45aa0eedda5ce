# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The label map of a result, with all arguments handed on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from monai.inferers import Inferer

from scripts.inferers import LabelMapInferer


class Recording(Inferer):
    def __call__(self, inputs: torch.Tensor, network: Any, *arguments: Any, **options: Any) -> SimpleNamespace:
        self.called = (network, arguments, options)
        return SimpleNamespace(label=inputs + 1, probability=None)


def test_label_only() -> None:
    inner = Recording()
    image = torch.zeros(1, 1, 2, 3, 4)
    assert torch.equal(LabelMapInferer(inner)(image, "network", "first", annotation=5), image + 1)
    assert inner.called == ("network", ("first",), {"annotation": 5})
