# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A package offers what its stub lists: at once in a bundle, when it is asked for where it is installed."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import scripts

ROOT = Path(scripts.__file__).parent
STUBS = sorted(ROOT.rglob("__init__.pyi"))

PROBE = """
import sys
import toy
assert "toy.heavy" not in sys.modules, "imported before it was asked for"
assert toy.weigh() == 7
assert "toy.heavy" in sys.modules
assert dir(toy) == ["weigh"] == toy.__all__
try:
    toy.fly
except AttributeError as error:
    assert "fly" in str(error)
else:
    raise SystemExit("a name that the stub lacks")
"""


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_every_name_of_a_stub_is_there_and_imported_in_a_bundle(stub: Path) -> None:
    package = importlib.import_module(".".join(("scripts", *stub.parent.relative_to(ROOT).parts)))
    listed = {
        alias.asname or alias.name
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert listed == set(package.__all__)
    assert listed <= vars(package).keys()


@pytest.mark.parametrize(("name", "is_lazy"), [("toy", True), ("scripts", False)])
def test_an_installed_package_imports_a_name_when_it_is_asked_for(tmp_path: Path, name: str, is_lazy: bool) -> None:
    package = tmp_path / name
    package.mkdir()
    for file in (ROOT / "public_face.py", *ROOT.glob("own_name.py")):
        (package / file.name).write_text(file.read_text(encoding="utf-8"))
    (package / "heavy.py").write_text("def weigh():\n    return 7\n")
    (package / "__init__.pyi").write_text("from .heavy import weigh as weigh\n")
    (package / "__init__.py").write_text(
        "from .public_face import public_face\n\n__getattr__, __dir__, __all__ = public_face(__name__, __file__)\n"
    )
    probe = PROBE if is_lazy else "import sys, scripts; assert 'scripts.heavy' in sys.modules; scripts.heavy.weigh()"
    subprocess.run([sys.executable, "-c", probe], check=True, cwd=tmp_path)
