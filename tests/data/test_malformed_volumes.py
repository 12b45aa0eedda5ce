# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Whatever is wrong with a DICOM series or a folder of ground truth: one error that names the file and the fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import BasicTextSRStorage

from scripts.data.volume_reader import load_volume

from .dicom_files import ORIGIN, STEP, compress, stored_volume, write_enhanced, write_masks, write_series

ODD = 2  # the slice that is damaged
FILE = rf"IM00{ODD}\.dcm"


def put(**values: Any) -> Callable[[FileDataset, int], None]:
    """Set entries of the odd slice; None takes an entry away."""

    def edit(dataset: FileDataset, z: int) -> None:
        for name, value in values.items():
            if z == ODD and value is None:
                del dataset[name]
            elif z == ODD:
                setattr(dataset, name, value)

    return edit


def move(offset: float, axis: int = 2, start: int = ODD, end: int = ODD + 1) -> Callable[[FileDataset, int], None]:
    def edit(dataset: FileDataset, z: int) -> None:
        if start <= z < end:
            position = list(dataset.ImagePositionPatient)
            position[axis] = float(position[axis]) + offset
            dataset.ImagePositionPatient = position

    return edit


HEADER_FAULTS: dict[str, tuple[Callable[[FileDataset, int], None], str]] = {
    "position missing": (put(ImagePositionPatient=None), f"{FILE} has no ImagePositionPatient, expected 3 numbers"),
    "position empty": (put(ImagePositionPatient=""), f"{FILE} has no ImagePositionPatient"),
    "position of two": (put(ImagePositionPatient=[1, 2]), f"{FILE} has ImagePositionPatient .*expected 3 finite"),
    "orientation missing": (put(ImageOrientationPatient=None), f"{FILE} has no ImageOrientationPatient"),
    "orientation of five": (put(ImageOrientationPatient=[1, 0, 0, 0, 1]), f"{FILE} has ImageOrientationPatient"),
    "orientation zero": (put(ImageOrientationPatient=[0] * 6), f"{FILE} has ImageOrientationPatient .* unit vectors"),
    "orientation skew": (put(ImageOrientationPatient=[1, 0, 0, 0.6, 0.8, 0]), f"{FILE} .* at right angles"),
    "orientation other": (
        put(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
        f"{FILE} has another orientation than most of its series",
    ),
    "spacing missing": (put(PixelSpacing=None), f"{FILE} has no PixelSpacing, expected 2 numbers"),
    "spacing zero": (put(PixelSpacing=[0, 1]), f"{FILE} has PixelSpacing .*expected positive"),
    "spacing negative": (put(PixelSpacing=[-1, 1]), f"{FILE} has PixelSpacing .*expected positive"),
    "spacing other": (put(PixelSpacing=[0.9, 0.6]), f"{FILE} has another pixel spacing in mm .*0.9.*expected .*0.8"),
    "size other": (put(Rows=5), f"{FILE} has another size .*5, 7.*expected .*6, 7"),
    "no rows": (put(Rows=None), f"{FILE} has 0 rows"),
    "slope zero": (put(RescaleSlope=0), f"{FILE} has RescaleSlope 0"),
    "MONOCHROME1": (put(PhotometricInterpretation="MONOCHROME1"), f"{FILE} .*MONOCHROME1, expected .*MONOCHROME2"),
    "colours": (put(SamplesPerPixel=3, PhotometricInterpretation="RGB"), f"{FILE} has 3 sample.*RGB"),
    "no series": (put(SeriesInstanceUID=None), f"{FILE} has no SeriesInstanceUID"),
    "frames without a place": (put(NumberOfFrames=2), f"{FILE} has 2 frames without a place"),
    "duplicate": (move(STEP), rf"IM003\.dcm lies at the same position as .*{FILE}|{FILE} lies at the same .*IM003"),
    "gap": (move(STEP, start=ODD, end=99), rf"1 slice\(s\) missing between .*IM001\.dcm and .*{FILE}.* 5 mm .* 2.5 mm"),
    "wide gap": (move(3 * STEP, start=ODD, end=99), rf"3 slice\(s\) missing between .*IM001\.dcm and .*{FILE}"),
    "irregular": (move(0.8), rf"irregular distance between .*IM001\.dcm and .*{FILE}: .*3.3 mm"),
    "off the line": (move(2.0, axis=0), f"{FILE} lies 2 mm off the line"),
    "pixels missing": (put(PixelData=None), f"{FILE} has no PixelData"),
    "pixels short": (put(PixelData=b"\0" * 10), f"{FILE} has pixels .*can't be decoded"),
    "bits": (put(BitsAllocated=13), f"{FILE} has pixels .*can't be decoded"),
}


@pytest.mark.parametrize("fault", HEADER_FAULTS)
def test_faults_of_a_slice(tmp_path: Path, fault: str) -> None:
    edit, message = HEADER_FAULTS[fault]
    write_series(tmp_path, stored_volume(), edit=edit)
    with pytest.raises(ValueError, match=message) as caught:
        load_volume(tmp_path)
    assert str(tmp_path) in str(caught.value)


def not_dicom(path: Path) -> None:
    path.write_text("not an image")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def cut_in_pixels(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def cut_stream(syntax: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        stored = np.random.default_rng(0).integers(0, 4000, (6 * 12, 7 * 12)).astype(np.uint16)
        for other in sorted(path.parent.iterdir()):
            dataset = pydicom.dcmread(other)
            dataset.Rows, dataset.Columns, dataset.PixelData = *stored.shape, stored.tobytes()
            dataset.save_as(other)
            compress(other, syntax, stored)
        dataset = pydicom.dcmread(path)
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame[: len(frame) // 4 * 2]])
        dataset.save_as(path)

    return damage


def harm_stream(syntax: str, marker: int, place: int, value: int) -> Callable[[Path], None]:
    """Change a byte of a segment of the JPEG header: `place` counts from its marker."""

    def damage(path: Path) -> None:
        for z, other in enumerate(sorted(path.parent.iterdir())):
            compress(other, syntax, np.ascontiguousarray(stored_volume()[:, :, z].T))
        dataset = pydicom.dcmread(path)
        stream = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
        stream[stream.index(bytes([0xFF, marker])) + place] = value
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset.save_as(path)

    return damage


def harm_frames(path: Path) -> None:
    content = bytearray(path.read_bytes())
    element = bytes.fromhex("28000800") + b"IS\2\0" + b"x?"  # NumberOfFrames
    place = content.index(b"\x28\x00\x10\x00US")
    path.write_bytes(content[:place] + element + content[place:])


def harm_number(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"\x28\x00\x30\x00DS") + 8
    content[place : place + 3] = b"\xe6.8"
    path.write_bytes(content)


def harm_type(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"\x28\x00\x10\x00US") + 4
    content[place : place + 2] = b"Q?"
    path.write_bytes(content)


def unknown_syntax(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([b"\0" * 100])
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    dataset.save_as(path)


FILE_FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "not DICOM": (not_dicom, f"{FILE} is not a readable DICOM file"),
    "empty": (empty, f"{FILE} is not a readable DICOM file"),
    "cut in the header": (cut_in_header, f"{FILE} "),
    "cut in the pixels": (cut_in_pixels, f"{FILE} "),
    "JPEG 2000 cut": (cut_stream("JPEG2000"), f"{FILE} has pixels .*JPEG 2000.*can't be decoded"),
    "JPEG lossless cut": (cut_stream("JPEG"), f"{FILE} has pixels .*JPEG Lossless.*can't be decoded"),
    "JPEG-LS cut": (cut_stream("JPEG-LS"), f"{FILE} has pixels .*JPEG-LS.*can't be decoded"),
    "RLE cut": (cut_stream("RLE"), f"{FILE} has pixels .*RLE.*can't be decoded"),
    "JPEG lossless of 151 bits": (
        harm_stream("JPEG", 0xC3, 4, 151),
        f"{FILE} has pixels .* of 151 bits in 1 component",
    ),
    "JPEG lossless of another size": (harm_stream("JPEG", 0xC3, 6, 99), f"{FILE} has pixels .*holds 99 x 7 pixels"),
    "JPEG lossless, Huffman table": (harm_stream("JPEG", 0xC4, 5, 255), f"{FILE} has pixels .*a Huffman table that"),
    "JPEG lossless, no header": (harm_stream("JPEG", 0xC3, 1, 0xE0), f"{FILE} has pixels .*has no frame header"),
    "JPEG-LS of another size": (harm_stream("JPEG-LS", 0xF7, 8, 99), f"{FILE} has pixels .*holds 6 x 99 pixels"),
    "letters in a count": (harm_frames, f"{FILE} is not a readable DICOM file"),
    "letters in a number": (harm_number, f"{FILE} has PixelSpacing .*expected 2 finite numbers"),
    "type of an element": (harm_type, f"{FILE} is not a readable DICOM file: Unknown Value Representation"),
    "video": (unknown_syntax, f"{FILE} has pixels .*MPEG2.*can't be decoded"),
}


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_faults_of_a_file(tmp_path: Path, fault: str) -> None:
    damage, message = FILE_FAULTS[fault]
    damage(write_series(tmp_path, stored_volume())[ODD])
    with pytest.raises(ValueError, match=message) as caught:
        load_volume(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data.PerFrameFunctionalGroupsSequence.pop(), "5 frames but functional groups for 4"),
        (
            lambda data: data.PerFrameFunctionalGroupsSequence[1].__delitem__("PlanePositionSequence"),
            "frame 2, has no ImagePositionPatient",
        ),
        (
            lambda data: setattr(
                data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0], "ImagePositionPatient", list(ORIGIN)
            ),
            "at the same position",
        ),
    ],
)
def test_faults_of_a_multiframe_file(tmp_path: Path, edit: Callable, message: str) -> None:
    path = write_enhanced(tmp_path / "e.dcm", stored_volume(), order=range(5), edit=edit)
    with pytest.raises(ValueError, match=message) as caught:
        load_volume(path)
    assert "e.dcm" in str(caught.value)


def test_single_slice_without_thickness(tmp_path: Path) -> None:
    def edit(dataset: FileDataset, z: int) -> None:
        del dataset.SliceThickness

    write_series(tmp_path, stored_volume(slices=1), edit=edit)
    with pytest.raises(ValueError, match=r"IM000\.dcm is the only slice .*neither SpacingBetweenSlices nor SliceThi"):
        load_volume(tmp_path)


def test_folders_without_a_series(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no DICOM series at .*nothing\.dcm"):
        load_volume(tmp_path / "nothing.dcm")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty holds no DICOM image$"):
        load_volume(tmp_path / "empty")
    write_series(tmp_path / "study" / "series1", stored_volume())
    with pytest.raises(FileNotFoundError, match=r"study holds no DICOM image; there are some in .*series1"):
        load_volume(tmp_path / "study")
    report = write_series(
        tmp_path / "report",
        stored_volume(slices=1),
        edit=lambda data, z: setattr(data, "SOPClassUID", BasicTextSRStorage),
    )
    with pytest.raises(ValueError, match=r"IM000\.dcm is a DICOM file without an image"):
        load_volume(report[0])


LABEL_FAULTS = {
    "one too few": (lambda folder: (folder / "g3.png").unlink(), r"Ground has 4 pictures, expected 5 as the series in"),
    "other size": (
        lambda folder: write_masks(folder, np.zeros((4, 4, 1), np.uint8), ["g3.png"], [0]),
        r"g3\.png has 4 x 4",
    ),
    "broken": (lambda folder: not_dicom(folder / "g3.png"), r"g3\.png is not a readable picture"),
    "names that half fit": (
        lambda folder: [(folder / f"g{z}.png").rename(folder / f"IM00{z}.png") for z in range(4)],
        r"g4\.png has no DICOM file of its name in .*series",
    ),
}


@pytest.mark.parametrize("fault", LABEL_FAULTS)
def test_faults_of_ground_truth_pictures(tmp_path: Path, fault: str) -> None:
    damage, message = LABEL_FAULTS[fault]
    write_series(tmp_path / "series", stored_volume())
    label = np.zeros((7, 6, 5), np.uint8)
    ground = write_masks(tmp_path / "Ground", label, [f"g{z}.png" for z in range(5)], range(5))
    damage(ground)
    with pytest.raises(ValueError, match=message):
        load_volume(ground, is_label=True, image=tmp_path / "series")


def test_ground_truth_pictures_need_their_series(tmp_path: Path) -> None:
    ground = write_masks(tmp_path / "Ground", np.zeros((7, 6, 2), np.uint8), ["a.png", "b.png"], range(2))
    for image in (None, tmp_path / "image.nii.gz"):
        with pytest.raises(ValueError, match=r"Ground can only be read with the DICOM series of its image"):
            load_volume(ground, is_label=True, image=image)
