# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a header says, and what it lacks: an absent entry is a default only where the whole series lacks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    MRImageStorage,
    RawDataStorage,
    RealWorldValueMappingStorage,
    RTDoseStorage,
)

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


def without_prefix(path: Path) -> None:
    path.write_bytes(path.read_bytes()[132:])


def without_meta(path: Path) -> None:
    """A bare data set in the encoding of its file, as archives of the nineties hold it."""
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\x08\x00", 132 + 12 + content[140]) :])


@pytest.mark.parametrize("strip", [without_prefix, without_meta])
@pytest.mark.parametrize("name", ["IM{}.DCM", "IM{}"])
def test_files_that_lost_their_prefix(tmp_path: Path, strip: Callable[[Path], None], name: str) -> None:
    stored = stored_volume()
    for path in write_series(tmp_path, stored, names=[name.format(z) for z in range(SLICES)]):
        strip(path)
    (tmp_path / "README").write_text("no element of any group")
    np.testing.assert_array_equal(read_volume(tmp_path).array, stored)


# SOP class, modality, whether it keeps its pixels -> whether it is an image.
OBJECTS = [
    (CTImageStorage, "SR", True, True),  # the class decides
    (MRImageStorage, "OT", True, True),
    (BasicTextSRStorage, "CT", True, False),
    (RawDataStorage, "CT", False, False),
    (RealWorldValueMappingStorage, "MR", False, False),
    (RTDoseStorage, "CT", True, False),
    ("1.3.12.2.1107.5.9.1", "CT", False, False),  # a vendor's own class
    ("1.3.12.2.1107.5.9.1", "CT", True, True),
]


@pytest.mark.parametrize(("sop_class", "modality", "has_pixels", "is_image"), OBJECTS, ids=str)
def test_the_class_decides_what_is_an_image(
    tmp_path: Path, sop_class: str, modality: str, has_pixels: bool, is_image: bool
) -> None:
    def edit(dataset: FileDataset, z: int) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
        dataset.Modality, dataset.SeriesInstanceUID = modality, "1.2.3"
        for name in () if has_pixels else ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
            delattr(dataset, name)

    (path,) = write_series(tmp_path / "one", stored_volume(slices=1), edit=edit)
    assert (read_image_header(path) is not None) is is_image
    if not is_image:
        stored = stored_volume()
        write_series(tmp_path / "cd", stored)
        path.rename(tmp_path / "cd" / "other.dcm")
        np.testing.assert_array_equal(read_volume(tmp_path / "cd").array, stored)
