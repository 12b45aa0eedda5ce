# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Self-support matching (Fan et al., ECCV 2022) as a host: what IFA answers with, without how it trains.

A query is scored with the support's prototypes, draws prototypes of its own from that, and is scored again. There are
no parameters but those of a neck, which mixes several levels, and of the text guidance.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from ..blocks.levels import LevelNeck, at_least_float32
from ..blocks.masks import aligned_weights, area_weights
from ..blocks.pooling import masked_averages, mean_over_shots
from ..blocks.self_support import match_self, prepare_cells, refine
from ..semantic_guidance import SemanticGuidance
from .base import Host, check_levels

__all__ = ["IFAContext", "SelfSupportHost", "prototype_columns"]


class IFAContext(NamedTuple):
    """What a prompt leaves behind."""

    foreground: Tensor
    """(B, C) foreground prototype."""
    background: Tensor
    """(B, C) background prototype."""
    has_foreground: Tensor
    """(B,) bool: whether any support mask has foreground."""
    text: Tensor
    """(B, D) text embedding; D = 0 without guidance."""


class SelfSupportHost(Host):
    """Self-support matching on one map.

    Args:
        name: of the host, for errors.
        channels: channels per level; needed with a neck or guidance.
        levels: levels used; exactly one without a neck.
        neck_channels: width of a learned mixture of the levels on the finest grid; None takes the one level as it is.
        use_refinement: whether the query's matching is repeated once more.
        guidance: factory ``guidance(channels) -> SemanticGuidance``; its text prototypes are fused after the average
            over shots. None for none.

    Raises:
        ValueError: for levels that the backbone lacks, several levels without a neck, or missing channels.
    """

    align_corners: bool = True

    def __init__(
        self,
        name: str,
        channels: Optional[dict[str, int]],
        levels: Sequence[str],
        neck_channels: Optional[int],
        use_refinement: bool,
        guidance: Optional[Callable[[dict[str, int]], SemanticGuidance]],
    ) -> None:
        super().__init__()
        self.levels = check_levels(name, levels, channels)
        if neck_channels is None and len(self.levels) != 1:
            raise ValueError(f"host {name!r} works on one level unless neck_channels is given, got {list(self.levels)}")
        if (neck_channels is not None or guidance is not None) and channels is None:
            raise ValueError(f"host {name!r} needs the backbone's channels to build its neck or guidance")
        widths = dict(channels or {})
        self.neck: Optional[LevelNeck] = None
        if neck_channels is not None:
            self.neck = LevelNeck([widths[level] for level in self.levels], neck_channels)
        self.guidance: Optional[SemanticGuidance] = None
        if guidance is not None:
            self.guidance = guidance({"map": neck_channels or widths[self.levels[0]]})
        self.use_refinement = bool(use_refinement)

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> IFAContext:
        """Average the support's features under its masks.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 is neither foreground nor background.
            text_embedding: (B, T, D), needed with guidance.
        """
        shots = support_mask.shape[1]
        raw = self.support_map(support_features)
        text = raw.new_zeros([support_mask.shape[0], 0])
        own = raw
        if self.guidance is not None:
            text = self.guidance.class_text(text_embedding)
            raw = self.guidance.perturb(raw)
            own = self.guidance.host_maps(raw.flatten(0, 1), text.repeat_interleave(shots, dim=0))
            own = own.unflatten(0, [text.shape[0], shots])
        prototypes = self.over_shots(self.pool(own, support_mask), support_mask)
        if self.guidance is not None:
            prototypes = self.guidance.fuse(prototypes, raw, support_mask, text)
        return IFAContext(prototypes[:, 0], prototypes[:, 1], self.has_any_foreground(support_mask), text)

    def decode(self, features: dict[str, Tensor], context: IFAContext) -> Tensor:
        """Segment the query: {level: (B, C, h, w)} -> logits (B, 2, h, w)."""
        maps = self.query_map(features, context)
        foreground, background = prototype_columns(context, maps.shape[0])
        cells = prepare_cells(maps)
        matched = match_self(cells, foreground, background, foreground)
        logits = matched.second
        if self.use_refinement:
            logits = refine(cells, matched, foreground, background).second
        # Without any support foreground there is nothing to look for.
        nothing = torch.tensor([[[10.0], [-10.0]]], dtype=logits.dtype, device=logits.device)
        logits = torch.where(context.has_foreground.view(-1, 1, 1), logits, nothing)
        return torch.unflatten(logits, 2, [maps.shape[2], maps.shape[3]])

    def pool(self, maps: Tensor, mask: Tensor) -> Tensor:
        """Foreground and background averages of every shot.

        Args:
            maps: (B, K, C, h, w).
            mask: (B, K, 1, H, W).

        Returns:
            (B, K, 2, C). A mask that vanishes between the sampled points is resized by area instead.
        """
        flat = maps.flatten(0, 1)
        size = [flat.shape[2], flat.shape[3]]
        weights = aligned_weights(mask.flatten(0, 1), size, flat)
        vanishes = weights.flatten(2).sum(dim=2).unsqueeze(2).unsqueeze(3) == 0
        weights = torch.where(vanishes, area_weights(mask.flatten(0, 1), size, flat), weights)
        return torch.unflatten(masked_averages(flat, weights), 0, [mask.shape[0], mask.shape[1]])

    def over_shots(self, prototypes: Tensor, mask: Tensor) -> Tensor:
        """Average over the shots that have the side: (B, K, 2, C), (B, K, 1, H, W) -> (B, 2, C)."""
        foreground = mean_over_shots(prototypes[:, :, 0], (mask == 1).flatten(2).any(dim=2))
        background = mean_over_shots(prototypes[:, :, 1], (mask == 0).flatten(2).any(dim=2))
        return torch.stack([foreground, background], dim=1)

    def level_map(self, features: dict[str, Tensor]) -> Tensor:
        """The one map the head works on: {level: (N, C, h, w)} -> (N, C, h, w)."""
        maps: list[Tensor] = []
        for level in self.levels:
            maps.append(at_least_float32(features[level]))
        if self.neck is not None:
            mixed: Tensor = self.neck(maps)
            return mixed
        return maps[0]

    def query_map(self, features: dict[str, Tensor], context: IFAContext) -> Tensor:
        """The query's map, guided if the guidance says so: (B, C, h, w)."""
        maps = self.level_map(features)
        if self.guidance is not None:
            maps = self.guidance.host_maps(maps, context.text.expand(maps.shape[0], -1))
        return maps

    def support_map(self, support_features: dict[str, Tensor]) -> Tensor:
        """The supports' raw maps: {level: (B, K, C, h, w)} -> (B, K, C, h, w)."""
        flat: dict[str, Tensor] = {}
        for level in self.levels:
            flat[level] = support_features[level].flatten(0, 1)
        first = support_features[self.levels[0]]
        return torch.unflatten(self.level_map(flat), 0, [first.shape[0], first.shape[1]])

    def has_any_foreground(self, mask: Tensor) -> Tensor:
        """Whether any support mask of an episode has foreground: (B, K, 1, H, W) -> (B,) bool."""
        return (mask == 1).flatten(1).any(dim=1)


def prototype_columns(context: IFAContext, batch: int) -> tuple[Tensor, Tensor]:
    """Prototypes as (B, C, 1) columns; a context of one episode serves a batch of queries."""
    foreground = context.foreground.unsqueeze(2).expand(batch, -1, -1)
    return foreground, context.background.unsqueeze(2).expand(batch, -1, -1)
