# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PMMs, prototype mixture models (Yang et al., ECCV 2020): a region has several prototypes, the means of a mixture.

Foreground and background of the support each give k means by expectation maximisation. The foreground's meet the query
in a convolution (P-Conv); the softmax of the query's products with all means is its probability map (P-Match); the head
reads both. ``rpmms.py`` is the residual variant, ``released/pmms.py`` does what the released code does where it
differs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks.levels import at_least_float32, to_finest_grid
from ..blocks.masks import aligned_weights, area_weights
from ..blocks.mixture_head import MixtureHead
from ..blocks.mixture_means import draw_starts, match_means, mixture_means, to_unit_length
from ..semantic_guidance import SemanticGuidance
from .base import Host, check_levels

__all__ = ["LevelEmbedding", "PMMs", "PMMsContext", "part_widths"]


class PMMsContext(NamedTuple):
    """What a prompt leaves behind (M = all means of a side, those of RPMMs' stages one after another)."""

    means: Tensor
    """(B, 2, M, C) of unit length, foreground and background."""
    text: Tensor
    """(B, D) text embedding; D = 0 without guidance."""


class PMMs(Host):
    """PMMs on a few levels of a backbone.

    Args:
        channels: channels per level.
        levels: levels used, on the finest one's grid.
        embedding_channels: C, width of the map that all levels are embedded into and of the head.
        dropout: share of channels that training drops in the pyramid.
        guidance: factory ``guidance(channels) -> SemanticGuidance``; every mean is fused with its side's text
            prototype. None for none.

    Raises:
        ValueError: for levels that the backbone lacks.
    """

    name = "pmms"
    has_norm = True
    match_channels = 0

    def __init__(
        self,
        channels: dict[str, int],
        *,
        levels: Sequence[str] = ("c3", "c4"),
        embedding_channels: int = 256,
        dropout: float = 0.5,
        guidance: Optional[Callable[[dict[str, int]], SemanticGuidance]] = None,
    ) -> None:
        super().__init__()
        self.levels = check_levels(self.name, levels, channels)
        self.counts = self.mean_counts()
        self.embedding = LevelEmbedding([channels[level] for level in self.levels], embedding_channels)
        self.head = MixtureHead(
            embedding_channels, has_norm=self.has_norm, match_channels=self.match_channels, dropout=dropout
        )
        self.start: Tensor
        self.register_buffer("start", torch.empty(sum(self.counts), embedding_channels))
        self.draw_starts(torch.Generator().manual_seed(0))
        self.guidance: Optional[SemanticGuidance] = None
        if guidance is not None:
            self.guidance = guidance({"map": embedding_channels})
        self.has_background_text = self.guidance is not None and self.guidance.has_background

    @torch.jit.unused
    def mean_counts(self) -> list[int]:
        """Number of means per side, stage by stage."""
        return [3]

    @torch.jit.unused
    def draw_starts(self, generator: Optional[torch.Generator] = None) -> None:
        """Draw the means anew that the expectation maximisation starts from; they are part of the state.

        Args:
            generator: None takes torch's own.
        """
        self.start.copy_(draw_starts(self.start.shape[1], self.counts, generator))

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> PMMsContext:
        """Find the means of foreground and background over all shots.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; 255 belongs to neither side.
            text_embedding: (B, T, D), needed with guidance.
        """
        batch, shots = support_mask.shape[0], support_mask.shape[1]
        flat: dict[str, Tensor] = {}
        for level in self.levels:
            flat[level] = support_features[level].flatten(0, 1)
        raw = self.embed(flat)
        text = raw.new_zeros([batch, 0])
        own = raw
        if self.guidance is not None:
            text = self.guidance.class_text(text_embedding)
            raw = self.guidance.perturb(raw.unflatten(0, [batch, shots])).flatten(0, 1)
            own = self.guidance.host_maps(raw, text.repeat_interleave(shots, dim=0))
        weights = self.region_weights(support_mask.flatten(0, 1), own).unflatten(0, [batch, shots])
        features = own.flatten(2).unflatten(0, [batch, shots]).transpose(1, 2).flatten(2)
        means = self.find_means(features, weights.transpose(1, 2).flatten(2))
        if self.guidance is not None:
            pooled, is_present = self.guidance.pooled_text(raw.unflatten(0, [batch, shots]), support_mask, text)
            fused: list[Tensor] = []
            for index in range(means.shape[2]):
                fused.append(self.guidance.blend(means[:, :, index], pooled, is_present))
            means = to_unit_length(torch.stack(fused, dim=2))
        return PMMsContext(means, text)

    def decode(self, features: dict[str, Tensor], context: PMMsContext) -> Tensor:
        """Segment the query: {level: (B, C, h, w)} -> logits (B, 2, h, w)."""
        maps = self.query_map(features, context)
        means = context.means.expand(maps.shape[0], -1, -1, -1)
        query_part = self.head.prototypes.query_part(maps)
        logits: Tensor = self.head(query_part, means[:, 0], None, self.match(maps, means))
        return logits

    def match(self, maps: Tensor, means: Tensor) -> Tensor:
        """P-Match: probability map of background and foreground.

        Args:
            maps: (B, C, h, w).
            means: (B, 2, k, C).

        Returns:
            (B, 2, h, w). Gradients flow only for a background text's sake: the background's means act nowhere else.
        """
        if not self.has_background_text:
            maps, means = maps.detach(), means.detach()
        sides = match_means(maps.flatten(2), means).sum(dim=2)
        return torch.unflatten(sides.flip(1), 2, [maps.shape[2], maps.shape[3]])

    def find_means(self, features: Tensor, weights: Tensor) -> Tensor:
        """Means of every stage: (B, C, N), (B, 2, N) -> (B, 2, M, C)."""
        found: list[Tensor] = []
        begin = 0
        for count in self.counts:
            start = self.start[begin : begin + count]
            found.append(mixture_means(features, weights, start, is_differentiable=self.has_gradient()))
            begin += count
        return torch.cat(found, dim=2)

    def has_gradient(self) -> bool:
        """Whether the last iteration of the expectation maximisation passes gradients on to the support."""
        return True

    def region_weights(self, mask: Tensor, like: Tensor) -> Tensor:
        """Soft masks (N, 2, h, w) of both sides; a side that vanishes in the resize is resized by area."""
        size = [like.shape[2], like.shape[3]]
        weights = aligned_weights(mask, size, like)
        vanishes = weights.flatten(2).sum(dim=2).unsqueeze(2).unsqueeze(3) == 0
        return torch.where(vanishes, area_weights(mask, size, like), weights)

    def embed(self, features: dict[str, Tensor]) -> Tensor:
        """Embed all levels: {level: (N, C_l, h_l, w_l)} -> (N, C, h, w), not negative."""
        maps: list[Tensor] = []
        for level in self.levels:
            maps.append(at_least_float32(features[level]))
        embedded: Tensor = self.embedding(to_finest_grid(maps))
        return embedded

    def query_map(self, features: dict[str, Tensor], context: PMMsContext) -> Tensor:
        """The query's map, guided if the guidance says so: (B, C, h, w)."""
        maps = self.embed(features)
        if self.guidance is not None:
            maps = self.guidance.host_maps(maps, context.text.expand(maps.shape[0], -1))
        return maps


