# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A datalist in a JSON file: the Decathlon's, MONAI's with folds, a plain list, or what `prepare` has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...files.listing import file_of
from ...files.read_json import read_json
from ..items import Item, Values, binary_picture_item, picture_item, read_in_threads, volume_item
from ..mask_values import MIDDLE, is_one_class
from ..picture_reader import read_index
from ..volume_names import is_volume_file, volume_stem
from .image_folder import CHANNEL_ENDING, class_values_of

__all__ = ["read_datalist"]

_PARTS = ("train", "val")
LAYOUT = (
    '{"labels": {"0": "background", "1": "liver"}, "training": [{"image": "imagesTr/a.nii.gz", "label": '
    '"labelsTr/a.nii.gz"}, …]}, or only the list; paths start from the folder of the file'
)


def read_datalist(
    file: str | Path | None,
    section: str = "training",
    *,
    part: str | None = None,
    fold: int | None = None,
    class_names: Sequence[str] | Mapping[str, Any] | None = None,
    base_dir: str | Path | None = None,
) -> list[Item]:
    """Read one section.

    Entries that have ``classes`` already, as those that `prepare` wrote, are taken as they are; of the others the label
    files are read.

    Args:
        file: JSON file.
        section: key of the list (``training``, ``validation``); a file that is only a list has no sections.
        part: with a fold, ``train`` (the entries of all other folds) or ``val`` (those of the fold).
        fold: number that the entries' ``fold`` is compared with; None takes all.
        class_names: see `read_image_folder`; None takes the ``labels`` of the file.
        base_dir: where relative paths start; None for the folder of the file.
    """
    if file is None:
        raise FileNotFoundError(f"no datalist is given; expected a JSON file: {LAYOUT}")
    path = Path(file).expanduser()
    content = _read(path)
    names = class_names if class_names is not None else content.get("labels") if isinstance(content, dict) else None
    values = class_values_of(names, f"{path}, labels,")
    entries = _select(_section(content, section, path), part, fold, path)
    root = path.parent if base_dir is None else Path(base_dir).expanduser()

    def describe(numbered: tuple[int, Mapping[str, Any]]) -> Item:
        return _item(*numbered, root=root, values=values, path=path)

    items = read_in_threads(describe, enumerate(entries))
    seen: set[str] = set()
    for item in items:
        if item["case_id"] in seen and "slice" not in item:
            raise ValueError(f"{path}, {section}: two entries have the case id {item['case_id']!r}")
        seen.add(item["case_id"])
    return items


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no datalist {path}; expected a JSON file: {LAYOUT}")
    return read_json(path)


def _section(content: Any, section: str, path: Path) -> list[Any]:
    entries = content.get(section) if isinstance(content, dict) else content
    if isinstance(content, dict) and section not in content:
        found = ", ".join(key for key, value in content.items() if isinstance(value, list)) or "none"
        raise ValueError(f"{path} has no section {section!r}; its lists are: {found}")
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: section {section!r} is no list, or empty; expected {LAYOUT}")
    return entries


def _select(entries: list[Any], part: str | None, fold: int | None, path: Path) -> list[Any]:
    if fold is None or part is None:
        return entries
    if part not in _PARTS:
        raise ValueError(f"part is 'train' or 'val', not {part!r}")
    without = next((number for number, entry in enumerate(entries) if "fold" not in entry), None)
    if without is not None:
        raise ValueError(f"{path}: entry {without} has no 'fold', but fold {fold} is asked for")
    chosen = [entry for entry in entries if (entry["fold"] == fold) == (part == "val")]
    if not chosen:
        folds = sorted({entry["fold"] for entry in entries})
        raise ValueError(f"{path} has nothing for part {part!r} of fold {fold}; its folds are {folds}")
    return chosen


def _item(number: int, entry: Any, *, root: Path, values: Values | None, path: Path) -> Item:
    names = [_one_name(entry.get(key)) for key in ("image", "label")] if isinstance(entry, dict) else [None]
    if not all(names):
        raise ValueError(f"{path}: entry {number} needs an image and a label, each one file name; it is {entry!r}")
    image, label = (file_of(root, name) for name in names if name is not None)
    stem = volume_stem(image).removesuffix(CHANNEL_ENDING) if is_volume_file(image) else image.stem
    case_id = str(entry.get("case_id", stem))
    if "classes" in entry:
        areas = entry.get("areas", entry.get("slice_areas"))
        if not isinstance(areas, dict):
            raise ValueError(f"{path}: entry {number} has classes, but neither areas nor slice_areas")
        if not isinstance(entry["classes"], dict) or set(areas) != set(entry["classes"]):
            raise ValueError(f"{path}: entry {number} has the classes {entry['classes']!r}, but areas of {list(areas)}")
        return {**entry, "image": str(image), "label": str(label), "case_id": case_id}
    extra = {key: value for key, value in entry.items() if key not in ("image", "label", "case_id")}
    if is_volume_file(image):
        return volume_item(image, label, case_id, class_values=values, **extra)
    if values is not None and is_one_class(values) and int(read_index(label).max()) >= MIDDLE:
        return binary_picture_item(image, label, case_id, class_name=next(iter(values)), **extra)
    return picture_item(image, label, case_id, class_values=values, **extra)


def _one_name(value: Any) -> str | None:
    """A file name, also as a list of one, which lists with channels hold; None for anything else."""
    name = value[0] if isinstance(value, list) and len(value) == 1 else value
    return name if isinstance(name, str) and name else None
