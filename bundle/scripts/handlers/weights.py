# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Reading checkpoints: never with pickle, never non-strictly, and every error names the file."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

__all__ = ["load_weights", "read_checkpoint"]

logger = logging.getLogger(__name__)


def read_checkpoint(path: str | os.PathLike[str], map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint with ``weights_only``.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it isn't a checkpoint, is damaged, or holds more than tensors and plain values.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no checkpoint {file}")
    try:
        content = torch.load(file, map_location=map_location, weights_only=True)
    except Exception as error:  # torch has no error class of its own for a damaged file: any of five may come
        raise ValueError(
            f"{file} can't be read as a checkpoint: it is damaged, or holds more than tensors and plain values "
            f"({type(error).__name__})"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds a {type(content).__name__}, expected a state dict or a training checkpoint")
    return content


def load_weights(network: nn.Module, path: str | os.PathLike[str] | None, *, key: str = "model") -> nn.Module:
    """Load a network's weights from a training checkpoint (``key``) or a plain state dict, and return the network.

    Args:
        network: takes the weights strictly.
        path: file; None leaves the network as it is.
        key: where a training checkpoint keeps the network's state.

    Raises:
        ValueError: when the weights are of another network (host, backbone), naming the file.
    """
    if path is None:
        if any(parameter.requires_grad for parameter in network.parameters()):
            logger.warning("no checkpoint given: what is trainable in this network is at its start")
        return network
    content = read_checkpoint(path)
    load_state(network, content.get(key, content), path)
    return network


def load_state(target: Any, state: Any, path: str | os.PathLike[str], *, name: str = "network") -> None:
    """Hand ``state`` to ``target.load_state_dict``; what goes wrong there is told with the file's name."""
    try:
        target.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} doesn't fit this {name}: {_short(error)}") from error


def _short(error: Exception, limit: int = 8) -> str:
    lines = str(error.args[0] if error.args else error).splitlines()
    return "\n".join(line if len(line) <= 400 else f"{line[:400]} …" for line in lines[:limit])
