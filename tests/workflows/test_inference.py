# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Inference from the shipped configs: results on the grid of the image, by propagation and from other cases."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow
from PIL import Image

Run = Callable[..., ConfigWorkflow]
Make = Callable[..., dict[str, Path]]
PROPAGATION = ("inference.json", "inferers/propagation.json")
REFERENCE = ("inference.json", "inferers/reference.json")
GRIDS = {
    "oblique": (np.array([[-1.97, 0.35, 0, 35.0], [0.35, 1.97, 0, -20.0], [0, 0, 6.0, 7.0], [0, 0, 0, 1]]), 2),
    "LAS": (np.diag([-1.25, 1.25, 7.7, 1.0]), 2),
    # the file's axes run to the back, the head and the right; its slices are along the second
    "PSR": (np.array([[0, 0, 2.0, 1], [-2.0, 0, 0, 5], [0, 6.0, 0, -3], [0, 0, 0, 1]]), 1),
}


@pytest.fixture
def coarse() -> dict[str, Any]:
    """Propagation on a coarse grid, for speed."""
    parameters = {"_target_": "scripts.inferers.propagation.PropagationParameters", "image_size": 160}
    return {"inferer#parameters": {**parameters, "grid_size": 20, "working_size": 96}}


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


def dice(found: np.ndarray, truth: np.ndarray, value: int) -> float:
    both = np.count_nonzero((found == value) & (truth == value))
    return 2 * both / (np.count_nonzero(found == value) + np.count_nonzero(truth == value))


def slices_table(path: Path) -> list[dict[str, str]]:
    lines = path.read_text().splitlines()
    assert lines[0] == "slice,label,area,confidence,state"
    return list(csv.DictReader(lines))


def check_grid(result: Path, image: Path) -> None:
    found, wanted = nibabel.load(result), nibabel.load(image)
    assert found.shape == wanted.shape
    assert np.array_equal(found.affine, wanted.affine)
    assert found.header.get_zooms() == wanted.header.get_zooms()


@pytest.mark.parametrize("name", GRIDS)
def test_propagation_on_the_grid_of_the_image(
    run_workflow: Run, small_volume: Make, coarse: dict[str, Any], tmp_path: Path, name: str
) -> None:
    affine, slice_axis = GRIDS[name]
    files = small_volume(affine=affine, slice_axis=slice_axis)
    image, annotation = str(files["image"]), str(files["annotation"])
    run_workflow(*PROPAGATION, image=image, annotation=annotation, output_dir=str(tmp_path / "out"), **coarse)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "case_image_labels.csv",
        "case_image_seg.nii.gz",
        "case_image_slices.csv",
    ]
    segmented = tmp_path / "out" / "case_image_seg.nii.gz"
    check_grid(segmented, files["image"])
    label, truth = voxels(segmented), voxels(files["label"])
    assert label.dtype == np.uint8
    assert set(np.unique(label)) == {0, 3, 7}
    assert dice(label, truth, 3) > 0.85
    assert dice(label, truth, 7) > 0.85
    assert np.array_equal(np.take(label, 4, slice_axis), np.take(truth, 4, slice_axis))

    rows = slices_table(tmp_path / "out" / "case_image_slices.csv")
    assert {(int(row["slice"]), int(row["label"])) for row in rows} == {
        (z, value) for z in range(9) for value in (3, 7)
    }
    for row in rows:
        plane = np.take(label, int(row["slice"]), slice_axis)
        assert int(row["area"]) == np.count_nonzero(plane == int(row["label"]))
        assert 0 <= float(row["confidence"]) <= 1


