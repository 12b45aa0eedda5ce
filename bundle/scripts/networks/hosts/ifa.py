# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""IFA, the Iterative Few-shot Adaptor (Nie et al., CVPR 2024): self-support matching, repeated on query and support.

A query is scored with the support's prototypes, draws prototypes of its own from that, and is scored again. In training
its prototypes then score the support images, whose masks are known, and so on in turn. The head has no parameters; what
learns is the backbone (as published) or, with a frozen one, the neck that mixes its levels.

Where the released code mixes episodes, averages in empty masks or compares the wrong output, this class does what the
paper means; ``released/ifa.py`` does what the code does.
"""

from collections.abc import Callable, Sequence
from typing import Optional

import torch
from torch import Tensor

from ..blocks.self_support import Cells, Matched, match_self, prepare_cells, refine, similarity
from ..semantic_guidance import SemanticGuidance
from .base import TrainingTerm
from .self_support_host import IFAContext, SelfSupportHost, prototype_columns

__all__ = ["IFA", "IFAContext"]

_WEIGHTS = {
    "query_refined": 1.0,
    "query_1": 1.0,
    "query_self": 1.0,
    "support_self": 0.2,
    "support_1": 0.4,
    "query_2": 0.1,
    "support_2": 0.1,
    "query_3": 0.1,
    "support_3": 0.1,
}
"""Weight of every output's cross-entropy; the last four belong to the adaptation stage."""


