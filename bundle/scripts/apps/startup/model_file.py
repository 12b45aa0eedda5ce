# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The bundle's ``models/model.pt``: a plain state dict in half precision."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
from torch import nn

from ...files.atomic import write_torch

__all__ = ["write_model"]


def write_model(network: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write a network's state; floating-point tensors as float16, which halves the file.

    The network's description is written without its padding. So programs that copy what has the same shape into a
    network of another host (``monai.bundle.load``) bring over the backbone, and leave that network its own description.

    Args:
        network: for example the Segmenter of ``network_def``.
        path: target file, written beside and renamed.

    Returns:
        The written file.
    """
    state = {
        key: value.detach().cpu().to(torch.float16) if value.is_floating_point() else value.detach().cpu()
        for key, value in network.state_dict().items()
    }
    if "signature" in state:
        state["signature"] = state["signature"][: int(state["signature"].count_nonzero())]
    written = write_torch(path, state)
    logging.getLogger(__name__).info("wrote %s (%.1f MB)", written, written.stat().st_size / 1e6)
    return written
