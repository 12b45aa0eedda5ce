# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from scripts.text import OpenClipEncoder

open_clip = pytest.importorskip("open_clip")

SENTENCES = ["A photo of liver in which a dark wedge fills the image.", "Spleen."]
ARCHITECTURE = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, torch.nn.Module]:
    """Name, weight file and network of a CLIP that is small enough for a test."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-test-clip.json").write_text(json.dumps(ARCHITECTURE))
    open_clip.add_model_config(folder / "tiny-test-clip.json")
    torch.manual_seed(0)
    network = open_clip.create_model("tiny-test-clip").eval()
    save_file({key: value.clone() for key, value in network.state_dict().items()}, folder / "tiny.safetensors")
    return "tiny-test-clip", str(folder / "tiny.safetensors"), network


@pytest.mark.parametrize("normalize", [False, True])
def test_embeddings_are_the_text_tower_s(tiny: tuple[str, str, torch.nn.Module], normalize: bool) -> None:
    model, weights, network = tiny
    encoder = OpenClipEncoder(model, weights, normalize)
    assert encoder.dim == 16
    with torch.no_grad():
        expected = network.encode_text(open_clip.get_tokenizer(model)(SENTENCES), normalize=normalize)
    torch.testing.assert_close(encoder.encode(SENTENCES), expected)
    assert len(encoder.fingerprint) == 64


def test_another_architecture_refuses_the_weights(tiny: tuple[str, str, torch.nn.Module], tmp_path: Path) -> None:
    _, weights, _ = tiny
    other = {**ARCHITECTURE, "embed_dim": 8}
    (tmp_path / "narrow-test-clip.json").write_text(json.dumps(other))
    open_clip.add_model_config(tmp_path / "narrow-test-clip.json")
    with pytest.raises(ValueError, match=r"tiny\.safetensors don't fit the text encoder narrow-test-clip"):
        OpenClipEncoder("narrow-test-clip", weights).encode(SENTENCES)


def test_missing_file_and_unknown_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights .*clip\.pt of the text encoder ViT-B-32"):
        OpenClipEncoder("ViT-B-32", str(tmp_path / "clip.pt"))
    with pytest.raises(ValueError, match="open_clip has no model 'ViT-Z'"):
        _ = OpenClipEncoder("ViT-Z").dim
