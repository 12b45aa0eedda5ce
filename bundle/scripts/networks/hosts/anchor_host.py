# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the hosts with learned anchors (PATNet, DMTNet) have in common: blocks by stage, prototypes, shots."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Optional

import torch
from torch import Tensor, nn

from ..blocks.anchor_transform import unit_rows
from ..blocks.levels import at_least_float32
from ..blocks.masks import aligned_weights, with_unknown
from ..blocks.mosaic import one_above_another
from ..blocks.pooling import masked_averages
from ..semantic_guidance import SemanticGuidance
from .base import Host, check_levels

if TYPE_CHECKING:
    from ..blocks.hypercorrelation_head import HypercorrelationHead

__all__ = ["AnchorHost", "Anchors", "SupportPasses", "stages_of"]

STAGES = ("c3", "c4", "c5")
"""Nominal strides 8, 16 and 32."""
MERGINGS = ("passes", "mosaic")


class Anchors(nn.Module):
    """A background and a foreground anchor, shared by all episodes and all blocks of a stage.

    Args:
        channels: width of the stage's maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, channels))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self) -> Tensor:
        """Unit anchors (2, C)."""
        return unit_rows(self.weight)


class SupportPasses(NamedTuple):
    """A support set as the head sees it: N passes of S shots each, N * S = B * K."""

    maps: dict[str, Tensor]
    """{level: (N, S, C, h, w)}, guided by the text if the guidance says so."""
    weights: dict[str, Tensor]
    """{level: (N, S, 2, h, w)} share of foreground and of background."""
    prototypes: dict[str, Tensor]
    """{level: (N, 2, C)} foreground and background, fused with the text's."""
    is_used: Tensor
    """(N, S) bool, False for shots that don't count."""
    text: Tensor
    """(B, D) text embedding; D = 0 without guidance."""


