# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A session in the axes of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from scripts.inferers.propagation import PropagationParameters
from scripts.inferers.volume.session import VolumeSession

PARAMETERS = PropagationParameters(image_size=64, grid_size=20, working_size=64)
SPACING = np.array([1.25, 1.25, 7.7])
AFFINES = {  # the file's axes; the axis along which its slices are stacked
    "LPS": (np.diag([-1.25, -1.25, 7.7, 1.0]), (0, 1, 2), ()),
    "RAI": (np.diag([1.25, 1.25, -7.7, 1.0]), (0, 1, 2), (0, 1, 2)),
    "SLP": (np.array([[0, -1.25, 0, 3], [0, 0, -1.25, 5], [7.7, 0, 0, -2], [0, 0, 0, 1]]), (2, 0, 1), ()),
}


@pytest.mark.parametrize("name", AFFINES)
def test_any_order_of_axes_gives_the_array_session_s_result(
    name: str, make_volume: Callable, make_segmenter: Callable, tmp_path: Path
) -> None:
    image, label = make_volume()
    affine, order, flips = AFFINES[name]

    def in_file(volume: np.ndarray) -> np.ndarray:
        """(Z, H, W) as the file has it."""
        return np.flip(volume.transpose(2, 1, 0), flips).transpose(order)

    nibabel.save(nibabel.Nifti1Image(in_file(image), affine), tmp_path / "v.nii.gz")
    annotation = np.zeros_like(label)
    annotation[4] = label[4]
    nibabel.save(nibabel.Nifti1Image(in_file(annotation), affine), tmp_path / "a.nii.gz")
    array = VolumeSession(image, spacing=SPACING[::-1], segmenter=make_segmenter(), parameters=PARAMETERS)
    session = VolumeSession.open(tmp_path / "v.nii.gz", segmenter=make_segmenter(), parameters=PARAMETERS)
    array.annotate(4, label[4])
    axis = order.index(2)
    assert (session.slice_axis, session.num_slices) == (axis, 9)
    assert session.annotate_file(tmp_path / "a.nii.gz") == [4]
    result = session.segment(probability=True)
    expected = array.segment(probability=True)
    assert np.array_equal(result.label, in_file(expected.label))
    assert np.array_equal(result.probability, in_file(expected.probability))

    array.annotate(6, label[6], replace=True)
    own = 8 - 6 if 2 in flips else 6
    session.correct(own, np.take(in_file(label), own, axis))
    assert session.annotated_slices == tuple(sorted((4, own)))
    result, expected = session.segment(), array.segment()
    assert np.array_equal(result.label, in_file(expected.label))
    for report in result.slices:
        assert report.area == np.count_nonzero(np.take(result.label, report.slice, axis) == report.label)
    saved = nibabel.load(result.save(tmp_path / "out.nii.gz"))
    assert np.array_equal(np.asarray(saved.dataobj), result.label)
    assert np.array_equal(saved.affine, nibabel.load(tmp_path / "v.nii.gz").affine)
    assert session.undo() == own


@pytest.mark.parametrize("name", AFFINES)
def test_the_first_file_says_along_which_axis_slices_run(
    name: str, make_volume: Callable, make_segmenter: Callable, tmp_path: Path
) -> None:
    """A label painted on one sagittal slice: slices run from side to side, though they are thickest along another."""
    image, label = make_volume()
    affine, order, flips = AFFINES[name]

    def in_file(volume: np.ndarray) -> np.ndarray:
        """(Z, H, W) as the file has it."""
        return np.flip(volume.transpose(2, 1, 0), flips).transpose(order)

    column = 20  # through the disc that is called 1
    annotation = np.full_like(label, 255)
    annotation[:, :, column] = label[:, :, column]
    for path, volume in (("v.nii.gz", image), ("a.nii.gz", annotation)):
        nibabel.save(nibabel.Nifti1Image(in_file(volume), affine), tmp_path / path)
    session = VolumeSession.open(tmp_path / "v.nii.gz", segmenter=make_segmenter(), parameters=PARAMETERS)
    assert (session.slice_axis, session.num_slices) == (order.index(2), 9)
    own = 63 - column if 0 in flips else column
    assert session.annotate_file(tmp_path / "a.nii.gz") == [own]
    assert (session.slice_axis, session.num_slices) == (order.index(0), 64)
    assert session.annotated_slices == (own,)
    array = VolumeSession(image, spacing=SPACING[::-1], segmenter=make_segmenter(), parameters=PARAMETERS, slice_axis=2)
    array.annotate(column, label[:, :, column])
    result = session.segment()
    assert result.slice_axis == order.index(0)
    assert np.array_equal(result.label, in_file(array.segment().label))
    assert [each.state for each in result.slices if each.slice == own] == ["annotated"]

    given = VolumeSession.open(
        tmp_path / "v.nii.gz", segmenter=make_segmenter(), parameters=PARAMETERS, slice_axis=order.index(2)
    )
    with pytest.raises(ValueError, match=r"a\.nii\.gz is one pixel thin on 9 slices along axis 2"):
        given.annotate_file(tmp_path / "a.nii.gz")
    session.correct(own, np.take(in_file(label), own, order.index(0)))
    nibabel.save(nibabel.Nifti1Image(in_file(np.where(label == 1, label, 0)), affine), tmp_path / "b.nii.gz")
    session.annotate_file(tmp_path / "b.nii.gz", replace=True)
    assert session.slice_axis == order.index(0), "later files don't change the axis"


def test_what_does_not_fit_is_refused(make_volume: Callable, make_segmenter: Callable, tmp_path: Path) -> None:
    image, label = make_volume()
    affine = AFFINES["LPS"][0]
    nibabel.save(nibabel.Nifti1Image(image.T, affine), tmp_path / "v.nii.gz")
    nibabel.save(nibabel.Nifti1Image(label.T[1:], affine), tmp_path / "small.nii.gz")
    session = VolumeSession.open(tmp_path / "v.nii.gz", segmenter=make_segmenter(), class_names=["disc"])
    with pytest.raises(ValueError, match=r"small\.nii\.gz have different shapes"):
        session.annotate_file(tmp_path / "small.nii.gz")
    with pytest.raises(ValueError, match=r"annotation of slice 2 has shape \(3, 4\), expected \(64, 64\)"):
        session.annotate(2, np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"slice 9 does not exist: .*v\.nii\.gz has 9 slices along axis 2"):
        session.annotate(9, np.zeros((64, 64)))
    session.annotate(4, label[4].T)
    with pytest.raises(ValueError, match=r"1 class_names \(disc\) for 2 label values \[1, 5\]"):
        session.segment()
