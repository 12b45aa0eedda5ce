# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS' encoders: CLIP's ResNet, and its text transformer with the states of all words (section 3.1)."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..blocks import quick_gelu
from .resnet import ClipResNet

__all__ = ["CrisEncoders", "WordStates"]


class WordStates(NamedTuple):
    """What a text transformer makes of sentences."""

    states: Tensor
    """(B, T, D) after the last norm, zeros for padding"""
    mask: Tensor
    """(B, T), true up to the end token"""


class CrisEncoders(nn.Module):
    """Both encoders under the names of CLIP's checkpoints.

    Args:
        visual: image encoder.
        embed_dim: width of the space that a sentence is projected to.
        width: of the words.
        num_layers: of the text transformer.
        num_heads: of the text transformer.
        context_length: most tokens of a sentence.
        vocabulary: number of token ids.
    """

    def __init__(
        self,
        visual: ClipResNet,
        embed_dim: int = 1024,
        width: int = 512,
        num_layers: int = 12,
        num_heads: int = 8,
        context_length: int = 77,
        vocabulary: int = 49408,
    ) -> None:
        super().__init__()
        self.visual = visual
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList([_Block(width, num_heads) for _ in range(num_layers)])
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.randn(context_length, width) * 0.01)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, embed_dim) * width**-0.5)

    def words(self, token_ids: Tensor) -> WordStates:
        """Compute the words of (B, T) token ids; what follows the end token, the largest id, is padding.

        Raises:
            ValueError: for more tokens than the context takes.
        """
        length = token_ids.shape[1]
        if length > self.positional_embedding.shape[0]:
            raise ValueError(f"a sentence has {length} tokens, the text encoder takes {len(self.positional_embedding)}")
        x = self.token_embedding(token_ids) + self.positional_embedding[:length]
        hidden = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        for block in self.transformer.resblocks:  # type: ignore[union-attr]
            x = block(x, hidden)
        # Whatever a tokenizer pads with, zeros or further end tokens, the first end is the last word.
        mask = torch.arange(length, device=x.device) <= token_ids.argmax(dim=1, keepdim=True)
        return WordStates(self.ln_final(x) * mask[..., None], mask)

    def sentence(self, words: WordStates) -> Tensor:
        """Project the last word's state: (B, E)."""
        last = (words.mask.sum(1) - 1).clamp_min(0)
        return words.states[torch.arange(len(last), device=last.device), last] @ self.text_projection


class _Block(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                [("c_fc", nn.Linear(width, width * 4)), ("gelu", _QuickGELU()), ("c_proj", nn.Linear(width * 4, width))]
            )
        )
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, attn_mask=hidden, need_weights=False)[0]
        result: Tensor = x + self.mlp(self.ln_2(x))
        return result


class _QuickGELU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return quick_gelu(x)
