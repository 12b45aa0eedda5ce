# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Reading published and trained states of language networks: hub folders, state dicts, Lightning checkpoints.

Nothing is unpickled but tensors and plain values, and nothing is left out without being named: what a network needs
must be in the file, and what the file holds beyond it must be known to be of no use.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...files.read_json import read_json_object

__all__ = ["load_named", "model_folder", "read_config", "read_state", "strip_prefix"]

State = dict[str, Tensor]

_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_LIGHTNING = "state_dict"
_OWN = "model"


def model_folder(name_or_folder: str | Path, what: str) -> Path:
    """Find a model's folder: a local one, or that of a name in the Hugging Face hub's cache or on the hub.

    Args:
        name_or_folder: folder, or ``owner/name``.
        what: named in errors.

    Raises:
        FileNotFoundError: when it is neither; the message tells the command that fetches it.
    """
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    name = str(name_or_folder)
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise FileNotFoundError(f"no folder {folder} with {what}; give a folder, or a name on the Hugging Face hub")
    from huggingface_hub import snapshot_download  # seconds to import, and seldom needed
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.txt", "*.safetensors", "*.bin"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, ignore_patterns=["*flax*", "*tf_*"]))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise FileNotFoundError(
            f"{what} {name} is neither a folder nor in the cache, and can't be fetched. With a network, run: hf "
            f"download {name} --local-dir FOLDER; then give FOLDER ({type(error).__name__})"
        ) from error


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """Read a JSON object from a model's folder.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when it isn't JSON.
    """
    file = folder / name
    if not file.is_file():
        raise FileNotFoundError(f"{folder} has no {name}: it is no folder of a model as transformers saves it")
    return read_json_object(file)


def read_state(path: str | Path) -> State:
    """Read a state dict.

    Args:
        path: a ``.safetensors`` file, one that ``torch.load`` reads with ``weights_only``, or a folder with such a file
            under one of the hub's names. A Lightning checkpoint's or a training's own state is taken out of it; a
            prefix ``module.`` is dropped.

    Raises:
        FileNotFoundError: when there is no such file; the message lists what was looked for.
        ValueError: when it is damaged, or holds more than tensors and plain values.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        found = [file / name for name in _WEIGHT_FILES if (file / name).is_file()]
        if not found:
            raise FileNotFoundError(f"{file} holds no weights; looked for: {', '.join(_WEIGHT_FILES)}")
        file = found[0]
    if not file.is_file():
        raise FileNotFoundError(f"no weights {file}")
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except SafetensorError as error:
            raise ValueError(f"{file} is not a readable safetensors file: {error}") from error
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no error class of its own for a damaged file: any of five may come
        raise ValueError(
            f"{file} can't be read: it is damaged, or holds more than tensors and plain values, which is not loaded "
            f"({type(error).__name__}). Save its state dict alone, in an environment that you trust with it: "
            "torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW)"
        ) from error
    for key in (_LIGHTNING, _OWN):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{file} holds no state dict: expected names with tensors")
    state = {str(name): value for name, value in content.items()}
    return strip_prefix(state, "module.") if all(name.startswith("module.") for name in state) else state


def strip_prefix(state: Mapping[str, Tensor], prefix: str) -> State:
    """Keep what is under a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def load_named(
    network: nn.Module,
    state: Mapping[str, Tensor],
    source: str | Path,
    *,
    ignored: Collection[str] = (),
    absent: Collection[str] = (),
) -> None:
    """Load a state whose names are the network's.

    Args:
        network: takes the values, as float32.
        state: the state.
        source: named in errors.
        ignored: beginnings or ends of names that the state may hold beyond the network.
        absent: beginnings of names that the state may lack.

    Raises:
        ValueError: naming what is missing, unknown or of another shape.
    """
    own = network.state_dict()
    marks = (*ignored, "num_batches_tracked")
    given = {name: value for name, value in state.items() if name in own}
    unknown = [name for name in state if name not in own and not _is_marked(name, marks)]
    missing = [
        name
        for name in own
        if name not in state and not name.startswith(tuple(absent)) and not name.endswith("num_batches_tracked")
    ]
    if unknown or missing:
        raise ValueError(
            f"{source} is not of this network: it lacks {_few(missing)}, and holds what the network doesn't know: "
            f"{_few(unknown)}"
        )
    for name, value in given.items():
        if value.shape != own[name].shape:
            raise ValueError(
                f"{source}: {name} has shape {tuple(value.shape)}, the network needs {tuple(own[name].shape)}"
            )
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in given.items()}, strict=False)


def _is_marked(name: str, marks: Collection[str]) -> bool:
    return name.startswith(tuple(marks)) or name.endswith(tuple(marks))


def _few(names: list[str]) -> str:
    return "nothing" if not names else f"{len(names)} tensors, such as {', '.join(names[:3])}"
