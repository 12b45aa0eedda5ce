# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""IFA's fine-tuning (CVPR 2024, section 3.3): an altered copy of a support image plays the query, anew in every step.

The authors draw supports from the whole target set in every epoch; here an episode has only its own. They tune the
backbone; here the host's parameters are tuned, the backbone stays frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..hosts.base import Host
from ..prompt import IMAGE, SupportSet
from ..protocols import FeatureSource
from .augmentation import augment
from .base import Adaptation, Optimizer

__all__ = ["AugmentedSupport"]


class AugmentedSupport(Adaptation):
    """Train on episodes whose query is an altered support, with the host's own training terms.

    Args:
        optimizer: see :class:`Adaptation`.
        loss: ``loss(terms, query_mask)`` -> scalar, such as ``EpisodeLoss``.
        steps: number of episodes.
        seed: of the choice of support and its alteration, the same for every episode.
    """

    needs_images = True

    def __init__(
        self, optimizer: Optimizer, loss: Callable[[Any, Tensor], Tensor], *, steps: int, seed: int = 0
    ) -> None:
        super().__init__(optimizer, steps=steps)
        self.loss = loss
        self.seed = int(seed)

    def loss_of_step(self, segmenter: FeatureSource, support: SupportSet) -> Callable[[Host, int], Tensor]:
        """Alter the supports for all steps and take their features.

        Raises:
            ValueError: when the images are missing.
        """
        if IMAGE not in support.features:
            raise ValueError(
                f"{type(self).__name__} alters the support images: put them beside their features, under {IMAGE!r}"
            )
        levels = segmenter.host.levels
        features = {level: support.features[level] for level in levels}
        images, shots = support.features[IMAGE][0], support.label.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        queries, masks = [], []
        with torch.no_grad():
            for _ in range(self.steps):
                chosen = int(torch.randint(shots, [], generator=generator))
                image, mask = augment(images[chosen].float(), support.label[0, chosen], generator)
                queries.append(
                    {level: maps for level, maps in segmenter.features(image[None]).items() if level in levels}
                )
                masks.append(mask[None])

        def loss(host: Host, step: int) -> Tensor:
            context = host.encode(features, support.label, support.text_embedding)
            terms = host.adaptation_terms(queries[step], features, support.label, masks[step], context)
            return self.loss(terms, masks[step])

        return loss
