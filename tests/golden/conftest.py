# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Makes the checks beside this file importable and turns every golden case into a test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from golden_checks.case import Case, discover, method_folders


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases: list[Case] = discover()
        metafunc.parametrize("case", cases, ids=[f"{case.method}/{case.path.stem}" for case in cases])
    if "method_folder" in metafunc.fixturenames:
        metafunc.parametrize("method_folder", sorted(folder.name for folder in method_folders()))
