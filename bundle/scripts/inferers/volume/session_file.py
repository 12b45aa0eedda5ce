# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A session on disk: annotations and settings in one safetensors file, without the volume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ...files.atomic import replace_when_done
from .annotations import Entry

__all__ = ["FORMAT_VERSION", "SavedSession", "read_session", "write_session"]

FORMAT_VERSION = 2
"""1: files before it was written down; 2: the same entries and ``format_version``."""


class SavedSession(NamedTuple):
    """What a session file holds.

    Attributes:
        history: annotations in their order, slices as they are shown.
        parameters: the propagation's values by name.
        spacing: mm per axis of the image.
        slice_axis: axis of the image that slices are counted along.
        intensity_window: range of intensities, or None.
        annotation_complete: "own" or "all".
        volume: digest of the volume.
    """

    history: list[Entry]
    parameters: dict[str, Any]
    spacing: tuple[float, ...]
    slice_axis: int
    intensity_window: tuple[float, float] | None
    annotation_complete: str
    volume: str

    def refuse_other_volume(self, path: str | Path, found: str) -> None:
        """Compare digests of volumes.

        Raises:
            ValueError: when ``found`` is not that of the session in the file ``path``.
        """
        if found != self.volume:
            raise ValueError(f"{path} belongs to another volume (content {self.volume[:12]}, this one {found[:12]})")


def write_session(path: str | Path, session: SavedSession) -> None:
    """Write a session beside its place first, then rename it."""
    tensors = {f"{number:05d}": entry.label for number, entry in enumerate(session.history)}
    state = {
        **session._asdict(),
        "format_version": FORMAT_VERSION,
        "history": [[entry.slice_index, entry.replace] for entry in session.history],
    }
    with replace_when_done(path) as partial:
        save_file(tensors, partial, metadata={"volume_session": json.dumps(state)})


def read_session(path: str | Path) -> SavedSession:
    """Read a session.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it isn't a saved session, or one of a later format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no saved session {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            state = json.loads((file.metadata() or {})["volume_session"])
            version = int(state.pop("format_version", 1))
            if version > FORMAT_VERSION:
                raise ValueError(
                    f"{path} has the session format {version}, this version reads up to {FORMAT_VERSION}; open it with "
                    "the version that wrote it, or a later one"
                )
            labels = [file.get_tensor(key) for key in sorted(file.keys())]
        entries = [
            Entry(index, label, replace) for (index, replace), label in zip(state["history"], labels, strict=True)
        ]
        window = state["intensity_window"]
        return SavedSession(
            **{**state, "history": entries, "intensity_window": None if window is None else (window[0], window[1])}
        )
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a saved volume session: {error}") from error