class AnchorHost(Host):
    """A host on the blocks of three stages, with anchors per stage.

    Args:
        name: of the host, for errors.
        channels: channels per level.
        levels: blocks of the stages c3, c4 and c5, such as ``c4.2``; None takes all that ``channels`` names.
        guidance: factory ``guidance(channels) -> SemanticGuidance``; None for none.
        shot_merging: ``passes``: every shot answers by itself, as published, and a query costs K times what it costs
            with one; ``mosaic``: all shots share one transform and lie as tiles on the grid of one, in their order.
            Shots with an empty mask don't count there, unless an episode has no other.

    Raises:
        ValueError: for levels that the backbone lacks, a stage without any, blocks of different width in a stage, or
            an unknown merging.
    """

    align_corners: bool = True
    if TYPE_CHECKING:  # TorchScript doesn't take a module as the type of an attribute
        head: HypercorrelationHead

    def __init__(
        self,
        name: str,
        channels: dict[str, int],
        levels: Optional[Sequence[str]],
        guidance: Optional[Callable[[dict[str, int]], SemanticGuidance]],
        shot_merging: str,
    ) -> None:
        super().__init__()
        if shot_merging not in MERGINGS:
            raise ValueError(f"host {name!r}: shot_merging must be one of {list(MERGINGS)}, got {shot_merging!r}")
        self.has_mosaic = shot_merging == "mosaic"
        if levels is None:
            levels = [level for level in channels if level.split(".")[0] in STAGES]
        self.stages = stages_of(name, levels, channels)
        self.levels = tuple(level for stage in self.stages for level in stage)
        self.anchors = nn.ModuleList([Anchors(channels[stage[0]]) for stage in self.stages])
        self.guidance: Optional[SemanticGuidance] = None
        if guidance is not None:
            self.guidance = guidance({level: channels[level] for level in self.levels})

    def passes(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor]
    ) -> SupportPasses:
        """Arrange a support set in passes, and average the maps of each under its masks.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 is neither foreground nor background.
            text_embedding: (B, T, D), needed with guidance.
        """
        batch, shots = support_mask.shape[0], self.shots_per_pass(support_mask.shape[1])
        mask = support_mask.flatten(0, 1).unflatten(0, [-1, shots])
        is_used = (mask == 1).flatten(2).any(dim=2)
        is_used = is_used | ~is_used.any(dim=1, keepdim=True)
        mask = with_unknown(mask, ~is_used[:, :, None, None, None])
        text = support_features[self.levels[0]].new_zeros([batch, 0])
        if self.guidance is not None:
            text = self.guidance.class_text(text_embedding)
        pass_text = text.repeat_interleave(mask.shape[0] // batch, dim=0)
        own: dict[str, Tensor] = {}
        shares: dict[str, Tensor] = {}
        prototypes: dict[str, Tensor] = {}
        for stage in self.stages:
            first = at_least_float32(support_features[stage[0]])
            weights = self.mask_weights(mask.flatten(0, 1), [first.shape[3], first.shape[4]], first)
            weights = weights.unflatten(0, [-1, shots])
            for level in stage:
                maps = at_least_float32(support_features[level]).flatten(0, 1).unflatten(0, [-1, shots])
                if self.guidance is not None:
                    maps = self.guidance.perturb(maps)
                own[level] = self.host_shots(maps, pass_text)
                shares[level] = weights
                averages = masked_averages(one_above_another(own[level]), one_above_another(weights), eps=1e-6)
                if self.guidance is not None:
                    averages = self.guidance.fuse(averages, maps, mask, pass_text)
                prototypes[level] = averages
        return SupportPasses(own, shares, prototypes, is_used, text)

    def shots_per_pass(self, shots: int) -> int:
        """How many of an episode's shots the head sees at once: all or one."""
        return shots if self.has_mosaic else 1

    def mask_weights(self, mask: Tensor, size: list[int], like: Tensor) -> Tensor:
        """Masks (N, 1, H, W) sampled at the grid: (N, 2, h, w), foreground and background."""
        weights = aligned_weights(mask, size, like)
        return weights.masked_fill(weights < 1e-5, 0.0)  # smaller ones are round-off, and would make a prototype

    def host_maps(self, maps: Tensor, text: Tensor) -> Tensor:
        """Maps (N, C, h, w) guided by text (N, D) if the guidance says so, else as they are."""
        if self.guidance is not None:
            return self.guidance.host_maps(maps, text)
        return maps

    def host_shots(self, maps: Tensor, text: Tensor) -> Tensor:
        """Maps (N, S, C, h, w) of the shots of every pass, as ``host_maps`` gives them for text (N, D)."""
        shots = maps.shape[1]
        guided = self.host_maps(maps.flatten(0, 1), text.repeat_interleave(shots, dim=0))
        return torch.unflatten(guided, 0, [maps.shape[0], shots])

    def segment(self, query: list[Tensor], support: list[Tensor], passes: int) -> Tensor:
        """Read correlations, one pass after the other, so that several need no more memory than one.

        Args:
            query: factors (B * P, h, w, n, 2) of every stage, like the next.
            support: (B * P, h', w', n, 2).
            passes: P.

        Returns:
            (B, P, 2, 2h, 2w) logits.
        """
        logits: list[Tensor] = []
        for index in range(passes):
            logits.append(self.head([maps[index::passes] for maps in query], [maps[index::passes] for maps in support]))
        return torch.stack(logits, dim=1)

    def merge_shots(self, logits: Tensor) -> Tensor:
        """Merge the passes' logits (B, P, 2, H, W) to log-probabilities (B, 2, H, W); a single one stays as it is."""
        shots = logits.shape[1]
        if shots == 1:
            return logits[:, 0]
        return torch.logsumexp(logits.log_softmax(dim=2), dim=1) - math.log(shots)


def stages_of(host: str, levels: Sequence[str], channels: dict[str, int]) -> list[list[str]]:
    """Sort blocks into the stages c3, c4 and c5, finest first.

    Args:
        host: named in errors.
        levels: block names such as ``c4.2``.
        channels: widths per level.

    Raises:
        ValueError: for levels that the backbone lacks or of other stages, a stage without any, or blocks of different
            width in a stage.
    """
    levels = check_levels(host, levels, channels)
    stages = [[level for level in levels if level.split(".")[0] == stage] for stage in STAGES]
    if not all(stages) or sum(map(len, stages)) != len(levels):
        raise ValueError(f"host {host!r} needs levels of c3, c4 and c5, all three and no others; got {list(levels)}")
    for stage in stages:
        widths = {level: channels[level] for level in stage}
        if len(set(widths.values())) > 1:
            raise ValueError(f"host {host!r} needs blocks of one width in a stage, got {widths}; choose levels")
    return stages
