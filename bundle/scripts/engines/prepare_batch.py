# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From a batch of episodes to the arguments of the segmenter."""

from __future__ import annotations

from typing import Any

import torch
from ignite.utils import apply_to_tensor, convert_tensor
from monai.engines import PrepareBatch
from monai.utils import CommonKeys
from torch import Tensor

__all__ = ["PrepareEpisode"]

_REQUIRED = ("support_image", "support_label")


class PrepareEpisode(PrepareBatch):
    """Move a batch of episodes to the device and hand its support set to the network as keyword arguments.

    MONAI's ``PrepareBatchExtraInput`` takes tensors; here ``image`` and ``support_image`` may also be dictionaries of
    cached features ({level: (B, C, h, w)} and {level: (B, K, C, h, w)}), kept as float16 and computed with as
    float32.

    Args:
        with_query_label: hand the query's label to the network as well (``query_label``): hosts with terms on their own
            prototypes need it in training. Off in evaluation, where the network must not see it.
    """

    def __init__(self, *, with_query_label: bool = False) -> None:
        self.with_query_label = with_query_label

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, Tensor, tuple[()], dict[str, Any]]:
        """Return (image, label, (), {support_image, support_label, [text_embedding], [query_label]}).

        ``text_embedding`` is passed on only where the batch has it. ``kwargs`` go to ``Tensor.to``, as in MONAI's own
        classes.

        Raises:
            KeyError: when the batch is not an episode, naming the missing key.
        """
        missing = [key for key in (CommonKeys.IMAGE, CommonKeys.LABEL, *_REQUIRED) if key not in batchdata]
        if missing:
            raise KeyError(f"an episode needs {', '.join(map(repr, missing))} (the batch has: {', '.join(batchdata)})")

        def ready(key: str) -> Any:
            moved = convert_tensor(batchdata[key], device=device, non_blocking=non_blocking)
            return apply_to_tensor(moved, lambda tensor: _single_precision(tensor, **kwargs))

        label = ready(CommonKeys.LABEL)
        extra = {key: ready(key) for key in _REQUIRED}
        if batchdata.get("text_embedding") is not None:
            extra["text_embedding"] = ready("text_embedding")
        if self.with_query_label:
            extra["query_label"] = label
        return ready(CommonKeys.IMAGE), label, (), extra


def _single_precision(tensor: Tensor, **kwargs: Any) -> Tensor:
    tensor = tensor.float() if tensor.dtype == torch.float16 else tensor
    return tensor.to(**kwargs) if kwargs else tensor
