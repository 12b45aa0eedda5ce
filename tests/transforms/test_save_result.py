# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The files of a result: names, grid, slices counted as in the file."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from scripts.inferers.propagation import PropagationResult, SliceReport
from scripts.transforms import LoadVolumed, SaveResultd

AFFINES = {  # axes of the file; its head-to-feet axis and whether it runs as in the canonical orientation
    "LPS": (np.diag([-2.0, -2.0, 5.0, 1.0]), 2, True),
    "LPI": (np.diag([-2.0, -2.0, -5.0, 1.0]), 2, False),
    "SRA": (np.array([[0, 2.0, 0, 0], [0, 0, 2.0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]]), 0, True),
}


def result_of(label: torch.Tensor, probability: torch.Tensor | None = None) -> PropagationResult:
    reports = [
        SliceReport(z, value, int((label[0, 0, ..., z] == value).sum()), round(0.5 + z / 100, 2))
        for z in range(label.shape[-1])
        for value in (4, 2)
    ]
    return PropagationResult(
        label=label, probability=probability, slices=reports, predicted_dice={}, slice_axis=2, seconds={}
    )


@pytest.mark.parametrize("name", AFFINES)
def test_files_on_the_grid_of_the_image(tmp_path: Path, name: str) -> None:
    affine, file_axis, same_way = AFFINES[name]
    truth = np.random.default_rng(0).choice([0, 2, 4], (5, 6, 7)).astype(np.uint8)
    source = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(truth, affine), source)
    image = LoadVolumed("image")({"image": str(source)})["image"][None]
    image.meta["filename_or_obj"] = [str(source)]  # as after collating
    label = torch.as_tensor(image.as_tensor()).to(torch.int32)
    data = {"image": image, "pred": result_of(label, label / 4)}
    assert SaveResultd("pred", tmp_path / "out")(data) == data

    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "scan_probability.nii.gz", "scan_seg.nii.gz", "scan_slices.csv",
    ]  # fmt: skip
    segmented = nibabel.load(out / "scan_seg.nii.gz")
    assert np.array_equal(np.asarray(segmented.dataobj), truth)
    assert np.array_equal(segmented.affine, nibabel.load(source).affine)
    assert np.allclose(nibabel.load(out / "scan_probability.nii.gz").get_fdata(), truth / 4)

    lines = (out / "scan_slices.csv").read_text().splitlines()
    assert lines[0] == "slice,label,area,confidence,state"
    rows = [line.split(",") for line in lines[1:]]
    assert [(int(row[0]), int(row[1])) for row in rows] == sorted((int(row[0]), int(row[1])) for row in rows)
    num_slices = truth.shape[file_axis]
    assert len(rows) == 2 * num_slices
    for z, value, area, confidence, state in rows:
        assert int(area) == np.count_nonzero(np.take(truth, int(z), file_axis) == int(value))
        canonical = int(z) if same_way else num_slices - 1 - int(z)
        assert state == "predicted"
        assert float(confidence) == pytest.approx(0.5 + canonical / 100)


def test_no_probability_without_one(tmp_path: Path) -> None:
    source = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.eye(4)), source)
    image = LoadVolumed("image")({"image": str(source)})["image"][None]
    SaveResultd("pred", tmp_path / "out")({"image": image, "pred": result_of(torch.zeros(1, 1, 3, 4, 5).int())})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scan_seg.nii.gz", "scan_slices.csv"]


def test_labels_with_the_dice_that_is_predicted(tmp_path: Path) -> None:
    source = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.eye(4)), source)
    image = LoadVolumed("image")({"image": str(source)})["image"][None]
    label = torch.zeros(1, 1, 3, 4, 5).int()
    label[..., 2] = 4
    result = result_of(label)
    result.predicted_dice = {2: 0.25, 4: 0.875}
    SaveResultd("pred", tmp_path / "out")({"image": image, "pred": result})
    rows = list(csv.DictReader((tmp_path / "out" / "scan_labels.csv").read_text().splitlines()))
    assert [(row["label"], row["voxels"], float(row["predicted_dice"])) for row in rows] == [
        ("2", "0", 0.25), ("4", "12", 0.875),
    ]  # fmt: skip
