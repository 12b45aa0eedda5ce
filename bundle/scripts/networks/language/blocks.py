# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Transformer blocks that CLIPSeg's encoders and decoder share, under the names of the library `transformers`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Attention", "FeedForward", "PostNormBlock", "PreNormBlock", "as_map", "quick_gelu", "split_heads"]


def quick_gelu(x: Tensor) -> Tensor:
    """Approximate GELU as CLIP does: x sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


def split_heads(tokens: Tensor, num_heads: int) -> Tensor:
    """Share the channels of (..., N, D) among heads: (..., heads, N, D / heads)."""
    return tokens.reshape(*tokens.shape[:-1], num_heads, -1).transpose(-2, -3)


def as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Write tokens (B, h * w, C), row by row, as a map (B, C, h, w)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *grid)


class Attention(nn.Module):
    """Multi-head self-attention with separate projections.

    Args:
        width: of the tokens.
        num_heads: must divide the width.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"a width of {width} can't be shared by {num_heads} heads")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            tokens: (B, N, D).
            mask: (B or 1, 1, N, N), True where a query (row) sees a key (column); None lets all see all.

        Returns:
            (B, N, D).
        """
        query, key, value = (
            split_heads(projection(tokens), self.num_heads) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        result: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return result


class FeedForward(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, width: int, hidden: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (..., D) to (..., D)."""
        result: Tensor = self.fc2(self.activation(self.fc1(tokens)))
        return result


class PreNormBlock(nn.Module):
    """Encoder block: x + A1(attention(LN x)), then x + A2(mlp(LN x)); A1 and A2 are adapters, or nothing.

    Args:
        width: of the tokens.
        num_heads: of the attention.
        hidden: width between the linear layers.
        eps: of the norms.
        activation: of the feed-forward part.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        hidden: int,
        eps: float = 1e-5,
        activation: Callable[[Tensor], Tensor] = quick_gelu,
    ) -> None:
        super().__init__()
        self.self_attn = Attention(width, num_heads)
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.mlp = FeedForward(width, hidden, activation)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor | None = None,
        after_attention: nn.Module | None = None,
        after_mlp: nn.Module | None = None,
    ) -> Tensor:
        """Run the block on (B, N, D); the adapters act before the residual additions."""
        update = self.self_attn(self.layer_norm1(tokens), mask)
        tokens = tokens + (update if after_attention is None else after_attention(update))
        update = self.mlp(self.layer_norm2(tokens))
        result: Tensor = tokens + (update if after_mlp is None else after_mlp(update))
        return result


class PostNormBlock(nn.Module):
    """Decoder block: LN(x + attention(x)), then LN(x + mlp(x)), with ReLU.

    Args:
        width: of the tokens.
        num_heads: of the attention.
        hidden: width between the linear layers.
        eps: of the norms.
        dropout: of both updates, in training.
    """

    def __init__(self, width: int, num_heads: int, hidden: int, eps: float = 1e-5, dropout: float = 0.0) -> None:
        super().__init__()
        self.self_attn = Attention(width, num_heads)
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.mlp = FeedForward(width, hidden, F.relu)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Run the block on (B, N, D)."""
        tokens = self.layer_norm1(tokens + self.dropout(self.self_attn(tokens)))
        result: Tensor = self.layer_norm2(tokens + self.dropout(self.mlp(tokens)))
        return result
