# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Descriptions of classes: one JSON file per data set in ``prompts/``.

``{"dataset": ..., "categories": [{"name": ..., "sentence": ...}, ...], "background": ...}``; a sentence has the form
``A photo of {class} in which {visual description}.`` A category may give several, as ``"sentences": [...]``.

For the study whether words matter, a category may also have a ``"paraphrase"``, which says the same in other words, and
the file a ``"modality"`` ("a chest X-ray"). A category whose sentence was written from masks of the images on which it
will be tested has ``"derived_from_mask": true``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ..files.read_json import read_json_object

__all__ = ["Prompts", "read_prompts"]


class Prompts(NamedTuple):
    """Descriptions of one data set.

    Args:
        dataset: its name.
        sentences: class name -> sentences.
        background: sentence of what belongs to no class.
        modality: what the images are, with its article, or None where the file doesn't say.
        paraphrases: class name -> sentence, for the classes that have one.
        from_masks: classes whose sentences were derived from masks of the test images.
    """

    dataset: str
    sentences: dict[str, list[str]]
    background: str
    modality: str | None = None
    paraphrases: Mapping[str, str] = MappingProxyType({})
    from_masks: tuple[str, ...] = ()


def read_prompts(path: str | Path) -> Prompts:
    """Read a file of descriptions.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it lacks an entry; the message names the file and the entry.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file of class descriptions {path}")
    content = read_json_object(path)
    missing = [key for key in ("dataset", "categories", "background") if key not in content]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}")
    sentences: dict[str, list[str]] = {}
    paraphrases: dict[str, str] = {}
    from_masks = []
    for number, category in enumerate(content["categories"]):
        name, own = category.get("name"), _sentences(category)
        if not name or not own:
            raise ValueError(f"category {number} in {path} needs a name and a sentence, it has: {', '.join(category)}")
        if name in sentences:
            raise ValueError(f"{path} describes {name!r} twice")
        sentences[name] = own
        if category.get("paraphrase"):
            paraphrases[name] = category["paraphrase"]
        if category.get("derived_from_mask"):
            from_masks.append(name)
    background, modality = content["background"], content.get("modality")
    return Prompts(content["dataset"], sentences, background, modality, paraphrases, tuple(from_masks))


def _sentences(category: dict[str, Any]) -> list[str]:
    several = category.get("sentences", [])
    return [sentence for sentence in (category.get("sentence"), *several) if sentence]
