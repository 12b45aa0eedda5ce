# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Fine-tuning by a host's own loss: PATNet's task-adaptive anchors, DMTNet's self-matching.

Both let a support image play the query. PATNet (ECCV 2022, section 4.3) moves its anchors until the transformed
prototype under the predicted mask agrees with that under the true one; DMTNet (IJCAI 2024, section 3.4) moves the
scales of two norms until the support is segmented as annotated.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..hosts.base import Host
from ..prompt import SupportSet
from ..protocols import FeatureSource
from .base import Adaptation

__all__ = ["SelfMatching"]


class SelfMatching(Adaptation):
    """Minimise ``host.adaptation_loss``; the arguments are those of :class:`Adaptation`."""

    def loss_of_step(self, segmenter: FeatureSource, support: SupportSet) -> Callable[[Host, int], Tensor]:
        """Encode the support set once: what is tuned here plays no part in that."""
        features = {level: support.features[level] for level in segmenter.host.levels}
        with torch.no_grad():
            context = segmenter.host.encode(features, support.label, support.text_embedding)
        return lambda host, step: host.adaptation_loss(features, support.label, context)
