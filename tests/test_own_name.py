# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The code knows under which name it runs."""

from __future__ import annotations

import subprocess
import sys

from scripts.own_name import BUNDLE_PACKAGE, PACKAGE, is_bundle


def test_here_it_is_the_code_of_a_bundle() -> None:
    assert PACKAGE == BUNDLE_PACKAGE == "scripts"
    assert is_bundle()


def test_installed_it_goes_by_its_own_name(installed: dict[str, str]) -> None:
    code = "from segprompt.own_name import PACKAGE, is_bundle; print(PACKAGE, is_bundle())"
    done = subprocess.run([sys.executable, "-c", code], env=installed, capture_output=True, text=True, check=True)
    assert done.stdout == "segprompt False\n"