class LevelEmbedding(nn.Module):
    """Dilated convolution over all levels side by side, batch norm, ReLU.

    The convolution is the sum of convolutions over a few channels each, in ``weights``: the levels need not be copied
    side by side, and oneDNN's copies of maps and weights stay small.

    Args:
        widths: channels of every level.
        out_channels: of the result.
    """

    def __init__(self, widths: list[int], out_channels: int) -> None:
        super().__init__()
        whole = nn.Conv2d(sum(widths), out_channels, 3)  # the start of one convolution over all channels
        parts = whole.weight.detach().split(part_widths(widths), dim=1)
        self.weights = nn.ParameterList([nn.Parameter(part.clone()) for part in parts])
        self.bias = whole.bias
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """[(N, C_l, h, w)] on one grid -> (N, out_channels, h, w)."""
        level, begin = 0, 0
        summed = maps[0]
        for index, weight in enumerate(self.weights):
            if begin == maps[level].shape[1]:
                level, begin = level + 1, 0
            part = maps[level][:, begin : begin + weight.shape[1]]
            if part.stride(1) == 1:  # one shot's map is not recognised as channels-last, and would be transposed
                part = part.contiguous(memory_format=torch.channels_last)
            begin += weight.shape[1]
            found = F.conv2d(part, weight, self.bias if index == 0 else None, 1, [2, 2], [2, 2])
            summed = found if index == 0 else summed.add_(found)
        return torch.relu_(self.norm(summed))


def part_widths(widths: Sequence[int], largest: int = 256) -> list[int]:
    """Channels of the embedding's parts: every level in parts of at most ``largest``."""
    return [min(largest, width - begin) for width in widths for begin in range(0, width, largest)]
