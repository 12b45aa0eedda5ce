# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A wheel, built from the checkout and installed elsewhere, segments a volume and knows all configurations."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from nibabel import nifti1

from scripts.cli.self_test import write_case

pytestmark = pytest.mark.slow
pytest.importorskip("setuptools", minversion="77")


def run(*words: str | Path, cwd: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git knows or would add, so that no build folder is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__", "output", "cache", "*.pt", "*.ts", "docs")
    shutil.copytree(repository / "bundle", source / "bundle", ignore=ignore)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(repository / name, source / name)
    build = "import setuptools.build_meta as backend, sys; print(backend.build_wheel(sys.argv[1]))"
    run(sys.executable, "-c", build, folder, cwd=source)
    return next(folder.glob("segprompt-*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what it requires comes from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def test_it_holds_the_code_and_what_the_code_reads(wheel: Path, bundle_root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, place, pattern in (("scripts", "segprompt", "*.py*"), ("configs", "segprompt/configs", "*.json"),
                                   ("prompts", "segprompt/prompts", "*.json")):  # fmt: skip
        for path in (bundle_root / folder).rglob(pattern):
            if "__pycache__" not in path.parts:
                assert f"{place}/{path.relative_to(bundle_root / folder).as_posix()}" in names
    assert {"segprompt/py.typed", "segprompt/configs/logging.conf", "segprompt/cli/descriptions.json"} <= names
    assert not any(name.startswith(("scripts/", "tests/", "bundle/")) for name in names)


def test_it_segments_outside_of_the_checkout(environment: Path, tmp_path: Path) -> None:
    image, annotation, label = write_case(tmp_path)
    command = environment / "bin" / "segprompt"
    settings = {"OMP_NUM_THREADS": "1", "SEGPROMPT_CACHE": str(tmp_path / "cache")}
    before = sorted(environment.rglob("*.json"))
    where = run(environment / "bin" / "python", "-c", "import segprompt; print(segprompt.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment)
    run(command, "segment", image, annotation, "-o", "out", "--image_size", "128", cwd=tmp_path, **settings)
    found = np.asarray(nifti1.load(tmp_path / "out" / "drawn_seg.nii.gz").dataobj)
    assert (found == label).mean() > 0.9
    assert "matching" in run(command, "list", "hosts", cwd=tmp_path, **settings)
    small = ("--image_size", "96", "--num_images", "30", "--num_episodes", "2")
    run(command, "evaluate", "--host", "matching", *small, cwd=tmp_path, **settings)
    assert (tmp_path / "output" / "evaluate_synthetic_matching" / "summary.json").is_file()
    assert sorted(environment.rglob("*.json")) == before, "something was written beside the installed code"
