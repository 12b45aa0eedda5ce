# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a JPEG stream says of itself (ITU-T T.81, annex B), checked before it is decoded.

GDCM trusts these few bytes: a harmed precision or Huffman table ends the whole process, not just the reading.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["check_jpeg_header"]

_START = b"\xff\xd8"
_START_OF_SCAN, _HUFFMAN = 0xDA, 0xC4
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {_HUFFMAN, 0xC8, 0xCC}  # of DCT and lossless JPEG; of JPEG-LS
_MOST_BITS = 16
_CODE_LENGTHS = 16


def check_jpeg_header(stream: bytes, rows: int, columns: int) -> None:
    """Compare the header with the size of the image; other streams than JPEG and JPEG-LS pass.

    Raises:
        ValueError: when the stream has another size, several components, or a table that no decoder can use.
    """
    if not stream.startswith(_START):
        return
    has_frame = False
    for marker, segment in _segments(stream):
        if marker in _FRAMES:
            has_frame = True
            _check_frame(segment, rows, columns)
        elif marker == _HUFFMAN:
            _check_huffman(segment)
    if not has_frame:
        raise ValueError("the JPEG stream has no frame header")


def _segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment before the first scan."""
    place = len(_START)
    while True:
        while stream[place : place + 2] == b"\xff\xff":  # fill bytes
            place += 1
        head = stream[place : place + 4]
        length = int.from_bytes(head[2:], "big")
        segment = stream[place + 4 : place + 2 + length]
        if len(head) < 4 or head[0] != 0xFF or length < 2 or len(segment) != length - 2:
            raise ValueError("the JPEG stream ends, or is harmed, before its first scan")
        if head[1] == _START_OF_SCAN:
            return
        yield head[1], segment
        place += 2 + length


def _check_frame(segment: bytes, rows: int, columns: int) -> None:
    if len(segment) < 6:
        raise ValueError("the JPEG stream has a frame header that is cut short")
    bits, height, width = segment[0], int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
    if not (2 <= bits <= _MOST_BITS and (height, width) == (rows, columns) and segment[5] == 1):
        raise ValueError(
            f"the JPEG stream holds {height} x {width} pixels (rows x columns) of {bits} bits in {segment[5]} "
            f"component(s), expected {rows} x {columns} of at most {_MOST_BITS} bits in one"
        )


def _check_huffman(segment: bytes) -> None:
    place = 0
    while place < len(segment):
        counts = segment[place + 1 : place + 1 + _CODE_LENGTHS]
        values = segment[place + 1 + _CODE_LENGTHS : place + 1 + _CODE_LENGTHS + sum(counts)]
        codes = sum(number << (_CODE_LENGTHS - length) for length, number in enumerate(counts, start=1))
        is_usable = len(values) == sum(counts) and codes <= 1 << _CODE_LENGTHS
        is_category = segment[place] >> 4 == 0  # of differences: a number of bits
        if not is_usable or (is_category and max(values, default=0) > _MOST_BITS):
            raise ValueError("the JPEG stream has a Huffman table that can't be decoded")
        place += 1 + _CODE_LENGTHS + len(values)
