# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Inference on a DICOM series gives what the same volume gives as NIfTI, on the series' grid and as DICOM-SEG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

from scripts.data.volume_reader import load_volume

from ..data.dicom_files import OBLIQUE, affine_of, write_series
from .conftest import draw_volume

Run = Callable[..., ConfigWorkflow]
AFFINE = affine_of(OBLIQUE)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A volume of nine oblique slices, in files whose names run against their positions."""
    _, image = draw_volume()
    write_series(tmp_path / "patient", image, orientation=OBLIQUE, names=[f"{9 - z}.dcm" for z in range(9)])
    nibabel.save(nibabel.Nifti1Image(image, AFFINE), tmp_path / "patient.nii.gz")
    return tmp_path / "patient"


@pytest.fixture
def coarse() -> dict[str, Any]:
    """Propagation on a coarse grid, for speed."""
    parameters = {"_target_": "scripts.inferers.propagation.PropagationParameters", "image_size": 160}
    return {"inferer#parameters": {**parameters, "grid_size": 20, "working_size": 96}}


@pytest.mark.slow
def test_propagation(run_workflow: Run, series: Path, coarse: dict[str, Any], tmp_path: Path) -> None:
    label, _ = draw_volume()
    annotation = np.full_like(label, 255)
    annotation[:, :, 4] = label[:, :, 4]
    nibabel.save(nibabel.Nifti1Image(annotation, AFFINE), tmp_path / "annotation.nii.gz")
    results = []
    for image, output in ((series, "dicom"), (f"{series}.nii.gz", "nifti")):
        run_workflow(
            *("inference.json", "inferers/propagation.json"),
            image=str(image),
            annotation=str(tmp_path / "annotation.nii.gz"),
            output_dir=str(tmp_path / output),
            **coarse,
        )
        results.append(nibabel.load(tmp_path / output / "patient_seg.nii.gz"))
    found, expected = (np.asarray(result.dataobj) for result in results)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(results[0].affine, AFFINE, atol=1e-5)
    np.testing.assert_array_equal(found[:, :, 4], label[:, :, 4])
    assert 2 * np.count_nonzero((found == 3) & (label == 3)) > 0.85 * np.count_nonzero(np.r_[found, label] == 3)
    segments = load_volume(tmp_path / "dicom" / "patient_seg.dcm", is_label=True, image=series)
    written = load_volume(tmp_path / "dicom" / "patient_seg.nii.gz", is_label=True)
    assert segments.as_tensor().equal(written.as_tensor())

    # the DICOM-SEG can be corrected and given back as the annotation
    run_workflow(
        *("inference.json", "inferers/propagation.json"),
        image=str(series),
        annotation=str(tmp_path / "dicom" / "patient_seg.dcm"),
        output_dir=str(tmp_path / "again"),
        **coarse,
    )
    again = np.asarray(nibabel.load(tmp_path / "again" / "patient_seg.nii.gz").dataobj)
    annotated = (found > 0).any((0, 1))
    np.testing.assert_array_equal(again[:, :, annotated], found[:, :, annotated])


def test_reference(run_workflow: Run, series: Path, tmp_path: Path) -> None:
    label, image = draw_volume(1.0, values=(1, 2))
    write_series(tmp_path / "support", image, orientation=OBLIQUE)
    nibabel.save(nibabel.Nifti1Image(label, AFFINE), tmp_path / "support.nii.gz")
    run_workflow(
        *("inference.json", "inferers/reference.json"),
        image=str(series),
        support_images=str(tmp_path / "support"),
        support_labels=str(tmp_path / "support.nii.gz"),
        class_names=["large", "small"],
        image_size=160,
        output_dir=str(tmp_path / "out"),
    )
    found = load_volume(tmp_path / "out" / "patient_seg.dcm", is_label=True, image=series)[0].numpy()
    truth = draw_volume(values=(1, 2))[0]
    assert set(np.unique(found)) == {0, 1, 2}
    assert 2 * np.count_nonzero((found == 1) & (truth == 1)) > 0.6 * np.count_nonzero(np.r_[found, truth] == 1)
