# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The end of a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import atexit, gc, sys
sys.path.insert(0, sys.argv[1])
import collections, decimal, email.message, typing, leaving
text, data = open(sys.argv[3], "w"), open(sys.argv[3] + ".bin", "wb")
text.write("kept"), data.write(b"kept")
holds = lambda: (text, data)
def searched(phase, info):
    import os
    os.write(1, b"searched %d\\n" % len(gc.get_objects()))
if sys.argv[2] == "quickly":
    leaving.leave_quickly()
    leaving.leave_quickly()
atexit.register(print, "registered earlier")
gc.callbacks.append(searched)
"""


@pytest.mark.parametrize("how", ["quickly", "as always"])
def test_the_last_searches_find_nothing_and_files_are_whole(bundle_root: Path, tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-c", CODE, str(bundle_root / "scripts/apps/startup"), how, str(tmp_path / "file")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "registered earlier" in lines
    if how == "quickly":
        assert (tmp_path / "file").read_text() == "kept"
        assert (tmp_path / "file.bin").read_bytes() == b"kept"
    objects = [int(line.split()[1]) for line in lines if line.startswith("searched")]
    assert (not objects or max(objects) < 2000) == (how == "quickly")
