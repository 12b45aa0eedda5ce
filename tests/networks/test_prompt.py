# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from scripts.networks.prompt import Prompt, batch_size_of, check_support, map_tensors


class Context(NamedTuple):
    prototype: Tensor
    maps: dict[str, list[Tensor]]


def make_prompt(batch_size: int = 1) -> Prompt:
    host = Context(torch.ones(batch_size, 3), {"c4": [torch.zeros(batch_size, 2, 2)]})
    return Prompt(host, (torch.zeros(batch_size, 1), 7), {"scale": torch.ones(4)})


def test_expand_repeats_the_contexts_but_not_what_was_tuned() -> None:
    prompt = make_prompt()
    repeated = prompt.expand(4)
    assert isinstance(repeated.host, Context)
    assert repeated.host.prototype.shape == (4, 3)
    assert repeated.host.maps["c4"][0].shape == (4, 2, 2)
    assert repeated.host.prototype.data_ptr() == prompt.host.prototype.data_ptr(), "no copy"
    assert repeated.refinement[0].shape == (4, 1)
    assert repeated.adapted is prompt.adapted


def test_to_converts_every_tensor_and_leaves_the_rest() -> None:
    moved = make_prompt().to(torch.float64)
    assert moved.host.maps["c4"][0].dtype == moved.refinement[0].dtype == torch.float64
    assert moved.adapted is not None
    assert moved.adapted["scale"].dtype == torch.float64
    assert moved.refinement[1] == 7


def test_batch_size_is_that_of_the_contexts() -> None:
    assert batch_size_of(make_prompt(3)) == 3


def test_map_tensors_keeps_the_types_of_the_tree() -> None:
    tree = {"list": [torch.ones(2)], "tuple": (torch.ones(2), None), "named": Context(torch.ones(2), {})}
    doubled = map_tensors(lambda tensor: 2 * tensor, tree)
    assert isinstance(doubled["list"], list)
    assert isinstance(doubled["named"], Context)
    assert doubled["tuple"][1] is None
    assert doubled["list"][0].tolist() == doubled["tuple"][0].tolist() == [2.0, 2.0]


LABEL = torch.ones(2, 3, 1, 8, 8)
FEATURES = {"c4": torch.zeros(2, 3, 5, 2, 2)}


def test_a_support_set_that_fits() -> None:
    check_support(FEATURES, LABEL, torch.zeros(2, 4, 6))
    check_support(FEATURES, LABEL, None)


@pytest.mark.parametrize(
    ("features", "label", "text", "message"),
    [
        (FEATURES, LABEL[:, :, 0], None, r"support_label must be \(B, K, 1, H, W\), got \(2, 3, 8, 8\)"),
        ({"c4": torch.zeros(2, 2, 5, 2, 2)}, LABEL, None, r"support features c4 \(2, 2, 5, 2, 2\) must be"),
        (FEATURES, LABEL, torch.zeros(1, 4, 6), r"text_embedding must be \(2, T, D\), got \(1, 4, 6\)"),
        (
            FEATURES,
            torch.stack([LABEL[0], 255 * LABEL[1]]),
            None,
            r"episode 1 have no foreground \(value 1; found \[255.0\]\)",
        ),
    ],
)
def test_a_support_set_that_does_not(
    features: dict[str, Tensor], label: Tensor, text: Tensor | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_support(features, label, text)
