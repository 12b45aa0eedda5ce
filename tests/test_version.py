# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The version stands once, in the bundle's metadata."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from scripts.version import version


def test_it_is_that_of_the_metadata(bundle_root: Path) -> None:
    metadata = json.loads((bundle_root / "configs" / "metadata.json").read_text(encoding="utf-8"))
    assert version() == metadata["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version())
    assert version() in metadata["changelog"]


def test_it_is_read_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["scripts.version"], "CONFIGS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"metadata\.json"):
        version()
    (tmp_path / "metadata.json").write_text('{"version": "9.8.7"}')
    assert version() == "9.8.7"
