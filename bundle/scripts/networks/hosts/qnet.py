# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Q-Net (Shen et al., IntelliSys 2023): a foreground prototype per scale, and a threshold that the query itself sets.

There is no background prototype: a position is foreground if its cosine with the prototype exceeds a threshold, which
is a linear function t of the query's mean deepest feature (after ADNet, Hansen et al., MedIA 2022). With F_n and p_n
the map and the prototype of scale n (section 3),

    y_n = sigmoid(10 cos(F_n, p_n) + t / 2),    y = alpha up(y_1) + (1 - alpha) up(y_2)

Training adds the prediction of the supports from the query. At test the prototypes can be refined on the query.
``released/qnet.py`` does what the released code does where it differs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks.levels import at_least_float32
from ..blocks.pooling import mean_over_shots
from ..blocks.prototype_refinement import prepare_query, refine_prototype, score_positions
from ..blocks.upsampled_pooling import upsampled_average
from ..semantic_guidance import SemanticGuidance
from .base import Host, TrainingTerm, check_levels

__all__ = ["QNet", "QNetContext"]


class QNetContext(NamedTuple):
    """What a prompt leaves behind."""

    prototypes: Tensor
    """(B, 2, C) foreground prototypes of the fine and the coarse scale."""
    pixels_per_cell: Tensor
    """(B, 2) size of the support mask in cells of the fine map, height and width."""
    text: Tensor
    """(B, D) text embedding; D = 0 without guidance."""


