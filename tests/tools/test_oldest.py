# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The oldest versions: read from pyproject.toml, pinned at their lower bound."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = """
[project]
name = "thing"
dependencies = ["numpy>=1.26", "Pillow>=10.3,<14"]
[project.optional-dependencies]
extra = ["thing[other]", "pydicom>=3.0.2"]
other = ["numpy>=1.26"]
dev = ["pytest>=8"]
docs = ["thing[dev]", "mkdocs>=1.6"]
"""


@pytest.fixture(scope="module")
def oldest() -> ModuleType:
    spec = importlib.util.spec_from_file_location("oldest", ROOT / "tools" / "oldest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_promises_are_pinned_and_tools_are_not(oldest: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(PROJECT)
    assert oldest.pinned(oldest.promised_requirements(file)) == ["numpy==1.26", "pillow==10.3", "pydicom==3.0.2"]
    assert [str(each) for each in oldest.development_requirements(file)] == ["mkdocs>=1.6", "pytest>=8"]


def test_two_bounds_of_one_package_are_refused(oldest: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"numpy has two lower bounds, numpy==1\.26 and numpy==2"):
        oldest.pinned([Requirement("numpy>=1.26"), Requirement("numpy>=2")])


def test_every_promise_of_the_project_has_a_bound(oldest: ModuleType) -> None:
    pins = oldest.pinned(oldest.promised_requirements(ROOT / "pyproject.toml"))
    assert len(pins) > 25
    assert [pin for pin in pins if "==" not in pin] == []
