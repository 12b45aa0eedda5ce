# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The file of a session: its version, and files of the time before there was one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from scripts.inferers.propagation import PropagationParameters
from scripts.inferers.volume.annotations import Entry
from scripts.inferers.volume.session_file import FORMAT_VERSION, SavedSession, read_session, write_session

LABEL = np.array([[0, 3], [255, 3]], np.uint16)


@pytest.fixture
def saved() -> SavedSession:
    parameters = PropagationParameters(bias=-1.0).flat()
    return SavedSession([Entry(5, LABEL, True)], parameters, (7.0, 1.0, 1.0), 0, (0.0, 9.0), "all", "abc")


def state_of(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["volume_session"])


def test_round_trip(saved: SavedSession, tmp_path: Path) -> None:
    write_session(tmp_path / "s", saved)
    found = read_session(tmp_path / "s")
    assert np.array_equal(found.history[0].label, LABEL)
    assert found.history[0][::2] == (5, True)
    assert PropagationParameters(**found.parameters) == PropagationParameters(bias=-1.0)
    assert found[3:] == saved[3:]
    assert state_of(tmp_path / "s")["format_version"] == FORMAT_VERSION


def test_other_versions(saved: SavedSession, tmp_path: Path) -> None:
    write_session(tmp_path / "s", saved)
    state = state_of(tmp_path / "s")
    for name, change in (("old", None), ("new", FORMAT_VERSION + 1)):
        own = {key: value for key, value in state.items() if key != "format_version"}
        own |= {} if change is None else {"format_version": change}
        save_file({"00000": LABEL}, tmp_path / name, metadata={"volume_session": json.dumps(own)})
    assert read_session(tmp_path / "old").annotation_complete == "all"
    with pytest.raises(ValueError, match=r"new has the session format 3, this version reads up to 2; open it with"):
        read_session(tmp_path / "new")
