# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The notebooks are small, were executed, and run from a clean kernel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "bundle" / "docs" / "notebooks").glob("*.ipynb"))
LARGEST = 300_000  # bytes


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_saved_outputs_are_complete_and_small(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    text = path.read_text()
    assert "/site-packages/" not in text
    assert str(Path.home()) not in text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(output["output_type"] != "error" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_a_clean_kernel(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    copy = tmp_path / path.name
    content = json.loads(path.read_text())
    printed = streams(content)
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    copy.write_text(json.dumps(content))
    subprocess.run([sys.executable, str(ROOT / "tools" / "run_notebooks.py"), str(copy)], check=True)
    assert len(streams(json.loads(copy.read_text()))) == len(printed)


def streams(notebook: dict) -> list[str]:
    """What the cells print, cell by cell."""
    return [
        "".join(output["text"])
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    ]
