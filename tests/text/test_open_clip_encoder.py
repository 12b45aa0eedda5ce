# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.text import OpenClipEncoder

open_clip = pytest.importorskip("open_clip")

SENTENCES = ["A photo of liver in which a dark wedge fills the image.", "Spleen."]


@pytest.mark.parametrize("normalize", [False, True])
def test_embeddings_are_the_text_tower_s(tiny: tuple[str, str, torch.nn.Module], normalize: bool) -> None:
    model, weights, network = tiny
    encoder = OpenClipEncoder(model, weights, normalize)
    assert encoder.dim == 16
    with torch.no_grad():
        expected = network.encode_text(open_clip.get_tokenizer(model)(SENTENCES), normalize=normalize)
    torch.testing.assert_close(encoder.encode(SENTENCES), expected)
    assert len(encoder.fingerprint) == 64


def test_a_sentence_that_would_be_cut_is_refused(tiny: tuple[str, str, torch.nn.Module]) -> None:
    encoder = OpenClipEncoder(*tiny[:2])
    assert encoder.count_tokens("a bean") == 4
    assert encoder.encode(["bean " * 75]).shape == (1, 16)
    with pytest.raises(ValueError, match="has 78 tokens, the text encoder open_clip tiny-test-clip takes 77: 'bean"):
        encoder.encode(["a bean", "bean " * 76])


def test_another_architecture_refuses_the_weights(
    tiny: tuple[str, str, torch.nn.Module], architecture: dict[str, Any], tmp_path: Path
) -> None:
    _, weights, _ = tiny
    other = {**architecture, "embed_dim": 8}
    (tmp_path / "narrow-test-clip.json").write_text(json.dumps(other))
    open_clip.add_model_config(tmp_path / "narrow-test-clip.json")
    with pytest.raises(ValueError, match=r"tiny\.safetensors don't fit the text encoder narrow-test-clip"):
        OpenClipEncoder("narrow-test-clip", weights).encode(SENTENCES)


def test_missing_file_and_unknown_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights .*clip\.pt of the text encoder ViT-B-32"):
        OpenClipEncoder("ViT-B-32", str(tmp_path / "clip.pt"))
    with pytest.raises(ValueError, match="open_clip has no model 'ViT-Z'"):
        _ = OpenClipEncoder("ViT-Z").dim
