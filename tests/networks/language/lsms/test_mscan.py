# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS' encoder: SegNeXt's names and strides, and which blocks read words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scripts.networks.language.lsms.attention import LanguageBranch
from scripts.networks.language.lsms.mscan import SIZES, Block, Encoder, EncoderSize
from scripts.networks.language.lsms.word_attention import Words

TEXT_DIM = 16
SMALL = EncoderSize((8, 8, 16, 16), (2, 1, 1, 2), (2, 2, 2, 2))
WORDS = Words(
    torch.randn(2, 3, TEXT_DIM, generator=torch.Generator().manual_seed(0)), torch.ones(2, 3, dtype=torch.bool)
)


def test_segnext_names() -> None:
    names = set(Encoder(SIZES["tiny"], TEXT_DIM).state_dict())
    assert {
        "patch_embed1.proj.0.weight", "patch_embed1.proj.4.running_var", "patch_embed2.proj.weight",
        "patch_embed2.norm.weight", "block1.0.norm1.weight", "block1.0.layer_scale_1", "block3.4.mlp.fc1.weight",
        "block1.0.mlp.dwconv.dwconv.weight", "block2.1.attn.spatial_gating_unit.conv2_2.weight",
        "block2.1.attn.proj_1.weight", "norm4.weight",
    } <= names  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (32, 96), (70, 51)])
def test_strides(size: tuple[int, int]) -> None:
    encoder = Encoder(SMALL, TEXT_DIM).eval()
    maps, weights = encoder(encoder.without_words(torch.rand(2, 3, *size)), WORDS)
    for value, channels, stride in zip(maps, SMALL.channels, (4, 8, 16, 32), strict=True):
        assert value.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
    assert weights.shape == (2, maps[3].shape[2] * maps[3].shape[3], 3)
    torch.testing.assert_close(weights.sum(2), torch.ones(weights.shape[:2]))


@pytest.mark.parametrize("in_every_block", [True, False])
def test_which_blocks_read_words(in_every_block: bool) -> None:
    encoder = Encoder(SMALL, TEXT_DIM, in_every_block=in_every_block)
    reads = [
        [block.reads_words for block in encoder.get_submodule(f"block{number}").children()] for number in range(1, 5)
    ]
    assert reads == (
        [[True] * 2, [True], [True], [True] * 2] if in_every_block else [[False, True], [True], [True], [False, True]]
    )


@torch.no_grad()
def test_what_comes_before_the_words() -> None:
    """The first stage's blocks without words are run once an image."""
    encoder, image = Encoder(SMALL, TEXT_DIM, in_every_block=False).eval(), torch.rand(2, 3, 32, 32)
    stem = encoder.get_submodule("patch_embed1")(image)
    first = next(encoder.get_submodule("block1").children())
    torch.testing.assert_close(encoder.without_words(image), first(stem, None)[0])
    reading = Encoder(SMALL, TEXT_DIM).eval()
    torch.testing.assert_close(reading.without_words(image), reading.get_submodule("patch_embed1")(image))


@torch.no_grad()
def test_a_block_by_the_formula() -> None:
    torch.manual_seed(0)
    block, x = Block(8, 2, LanguageBranch(8, TEXT_DIM)).eval(), torch.randn(2, 8, 4, 4)
    nn.init.constant_(block.layer_scale_1, 0.5)
    nn.init.constant_(block.layer_scale_2, 2.0)
    middle = x + 0.5 * block.attn(block.norm1(x), WORDS)[0]
    torch.testing.assert_close(block(x, WORDS)[0], middle + 2.0 * block.mlp(block.norm2(middle)))


def test_a_dropped_path_is_the_identity() -> None:
    x = torch.randn(2, 8, 4, 4)
    block = Block(8, 2, drop_path=0.999999).train()
    assert torch.equal(block(x, None)[0], x)
    assert not torch.equal(block.eval()(x, None)[0], x)
