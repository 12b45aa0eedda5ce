# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The keys of the text overlays reach the guidance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from scripts.networks import SemanticGuidance
from scripts.text import PrecomputedEncoder, read_prompts, save_embeddings

OVERLAYS = (
    "biomedclip", "constant", "minilm", "name_only", "open_clip", "precomputed", "random", "shuffled", "transformers",
)  # fmt: skip


def guidance(bundle_root: Path, tmp_path: Path, **values: Any) -> SemanticGuidance:
    prompts = read_prompts(bundle_root / "prompts" / "wbc.json")
    sentences = [own[0] for own in prompts.sentences.values()] + [prompts.background]
    vectors = type("Encoder", (), {"name": "toy", "encode": staticmethod(_lengths)})()
    save_embeddings(tmp_path / "e.safetensors", sentences, vectors)
    parser = ConfigParser()
    configs = bundle_root / "configs"
    parser.read_config([str(configs / name) for name in ("train.json", "text/precomputed.json", "data/wbc.json")])
    parser.update({"bundle_root": str(bundle_root), "embeddings_file": str(tmp_path / "e.safetensors"), **values})
    parser.parse()
    return parser.get_parsed_content("guidance_def")({"map": 8})


def _lengths(sentences: list[str]) -> Any:
    return torch.tensor([[float(len(sentence)), 1.0, 2.0] for sentence in sentences])


def test_defaults(bundle_root: Path, tmp_path: Path) -> None:
    made = guidance(bundle_root, tmp_path)
    assert (made.alpha, made.alpha_logit, made.rescale, made.use_guided_features) == (0.3, None, False, False)
    assert made.style is None


def test_other_values(bundle_root: Path, tmp_path: Path) -> None:
    made = guidance(
        bundle_root, tmp_path, alpha=0.4, learn_alpha=True, rescale_text=True, use_guided_features=True,
        style_strength=0.25, seed=3,
    )  # fmt: skip
    assert made.text_share(made.background_embedding).item() == pytest.approx(0.4)
    assert made.alpha_logit is not None
    assert made.rescale
    assert made.use_guided_features
    assert (made.style.strength, made.style.seed) == (0.25, 3)


@pytest.mark.parametrize("base", ["train.json", "inference.json"])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_overlays_take_the_same_keys(bundle_root: Path, overlay: str, base: str) -> None:
    configs = bundle_root / "configs"
    default = ConfigParser.load_config_file(str(configs / base))["guidance_def"]
    merged = ConfigParser.load_config_files([str(configs / base), str(configs / "text" / f"{overlay}.json")])
    assert merged["guidance_def"] == default
    assert merged["text_table"]["_target_"] == "scripts.text.embedding_table"


def test_no_overlay_is_left_out(bundle_root: Path) -> None:
    assert {path.stem for path in (bundle_root / "configs" / "text").glob("*.json")} == {*OVERLAYS, "off"}


def test_a_precomputed_table_of_another_width_is_refused(bundle_root: Path, tmp_path: Path) -> None:
    made = guidance(bundle_root, tmp_path)
    with pytest.raises(ValueError, match=r"text_embedding must be \(B, T, 3\).*got \[1, 1, 4\]"):
        made.class_text(torch.zeros(1, 1, 4))
    (tmp_path / "e.safetensors").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"e\.safetensors is not a readable safetensors file"):
        PrecomputedEncoder(tmp_path / "e.safetensors").encode(["a"])
