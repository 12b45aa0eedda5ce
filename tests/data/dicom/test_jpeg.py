# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The header of a JPEG stream is checked before any decoder sees it; streams here are put together byte by byte."""

from __future__ import annotations

import pytest

from scripts.data.dicom.jpeg import check_jpeg_header

SCAN = b"\xff\xda\x00\x02"
LOSSLESS, BASELINE, JPEG_LS, HUFFMAN = 0xC3, 0xC0, 0xF7, 0xC4


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def frame(rows: int = 6, columns: int = 7, bits: int = 12, components: int = 1, marker: int = LOSSLESS) -> bytes:
    content = bytes([bits]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes([components])
    return segment(marker, content + bytes(3 * components))


def huffman(counts: list[int], values: bytes, kind: int = 0) -> bytes:
    """One table: kind and number, how many codes there are of 1, 2, ... 16 bits, and their values."""
    return bytes([kind, *counts, *[0] * (16 - len(counts))]) + values


def stream(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + SCAN + b"pixels"


@pytest.mark.parametrize("marker", [LOSSLESS, BASELINE, JPEG_LS])
@pytest.mark.parametrize("bits", [2, 16])
def test_a_sound_header_passes(marker: int, bits: int) -> None:
    tables = segment(HUFFMAN, huffman([0, 3, 1], bytes([0, 1, 2, 16])) + huffman([2], bytes([0, 255]), kind=0x10))
    check_jpeg_header(stream(segment(0xE0, b"JFIF"), tables, frame(marker=marker, bits=bits)), 6, 7)


def test_fill_bytes_before_a_marker_are_passed_over() -> None:
    check_jpeg_header(stream(b"\xff\xff" + segment(0xFE, b"a comment"), b"\xff" + frame()), 6, 7)


@pytest.mark.parametrize("other", [b"", b"\xff\x4f\xff\x51 JPEG 2000", b"raw"])
def test_other_streams_pass(other: bytes) -> None:
    check_jpeg_header(other, 6, 7)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (frame(rows=99), r"holds 99 x 7 pixels \(rows x columns\) of 12 bits in 1 component\(s\), expected 6 x 7"),
        (frame(columns=300), "holds 6 x 300 pixels"),
        (frame(bits=17), "of 17 bits in 1 .* expected 6 x 7 of at most 16 bits in one"),
        (frame(bits=1), "of 1 bits"),
        (frame(components=3), r"in 3 component\(s\)"),
        (frame(marker=JPEG_LS, rows=7, columns=6), "holds 7 x 6 pixels"),
        (segment(LOSSLESS, b"\x0c\x00\x06\x00\x07"), "a frame header that is cut short"),
        (segment(0xE0, b"JFIF"), "has no frame header"),
        (segment(0xC8, bytes(9)) + segment(0xCC, bytes(9)), "has no frame header"),
    ],
)
def test_frames(header: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^the JPEG stream .*{message}"):
        check_jpeg_header(stream(header), 6, 7)


@pytest.mark.parametrize(
    "table",
    [
        huffman([3], bytes(3)),  # three codes of one bit
        huffman([2, 1], bytes(3)),  # two of one bit leave none of two
        huffman([0, 3], bytes(2)),  # a value is missing
        huffman([1], bytes([17])),  # a difference of 17 bits
        huffman([1], bytes(1)) + huffman([255], bytes(255)),  # the second of a segment
        bytes([0, 1]),  # counts and values are cut off
    ],
)
def test_huffman_tables_that_no_decoder_can_use(table: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the JPEG stream has a Huffman table that can't be decoded$"):
        check_jpeg_header(stream(segment(HUFFMAN, table), frame()), 6, 7)


@pytest.mark.parametrize(
    "harmed",
    [
        b"\xff\xd8",
        b"\xff\xd8" + frame(),
        b"\xff\xd8" + frame()[:-1],
        b"\xff\xd8" + b"\x00" + frame() + SCAN,
        b"\xff\xd8\xff\xe0\x00\x01" + frame() + SCAN,
        b"\xff\xd8" + b"\xff" * 9,
    ],
)
def test_a_header_that_ends_early(harmed: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the JPEG stream ends, or is harmed, before its first scan$"):
        check_jpeg_header(harmed, 6, 7)
