# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Cells of an image attend to the words of an expression: the attention of LAVT (Yang et al. 2022) and SLViT (2023).

    Q = IN(Wq x);  K = (Wk l) m;  V = (Wv l) m                      m: 1 for words, 0 for padding
    S = softmax over words(Q K / sqrt(C) + 1e4 (m - 1));  o = IN(Wo S V)

IN is instance norm over the cells without learned parameters, so that an image's own mean says nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import split_heads

__all__ = ["LanguageGate", "PixelWordAttention", "WordFusion", "Words", "instance_norm"]


class Words(NamedTuple):
    """The states of an expression's words."""

    states: Tensor
    """(B, T, D)"""
    mask: Tensor
    """(B, T), true for words, false for padding"""


class PixelWordAttention(nn.Module):
    """Word features for every cell.

    Args:
        channels: of the image's map.
        text_dim: of the words.
        num_heads: of the attention; scores are divided by the root of all channels, whatever the number, as released.
    """

    def __init__(self, channels: int, text_dim: int, num_heads: int = 1) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"{channels} channels can't be shared by {num_heads} heads")
        self.num_heads = num_heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(text_dim, channels)
        self.value = nn.Linear(text_dim, channels)
        self.output = nn.Linear(channels, channels)

    def forward(self, cells: Tensor, words: Words) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            cells: (B, N, C).
            words: of the same batch size.

        Returns:
            (B, N, C) what the words say to each cell, and (B, N, T) the weights of the words, averaged over the heads.
            Without any word the first is zero, not NaN.
        """
        mask = words.mask.to(cells.dtype)[..., None]
        query = self._heads(instance_norm(self.query(cells)))
        key, value = self._heads(self.key(words.states) * mask), self._heads(self.value(words.states) * mask)
        score = query @ key.transpose(2, 3) * cells.shape[2] ** -0.5
        weights = (score + 1e4 * (mask.transpose(1, 2)[:, None] - 1)).softmax(dim=3)
        said = instance_norm(self.output((weights @ value).transpose(1, 2).flatten(2)))
        return said, weights.mean(1)

    def _heads(self, tokens: Tensor) -> Tensor:
        return split_heads(tokens, self.num_heads)


class LanguageGate(nn.Module):
    """tanh(W2 relu(W1 x)) x: how much of what the words say is let in.

    Args:
        channels: of x.
        starts_closed: let nothing in at the start (W2 = 0).
    """

    def __init__(self, channels: int, starts_closed: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(channels, channels, bias=False)
        self.second = nn.Linear(channels, channels, bias=False)
        if starts_closed:
            nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Gate (B, N, C)."""
        return torch.tanh(self.second(F.relu(self.first(x)))) * x


class WordFusion(nn.Module):
    """LAVT's pixel-word attention module with its gate, the relative against which the attention is checked.

    f = GELU(Wp(GELU(Wm x) * o)); the image goes on as x + gate(f), the decoder gets f.

    Args:
        channels: of the image's map.
        text_dim: of the words.
        num_heads: of the attention.
    """

    def __init__(self, channels: int, text_dim: int, num_heads: int = 1) -> None:
        super().__init__()
        self.visual = nn.Linear(channels, channels)
        self.attention = PixelWordAttention(channels, text_dim, num_heads)
        self.merge = nn.Linear(channels, channels)
        self.gate = LanguageGate(channels)

    def forward(self, cells: Tensor, words: Words) -> tuple[Tensor, Tensor]:
        """Fuse (B, N, C); what goes on, and what the decoder gets."""
        said, _ = self.attention(cells, words)
        fused = F.gelu(self.merge(F.gelu(self.visual(cells)) * said))
        return cells + self.gate(fused), fused


def instance_norm(cells: Tensor, eps: float = 1e-5) -> Tensor:
    """Bring each channel to mean 0 and variance 1 over the cells (B, N, C); a single cell becomes zero."""
    variance, mean = torch.var_mean(cells, dim=1, keepdim=True, correction=0)
    return (cells - mean) * torch.rsqrt(variance + eps)