class IFA(SelfSupportHost):
    """IFA's head on one map.

    Training terms, with their weights: refined query 1, query 1, query with its own true prototypes 1, support with its
    own 0.2, support scored by the query 0.4; with ``has_adaptation`` also query and support of two further rounds, 0.1
    each. The refined query is missing when ``use_refinement`` is off.

    Args:
        channels: channels per level; needed with a neck or guidance.
        levels: levels used; exactly one without a neck.
        neck_channels: width of a learned mixture of the levels on the finest grid; None takes the one level as it is.
        use_refinement: whether the first query pass is repeated once more.
        use_global_background: whether a background prototype that crosses between images is averaged over positions
            first; off as published, where position i of the query's map is used at position i of the support.
        has_adaptation: whether training adds the two further rounds.
        guidance: factory ``guidance(channels) -> SemanticGuidance``; its text prototypes are fused after the average
            over shots. None for none.

    Raises:
        ValueError: for levels that the backbone lacks, several levels without a neck, or missing channels.
    """

    def __init__(
        self,
        channels: Optional[dict[str, int]] = None,
        *,
        levels: Sequence[str] = ("c4",),
        neck_channels: Optional[int] = None,
        use_refinement: bool = True,
        use_global_background: bool = False,
        has_adaptation: bool = False,
        guidance: Optional[Callable[[dict[str, int]], SemanticGuidance]] = None,
    ) -> None:
        super().__init__("ifa", channels, levels, neck_channels, use_refinement, guidance)
        self.use_global_background = bool(use_global_background)
        self.rounds = 3 if has_adaptation else 1

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: IFAContext,
    ) -> list[TrainingTerm]:
        """List the summands of the training loss; support outputs are (B * K, ...), episode by episode.

        Args:
            features: {level: (B, C, h, w)} of the query.
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}.
            query_mask: (B, 1, H, W) in {0, 1, 255}.
            context: result of ``encode``.
        """
        return self._terms(
            self.outputs(features, support_features, support_mask, query_mask, context, self.rounds),
            support_mask,
            query_mask,
        )

    def adaptation_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: IFAContext,
    ) -> list[TrainingTerm]:
        """List the summands of the adaptation stage, with the two further rounds; see :meth:`training_terms`."""
        return self._terms(
            self.outputs(features, support_features, support_mask, query_mask, context, 3), support_mask, query_mask
        )

    def outputs(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: IFAContext,
        rounds: int,
    ) -> dict[str, Tensor]:
        """All similarities of the training mode, by name.

        Args:
            features: as in :meth:`training_terms`, like the next four.
            support_features: see there.
            support_mask: see there.
            query_mask: see there.
            context: see there.
            rounds: of query pass and support pass.

        Returns:
            ``query_<round>`` (B, 2, h, w), ``support_<round>`` (B * K, 2, h, w), ``query_self`` and ``support_self``
            scored with their own true prototypes, and ``query_refined``.
        """
        shots = support_mask.shape[1]
        maps = self.query_map(features, context)
        support_maps = self.support_map(support_features)
        if self.guidance is not None:
            text = context.text.repeat_interleave(shots, dim=0)
            support_maps = self.guidance.host_maps(support_maps.flatten(0, 1), text).unflatten(0, [-1, shots])
        cells, support_cells = prepare_cells(maps), prepare_cells(support_maps.flatten(0, 1))
        foreground, background = prototype_columns(context, maps.shape[0])
        outputs: dict[str, Tensor] = {}
        for number in range(1, rounds + 1):
            query_pass, support_pass = self.iterate(cells, support_cells, foreground, background, shots)
            if number == 1:
                if self.use_refinement:
                    outputs["query_refined"] = refine(cells, query_pass, foreground, background).second
                outputs["query_1"] = query_pass.second
                own = self.pool(maps.unsqueeze(1), query_mask.unsqueeze(1))[:, 0].unsqueeze(3)
                outputs["query_self"] = similarity(cells.unit, own[:, 0], own[:, 1])
                own = self.pool(support_maps, support_mask).flatten(0, 1).unsqueeze(3)
                outputs["support_self"] = similarity(support_cells.unit, own[:, 0], own[:, 1])
            outputs[f"query_{number}"] = query_pass.second
            outputs[f"support_{number}"] = support_pass.second
            foreground, background = self.next_prototypes(support_pass, shots)
        return {name: logits.unflatten(2, maps.shape[2:]) for name, logits in outputs.items()}

    def iterate(
        self, cells: Cells, support_cells: Cells, foreground: Tensor, background: Tensor, shots: int
    ) -> tuple[Matched, Matched]:
        """One round: the query with the support's prototypes, then the supports with the query's.

        Args:
            cells: of the B queries.
            support_cells: of the B * K supports.
            foreground: (B, C, 1).
            background: (B, C, 1 or P).
            shots: K.
        """
        query_pass = match_self(cells, foreground, background, foreground)
        support_pass = match_self(
            support_cells,
            self.to_supports(query_pass.foreground, shots),
            self.to_supports(self.crossing(query_pass.background), shots),
            self.to_supports(foreground, shots),
        )
        return query_pass, support_pass

    def next_prototypes(self, support_pass: Matched, shots: int) -> tuple[Tensor, Tensor]:
        """Prototypes for the next round: the supports' own, averaged over each episode's shots."""
        foreground = self.from_supports(support_pass.foreground, shots)
        return foreground, self.crossing(self.from_supports(support_pass.background, shots))

    def to_supports(self, prototypes: Tensor, shots: int) -> Tensor:
        """Give every episode's prototypes to each of its supports: (B, ...) -> (B * K, ...)."""
        return prototypes.repeat_interleave(shots, dim=0)

    def from_supports(self, prototypes: Tensor, shots: int) -> Tensor:
        """Average prototypes over each episode's shots: (B * K, ...) -> (B, ...)."""
        return torch.unflatten(prototypes, 0, [-1, shots]).mean(dim=1)

    def crossing(self, background: Tensor) -> Tensor:
        """Background prototypes (N, C, P) on their way to another image."""
        if self.use_global_background:
            return background.mean(dim=2, keepdim=True)
        return background

    def _terms(self, outputs: dict[str, Tensor], support_mask: Tensor, query_mask: Tensor) -> list[TrainingTerm]:
        targets = {"query": query_mask, "support": support_mask.flatten(0, 1)}
        return [self.term(logits, targets[name.split("_")[0]], _WEIGHTS[name]) for name, logits in outputs.items()]

    def term(self, logits: Tensor, target: Tensor, weight: float) -> TrainingTerm:
        """Bring an output (N, 2, h, w) to the target's size."""
        return TrainingTerm(self.upsample(logits, target), target, weight)
