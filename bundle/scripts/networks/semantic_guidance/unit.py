# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The Semantic-guided Unit of CD-TG, for one text token (exact, without attention) and for several.

The published unit lets every pixel attend to one text token that is repeated h * w times. All keys are the same vector,
so every row of the softmax is uniform and the attention gives the same vector to every pixel:

    c = W_o (W_v u + b_v) + b_o,   u = W_2 relu(W_1 t + b_1) + b_2,   y_i = LayerNorm(x_i + c)

Query and key projections have no influence and no gradient, so a unit for one token has none. With several tokens
(sentences of a class, or the tokens of one) every pixel weighs them by itself, so that the text acts differently from
place to place; this is the multi-head attention the authors wrote down, and equals the form above where all tokens are
the same. W_1 takes any text dimension.
"""

from collections.abc import Mapping
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SemanticUnit", "convert_reference_state"]


class SemanticUnit(nn.Module):
    """Adds a text vector to every pixel and normalises.

    Args:
        channels: width C of the maps.
        text_dim: width D of a text token.
        has_attention: whether several tokens can be given; only then there are query and key projections.
        heads: of the attention.

    Raises:
        ValueError: when the heads don't divide the channels.
    """

    def __init__(self, channels: int, text_dim: int, has_attention: bool = False, heads: int = 8) -> None:
        super().__init__()
        if has_attention and (heads < 1 or channels % heads != 0):
            raise ValueError(f"{heads} attention heads don't divide the {channels} channels of the maps")
        self.text_mlp = nn.Sequential(
            nn.Linear(text_dim, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels)
        )
        self.query: Optional[nn.Linear] = nn.Linear(channels, channels) if has_attention else None
        self.key: Optional[nn.Linear] = nn.Linear(channels, channels) if has_attention else None
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.heads = int(heads)

    def constant(self, text: Tensor) -> Tensor:
        """Vector that one token adds to every pixel: text (..., D) -> c (..., C). It can be kept per class."""
        shift: Tensor = self.out(self.value(self.text_mlp(text)))
        return shift

    def attend(self, features: Tensor, tokens: Tensor, is_padding: Tensor) -> Tensor:
        """Vector that several tokens add to each pixel; linear cost in pixels times tokens.

        Args:
            features: (N, C, h, w).
            tokens: (N, T, D).
            is_padding: (N, T) bool; such tokens have no influence. One token of each row must be real.

        Returns:
            (N, h * w, C).

        Raises:
            ValueError: when the unit was built without attention.
        """
        pixels = features.flatten(2).transpose(1, 2)
        words = self.text_mlp(tokens)
        if self.query is not None and self.key is not None:
            attended = F.scaled_dot_product_attention(
                self.split_heads(self.query(pixels)),
                self.split_heads(self.key(words)),
                self.split_heads(self.value(words)),
                attn_mask=~is_padding.unsqueeze(1).unsqueeze(2),
            )
            shift: Tensor = self.out(attended.transpose(1, 2).flatten(2))
            return shift
        raise ValueError("the semantic unit was built for one text token, and got several")

    def split_heads(self, rows: Tensor) -> Tensor:
        """Split (N, L, C) into (N, heads, L, C / heads)."""
        return torch.unflatten(rows, 2, [self.heads, rows.shape[2] // self.heads]).transpose(1, 2)

    def forward(self, features: Tensor, shift: Tensor) -> Tensor:
        """Guide a map.

        Args:
            features: (N, C, h, w).
            shift: (N, C) from :meth:`constant`, or (N, h * w, C) from :meth:`attend`.

        Returns:
            (N, C, h, w), in channels-last memory.
        """
        if shift.dim() == 2:
            shift = shift.unsqueeze(1)
        pixels = (features.flatten(2).transpose(1, 2) + shift).contiguous()
        guided: Tensor = self.norm(pixels)
        return torch.unflatten(guided.transpose(1, 2), 2, [features.shape[2], features.shape[3]])

    def prototypes(self, features: Tensor, constants: Tensor, weights: Tensor, eps: float = 1e-6) -> Tensor:
        """Masked averages of maps that one token guides, without making these maps.

        With mean and variance over channels mu_i, v_i of x_i + c and w_i = m_i / sqrt(v_i),

            p = gamma * (sum w_i x_i + c sum w_i - sum w_i mu_i) / A + beta * (sum m_i) / A,   A = sum m_i + eps

        Args:
            features: (N, C, h, w).
            constants: (N, M, C), one per mask.
            weights: (N, M, h, w), non-negative masks.
            eps: keeps an empty mask finite; its prototype is zero.

        Returns:
            (N, M, C).
        """
        pixels = features.flatten(2)
        mask = weights.flatten(2)
        mean = pixels.mean(dim=1, keepdim=True)
        variance = (pixels.square().mean(dim=1, keepdim=True) - mean.square()).clamp_min(0.0)
        centred = constants - constants.mean(dim=2, keepdim=True)
        covariance = torch.matmul(centred, pixels) / pixels.shape[1]
        total = variance + centred.square().mean(dim=2, keepdim=True) + 2.0 * covariance
        area = mask.sum(dim=2, keepdim=True) + eps
        scaled = mask * torch.rsqrt(total.clamp_min(0.0) + self.norm.eps) / area
        offset = (scaled * mean).sum(dim=2, keepdim=True)
        pooled = torch.matmul(scaled, pixels.transpose(1, 2)) + centred * scaled.sum(dim=2, keepdim=True) - offset
        return self.norm.weight * pooled + self.norm.bias * (1.0 - eps / area)


def convert_reference_state(state: Mapping[str, Tensor], has_attention: bool = False) -> dict[str, Tensor]:
    """Rename a state of the published module.

    Args:
        state: names ``attn.in_proj_weight``, ``attn.in_proj_bias``, ``attn.out_proj.*``, ``text_mlp.0.*``,
            ``text_mlp.2.*``, ``norm.*``.
        has_attention: whether the query and key rows of the in-projection are kept, or the value rows only.

    Returns:
        A state for :class:`SemanticUnit`, in float32.

    Raises:
        ValueError: when a name is missing.
    """
    names = [f"{module}.{kind}" for module in ("text_mlp.0", "text_mlp.2", "norm") for kind in ("weight", "bias")]
    sources = {name: name for name in names}
    for kind in ("weight", "bias"):
        sources[f"out.{kind}"] = f"attn.out_proj.{kind}"
        sources[f"value.{kind}"] = f"attn.in_proj_{kind}"
    missing = [source for source in sources.values() if source not in state]
    if missing:
        raise ValueError(f"not a state of the published unit: {missing} missing, found {sorted(state)[:4]} ...")
    converted = {name: state[source].float() for name, source in sources.items()}
    for kind in ("weight", "bias"):
        query, key, value = converted[f"value.{kind}"].chunk(3)
        converted[f"value.{kind}"] = value.clone()
        if has_attention:
            converted[f"query.{kind}"], converted[f"key.{kind}"] = query.clone(), key.clone()
    return converted
