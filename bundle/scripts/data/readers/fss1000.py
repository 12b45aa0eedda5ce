# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""FSS-1000 (Li et al. 2020): a thousand classes of natural images, ten pairs each."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from ...files.atomic import write_json
from ...files.listing import visible_folders
from ...files.natural_order import natural_key
from ...files.read_json import read_lines
from ..items import Item, binary_picture_item, read_in_threads
from .folders import check_classes, dataset_folder, list_files
from .mask_index import MaskIndex

__all__ = ["fss1000_classes", "fss1000_prompts", "read_fss1000"]

LAYOUT = "<class>/<n>.jpg and its mask <class>/<n>.png; a folder 'fewshot_data' around them is found as well"
TEST_LISTS = ("fss_test_set.txt", "test.txt")
_TEST_SHARE = (6, 25)  # 240 of 1000
_WRAPPER = "fewshot_data"

logger = logging.getLogger(__name__)


def fss1000_classes(dataset_dir: str | Path, part: str, test_list: str | Path | None = None) -> list[str]:
    """Classes for training (``base``) or testing (``novel``).

    Args:
        dataset_dir: folder of the set.
        part: ``base`` or ``novel``.
        test_list: text file with the name of a test class per line; None looks for ``fss_test_set.txt`` (the authors'
            240 classes) or ``test.txt`` in the folder. Where there is none, about a quarter of the classes, spread
            evenly over the alphabet, is for testing.
    """
    if part not in ("base", "novel"):
        raise ValueError(f"part is 'base' or 'novel', not {part!r}")
    root, classes = _classes(dataset_dir)
    files = [root / name for name in TEST_LISTS] if test_list is None else [Path(test_list).expanduser()]
    file = next((path for path in files if path.is_file()), None)
    if file is not None:
        novel = set(check_classes(read_lines(file), classes, f"{file}: FSS-1000 in {root}"))
    elif test_list is not None:
        raise FileNotFoundError(f"no list of test classes {test_list}")
    else:
        logger.info("%s holds no %s: the test classes are not the authors'", root, " or ".join(TEST_LISTS))
        share, of = _TEST_SHARE
        novel = {name for index, name in enumerate(classes) if (index * share) % of < share}
    return [name for name in classes if (name in novel) == (part == "novel")]


def read_fss1000(
    dataset_dir: str | Path, classes: Iterable[str] | None = None, index_file: str | Path | None = None
) -> list[Item]:
    """Read the pairs; the case id is ``<class>/<n>``.

    Args:
        dataset_dir: folder of the set.
        classes: class names, which are those of the folders; None for all.
        index_file: where to keep what the masks hold, for a quicker next start; None for nowhere.
    """
    root, known = _classes(dataset_dir)
    wanted = check_classes(classes, known, "FSS-1000")
    images = [(name, image) for name in wanted for image in _images(root / name)]

    def describe(source: tuple[str, Path]) -> Item:
        name, image = source
        label = image.with_suffix(".png")
        if not label.is_file():
            raise FileNotFoundError(f"{image} has no mask: expected {label}")
        return binary_picture_item(image, label, f"{name}/{image.stem}", class_name=name, masks=masks)

    with MaskIndex(index_file) as masks:
        return read_in_threads(describe, images)


def fss1000_prompts(dataset_dir: str | Path, file: str | Path) -> str:
    """Write a description of every class that says no more than its name, and return the file.

    A sentence for each of a thousand objects would have to be written by hand; see the workflow `describe`.
    """
    _, classes = _classes(dataset_dir)
    categories = [{"name": name, "sentence": _sentence(name)} for name in classes]
    content = {
        "dataset": "fss1000",
        "categories": categories,
        "background": "A photo of background in which nothing but the surroundings of an object is seen.",
    }
    return str(write_json(Path(file).expanduser(), content))


def _sentence(name: str) -> str:
    words = name.replace("_", " ").replace(".", " ")
    return f"A photo of {name} in which the {words} stands out from its surroundings as the main object."


def _classes(dataset_dir: str | Path) -> tuple[Path, list[str]]:
    """The folder that holds the classes, and their names; folders without pictures are no classes."""
    root = Path(dataset_dir).expanduser()
    while (root / _WRAPPER).is_dir():
        root = root / _WRAPPER
    root = dataset_folder(root, "FSS-1000", LAYOUT)
    names = [path.name for path in visible_folders(root) if list_files(path)]
    if not names:
        raise FileNotFoundError(f"{root} holds no folder with pictures; the layout of FSS-1000 is: {LAYOUT}")
    return root, names


def _images(folder: Path) -> list[Path]:
    images = sorted(list_files(folder, [".jpg", ".jpeg"]), key=lambda path: natural_key(path.name))
    if not images:
        raise FileNotFoundError(f"{folder} holds no .jpg; the layout of FSS-1000 is: {LAYOUT}")
    return images
