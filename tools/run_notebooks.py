# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Run notebooks from a clean kernel, and keep what they print and draw.

    python tools/run_notebooks.py bundle/docs/notebooks/*.ipynb

A notebook runs in an empty folder, with this checkout as the package ``segprompt``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

__all__ = ["main", "run_notebook"]

SOURCES = Path(__file__).resolve().parents[1] / "bundle" / "scripts"
SECONDS_PER_CELL = 900


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the notebooks and write them back with their outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: when a cell fails; nothing of that notebook is written.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", type=Path, nargs="+")
    for path in parser.parse_args(arguments).notebooks:
        with tempfile.TemporaryDirectory() as folder:
            executed = run_notebook(path, Path(folder))
        draft = path.with_suffix(".partial")
        nbformat.write(executed, draft)
        draft.replace(path)


def run_notebook(path: Path, folder: Path) -> NotebookNode:
    """Execute a notebook.

    Args:
        path: the notebook.
        folder: an empty one; the notebook's working folder is made in it, beside the package and its caches.

    Returns:
        The notebook with its outputs, without times of execution, progress bars and warnings: they are of the machine.
    """
    packages, work = folder / "packages", folder / "work"
    packages.mkdir()
    work.mkdir()
    (packages / "segprompt").symlink_to(SOURCES, target_is_directory=True)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=SECONDS_PER_CELL, record_timing=False, kernel_name="python3")
    environment = {**os.environ, "PYTHONPATH": str(packages), "SEGPROMPT_CACHE": str(folder / "cache")}
    executed = client.execute(cwd=str(work), env=environment)
    for cell in executed.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return executed


if __name__ == "__main__":
    main()
