# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From an evaluation task to the arguments of its inferer."""

from __future__ import annotations

from typing import Any, cast

import torch
from ignite.utils import convert_tensor
from torch import Tensor

from .prepare_batch import PrepareEpisode

__all__ = ["PrepareTask"]

_OF_THE_VOLUME = ("annotation", "spacing")


class PrepareTask(PrepareEpisode):
    """Episodic tasks as ``PrepareEpisode``, with the label's size as ``output_size``: the segmenter resizes logits.

    A volume with annotated slices hands over annotation and spacing.
    """

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, Tensor, tuple[()], dict[str, Any]]:
        """Return (image, label, (), keyword arguments of the inferer)."""
        if "annotation" not in batchdata:
            image, label, arguments, extra = super().__call__(batchdata, device, non_blocking, **kwargs)
            return image, label, arguments, {**extra, "output_size": (label.shape[-2], label.shape[-1])}
        volume, truth = (convert_tensor(batchdata[key], device, non_blocking) for key in ("image", "label"))
        return volume, cast(Tensor, truth), (), {key: batchdata[key][0] for key in _OF_THE_VOLUME}
