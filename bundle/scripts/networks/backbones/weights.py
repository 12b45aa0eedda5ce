# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Weights of a published network, by the order or by the names of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["load_by_name", "load_in_order"]


def load_in_order(network: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy tensors by their order, leaving out the counters of batch norm.

    Args:
        network: receives the tensors.
        state: as many tensors of the same shapes, under any names.
        source: named in errors.

    Raises:
        ValueError: when number or shapes differ.
    """
    targets = {key: value for key, value in network.state_dict().items() if "num_batches_tracked" not in key}
    tensors = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    if len(targets) != len(tensors):
        raise ValueError(f"{source} holds {len(tensors)} tensors, the network has {len(targets)}")
    for (target, old), (key, new) in zip(targets.items(), tensors.items(), strict=True):
        if old.shape != new.shape:
            raise ValueError(f"{source}: {key} has shape {tuple(new.shape)}, {target} needs {tuple(old.shape)}")
        old.copy_(new)


def load_by_name(network: nn.Module, path: str | Path, *, ignored: tuple[str, ...] = ()) -> list[str]:
    """Load a weight file whose names are the network's.

    Args:
        network: receives the tensors; the classifier may be absent.
        path: ``.safetensors``, or a file that ``torch.load`` reads with ``weights_only``.
        ignored: beginnings of the names of what the file may hold beyond the network.

    Returns:
        Names of the parameters that the file lacks.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for unknown names or other shapes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"backbone weights {path} do not exist")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    state = {key: value for key, value in state.items() if not key.startswith(ignored)}
    own = network.state_dict()
    unknown = [key for key in state if key not in own]
    if unknown:
        raise ValueError(f"{path} holds {len(unknown)} tensors that the network does not know, first {unknown[0]!r}")
    for key, value in state.items():
        if value.shape != own[key].shape:
            raise ValueError(f"{path}: {key} has shape {tuple(value.shape)}, expected {tuple(own[key].shape)}")
    network.load_state_dict({key: value.float() for key, value in state.items()}, strict=False)
    return [key for key in own if key not in state and "num_batches_tracked" not in key]
