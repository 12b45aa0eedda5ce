# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a header says, and what it lacks: an absent entry is a default only where the whole series lacks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from scripts.data.dicom.header import has_dicom_name, is_dicom_file, naming_file, read_image_header
from scripts.data.volume_reader import read_volume

from ..dicom_files import SLICES, stored_volume, write_enhanced, write_series

RESCALE = ("RescaleSlope", "RescaleIntercept")


def lose(*names: str, empty: bool = False, at: int | None = 2) -> Callable[[FileDataset, int], None]:
    """Give every slice a rescale, and take entries from one of them (None: from all)."""

    def edit(dataset: FileDataset, z: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        for name in names:
            if at in (None, z):
                if empty:
                    setattr(dataset, name, None)
                else:
                    delattr(dataset, name)

    return edit


@pytest.mark.parametrize("empty", [False, True], ids=["absent", "empty"])
@pytest.mark.parametrize(
    "names", [RESCALE, RESCALE[:1], RESCALE[1:], ("PixelSpacing",), ("ImageOrientationPatient",)], ids=str
)
def test_a_slice_that_lost_an_entry_is_named(tmp_path: Path, names: tuple[str, ...], empty: bool) -> None:
    write_series(tmp_path, stored_volume(), edit=lose(*names, empty=empty))
    with pytest.raises(ValueError, match=rf"IM002\.dcm has no ({'|'.join(names)})"):
        read_volume(tmp_path)


def test_a_series_without_rescale_holds_stored_values(tmp_path: Path) -> None:
    stored = stored_volume()
    write_series(tmp_path, stored, edit=lose(*RESCALE, at=None))
    np.testing.assert_array_equal(read_volume(tmp_path).array, stored)


def test_a_frame_that_lost_its_rescale_is_named(tmp_path: Path) -> None:
    def edit(dataset: Any) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[3].PixelValueTransformationSequence

    write_enhanced(tmp_path / "e.dcm", stored_volume(), order=range(SLICES), edit=edit)
    with pytest.raises(ValueError, match=r"e\.dcm \(frame 4\) has no Rescale"):
        read_volume(tmp_path / "e.dcm")


def test_slices_of_a_header(tmp_path: Path) -> None:
    path = write_series(tmp_path, stored_volume(), edit=lose("RescaleIntercept", at=0))[0]
    header = read_image_header(path)
    assert header is not None
    (one,) = header.slices()
    assert (one.size, one.rescale, one.lacks) == ((6, 7), (1.0, 0.0), ("RescaleIntercept",))
    assert (header.modality, header.description) == ("CT", "portal venous")
    assert has_dicom_name("A.DCM")
    assert not has_dicom_name("a.png")
    assert is_dicom_file(path)


def test_errors_name_the_file_once() -> None:
    with pytest.raises(ValueError, match=r"^a\.dcm is not a readable DICOM file: odd$"), naming_file(Path("a.dcm")):
        raise RuntimeError("odd")
    with pytest.raises(ValueError, match=r"^a\.dcm has no x$"), naming_file(Path("a.dcm")):
        raise ValueError("a.dcm has no x")
