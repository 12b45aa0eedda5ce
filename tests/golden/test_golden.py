# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Golden cases: tensors that the methods' released (or corrected) code produced, reproduced by this project.

Cases are all ``case_*.safetensors`` under ``$CDTG_GOLDEN_DIR/<method>/`` (default: this folder). What a case is about
is read from its header and its tensors, never from its name; one that no check recognises fails.
"""

from __future__ import annotations

import pytest
from golden_checks import BUILT, NOT_BUILT
from golden_checks.case import Case, golden_root, method_folders


def test_there_are_golden_cases() -> None:
    assert method_folders(), f"no method folder with case_*.safetensors under {golden_root()}"


def test_method_is_known(method_folder: str) -> None:
    if method_folder in NOT_BUILT:
        pytest.skip(f"method {method_folder!r} is not built yet")
    assert method_folder in BUILT, f"no golden check for method {method_folder!r}; built: {sorted(BUILT)}"


def test_case(case: Case) -> None:
    BUILT[case.method](case)
