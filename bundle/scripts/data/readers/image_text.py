# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Sets of images, masks and sentences: Kvasir-SEG, CVC-ClinicDB, BUSI, QaTa-COV19, MosMedData+, MoNuSeg.

Three layouts are read: LViT's (Li et al. 2023), BUSI's as distributed, and folders ``images`` and ``masks`` with or
without the JSON prompts of medvlsm (Poudel et al. 2023).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ...files.listing import plain_stem
from ...files.natural_order import natural_key
from ..items import Item, binary_picture_item, read_in_threads
from .derived_masks import MERGED_FOLDER, merge_masks
from .folders import dataset_folder, list_files, tell_loose_masks
from .sentences import Sentences, read_lvit_table, read_medvlsm_prompts

__all__ = ["IMAGE_TEXT_CLASSES", "read_image_text"]

IMAGE_TEXT_CLASSES = ("polyp", "breast lesion", "nuclei", "lung infection")
# How the files of a set are named tells the set, and so its class.
_FILE_NAMES = (
    (re.compile(r"c[jk][a-z0-9]{23}$"), "polyp"),
    (re.compile(r"(\d+_)?(benign|malignant|normal)( \(\d+\))?$"), "breast lesion"),
    (re.compile(r"TCGA-"), "nuclei"),
    (re.compile(r"(covid_\d|sub-S\d|Jun_|Morozov_)"), "lung infection"),
)
SPLITS = ("train", "val", "test")
_LVIT_FOLDERS = {"train": "Train_Folder", "val": "Val_Folder", "test": "Test_Folder"}
_BUSI_FOLDERS = ("benign", "malignant", "normal")
_WRAPPERS = ("Kvasir-SEG", "kvasir-seg", "Dataset_BUSI_with_GT")
LAYOUT = (
    "{Train,Val,Test}_Folder/{img,labelcol} with <Split>_text.xlsx (LViT); benign, malignant and normal with "
    "'benign (1).png' and 'benign (1)_mask.png' (BUSI); or images and masks, with prompts.json or anns/<split>.json "
    "(medvlsm)"
)


class _Source(NamedTuple):
    image: Path
    masks: list[Path]
    split: str | None = None
    group: str | None = None
    sentences: Sentences = Sentences((), ())


def read_image_text(
    dataset_dir: str | Path,
    split: str | None = None,
    *,
    class_name: str | None = None,
    with_leaking: bool = False,
    mask_dir: str | Path | None = None,
) -> list[Item]:
    """Read the pairs. Items have the entry ``sentences`` where the set has sentences that may be shown to a network.

    Args:
        dataset_dir: folder of one set.
        split: ``train``, ``val`` or ``test``; None for all images.
        class_name: name of the one class; None tells it by the names of the files.
        with_leaking: also give ``leaking_sentences``: those derived from the image's own mask. For training or for
            studies of the leak, never for a fair evaluation.
        mask_dir: where several masks of one image are merged to; None for ``merged_masks`` in `dataset_dir`.
    """
    if split not in (None, *SPLITS):
        raise ValueError(f"split is {', '.join(SPLITS)} or null, not {split!r}")
    root = dataset_folder(dataset_dir, "the image-text set", LAYOUT)
    root = next((root / name for name in _WRAPPERS if (root / name).is_dir()), root)
    sources = next((found for find in _LAYOUTS if (found := find(root))), [])
    if not sources:
        raise FileNotFoundError(f"{root} holds no images and masks; the layouts of image-text sets are: {LAYOUT}")
    _check_names(sources, root)
    name = class_name or _class_of(sources, root)
    if split is not None:
        if all(source.split is None for source in sources):
            raise ValueError(f"{root} has no splits of its own; read all images of it (split null), not {split!r}")
        sources = [source for source in sources if source.split == split]
    merged = root / MERGED_FOLDER if mask_dir is None else Path(mask_dir).expanduser()

    def describe(source: _Source) -> Item:
        stem = source.image.stem
        label = source.masks[0] if len(source.masks) == 1 else merge_masks(source.masks, merged / f"{stem}.png")
        extra: dict[str, object] = {
            "split": source.split,
            "group": source.group,
            "sentences": list(source.sentences.safe),
            "leaking_sentences": list(source.sentences.leaking) if with_leaking else [],
        }
        return binary_picture_item(
            source.image, label, stem, class_name=name, **{key: value for key, value in extra.items() if value}
        )

    return read_in_threads(describe, sources)


