# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The layer of CRIS' neck and projector."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scripts.networks.language.cris.layers import conv_layer


@torch.no_grad()
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("size", [(5, 4), (1, 1)])
def test_it_sums_at_the_same_size(kernel_size: int, size: tuple[int, int]) -> None:
    layer = conv_layer(2, 3, kernel_size).eval()
    nn.init.ones_(layer[0].weight)  # type: ignore[arg-type]
    x = torch.randn(2, 2, *size)
    padded, reach = nn.functional.pad(x.sum(1), [kernel_size // 2] * 4), kernel_size
    expected = torch.zeros(2, *size)
    for row in range(size[0]):
        for column in range(size[1]):
            expected[:, row, column] = padded[:, row : row + reach, column : column + reach].sum((1, 2))
    expected = (expected / (1 + 1e-5) ** 0.5).relu()
    torch.testing.assert_close(layer(x), expected[:, None].expand(2, 3, *size))


def test_names_are_those_of_a_sequence() -> None:
    assert {name for name, _ in conv_layer(2, 3).named_parameters()} == {"0.weight", "1.weight", "1.bias"}
