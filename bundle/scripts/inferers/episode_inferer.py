# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One support set for many queries: what an evaluation task asks for."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

from ..networks.segmenter import Prompt, Segmenter

__all__ = ["EpisodeInferer", "segment_in_batches"]


class EpisodeInferer(Inferer):
    """Encode the prompt once and segment all queries of a task with it.

    Args:
        batch_size: queries that pass through the network together.
    """

    def __init__(self, batch_size: int = 8) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size

    def __call__(  # type: ignore[override]
        self,
        inputs: Tensor | dict[str, Tensor],
        network: Any,
        support_image: Tensor | dict[str, Tensor],
        support_label: Tensor,
        text_embedding: Tensor | None = None,
    ) -> Tensor:
        """Segment the queries of one task.

        Args:
            inputs: (N, 3, H, W) images in [0, 1], or features {level: (N, C, h, w)}.
            network: a Segmenter, possibly wrapped for several processes.
            support_image: (1, K, 3, H, W), or features {level: (1, K, C, h, w)}.
            support_label: (1, K, 1, H, W) in {0, 1, 255}.
            text_embedding: (1, T, D).

        Returns:
            (N, 2, H, W) logits; where features are given, at the host's own grid.
        """
        segmenter: Segmenter = getattr(network, "module", network)
        prompt = segmenter.encode_prompt(support_image, support_label, text_embedding)
        return segment_in_batches(segmenter, inputs, prompt, self.batch_size)


def segment_in_batches(
    segmenter: Segmenter,
    images: Tensor | dict[str, Tensor],
    prompt: Prompt,
    batch_size: int,
    output_size: tuple[int, int] | None = None,
) -> Tensor:
    """Segment any number of queries with one prompt, a few at a time.

    Args:
        segmenter: the network.
        images: (N, 3, H, W) or features {level: (N, C, h, w)}.
        prompt: of one episode.
        batch_size: queries that pass together.
        output_size: as in ``Segmenter.segment``.

    Returns:
        (N, 2, H, W) logits.
    """
    if isinstance(images, Tensor):
        batches: Any = images.split(batch_size)
    else:
        parts = {level: value.split(batch_size) for level, value in images.items()}
        batches = [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]
    return torch.cat([segmenter.segment(batch, prompt, output_size) for batch in batches])
