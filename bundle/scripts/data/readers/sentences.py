# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Sentences that come with single images: medvlsm's JSON prompts and LViT's tables.

Many of them were written from the mask of the very image (number, size, place of the lesions). Shown to a network at
test time they give part of the answer away, so they are kept apart from those that only name or explain the target.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from ...files.listing import plain_stem
from ...files.read_json import read_json

__all__ = ["Sentences", "read_lvit_table", "read_medvlsm_prompts"]

_NAMING = ("p1",)  # only the name of the target
_EXPLAINING = "p7"  # general knowledge, in the sets whose prompts go up to p9
_LAST = "p9"
_COLUMNS = ("Image", "Description")
_LARGEST_TABLE = 256 * 2**20  # bytes, unpacked


class Sentences(NamedTuple):
    """Sentences of one image.

    Args:
        safe: name or explain the target; they would be the same for any image of the class.
        leaking: were derived from the image's own mask, or by a network that saw the image.
        split: ``train``, ``val`` or ``test``, where the file tells it.
    """

    safe: tuple[str, ...]
    leaking: tuple[str, ...]
    split: str | None = None


def read_medvlsm_prompts(files: Iterable[Path]) -> dict[str, Sentences]:
    """Read records ``{"img_name", "prompts": {"p0": ..., "p9": ...}, "split"}``: image name, no suffix -> sentences.

    Prompt p1 names the target and p7, in the sets that go up to p9, explains it; all others tell of the image. Without
    an entry ``split`` the name of the file tells it (``anns/train.json``).
    """
    result = {}
    for file in files:
        for number, record in enumerate(_read_records(file)):
            prompts = record.get("prompts") if isinstance(record, dict) else None
            if not isinstance(prompts, dict) or not isinstance(record.get("img_name"), str):
                raise ValueError(f"{file}: record {number} needs the entries img_name and prompts")
            safe_keys = (*_NAMING, _EXPLAINING) if _LAST in prompts else _NAMING
            safe = [text for key in safe_keys for text in _texts(prompts.get(key), file, number)]
            leaking = [text for key in prompts if key not in safe_keys for text in _texts(prompts[key], file, number)]
            split = record.get("split", file.stem if file.stem in ("train", "val", "test") else None)
            result[plain_stem(record["img_name"])] = Sentences(tuple(safe), tuple(leaking), split)
    return result


def read_lvit_table(file: Path) -> dict[str, Sentences]:
    """Read a sheet with the columns Image and Description: image name without suffix -> sentences.

    All of LViT's sentences tell where the findings lie or how many there are.
    """
    rows = _read_sheet(file)
    header = [str(value).strip() if value is not None else "" for value in next(rows, ())]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        shown = ", ".join(filter(None, header)) or "nothing"
        raise ValueError(
            f"{file} has no column {' and no column '.join(missing)} in its first row, which holds: {shown}"
        )
    name_column, text_column = (header.index(name) for name in _COLUMNS)
    result: dict[str, Sentences] = {}
    for row in rows:
        name, text = row[name_column], row[text_column]
        if name is None or text is None:
            continue
        result[plain_stem(str(name).strip())] = Sentences((), (" ".join(str(text).split()),))
    return result


def _read_records(file: Path) -> list[Any]:
    content = read_json(file)
    if not isinstance(content, list):
        raise ValueError(
            f"{file} holds a {type(content).__name__}, expected a list of records with img_name and prompts"
        )
    return content


def _texts(value: Any, file: Path, number: int) -> list[str]:
    """A prompt is a string, a list of variants, or missing; empty ones say nothing."""
    texts = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or any(not isinstance(text, str) for text in texts):
        raise ValueError(f"{file}: record {number} has the prompt {value!r}, expected a text or a list of texts")
    return [text.strip() for text in texts if text.strip()]


def _read_sheet(file: Path) -> Any:
    """Rows of the first sheet, as tuples of values."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST_TABLE:
            raise ValueError(f"unpacked it would take {size} bytes")
        book = load_workbook(file, read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
    except (OSError, ValueError, KeyError, IndexError, SyntaxError, zipfile.BadZipFile, InvalidFileException) as error:
        raise ValueError(f"{file} is not a readable table (xlsx): {error}") from error
    return iter(rows)
