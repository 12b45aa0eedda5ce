# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import pytest

from scripts.studies.prompt_study.wordings import WORDINGS, opposite, wordings
from scripts.text import Prompts, read_prompts

FOREIGN = Prompts("other", {"boat": ["A photo of boat in which a hull floats."]}, "Water.")
SENTENCES = {
    "left kidney": ["A photo of left kidney in which a bright bean lies."],
    "liver": ["A photo of liver in which a wedge lies."],
}
PROMPTS = Prompts(
    "abdomen", SENTENCES, "Rest.", "an MR image", {"liver": "A photo of liver in which there is a wedge."}
)


def test_every_wording() -> None:
    found = wordings(PROMPTS, ["left kidney", "liver"], foreign=FOREIGN)
    assert tuple(found) == WORDINGS
    assert found["full"] == SENTENCES
    assert found["name_only"]["liver"] == ["A photo of liver."]
    assert found["modality_name"]["liver"] == ["A photo of liver in an MR image."]
    assert found["paraphrase"] == {"liver": ["A photo of liver in which there is a wedge."]}
    assert found["wrong_class"] == {"left kidney": SENTENCES["liver"], "liver": SENTENCES["left kidney"]}
    assert found["opposite"] == {"left kidney": ["A photo of right kidney in which a dark bean lies."]}
    assert found["empty"] == {"left kidney": [""], "liver": [""]}


def test_only_the_asked_classes_are_exchanged_and_one_alone_takes_a_foreign_one() -> None:
    assert wordings(PROMPTS, ["liver"], foreign=FOREIGN)["wrong_class"] == {"liver": FOREIGN.sentences["boat"]}


def test_no_modality_no_wording_with_it() -> None:
    assert wordings(PROMPTS._replace(modality=None), ["liver"], foreign=FOREIGN)["modality_name"] == {}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("a bright crescent at the left rear", "a dark crescent at the right rear"),
        ("darker than the pale rim", "brighter than the dark rim"),
        ("black and white, red or green", "white and black, green or red"),
        ("a purple body", "a yellow body"),
        ("brightness, leftover and reddish", "brightness, leftover and greenish"),
        ("a round wheel", "a round wheel"),
    ],
)
def test_opposite(sentence: str, expected: str) -> None:
    assert opposite(sentence) == expected


@pytest.mark.parametrize(
    ("dataset", "number"), [("chaos_mr", 4), ("wbc", 3), ("isic2018", 4), ("chest_xray", 1), ("voc2012", 5)]
)
def test_shipped_descriptions_that_have_an_opposite(bundle_root: Path, dataset: str, number: int) -> None:
    prompts = read_prompts(bundle_root / "prompts" / f"{dataset}.json")
    found = wordings(prompts, list(prompts.sentences), foreign=FOREIGN)
    assert len(found["opposite"]) == number
    assert all(len(own) == len(prompts.sentences) for name, own in found.items() if name != "opposite")
    assert found["opposite"].get("right kidney", ["left kidney"])[0].count("left kidney") == 1


def test_a_class_without_description() -> None:
    with pytest.raises(KeyError, match="abdomen has no description of spleen"):
        wordings(PROMPTS, ["liver", "spleen"], foreign=FOREIGN)
