# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS' neck: a gate by the sentence, three scales at one, and coordinates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scripts.networks.language.cris.neck import Neck


@pytest.fixture
def neck() -> Neck:
    torch.manual_seed(0)
    return Neck((4, 6, 8), (12, 14, 16)).eval()


def maps(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, count, *size, generator=generator) for count, size in zip((4, 6, 8), sizes, strict=True)]


@torch.no_grad()
@pytest.mark.parametrize(
    "sizes", [((8, 8), (4, 4), (2, 2)), ((8, 12), (4, 6), (2, 3)), ((7, 9), (4, 5), (2, 3)), ((1, 1), (1, 1), (1, 1))]
)
def test_the_result_is_at_the_middle_scale(neck: Neck, sizes: tuple[tuple[int, int], ...]) -> None:
    found = neck(*maps(*sizes), torch.randn(2, 8))
    assert found.shape == (2, 14, *sizes[1])
    assert found.isfinite().all()


@torch.no_grad()
def test_the_sentence_gates_the_coarse_map(neck: Neck) -> None:
    fine, middle, coarse = maps((8, 8), (4, 4), (2, 2))
    sentence = torch.randn(2, 8)
    assert not torch.allclose(neck(fine, middle, coarse, sentence), neck(fine, middle, coarse, -sentence))
    nn.init.zeros_(neck.txt_proj[1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(neck.txt_proj[1].bias)  # type: ignore[arg-type]
    # with the gate closed neither sentence nor coarse map is seen
    closed = neck(fine, middle, coarse, sentence)
    torch.testing.assert_close(neck(fine, middle, -coarse, -sentence), closed)
    assert not torch.allclose(neck(-fine, middle, coarse, sentence), closed)
    assert not torch.allclose(neck(fine, -middle, coarse, sentence), closed)


@torch.no_grad()
@pytest.mark.parametrize(("channel", "axis"), [(2, 1), (3, 0)])
def test_coordinates(channel: int, axis: int) -> None:
    """Behind the map's channels come the column and the row, each from -1 to 1."""
    convolution = Neck((1, 2, 2), (1, 2, 2)).eval().coordconv[0]
    seen = convolution.conv1[0]
    nn.init.zeros_(seen.weight)
    seen.weight[0, channel, 1, 1] = 1
    found = convolution(torch.randn(1, 2, 3, 5))[0, 0]
    expected = torch.linspace(-1, 1, 5).expand(3, 5) if axis else torch.linspace(-1, 1, 3)[:, None].expand(3, 5)
    torch.testing.assert_close(found, (expected / (1 + 1e-5) ** 0.5).relu())


def test_all_learn(neck: Neck) -> None:
    sentence = torch.randn(2, 8, requires_grad=True)
    neck.train()(*maps((8, 8), (4, 4), (2, 2)), sentence).square().mean().backward()
    assert sentence.grad is not None
    assert all(value.grad is not None for value in neck.parameters())
