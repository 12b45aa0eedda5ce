# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIPSeg's decoder: by its formula, from deep to shallow, on rectangles, in both forms."""

from __future__ import annotations

import pytest
import torch

from scripts.networks.language.clipseg.decoder import CLIPSegDecoder


def made(**options: object) -> CLIPSegDecoder:
    torch.manual_seed(0)
    return CLIPSegDecoder(12, 6, 3, 8, 2, 16, **options).eval()  # type: ignore[arg-type]


@torch.no_grad()
@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("grid", [(2, 3), (1, 1)])
def test_by_the_formula(layer: int, grid: tuple[int, int]) -> None:
    decoder, cells = made(conditional_layer=layer), grid[0] * grid[1]
    activations, condition = [torch.randn(2, 1 + cells, 12) for _ in range(3)], torch.randn(2, 6)
    tokens = torch.zeros(2, 1 + cells, 8)
    for index in range(3):
        tokens = decoder.reduces[index](activations[2 - index]) + tokens
        if index == layer:
            tokens = decoder.film_mul(condition)[:, None] * tokens + decoder.film_add(condition)[:, None]
        tokens = decoder.layers[index](tokens)
    drawn = decoder.transposed_convolution(tokens[:, 1:].transpose(1, 2).reshape(2, 8, *grid))
    found = decoder(activations, condition, grid)
    assert found.shape == (2, 1, 16 * grid[0], 16 * grid[1])
    torch.testing.assert_close(found, drawn)


@pytest.mark.parametrize(
    ("patch_size", "is_complex", "scale"), [(16, True, 16), (8, True, 4), (32, True, 64), (8, False, 8), (3, False, 3)]
)
def test_pixels_per_cell(patch_size: int, is_complex: bool, scale: int) -> None:
    decoder = made(patch_size=patch_size, is_complex=is_complex)
    found = decoder([torch.randn(1, 7, 12)] * 3, torch.randn(1, 6), (2, 3))
    assert found.shape == (1, 1, 2 * scale, 3 * scale)


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="the complex decoder needs patches of at least 4 pixels, got 3"):
        made(patch_size=3)
    with pytest.raises(ValueError, match="zip"):
        made()([torch.randn(1, 7, 12)] * 2, torch.randn(1, 6), (2, 3))


def test_all_learn() -> None:
    decoder, condition = made().train(), torch.randn(1, 6, requires_grad=True)
    decoder([torch.randn(1, 7, 12) for _ in range(3)], condition, (2, 3)).square().mean().backward()
    assert condition.grad is not None
    assert all(value.grad is not None for value in decoder.parameters())
