# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _single_thread() -> None:
    """Small tensors run faster on one thread, and every machine then adds in the same order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def bundle_root(repository: Path) -> Path:
    """Root of the bundle, the working directory of every workflow."""
    return repository / "bundle"


@pytest.fixture(scope="session")
def installed(bundle_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which ``import segprompt`` finds this checkout's code, as an editable install does."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "segprompt").symlink_to(bundle_root / "scripts", target_is_directory=True)
    return {
        **os.environ,
        "PYTHONPATH": str(folder),
        "SEGPROMPT_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
    }


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with sample data and golden cases."""
    folder = Path(os.environ.get("CDTG_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no sample folder at {folder} (set CDTG_SHARED)")
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """The folder with one sub-folder of samples per data set."""
    folder = shared / "data"
    if not folder.is_dir():
        pytest.skip(f"no sample data at {folder} (set CDTG_SHARED)")
    return folder
