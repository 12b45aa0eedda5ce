# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser
from torch import Tensor

from scripts.text import Prompts, RandomVectors, constant_text, name_only, read_prompts, shuffle_classes

PROMPTS = Prompts("pets", {"dog": ["wags", "barks"], "cat": ["purrs"], "cow": ["moos"]}, "lawn")


class Toy:
    name = "toy"
    dim = 64
    fingerprint = "f"

    def encode(self, sentences: Sequence[str]) -> Tensor:
        return torch.stack([3 + len(text) * torch.linspace(-1, 1, self.dim) for text in sentences])


def test_constant_text_and_name_only() -> None:
    assert constant_text(PROMPTS, "A thing.").sentences == {
        "dog": ["A thing."],
        "cat": ["A thing."],
        "cow": ["A thing."],
    }
    assert constant_text(PROMPTS).background == "lawn"
    assert name_only(PROMPTS).sentences["cat"] == ["A photo of cat."]
    assert name_only(PROMPTS).background == "A photo of background."


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_classes_all_get_another_s_text(bundle_root: Path, seed: int) -> None:
    for prompts in (PROMPTS, read_prompts(bundle_root / "prompts" / "voc2012.json")):
        found = shuffle_classes(prompts, seed)
        assert list(found.sentences) == list(prompts.sentences)
        assert all(found.sentences[name] != own for name, own in prompts.sentences.items())
        assert sorted(found.sentences.values()) == sorted(prompts.sentences.values())
        assert found == shuffle_classes(prompts, seed)
    assert len({str(shuffle_classes(prompts, other)) for other in range(5)}) == 5


def test_one_class_has_none_to_exchange_with() -> None:
    with pytest.raises(ValueError, match="chest_xray describes one class, lung"):
        shuffle_classes(Prompts("chest_xray", {"lung": ["dark"]}, "bright"))


def test_random_vectors_keep_the_statistics_alone() -> None:
    sentences = ["bean", "wedge", "a dark crescent"]
    true, found = Toy().encode(sentences), RandomVectors(Toy()).encode(sentences)
    torch.testing.assert_close(found.mean(1), true.mean(1))
    torch.testing.assert_close(found.std(1), true.std(1))
    torch.testing.assert_close(found.norm(dim=1), true.norm(dim=1))
    centred = torch.nn.functional.normalize(torch.cat([found, true]) - 3, dim=1)
    assert (centred[:3] @ centred.T - torch.eye(3, 6)).abs().max() < 0.5
    assert torch.equal(RandomVectors(Toy()).encode(sentences[1:2])[0], found[1])
    assert not torch.allclose(RandomVectors(Toy(), seed=1).encode(sentences), found)


@pytest.mark.parametrize("name", ["constant", "shuffled", "random", "name_only", "minilm"])
def test_overlays_give_different_tables(bundle_root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the encoder replaced by a toy, each overlay builds its table and guidance."""
    monkeypatch.setattr("scripts.text.MiniLMEncoder", Toy)
    parser = ConfigParser()
    parser.read_config(
        [str(bundle_root / "configs" / "train.json"), str(bundle_root / "configs/text" / f"{name}.json")]
    )
    parser["bundle_root"], parser["text_table#cache_file"] = str(bundle_root), None
    table = parser.get_parsed_content("text_table")
    true = {key: Toy().encode(own) for key, own in read_prompts(table.source).sentences.items()}
    assert table.sentences.keys() == true.keys()
    are_true = [torch.equal(table[key], own) for key, own in true.items()]
    assert (name == "minilm") == all(are_true)
    guidance = parser.get_parsed_content("guidance_def")({"c4": 16})
    assert guidance.text_dim == Toy.dim
    assert torch.equal(guidance.background_embedding, table.background)
    assert parser["text_name"] == name