def test_probability_on_request_and_several_images(
    run_workflow: Run, small_volume: Make, coarse: dict[str, Any], tmp_path: Path
) -> None:
    first, second = small_volume("a"), small_volume("b", affine=GRIDS["LAS"][0], shift=2.0)
    run_workflow(
        *PROPAGATION,
        image=[str(first["image"]), str(second["image"])],
        annotation=[str(first["annotation"]), str(second["annotation"])],
        save_probability=True,
        output_dir=str(tmp_path / "out"),
        **coarse,
    )
    for stem, files in (("a_image", first), ("b_image", second)):
        truth, label = voxels(files["label"]), voxels(tmp_path / "out" / f"{stem}_seg.nii.gz")
        probability = voxels(tmp_path / "out" / f"{stem}_probability.nii.gz")
        check_grid(tmp_path / "out" / f"{stem}_probability.nii.gz", files["image"])
        assert dice(label, truth, 3) > 0.85
        assert probability.dtype == np.float32
        assert probability.min() >= 0
        assert probability.max() <= 1
        assert probability[label > 0].mean() > 0.5 > probability[label == 0].mean()


def test_reference_from_volumes(run_workflow: Run, small_volume: Make, tmp_path: Path) -> None:
    supports = [small_volume("first", affine=GRIDS["LAS"][0], shift=1.0), small_volume("second", shift=-1.0)]
    affine, slice_axis = GRIDS["PSR"]
    files = small_volume("query", affine=affine, slice_axis=slice_axis)
    run_workflow(
        *REFERENCE,
        image=str(files["image"]),
        support_images=[str(each["image"]) for each in supports],
        support_labels=[str(each["label"]) for each in supports],
        class_names=["large", "small"],
        image_size=160,
        save_probability=True,
        output_dir=str(tmp_path / "out"),
    )
    result = tmp_path / "out" / "query_image_seg.nii.gz"
    for name in ("seg", "probability"):
        check_grid(tmp_path / "out" / f"query_image_{name}.nii.gz", files["image"])
    label, truth = voxels(result), voxels(files["label"])
    assert set(np.unique(label)) == {0, 3, 7}
    assert dice(label, truth, 3) > 0.6
    assert dice(label, truth, 7) > 0.5
    rows = slices_table(tmp_path / "out" / "query_image_slices.csv")
    for row in rows:
        plane = np.take(label, int(row["slice"]), slice_axis)
        assert int(row["area"]) == np.count_nonzero(plane == int(row["label"]))


def test_reference_from_pictures(run_workflow: Run, small_volume: Make, tmp_path: Path) -> None:
    source, files = small_volume("source", shift=1.0), small_volume("query", affine=GRIDS["LAS"][0])
    image, label = voxels(source["image"]), voxels(source["label"])
    pairs: list[list[str]] = [[], []]
    for z in (3, 5):  # upright as the bundle shows slices of this grid: rows to the back, columns to the left
        picture = np.clip(image[:, ::-1, z].T / 5, 0, 255).astype(np.uint8)
        mask = (255 * (label[:, ::-1, z] == 3).T).astype(np.uint8)
        for paths, values, name in ((pairs[0], picture, "image"), (pairs[1], mask, "mask")):
            path = tmp_path / f"{name}_{z}.png"
            Image.fromarray(values).save(path)
            paths.append(str(path))
    run_workflow(
        *REFERENCE,
        image=str(files["image"]),
        support_images=pairs[0],
        support_labels=pairs[1],
        image_size=160,
        output_dir=str(tmp_path / "out"),
    )
    found, truth = voxels(tmp_path / "out" / "query_image_seg.nii.gz"), voxels(files["label"])
    check_grid(tmp_path / "out" / "query_image_seg.nii.gz", files["image"])
    assert set(np.unique(found)) == {0, 1}  # masks of 0 and 255 are label 1
    assert dice(found, (truth == 3).astype(int), 1) > 0.5


def test_a_folder_of_volumes(run_workflow: Run, small_volume: Make, tmp_path: Path) -> None:
    support, query = small_volume("support", shift=1.0), small_volume("query")
    folder = tmp_path / "volumes"
    folder.mkdir()
    query["image"].rename(folder / "case.nii.gz")
    run_workflow(
        *REFERENCE,
        dataset_dir=str(folder),
        support_images=str(support["image"]),
        support_labels=str(support["label"]),
        image_size=160,
        output_dir=str(tmp_path / "out"),
    )
    assert (tmp_path / "out" / "case_seg.nii.gz").is_file()
