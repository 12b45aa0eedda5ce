# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""BiomedCLIPSeg: the right blocks of timm's encoder, on any grid, and an encoder that can learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scripts.networks.language.biomedclipseg.load import load_biomedclipseg
from scripts.networks.language.biomedclipseg.network import BiomedCLIPSeg, TimmEncoder
from scripts.networks.language.clipseg.network import with_class


@torch.no_grad()
@pytest.mark.parametrize(("released", "blocks"), [(False, (4, 7, 10)), (True, (5, 8, 11))])
def test_the_blocks_that_are_read(biomedclip_folder: Path, released: bool, blocks: tuple[int, ...]) -> None:
    network = load_biomedclipseg(biomedclip_folder, released=released)
    image = torch.rand(1, 3, 64, 64)
    trunk = network.image.trunk
    tokens = trunk._pos_embed(trunk.patch_embed(network.normalise(image)))
    states = []
    for block in trunk.blocks:
        tokens = block(tokens)
        states.append(tokens)
    features = network.encode_image(image)
    for block in blocks:
        torch.testing.assert_close(with_class(features, f"block{block}"), states[block - 1])


def test_its_encoder_can_learn(biomedclip_folder: Path) -> None:
    network = load_biomedclipseg(biomedclip_folder, train_encoder=True).train()
    context = network.encode_text(torch.randn(1, 1, 32), torch.ones(1, 1, dtype=torch.bool))
    network.decode(network.encode_image(torch.rand(1, 3, 64, 96)), context).square().mean().backward()
    assert all(bool(value.grad.any()) for value in network.image.trunk.blocks[0].parameters())


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
def test_the_grid(biomedclip_folder: Path, size: tuple[int, int]) -> None:
    encoder = load_biomedclipseg(biomedclip_folder).image
    assert isinstance(encoder, TimmEncoder)
    states, grid = encoder(torch.rand(2, 3, *size), 2)
    assert grid == (size[0] // 16, size[1] // 16)
    assert [value.shape for value in states] == [(2, 1 + grid[0] * grid[1], 64)] * 2
    network = load_biomedclipseg(biomedclip_folder)
    context = network.encode_text(torch.randn(2, 1, 32), torch.ones(2, 1, dtype=torch.bool))
    assert network.decode(network.encode_image(torch.rand(2, 3, *size)), context).shape == (2, 1, *size)


def test_sentences_count_alike(biomedclip_folder: Path) -> None:
    states = torch.randn(1, 3, 32)
    context = load_biomedclipseg(biomedclip_folder).encode_text(states, torch.tensor([[True, False, True]]))
    torch.testing.assert_close(context.vector, (states[:, 0] + states[:, 2]) / 2)


def test_a_frozen_encoder_gets_no_gradient(biomedclip_folder: Path) -> None:
    network = load_biomedclipseg(biomedclip_folder).train()
    context = network.encode_text(torch.randn(1, 1, 32), torch.ones(1, 1, dtype=torch.bool))
    network.decode(network.encode_image(torch.rand(1, 3, 64, 64)), context).square().mean().backward()
    assert all(value.grad is None for value in network.image.parameters())
    assert all(value.grad is not None for value in network.decoder.parameters())
    assert not network.image.training


def test_blocks_that_are_not_there(biomedclip_folder: Path) -> None:
    network = load_biomedclipseg(biomedclip_folder)
    with pytest.raises(ValueError, match=r"layers \(4, 7, 12\) must name some of the 12 blocks, from 0"):
        BiomedCLIPSeg(network.image.trunk, network.decoder, extract_layers=(3, 6, 11), released=True)
