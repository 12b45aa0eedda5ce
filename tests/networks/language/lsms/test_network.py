# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS: what its specification lists as worth testing (section 4), and that words decide."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scripts.networks.language.lsms.mscan import SIZES
from scripts.networks.language.lsms.network import LSMS

TEXT_DIM = 16
FORMS: list[dict[str, Any]] = [{}, {"in_every_block": False, "learned_bases": True}, {"decoder": "cross_scale"}]


def network(**options: Any) -> LSMS:
    torch.manual_seed(0)
    made = LSMS(TEXT_DIM, "tiny", **options)
    for name, value in made.named_parameters():
        if "layer_scale" in name:  # so that the blocks count as they do after a training
            nn.init.constant_(value, 0.5)
    return made.eval()


@torch.no_grad()
def logits(made: LSMS, image: Tensor, states: Tensor, mask: Tensor | None = None) -> Tensor:
    mask = torch.ones(states.shape[:2], dtype=torch.bool) if mask is None else mask
    return made.decode(made.encode_image(image), made.encode_text(states, mask))


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (70, 51), (32, 32), (224, 40)])
def test_any_size_and_deterministic(options: dict[str, Any], size: tuple[int, int]) -> None:
    image, states = torch.rand(1, 3, *size), torch.randn(1, 4, TEXT_DIM)
    made = network(**options)
    first = logits(made, image, states)
    assert first.shape[1] == 1
    assert first.isfinite().all()
    assert torch.equal(first, logits(made, image, states))
    assert made.upsample(first, size).shape[2:] == size


@pytest.mark.parametrize("options", FORMS)
def test_words(options: dict[str, Any]) -> None:
    image, states = torch.rand(1, 3, 64, 64), torch.randn(1, 4, TEXT_DIM)
    made = network(**options)
    expected = logits(made, image, states)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(logits(made, image, states[:, order]), expected, rtol=1e-3, atol=1e-4)
    padded = torch.cat([states, torch.randn(1, 3, TEXT_DIM)], dim=1)
    torch.testing.assert_close(logits(made, image, padded, torch.arange(7)[None] < 4), expected, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(logits(made, image, -states), expected, rtol=1e-2)
    assert logits(made, image, states, torch.zeros(1, 4, dtype=torch.bool)).isfinite().all()


@torch.no_grad()
def test_a_closed_gate_is_without_text() -> None:
    made = network()
    for name, value in made.named_parameters():
        if name.endswith("gate.second.weight"):
            nn.init.zeros_(value)
    image = torch.rand(1, 3, 64, 64)
    first, second = (logits(made, image, torch.randn(1, 4, TEXT_DIM)) for _ in range(2))
    torch.testing.assert_close(first, second)


def test_sizes() -> None:
    """Weights of the parent (specification 2.1): 45.83 M in the encoder, 19.56 M of them in its language branches.

    Those counts hold what its release creates and never uses, a value projection in every branch (4.28 M).
    """
    made = LSMS(768, "base")
    encoder = sum(value.numel() for value in made.encoder.parameters())
    branches = sum(value.numel() for name, value in made.encoder.named_parameters() if ".language." in name)
    unused = sum(
        depth * (channels * channels + channels)
        for channels, depth in zip(SIZES["base"].channels, SIZES["base"].depths, strict=True)
    )
    assert (encoder + unused) / 1e6 == pytest.approx(45.83, abs=0.06)
    assert (branches + unused) / 1e6 == pytest.approx(19.56, abs=0.06)


@pytest.mark.parametrize("option", ["size", "decoder", "contrast"])
def test_unknown_forms(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} is one of .*, got 'huge'"):
        LSMS(TEXT_DIM, **{option: "huge"})  # type: ignore[arg-type]
