# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS' decoder: cells attend to cells, then to words (section 3.3).

    z = z + LN(self-attention(LN z + P2))
    z = z + LN(cross-attention(LN z + P2, words + P1, words))
    z = z + mlp(LN z)

Padding is no word, and a norm stands inside the MLP.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..blocks import as_map
from ..positions import sine_positions_1d, sine_positions_2d

__all__ = ["CRISDecoder"]


class CRISDecoder(nn.Module):
    """A map under words.

    Args:
        width: of the map's channels and of the words.
        num_layers: number of layers.
        num_heads: of the attentions.
        hidden: between the linear layers.
        dropout: in training: of the attentions' weights and of all updates.
    """

    def __init__(
        self, width: int = 512, num_layers: int = 3, num_heads: int = 8, hidden: int = 2048, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Layer(width, num_heads, hidden, dropout) for _ in range(num_layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """Decode.

        Args:
            x: (B, D, h, w).
            words: (B, T, D).
            mask: (B, T), true for words, false for padding; at least one word each.

        Returns:
            (B, D, h, w).
        """
        grid = (x.shape[2], x.shape[3])
        cells = x.flatten(2).transpose(1, 2)
        cell_positions = sine_positions_2d(cells.shape[2], grid, x.device).to(x.dtype)
        word_positions = sine_positions_1d(words.shape[2], words.shape[1], x.device).to(x.dtype)
        for layer in self.layers:
            cells = layer(cells, words, cell_positions, word_positions, ~mask.bool())
        result: Tensor = as_map(self.norm(cells), grid)
        return result


class _Layer(nn.Module):
    def __init__(self, width: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn_norm = nn.LayerNorm(width)
        self.cross_attn_norm = nn.LayerNorm(width)
        self.self_attn = nn.MultiheadAttention(width, num_heads, dropout=dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, num_heads, dropout=dropout, batch_first=True)
        self.ffn = nn.Sequential(
            nn.Linear(width, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.LayerNorm(hidden),
            nn.Linear(hidden, width),
        )
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, cells: Tensor, words: Tensor, cell_positions: Tensor, word_positions: Tensor, padding: Tensor
    ) -> Tensor:
        normed = self.norm1(cells)
        placed = normed + cell_positions
        update = self.self_attn(placed, placed, normed, need_weights=False)[0]
        cells = cells + self.dropout(self.self_attn_norm(update))
        placed = self.norm2(cells) + cell_positions
        update = self.multihead_attn(
            placed, words + word_positions, words, key_padding_mask=padding, need_weights=False
        )[0]
        cells = cells + self.dropout(self.cross_attn_norm(update))
        result: Tensor = cells + self.dropout(self.ffn(self.norm3(cells)))
        return result
