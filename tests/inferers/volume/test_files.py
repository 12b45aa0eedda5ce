# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From files to files: the workflow's files bit for bit, without what the workflow imports."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

from scripts.inferers.propagation import PropagationParameters
from scripts.inferers.volume.files import segment_files
from scripts.inferers.volume.session import VolumeSession

AFFINE = np.array([[0, 0, 2.0, 1], [-2.0, 0, 0, 5], [0, 6.0, 0, -3], [0, 0, 0, 1]])  # axes to the back, head and right
NOT_NEEDED = ("monai", "ignite", "timm", "transformers", "skimage", "matplotlib", "SimpleITK", "highdicom")


class Case(NamedTuple):
    image: Path
    annotation: Path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Two ellipsoids of different brightness, slices along the file's second axis; slice 4 is annotated."""
    folder = tmp_path_factory.mktemp("case")
    x, y, z = np.meshgrid(*(np.arange(size) for size in (40, 36, 9)), indexing="ij")
    label = np.zeros(x.shape, np.uint8)
    label[((x - 13) / 8) ** 2 + ((y - 18) / 9) ** 2 + ((z - 4) / 3.5) ** 2 < 1] = 3
    label[((x - 29) / 6) ** 2 + ((y - 16) / 7) ** 2 + ((z - 4) / 4.5) ** 2 < 1] = 7
    image = 300 + 250 * (label == 3) + 600 * (label == 7) + np.random.default_rng(0).normal(0, 20, x.shape)
    annotation = np.full_like(label, 255)
    annotation[..., 4] = label[..., 4]
    paths = []
    for name, values in (("image", image.astype(np.int16)), ("annotation", annotation)):
        paths.append(folder / f"{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(np.moveaxis(values, 2, 1), AFFINE), paths[-1])
    return Case(*paths)


@pytest.fixture(scope="module")
def features(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of cached features, filled by a first call."""
    folder = tmp_path_factory.mktemp("features")
    segment_files(case.image, case.annotation, folder / "out", feature_cache_dir=folder, image_size=160)
    return folder


@pytest.fixture
def run_workflow(bundle_root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the inference workflow on a case, with further keys."""

    def run(case: Case, output_dir: Path, **options: Any) -> None:
        monkeypatch.chdir(bundle_root)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        monkeypatch.setattr(sys, "path", list(sys.path))
        handler = signal.getsignal(signal.SIGTERM)
        workflow = ConfigWorkflow(
            config_file=["configs/inference.json", "configs/inferers/propagation.json"],
            logging_file=False,
            image=str(case.image),
            annotation=str(case.annotation),
            output_dir=str(output_dir),
            **options,
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()
        signal.signal(signal.SIGTERM, handler)

    return run


def contents(folder: Path) -> dict[str, bytes]:
    """Files by name; of NIfTI what is compressed, as gzip notes the time."""
    found = {}
    for path in folder.iterdir():
        image: Any = nibabel.load(path) if path.name.endswith(".nii.gz") else None
        found[path.name] = path.read_bytes() if image is None else image.to_bytes()
    return found


def test_equals_the_workflow_bit_for_bit(
    case: Case, features: Path, run_workflow: Callable[..., None], tmp_path: Path
) -> None:
    options = {"image_size": 160, "save_probability": True, "class_names": ["large", "small"]}
    run_workflow(case, tmp_path / "workflow", **options)
    result = segment_files(
        str(case.image), str(case.annotation), tmp_path / "direct", feature_cache_dir=features, **options
    )
    expected, found = contents(tmp_path / "workflow"), contents(tmp_path / "direct")
    assert set(expected) == {
        "image_seg.nii.gz", "image_probability.nii.gz", "image_slices.csv", "image_labels.csv",
    }  # fmt: skip
    assert found == expected
    table = list(csv.DictReader((tmp_path / "direct" / "image_labels.csv").read_text().splitlines()))
    assert [row["name"] for row in table] == ["large", "small"]
    voxels = np.asarray(nibabel.load(tmp_path / "direct" / "image_seg.nii.gz").dataobj)
    assert [int(row["voxels"]) for row in table] == [(voxels == 3).sum(), (voxels == 7).sum()]
    assert float(table[0]["ml"]) == pytest.approx((voxels == 3).sum() * 24 / 1000, abs=1e-3)
    assert np.array_equal(result.label, voxels)
    states = {(each.slice, each.label): each.state for each in result.slices}
    assert states[4, 3] == "annotated"
    assert {state for (index, _), state in states.items() if index != 4} <= {"predicted", "absent"}
    assert all(each.confidence < 1 for each in result.slices if each.state == "absent")


def test_a_sagittal_annotation_equals_the_workflow(
    case: Case, run_workflow: Callable[..., None], tmp_path: Path
) -> None:
    """The second ellipsoid on the sagittal slice through its middle: all three ways choose that axis."""
    label = np.asarray(nibabel.load(case.annotation).dataobj)
    rows, slices, columns = np.meshgrid(*map(np.arange, label.shape), indexing="ij")
    inside = ((rows - 29) / 6) ** 2 + ((columns - 16) / 7) ** 2 + ((slices - 4) / 4.5) ** 2 < 1
    painted = np.where(rows == 29, 7 * inside, 0).astype(np.uint8)
    sagittal = Case(case.image, tmp_path / "sagittal.nii.gz")
    nibabel.save(nibabel.Nifti1Image(painted, AFFINE), sagittal.annotation)
    run_workflow(sagittal, tmp_path / "workflow", image_size=160)
    result = segment_files(*sagittal, tmp_path / "direct", image_size=160, feature_cache_dir=tmp_path)
    assert contents(tmp_path / "direct") == contents(tmp_path / "workflow")
    assert result.slice_axis == 0
    assert {each.slice for each in result.slices} == set(range(40))
    assert [each.slice for each in result.slices if each.state == "annotated"] == [29]
    session = VolumeSession.open(case.image, parameters=PropagationParameters(image_size=160), cache_dir=tmp_path)
    assert session.annotate_file(sagittal.annotation) == [29]
    session.segment().write(tmp_path / "session")
    assert contents(tmp_path / "session") == contents(tmp_path / "workflow")


def test_what_is_imported_for_a_whole_call(case: Case, features: Path, bundle_root: Path, tmp_path: Path) -> None:
    (tmp_path / "segprompt").symlink_to(bundle_root / "scripts")  # as installed: names are imported when asked for
    program = f"""
import json, sys
from segprompt.inferers.volume.files import segment_files
segment_files({str(case.image)!r}, {str(case.annotation)!r}, {str(tmp_path / "out")!r}, image_size=160,
              feature_cache_dir={str(features)!r}, class_names=["a", "b"])
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=environment, check=True
    )
    imported = json.loads(done.stdout.splitlines()[-1])
    assert [name for name in imported if name in NOT_NEEDED] == []
    assert "torch" in imported
    assert contents(tmp_path / "out")["image_seg.nii.gz"] == contents(features / "out")["image_seg.nii.gz"]


def test_errors_come_before_any_work(case: Case, tmp_path: Path) -> None:
    calls: list[Any] = []
    options: dict[str, Any] = {"progress": lambda *call: calls.append(call)}
    with pytest.raises(ValueError, match=r"1 class_names \(liver\) for 2 label values \[3, 7\]"):
        segment_files(case.image, case.annotation, tmp_path, class_names=["liver"], **options)
    with pytest.raises(FileNotFoundError, match=r"annotation .*none\.nii\.gz does not exist"):
        segment_files(case.image, tmp_path / "none.nii.gz", tmp_path, **options)
    with pytest.raises(ValueError, match="slice_axis must be 0, 1, 2 or None, got 3"):
        segment_files(case.image, case.annotation, tmp_path, slice_axis=3, **options)
    empty = tmp_path / "empty.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((40, 9, 36), np.uint8), AFFINE), empty)
    with pytest.raises(ValueError, match=r"empty\.nii\.gz has no label on any slice"):
        segment_files(case.image, empty, tmp_path, **options)
    assert calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["empty.nii.gz"]
