# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Prototype: masked-average prototypes at several levels and their cosines; nothing is trained without a text.

    score(x) = sum over levels l of cos(q_l(x), p_l) - cos(q_l(x), b_l)

p and b are the averages of the support's features under the mask and outside of it, averaged over the shots (Snell et
al., NeurIPS 2017; masked pooling as in PANet, Wang et al., ICCV 2019).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from ..blocks.levels import at_least_float32, to_finest_grid
from ..blocks.masks import area_weights
from ..blocks.pooling import masked_averages, mean_over_shots
from ..blocks.similarity import cosine_with_prototypes
from ..semantic_guidance import SemanticGuidance
from .base import Host, check_levels

__all__ = ["Prototype", "PrototypeContext"]


class PrototypeContext(NamedTuple):
    """What a prompt leaves behind (C = channels of all levels together)."""

    prototypes: Tensor
    """(B, 2, C) foreground and background, levels one after another."""
    is_present: Tensor
    """(B, 2) bool: whether any shot has foreground, background."""
    text: Tensor
    """(B, D) text embedding; D = 0 without guidance."""


class Prototype(Host):
    """Nearest-prototype host.

    Masks are pooled by the share of every cell that they cover, so no object is too small. Empty support masks are left
    out; an episode of only such masks has no foreground.

    Args:
        channels: channels per level; needed with guidance.
        levels: levels compared.
        temperature: logits are the score divided by it.
        guidance: factory ``guidance(channels) -> SemanticGuidance``; its text prototypes are fused with this host's at
            every level. None for none.

    Raises:
        ValueError: for levels that the backbone lacks, or a guidance without channels.
    """

    def __init__(
        self,
        channels: Optional[dict[str, int]] = None,
        *,
        levels: Sequence[str] = ("c3", "c4", "c5"),
        temperature: float = 0.1,
        guidance: Optional[Callable[[dict[str, int]], SemanticGuidance]] = None,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"host 'prototype': temperature must be positive, got {temperature}")
        if guidance is not None and channels is None:
            raise ValueError("host 'prototype' needs the backbone's channels to build its guidance")
        self.levels = check_levels("prototype", levels, channels)
        self.temperature = float(temperature)
        self.guidance: Optional[SemanticGuidance] = None
        if guidance is not None:
            self.guidance = guidance({level: (channels or {})[level] for level in self.levels})

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> PrototypeContext:
        """Average the support's features under its masks.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 is neither foreground nor background.
            text_embedding: (B, T, D), needed with guidance.
        """
        batch, shots = support_mask.shape[0], support_mask.shape[1]
        mask = support_mask.flatten(0, 1)
        has_foreground = (mask == 1).flatten(1).any(dim=1).unflatten(0, [batch, shots])
        has_background = (mask == 0).flatten(1).any(dim=1).unflatten(0, [batch, shots])
        # Background of empty shots counts only where an episode has no other.
        has_background = has_background & (has_foreground | ~has_foreground.any(dim=1, keepdim=True))
        text = support_features[self.levels[0]].new_zeros([batch, 0])
        if self.guidance is not None:
            text = self.guidance.class_text(text_embedding)
        prototypes: list[Tensor] = []
        for level in self.levels:
            maps = at_least_float32(support_features[level])
            own = maps.flatten(0, 1)
            if self.guidance is not None:
                maps = self.guidance.perturb(maps)
                own = self.guidance.host_maps(maps.flatten(0, 1), text.repeat_interleave(shots, dim=0))
            weights = area_weights(mask, [own.shape[2], own.shape[3]], own)
            pooled = masked_averages(own, weights).unflatten(0, [batch, shots])
            foreground = mean_over_shots(pooled[:, :, 0], has_foreground)
            background = mean_over_shots(pooled[:, :, 1], has_background)
            both = torch.stack([foreground, background], dim=1)
            if self.guidance is not None:
                both = self.guidance.fuse(both, maps, support_mask, text)
            prototypes.append(both)
        is_present = torch.stack([has_foreground.any(dim=1), has_background.any(dim=1)], dim=1)
        return PrototypeContext(prototypes=torch.cat(prototypes, dim=2), is_present=is_present, text=text)

    def decode(self, features: dict[str, Tensor], context: PrototypeContext) -> Tensor:
        """Compare the query with the prototypes: {level: (B, C, h, w)} -> logits (B, 2, h, w) on the finest grid."""
        cosines: list[Tensor] = []
        start = 0
        for level in self.levels:
            maps = at_least_float32(features[level])
            width = maps.shape[1]
            if self.guidance is not None:
                maps = self.guidance.host_maps(maps, context.text)
            cosine = cosine_with_prototypes(maps, context.prototypes[:, :, start : start + width])
            cosines.append(cosine.masked_fill(~context.is_present.unsqueeze(2).unsqueeze(3), -1.0))
            start += width
        summed = torch.stack(to_finest_grid(cosines)).sum(dim=0)
        score = summed[:, 0] - summed[:, 1]
        return torch.stack([-score, score], dim=1) / (2.0 * self.temperature)
