# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Scale-aware vision-language attention: strips of convolutions and the words, side by side, gate the image.

LSMS publishes no equations. This is the block of its parent SLViT (Liu et al., IJCAI 2023), whose description LSMS' own
repeats: SegNeXt's multi-scale convolutional attention (Guo et al. 2022) with a branch for the words beside the strips.

    a = DW5x5(u);  b_k = DWkx1(DW1xk(a)), k = 7, 11, 21;  c = gate(o), o what the words say to a
    G = conv1x1(a + b_7 + b_11 + b_21 + c) * u

With the gate closed, or without words, it is SegNeXt's. A branch's module names are those of SegNeXt's weights.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import as_map
from .word_attention import LanguageGate, PixelWordAttention, Words

__all__ = ["LanguageBranch", "ScaleAwareAttention", "SpatialGate"]

_STRIPS = (7, 11, 21)


class LanguageBranch(nn.Module):
    """Attention to the words and its gate.

    Args:
        channels: of the image's map.
        text_dim: of the words.
        num_heads: of the attention.
    """

    def __init__(self, channels: int, text_dim: int, num_heads: int = 1) -> None:
        super().__init__()
        self.attention = PixelWordAttention(channels, text_dim, num_heads)
        self.gate = LanguageGate(channels)

    def forward(self, cells: Tensor, words: Words) -> tuple[Tensor, Tensor]:
        """Return what is let in of the words (B, N, C), and their weights (B, N, T)."""
        said, weights = self.attention(cells, words)
        return self.gate(said), weights


class SpatialGate(nn.Module):
    """The gate G of the module's docstring.

    Args:
        channels: of the image's map.
        language: the branch of the words; None for SegNeXt's own gate.
    """

    def __init__(self, channels: int, language: LanguageBranch | None = None) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.conv0_1, self.conv0_2 = _strips(channels, _STRIPS[0])
        self.conv1_1, self.conv1_2 = _strips(channels, _STRIPS[1])
        self.conv2_1, self.conv2_2 = _strips(channels, _STRIPS[2])
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.language = language

    def forward(self, x: Tensor, words: Words | None) -> tuple[Tensor, Tensor | None]:
        """Gate (B, C, h, w); also the words' weights (B, h * w, T) where there is a branch for them."""
        local = self.conv0(x)
        mixed = local + self.conv0_2(self.conv0_1(local))
        mixed = mixed + self.conv1_2(self.conv1_1(local)) + self.conv2_2(self.conv2_1(local))
        weights = None
        if self.language is not None and words is not None:
            said, weights = self.language(local.flatten(2).transpose(1, 2), words)
            mixed = mixed + as_map(said, (x.shape[2], x.shape[3]))
        return self.conv3(mixed) * x, weights


class ScaleAwareAttention(nn.Module):
    """P2(G(GELU(P1 x))) + x.

    Args:
        channels: of the image's map.
        language: see ``SpatialGate``.
    """

    def __init__(self, channels: int, language: LanguageBranch | None = None) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(channels, channels, 1)
        self.spatial_gating_unit = SpatialGate(channels, language)
        self.proj_2 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, words: Words | None) -> tuple[Tensor, Tensor | None]:
        """Attend (B, C, h, w); see ``SpatialGate.forward``."""
        gated, weights = self.spatial_gating_unit(F.gelu(self.proj_1(x)), words)
        return self.proj_2(gated) + x, weights


def _strips(channels: int, size: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    """A row and a column that together see a square."""
    half = size // 2
    return (
        nn.Conv2d(channels, channels, (1, size), padding=(0, half), groups=channels),
        nn.Conv2d(channels, channels, (size, 1), padding=(half, 0), groups=channels),
    )
