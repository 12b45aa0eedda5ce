# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Run the bundle's workflows on small made data, in this process or as a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

OBLIQUE = np.array([[-1.97, 0.35, 0, 35.0], [0.35, 1.97, 0, -20.0], [0, 0, 6.0, 7.0], [0, 0, 0, 1]])
CHAOS_AFFINE = np.diag([-1.25, 1.25, 7.7, 1.0])  # LAS, as in the converted volumes


@pytest.fixture(scope="session")
def synthetic_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of the embedded source and of its features, shared by all tests: what is cached is not what they test."""
    folder = tmp_path_factory.mktemp("synthetic")
    return {"dataset_dir": str(folder / "data"), "feature_cache_dir": str(folder / "features")}


@pytest.fixture
def small(synthetic_data: dict[str, str]) -> dict[str, Any]:
    """Overrides for a training of seconds."""
    return {
        **synthetic_data,
        "num_images": 30,
        "image_size": 96,
        "epochs": 2,
        "episodes_per_epoch": 4,
        "val_episodes": 3,
        "batch_size": 2,
    }


@pytest.fixture
def in_bundle(bundle_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work from the bundle's folder, as its commands do, and leave no trace in this process."""
    monkeypatch.chdir(bundle_root)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", list(sys.path))
    handler = signal.getsignal(signal.SIGTERM)
    yield bundle_root
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def make_workflow(in_bundle: Path) -> Callable[..., ConfigWorkflow]:
    """Read a workflow from shipped configs."""

    def make(*configs: str, **options: Any) -> ConfigWorkflow:
        files = [f"configs/{name}" for name in configs]
        return ConfigWorkflow(config_file=files, logging_file=False, **options)

    return make


@pytest.fixture
def run_workflow(make_workflow: Callable[..., ConfigWorkflow]) -> Callable[..., ConfigWorkflow]:
    """Run a workflow in this process."""

    def run(*configs: str, **options: Any) -> ConfigWorkflow:
        workflow = make_workflow(*configs, **options)
        workflow.initialize()
        workflow.run()
        workflow.finalize()
        return workflow

    return run


@pytest.fixture
def command(bundle_root: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``python -m monai.bundle run ...`` as a user does."""
    started: list[subprocess.Popen[str]] = []

    def start(*configs: str, run_id: str | None = None, **overrides: Any) -> subprocess.Popen[str]:
        files = "[" + ", ".join(f"'configs/{name}'" for name in configs) + "]"
        arguments = [sys.executable, "-m", "monai.bundle", "run", *([run_id] if run_id else []), "--config_file", files]
        for key, value in overrides.items():
            arguments += [f"--{key}", str(value)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            arguments, cwd=bundle_root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def small_volume(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Make a volume, its label map and an annotation of one slice: an ellipsoid of value 3 and one of value 7."""

    def make(stem: str = "case", *, affine: np.ndarray = OBLIQUE, slice_axis: int = 2, shift: float = 0.0) -> dict:
        label, image = draw_volume(shift)
        annotation = np.full_like(label, 255)
        annotation[:, :, 4] = label[:, :, 4]
        paths = {}
        for name, values in {"image": image, "label": label, "annotation": annotation}.items():
            paths[name] = tmp_path / f"{stem}_{name}.nii.gz"
            values = np.moveaxis(values, 2, slice_axis)
            nibabel.save(nibabel.Nifti1Image(values, affine), paths[name])
        return paths

    return make


def draw_volume(shift: float = 0.0, *, values: tuple[int, int] = (3, 7)) -> tuple[np.ndarray, np.ndarray]:
    """Draw two ellipsoids of different brightness in noise: label map (40, 36, 9) uint8, image int16."""
    shape = (40, 36, 9)
    x, y, z = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    label = np.zeros(shape, np.uint8)
    label[((x - 13) / 8) ** 2 + ((y - 18 - shift) / 9) ** 2 + ((z - 4) / 4.5) ** 2 < 1] = values[0]
    label[((x - 29) / 6) ** 2 + ((y - 16 - shift) / 7) ** 2 + ((z - 4) / 3.5) ** 2 < 1] = values[1]
    noise = np.random.default_rng(int(10 * abs(shift))).normal(0, 20, shape)
    image = 300 + 250 * (label == values[0]) + 600 * (label == values[1]) + noise
    return label, image.astype(np.int16)


@pytest.fixture(scope="session")
def chaos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small volumes in the layout of CHAOS, with a liver and a spleen each."""
    folder = tmp_path_factory.mktemp("chaos")
    for case, shift in (("1", 0.0), ("2", 1.0), ("10", -1.5)):
        label, image = draw_volume(shift, values=(1, 4))
        for name, values in (("image", image), ("label", label)):
            nibabel.save(nibabel.Nifti1Image(values, CHAOS_AFFINE), folder / f"{name}_{case}.nii.gz")
    return folder


@pytest.fixture
def causes() -> Callable[[BaseException], str]:
    """Join the messages of an error and of what caused it."""

    def join(error: BaseException | None) -> str:
        parts = []
        while error is not None:
            parts.append(f"{type(error).__name__}: {error}")
            error = error.__cause__ or error.__context__
        return "\n".join(parts)

    return join
