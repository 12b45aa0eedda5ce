# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The quickstart: its annotation of one slice, and (slow) all of it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from scripts.apps import quickstart


def test_annotation_keeps_the_largest_slice(tmp_path: Path) -> None:
    label = np.zeros((6, 5, 4), np.uint8)
    label[1:3, 1:3, 1] = 1
    label[1:5, 1:4, 2] = 2
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(label, affine), tmp_path / "truth.nii.gz")
    assert quickstart.write_annotation(tmp_path / "truth.nii.gz", tmp_path / "annotation.nii.gz") == 2
    written = nibabel.load(tmp_path / "annotation.nii.gz")
    values = np.asarray(written.dataobj)
    assert np.array_equal(values[..., 2], label[..., 2])
    assert (np.delete(values, 2, axis=2) == 255).all()
    assert np.array_equal(written.affine, affine)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_quickstart(bundle_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nilearn")
    monkeypatch.chdir(bundle_root)
    report = quickstart.main(["--output_dir", str(tmp_path)])
    text = report.read_text()
    for name in ("summary.json", "cases.csv", "overlay.png", "training.png", "last.pt"):
        assert name in text
        assert list(tmp_path.rglob(name))
    metrics = json.loads((tmp_path / "evaluation" / "summary.json").read_text())["metrics"]
    assert metrics["mean_dice"]["value"] > 0.7
