# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""VLSM-Adapter: the start is the frozen network, published numbers of weights, and only the adapters learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from scripts.networks.language.adapters.placement import DenseAdapters, ShallowAdapters
from scripts.networks.language.clip_tokens import ClipTokens
from scripts.networks.language.clipseg.load import load_adapted_clipseg, load_clipseg
from scripts.networks.language.clipseg.network import CLIPSeg
from scripts.networks.language.clipseg.shape import CLIPSegShape, TextShape

PUBLISHED = CLIPSegShape()


def count(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.mark.parametrize(
    ("adapters", "parts", "millions"),
    [
        (DenseAdapters, "V", 1.78), (DenseAdapters, "VL", 2.97), (DenseAdapters, "VLC", 3.24),
        (ShallowAdapters, "V", 2.36), (ShallowAdapters, "VL", 3.94), (ShallowAdapters, "VLC", 4.20),
    ],
)  # fmt: skip
def test_published_numbers_of_weights(adapters: Any, parts: str, millions: float) -> None:
    assert count(adapters(PUBLISHED, parts=parts, released=True)) == pytest.approx(millions, abs=0.005)


@torch.no_grad()
@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("kind", ["dense", "shallow"])
def test_the_start(clipseg_folder: Path, kind: Any, released: bool) -> None:
    image = torch.rand(1, 3, 64, 64)
    ids = ClipTokens().token_ids(["two small polyps"]).float()[:, None]
    mask = torch.ones(1, 1, dtype=torch.bool)

    def logits(network: CLIPSeg) -> torch.Tensor:
        return network.eval().decode(network.encode_image(image), network.encode_text(ids, mask))

    torch.manual_seed(0)
    frozen = logits(load_clipseg(clipseg_folder, reads_token_ids=True))
    adapted = logits(load_adapted_clipseg(clipseg_folder, kind=kind, hidden=8, released=released))
    assert torch.allclose(adapted, frozen, atol=1e-6) != released


@pytest.mark.parametrize("kind", ["dense", "shallow"])
def test_only_adapters_learn(clipseg_folder: Path, kind: Any) -> None:
    network = load_adapted_clipseg(clipseg_folder, kind=kind, hidden=8).train()
    ids = ClipTokens().token_ids(["two small polyps"]).float()[:, None]
    optimizer = torch.optim.SGD([value for value in network.parameters() if value.requires_grad], lr=0.1)
    for _ in range(2):  # behind a last layer of zeros the first one learns from the second step on
        context = network.encode_text(ids, torch.ones(1, 1, dtype=torch.bool))
        network.decode(network.encode_image(torch.rand(1, 3, 64, 64)), context).square().mean().backward()
        optimizer.step()
    for name, value in network.named_parameters():
        assert (value.grad is not None and bool(value.grad.any())) == name.startswith("adapters."), name


def test_blocks_with_adapters() -> None:
    assert len(DenseAdapters(PUBLISHED, released=True).v_attn_adapters) == 9
    assert len(DenseAdapters(PUBLISHED).v_attn_adapters) == 10  # the deepest activation is the output of block 10


def test_what_is_refused(clipseg_folder: Path) -> None:
    with pytest.raises(ValueError, match="some of V, L and C, such as 'VLC', got 'VX'"):
        DenseAdapters(PUBLISHED, parts="VX")
    with pytest.raises(ValueError, match="set reads_token_ids, or leave L out"):
        load_adapted_clipseg(clipseg_folder, parts="VL", reads_token_ids=False)
    with pytest.raises(ValueError, match=r"its width 256 to be that of the condition, 512"):
        ShallowAdapters(CLIPSegShape(text=TextShape(width=256)))
    with pytest.raises(ValueError, match="one of dense, shallow, got 'deep'"):
        load_adapted_clipseg(clipseg_folder, kind="deep")  # type: ignore[arg-type]
