# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One support set for many queries: what an evaluation task asks for."""

from __future__ import annotations

from typing import Any

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

    def __call__(
        self,
        inputs: Tensor | dict[str, Tensor],
        network: Any,
        support_image: Tensor | dict[str, Tensor],
        support_label: Tensor,
        text_embedding: Tensor | None = None,
        output_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Segment the queries of one task.

        Args:
            inputs: (N, 3, H, W) images in [0, 1], or features {level: (N, C, h, w)}.
            network: a Segmenter, possibly wrapped for several processes.
            support_image: (1, K, 3, H, W), or features {level: (1, K, C, h, w)}.
            support_label: (1, K, 1, H, W) in {0, 1, 255}.
            text_embedding: (1, T, D).
            output_size: height and width of the logits; None means those of the images or, where features are given, of
                the host's own grid.

        Returns:
            (N, 2, H, W) logits.
        """
        segmenter: Segmenter = getattr(network, "module", network)
        prompt = segmenter.encode_prompt(support_image, support_label, text_embedding)
        return segment_in_batches(segmenter, inputs, prompt, self.batch_size, output_size)


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
    total = len(images if isinstance(images, Tensor) else next(iter(images.values())))
    logits: Tensor | None = None
    for start in range(0, total, batch_size):
        chosen = slice(start, start + batch_size)
        batch = (
            images[chosen] if isinstance(images, Tensor) else {level: maps[chosen] for level, maps in images.items()}
        )
        found = segmenter.segment(batch, prompt, output_size)
        if logits is None:  # filled in place: at the images' full size a second copy would show
            logits = found.new_empty((total, *found.shape[1:]))
        logits[chosen] = found
    if logits is None:
        raise ValueError("there is no image to segment")
    return logits
