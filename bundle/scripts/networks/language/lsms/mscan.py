# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""LSMS' encoder: SegNeXt's MSCAN (Guo et al. 2022) whose blocks also read words.

    x = x + g1 A(BN x, words);  x = x + g2 F(BN x)        F = conv1x1 -> DW3x3 -> GELU -> conv1x1

Module names are those of SegNeXt's published weights, which load where there are any; the branches for the words are
beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.layers.drop_path import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import LanguageBranch, ScaleAwareAttention
from .word_attention import Words

__all__ = ["SIZES", "Block", "Encoder", "EncoderSize"]


@dataclass(frozen=True)
class EncoderSize:
    """Widths and depths of the four stages."""

    channels: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    ratios: tuple[int, int, int, int] = (8, 8, 4, 4)


SIZES = {
    "tiny": EncoderSize((32, 64, 160, 256), (3, 3, 5, 2)),
    "small": EncoderSize((64, 128, 320, 512), (2, 2, 4, 2)),
    "base": EncoderSize((64, 128, 320, 512), (3, 3, 12, 3)),
}


class Block(nn.Module):
    """One block; see the module.

    Args:
        channels: of the map.
        ratio: of the width between the convolutions of F to `channels`.
        language: branch of the words, or None.
        drop_path: how often the updates are left out, in training.
    """

    def __init__(
        self, channels: int, ratio: int, language: LanguageBranch | None = None, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.attn = ScaleAwareAttention(channels, language)
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = _ConvolutionalMLP(channels, channels * ratio)
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), 0.01))
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), 0.01))
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    @property
    def reads_words(self) -> bool:
        """Whether its result depends on the words."""
        return self.attn.spatial_gating_unit.language is not None

    def forward(self, x: Tensor, words: Words | None) -> tuple[Tensor, Tensor | None]:
        """Run on (B, C, h, w); also the words' weights (B, h * w, T) where the block reads words."""
        update, weights = self.attn(self.norm1(x), words)
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * update)
        x = x + self.drop_path(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x)))
        return x, weights


class Encoder(nn.Module):
    """Four stages at strides 4, 8, 16 and 32.

    Args:
        size: widths and depths.
        text_dim: of the words.
        in_every_block: every block reads the words, as in the parent; otherwise the last of each stage does.
        num_heads: of the attention to words.
        drop_path: of the last block, growing linearly from zero.
    """

    def __init__(
        self,
        size: EncoderSize,
        text_dim: int,
        *,
        in_every_block: bool = True,
        num_heads: int = 1,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        self.channels = size.channels
        rates = iter(torch.linspace(0, drop_path, sum(size.depths)).tolist())
        previous = 3
        for number, (channels, depth, ratio) in enumerate(
            zip(size.channels, size.depths, size.ratios, strict=True), start=1
        ):
            blocks = [
                Block(
                    channels,
                    ratio,
                    LanguageBranch(channels, text_dim, num_heads) if in_every_block or index == depth - 1 else None,
                    next(rates),
                )
                for index in range(depth)
            ]
            self.add_module(f"patch_embed{number}", _Stem(channels) if number == 1 else _Halving(previous, channels))
            self.add_module(f"block{number}", nn.ModuleList(blocks))
            self.add_module(f"norm{number}", nn.LayerNorm(channels, eps=1e-6))
            previous = channels

    def without_words(self, image: Tensor) -> Tensor:
        """Compute what doesn't depend on the words.

        Args:
            image: (B, 3, H, W), normalised.

        Returns:
            (B, C, h, w) at stride 4: the input of the first block that reads words.
        """
        x = self.get_submodule("patch_embed1")(image)
        for block in self._blocks(1)[: self._free(1)]:
            x, _ = block(x, None)
        result: Tensor = x
        return result

    def forward(self, x: Tensor, words: Words) -> tuple[list[Tensor], Tensor]:
        """Compute what depends on the words.

        Args:
            x: of ``without_words``.
            words: of the same batch size.

        Returns:
            The stages' maps at strides 4, 8, 16, 32, and the words' weights (B, h * w, T) in the last block.
        """
        maps: list[Tensor] = []
        weights: Tensor | None = None
        for number in range(1, 5):
            if number > 1:
                x = self.get_submodule(f"patch_embed{number}")(x)
            for block in self._blocks(number)[self._free(1) if number == 1 else 0 :]:
                x, weights = block(x, words)
            x = _channel_norm(self.get_submodule(f"norm{number}"), x)
            maps.append(x)
        if weights is None:  # not the case: the last block of each stage reads words
            raise RuntimeError("the last block of the encoder doesn't read words")
        return maps, weights

    def _blocks(self, number: int) -> Sequence[Block]:
        return list(self.get_submodule(f"block{number}").children())  # type: ignore[arg-type]

    def _free(self, number: int) -> int:
        """How many of a stage's first blocks don't read words."""
        return next(index for index, block in enumerate(self._blocks(number)) if block.reads_words)


class _ConvolutionalMLP(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.dwconv = nn.Sequential()
        self.dwconv.add_module("dwconv", nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden))
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(F.gelu(self.dwconv(self.fc1(x))))
        return result


class _Stem(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            nn.Conv2d(3, channels // 2, 3, stride=2, padding=1),
            nn.BatchNorm2d(channels // 2),
            nn.GELU(),
            nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.proj(image)
        return result


class _Halving(nn.Module):
    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.proj(x))
        return result


def _channel_norm(norm: nn.Module, x: Tensor) -> Tensor:
    result: Tensor = norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return result
