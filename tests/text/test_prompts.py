# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts.data import (
    CHAOS_CT_VALUES,
    CHAOS_MR_VALUES,
    COCO_CLASSES,
    IMAGE_TEXT_CLASSES,
    ISIC_CLASSES,
    SYNTHETIC_CLASSES,
    VOC_CLASSES,
    WBC_VALUES,
)
from scripts.data.readers.mni152 import MNI152_VALUES
from scripts.text import read_prompts

CLASSES = {
    "voc2012": VOC_CLASSES,
    "chaos_mr": list(CHAOS_MR_VALUES),
    "chaos_ct": list(CHAOS_CT_VALUES),
    "synthetic": SYNTHETIC_CLASSES,
    "mni152": list(MNI152_VALUES),
    "isic2018": [*ISIC_CLASSES, "lesion"],
    "chest_xray": ["lung"],
    "wbc": list(WBC_VALUES),
    "coco": COCO_CLASSES,
    "image_text": list(IMAGE_TEXT_CLASSES),
}


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_a_sentence_of_the_one_form(bundle_root: Path, name: str) -> None:
    prompts = read_prompts(bundle_root / "prompts" / f"{name}.json")
    assert prompts.dataset == name
    assert list(prompts.sentences) == CLASSES[name]
    for class_name, sentences in prompts.sentences.items():
        for sentence in sentences:
            assert re.fullmatch(rf"A photo of {re.escape(class_name)} in which [a-z][^.]{{20,}}\.", sentence), sentence
    assert re.fullmatch(r"A photo of background in which [a-z][^.]{20,}\.", prompts.background)
    flat = [sentence for own in prompts.sentences.values() for sentence in own] + list(prompts.paraphrases.values())
    assert len(set(flat)) == len(flat)


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_a_paraphrase_and_each_file_a_modality(bundle_root: Path, name: str) -> None:
    prompts = read_prompts(bundle_root / "prompts" / f"{name}.json")
    assert re.match(r"(a|an) ", prompts.modality or "")
    assert list(prompts.paraphrases) == CLASSES[name]
    assert prompts.from_masks == ()
    for class_name, sentence in prompts.paraphrases.items():
        assert re.fullmatch(rf"A photo of {re.escape(class_name)} in which [a-z][^.]{{20,}}\.", sentence), sentence
        own, other = (set(re.findall(r"[a-z]+", text)) for text in (prompts.sentences[class_name][0], sentence))
        assert len(own & other) >= 0.4 * len(own), (class_name, own - other)  # the same is said


def test_no_file_is_left_untested(bundle_root: Path) -> None:
    assert {path.stem for path in (bundle_root / "prompts").glob("*.json")} == set(CLASSES)


def test_several_sentences(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    categories = [{"name": "dog", "sentences": ["one", "two"]}, {"name": "cat", "sentence": "three"}]
    file.write_text(json.dumps({"dataset": "pets", "categories": categories, "background": "none"}))
    assert read_prompts(file).sentences == {"dog": ["one", "two"], "cat": ["three"]}


def test_what_the_study_needs(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    categories = [
        {"name": "dog", "sentence": "one", "paraphrase": "1"},
        {"name": "cat", "sentence": "two", "derived_from_mask": True},
    ]
    file.write_text(json.dumps({"dataset": "pets", "modality": "a photo", "categories": categories, "background": ""}))
    prompts = read_prompts(file)
    assert (prompts.modality, dict(prompts.paraphrases), prompts.from_masks) == ("a photo", {"dog": "1"}, ("cat",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"p\.json is not JSON"),
        ('{"dataset": "pets", "categories": []}', r"p\.json has no background"),
        (
            '{"dataset": "a", "background": "b", "categories": [{"name": "dog"}]}',
            "category 0 .* needs a name and a sentence",
        ),
        (
            '{"dataset": "a", "background": "b", "categories": [{"name": "x", "sentence": "y"}, '
            '{"name": "x", "sentence": "z"}]}',
            "describes 'x' twice",
        ),
    ],
)
def test_malformed_files(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_prompts(tmp_path / "p.json")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file of class descriptions"):
        read_prompts(tmp_path / "p.json")
