# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What has to be installed is said once, or said the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import scripts

tomllib = pytest.importorskip("tomllib")  # Python 3.11

OF_THE_BUNDLE = ("train", "dicom", "text")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return content


def test_requirements_are_those_of_the_project(project: dict[str, Any], repository: Path) -> None:
    lines = (repository / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for name in OF_THE_BUNDLE for line in extras[name])]
    assert sorted(listed) == sorted(wanted)


def test_all_holds_every_extra_of_users(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    named = re.fullmatch(r"segprompt\[(.*)\]", extras["all"][0])
    assert named is not None
    assert set(named[1].split(",")) == set(extras) - {"all", "dev", "docs"}


def test_the_version_stands_once(project: dict[str, Any], bundle_root: Path) -> None:
    metadata = json.loads((bundle_root / "configs" / "metadata.json").read_text(encoding="utf-8"))
    assert project["dynamic"] == ["version"]
    assert scripts.__version__ == metadata["version"]
    assert metadata["version"] in metadata["changelog"]