class QNet(Host):
    """Q-Net's head on two levels of a backbone.

    ``decode`` answers at the image's own size, since the scales are mixed there as probabilities: its logits are the
    logarithms of background and foreground probability. A support set without any foreground has the prototype zero, so
    that t alone decides.

    Args:
        channels: channels per level.
        levels: the fine and the coarse level; t is computed from the second.
        embedding_channels: width of both maps after their 1x1 convolutions.
        threshold_channels: width between the two linear layers of t.
        fine_weight: alpha, share of the fine scale.
        initial_threshold: t at the start of training; about 0 as published calls almost everything foreground until it
            has been learned, ADNet starts at -10.
        background_weight: weight of a background pixel in the query's loss.
        refinement_steps: steps of the prototypes' refinement in evaluation mode; published 7, 0 for none.
        guidance: factory ``guidance(channels) -> SemanticGuidance``; its foreground prototypes are fused at both scales
            after the average over shots. None for none.

    Raises:
        ValueError: for other than two levels, levels that the backbone lacks, or values out of range.
    """

    align_corners: bool = True

    def __init__(
        self,
        channels: dict[str, int],
        *,
        levels: Sequence[str] = ("c4", "c5"),
        embedding_channels: int = 512,
        threshold_channels: int = 1000,
        fine_weight: float = 0.9,
        initial_threshold: float = 0.0,
        background_weight: float = 0.1,
        refinement_steps: int = 0,
        guidance: Optional[Callable[[dict[str, int]], SemanticGuidance]] = None,
    ) -> None:
        super().__init__()
        self.levels = check_levels("qnet", levels, channels)
        if len(self.levels) != 2:
            raise ValueError(f"host 'qnet' works on two levels, a fine and a coarse one, got {list(self.levels)}")
        if not 0 <= fine_weight <= 1 or background_weight <= 0 or refinement_steps < 0:
            raise ValueError(
                "host 'qnet': fine_weight must be in [0, 1], background_weight positive and refinement_steps not "
                f"negative, got {fine_weight}, {background_weight} and {refinement_steps}"
            )
        fine, coarse = channels[self.levels[0]], channels[self.levels[1]]
        self.embed_fine = nn.Conv2d(fine, embedding_channels, 1, bias=False)
        self.embed_coarse = nn.Conv2d(coarse, embedding_channels, 1, bias=False)
        for embed in (self.embed_fine, self.embed_coarse):
            nn.init.orthogonal_(embed.weight)  # keeps the levels' cosines where the width grows
        self.threshold_head = nn.Sequential(nn.Linear(coarse, threshold_channels), nn.Linear(threshold_channels, 1))
        self.initial_threshold = float(initial_threshold)
        self.fine_weight = float(fine_weight)
        self.background_weight = float(background_weight)
        self.refinement_steps = int(refinement_steps)
        self.is_swapped = False
        self.guidance: Optional[SemanticGuidance] = None
        if guidance is not None:
            self.guidance = guidance({"map": embedding_channels})

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> QNetContext:
        """Average both maps under the masks, as if at the masks' size.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}; only 1 counts.
            text_embedding: (B, T, D), needed with guidance.
        """
        batch, shots = support_mask.shape[0], support_mask.shape[1]
        raw = self.embed(_flatten_shots(support_features))
        text = raw[0].new_zeros([batch, 0])
        if self.guidance is not None:
            text = self.guidance.class_text(text_embedding)
        foreground = (support_mask == 1).to(raw[0].dtype)
        prototypes: list[Tensor] = []
        for maps in raw:
            own = maps
            if self.guidance is not None:
                maps = self.guidance.perturb(maps.unflatten(0, [batch, shots])).flatten(0, 1)
                own = self.guidance.host_maps(maps, text.repeat_interleave(shots, dim=0))
            averages = upsampled_average(own, foreground.flatten(0, 1)).unflatten(0, [batch, shots])
            prototype = self.over_shots(averages, foreground)
            if self.guidance is not None:
                both = torch.stack([prototype, prototype], dim=1)  # Q-Net has no background prototype to fuse
                maps = maps.unflatten(0, [batch, shots])
                prototype = self.guidance.fuse(both, maps, support_mask, text)[:, 0]
            prototypes.append(prototype)
        stride = torch.tensor(
            [support_mask.shape[3] / raw[0].shape[2], support_mask.shape[4] / raw[0].shape[3]],
            dtype=text.dtype,
            device=text.device,
        )
        return QNetContext(torch.stack(prototypes, dim=1), stride.expand(batch, -1), text)

    def decode(self, features: dict[str, Tensor], context: QNetContext) -> Tensor:
        """Segment the query: {level: (B, C, h, w)} -> log-probabilities (B, 2, H, W) at the image's size."""
        maps = self.query_maps(features, context)
        threshold = self.threshold(features)
        prototypes = context.prototypes.expand(threshold.shape[0], -1, -1)
        if self.refinement_steps > 0 and not self.training:
            prototypes = self.refine(maps, prototypes, threshold)
        size = [
            int(torch.round(context.pixels_per_cell[0, 0] * maps[0].shape[2]).item()),
            int(torch.round(context.pixels_per_cell[0, 1] * maps[0].shape[3]).item()),
        ]
        return self.predict(maps, prototypes, threshold, size)

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: QNetContext,
    ) -> list[TrainingTerm]:
        """List the query's loss, and one alignment loss per episode whose query was found.

        Args:
            features: {level: (B, C, h, w)} of the query.
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}.
            query_mask: (B, 1, H, W) in {0, 1, 255}.
            context: result of ``encode``.

        Returns:
            The query's term, with its background pixels weighted down; and the K supports of an episode predicted from
            the query, weight 1 / B. An episode whose query is predicted empty has no such term.
        """
        batch, shots = support_mask.shape[0], support_mask.shape[1]
        maps, threshold = self.query_maps(features, context), self.threshold(features)
        logits = self.predict(maps, context.prototypes, threshold, [query_mask.shape[2], query_mask.shape[3]])
        terms = [TrainingTerm(logits, query_mask, 1.0, self.background_weight)]
        found = (logits[:, 1:] > logits[:, :1]).to(logits.dtype).detach()
        prototypes = torch.stack([upsampled_average(each, found) for each in maps], dim=1)
        supports = self.query_maps(_flatten_shots(support_features), _for_every_shot(context, shots))
        aligned = self.predict(
            supports,
            prototypes.repeat_interleave(shots, dim=0),
            threshold.repeat_interleave(shots, dim=0),
            [support_mask.shape[3], support_mask.shape[4]],
        ).unflatten(0, [batch, shots])
        for episode in found.flatten(1).any(dim=1).nonzero().flatten().tolist():
            terms.append(TrainingTerm(aligned[episode], support_mask[episode], 1.0 / batch))
        return terms

    def embed(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Embed both levels, signed: {level: (N, C_l, h_l, w_l)} -> fine and coarse (N, C, h_l, w_l)."""
        fine = self.embed_fine(at_least_float32(features[self.levels[0]]))
        return [fine, self.embed_coarse(at_least_float32(features[self.levels[1]]))]

    def threshold(self, features: dict[str, Tensor]) -> Tensor:
        """The query's threshold t: {level: (N, C, h, w)} -> (N, 1)."""
        deepest = at_least_float32(features[self.levels[1]]).mean(dim=[2, 3])
        threshold: Tensor = self.threshold_head(deepest) + self.initial_threshold
        return threshold

    def predict(self, maps: list[Tensor], prototypes: Tensor, threshold: Tensor, size: list[int]) -> Tensor:
        """Predict both scales and mix them at full size.

        Args:
            maps: fine and coarse (N, C, h, w).
            prototypes: (N, 2, C).
            threshold: (N, 1).
            size: [H, W] of the result.

        Returns:
            (N, 2, H, W) logarithms of the probabilities of background and foreground.
        """
        fine = self.resize(self.foreground(maps[0], prototypes[:, 0], threshold), size)
        coarse = self.resize(self.foreground(maps[1], prototypes[:, 1], threshold), size)
        mixed = torch.lerp(coarse, fine, self.fine_weight)
        eps = 1.1920929e-07  # of float32
        return torch.cat([1 - mixed, mixed], dim=1).clamp(eps, 1 - eps).log()

    def foreground(self, maps: Tensor, prototype: Tensor, threshold: Tensor) -> Tensor:
        """Foreground probability of one scale: (N, C, h, w), (N, C), (N, 1) -> (N, 1, h, w)."""
        values = maps.flatten(2)
        score = score_positions(values, torch.linalg.vector_norm(values, dim=1), prototype, threshold)
        return at_least_float32(score).sigmoid().view(maps.shape[0], 1, maps.shape[2], maps.shape[3])

    def refine(self, maps: list[Tensor], prototypes: Tensor, threshold: Tensor) -> Tensor:
        """Refine the prototypes (N, 2, C) on the query's own maps."""
        refined: list[Tensor] = []
        for scale, values in enumerate(maps):
            query = prepare_query(values)
            refined.append(
                refine_prototype(
                    query, prototypes[:, scale], threshold, self.refinement_steps, is_swapped=self.is_swapped
                )
            )
        return torch.stack(refined, dim=1)

    def resize(self, probability: Tensor, size: list[int]) -> Tensor:
        """Resize bilinearly with aligned corners: (N, 1, h, w) -> (N, 1, H, W)."""
        return F.interpolate(probability, size=size, mode="bilinear", align_corners=True)

    def query_maps(self, features: dict[str, Tensor], context: QNetContext) -> list[Tensor]:
        """Both maps as the head sees them, guided if the guidance says so."""
        maps = self.embed(features)
        if self.guidance is not None:
            text = context.text.expand(maps[0].shape[0], -1)
            maps = [self.guidance.host_maps(maps[0], text), self.guidance.host_maps(maps[1], text)]
        return maps

    def over_shots(self, prototypes: Tensor, foreground: Tensor) -> Tensor:
        """Average over the shots that show the object: (B, K, C), (B, K, 1, H, W) -> (B, C)."""
        return mean_over_shots(prototypes, (foreground > 0).flatten(2).any(dim=2))


def _flatten_shots(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """{level: (B, K, C, h, w)} -> {level: (B * K, C, h, w)}."""
    flat: dict[str, Tensor] = {}
    for level, values in features.items():
        flat[level] = values.flatten(0, 1)
    return flat


def _for_every_shot(context: QNetContext, shots: int) -> QNetContext:
    """Repeat an episode's context for each of its supports."""
    return QNetContext(
        context.prototypes.repeat_interleave(shots, dim=0),
        context.pixels_per_cell.repeat_interleave(shots, dim=0),
        context.text.repeat_interleave(shots, dim=0),
    )
