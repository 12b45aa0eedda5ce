# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The citation file names the released version and what its format asks for."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    metadata = json.loads((ROOT / "bundle" / "configs" / "metadata.json").read_text())
    assert citation["version"] == metadata["version"]
    for entry in (citation, *citation["references"]):
        assert {"title", "authors"} <= set(entry)
    assert {"cff-version", "message", "license"} <= set(citation)