def _lvit(root: Path) -> list[_Source]:
    sources = []
    for split, name in _LVIT_FOLDERS.items():
        folder = root / name
        if not folder.is_dir():
            continue
        if not ((folder / "img").is_dir() and (folder / "labelcol").is_dir()):
            raise FileNotFoundError(f"{folder} has no img or no labelcol; the layout of LViT is: {LAYOUT}")
        tables = [path for path in sorted(folder.iterdir()) if re.fullmatch(r"(?i)[^.~].*text.*\.xlsx", path.name)]
        texts = {stem: text for table in tables for stem, text in read_lvit_table(table).items()}
        masks = {plain_stem(path).removeprefix("mask_"): path for path in list_files(folder / "labelcol")}
        for image in list_files(folder / "img"):
            stem = plain_stem(image)
            text = texts.get(stem) or texts.get(f"mask_{stem}") or Sentences((), ())
            sources.append(_Source(image, [_mask_of(image, masks, folder / "labelcol")], split, None, text))
        tell_loose_masks(masks.values(), [mask for source in sources for mask in source.masks])
    return sources


def _busi(root: Path) -> list[_Source]:
    sources = []
    for group in _BUSI_FOLDERS:
        if not (root / group).is_dir():
            continue
        masks: dict[str, list[Path]] = {}
        images = []
        for path in list_files(root / group):
            stem, is_mask, _ = path.stem.partition("_mask")
            if is_mask:
                masks.setdefault(stem, []).append(path)
            else:
                images.append(path)
        for image in sorted(images, key=lambda path: natural_key(path.name)):
            if image.stem not in masks:
                raise FileNotFoundError(f"{image} has no mask: expected {image.stem}_mask.png beside it")
            sources.append(_Source(image, masks[image.stem], None, group))
    return sources


def _two_folders(root: Path) -> list[_Source]:
    if not ((root / "images").is_dir() and (root / "masks").is_dir()):
        return []
    files = [root / "prompts.json"] if (root / "prompts.json").is_file() else sorted(root.glob("anns/*.json"))
    texts = read_medvlsm_prompts(file for file in files if file.stem in ("prompts", *SPLITS))
    masks = {plain_stem(path): path for path in list_files(root / "masks")}
    sources = []
    for image in list_files(root / "images"):
        text = texts.get(plain_stem(image), Sentences((), ()))
        group = next((name for name in _BUSI_FOLDERS if image.stem.endswith(f"_{name}")), None)
        sources.append(_Source(image, [_mask_of(image, masks, root / "masks")], text.split, group, text))
    tell_loose_masks(masks.values(), [mask for source in sources for mask in source.masks])
    return sources


_LAYOUTS: tuple[Callable[[Path], list[_Source]], ...] = (_lvit, _busi, _two_folders)


def _mask_of(image: Path, masks: dict[str, Path], folder: Path) -> Path:
    if plain_stem(image) not in masks:
        raise FileNotFoundError(f"{image} has no mask: no {image.stem}.png in {folder}")
    return masks[plain_stem(image)]


def _check_names(sources: list[_Source], root: Path) -> None:
    seen: dict[str, Path] = {}
    for source in sources:
        other = seen.setdefault(source.image.stem, source.image)
        if other != source.image:
            raise ValueError(f"{root} holds two images named {source.image.stem}: {other} and {source.image}")


def _class_of(sources: list[_Source], root: Path) -> str:
    for pattern, name in _FILE_NAMES:
        if all(pattern.match(source.image.stem) for source in sources):
            return name
    raise ValueError(
        f"the names of the files in {root} (such as {sources[0].image.name}) don't tell which set it is; name its "
        f"class with class_name, for example {', '.join(IMAGE_TEXT_CLASSES)}"
    )
