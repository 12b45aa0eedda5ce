# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIPSeg's hub layout: what `transformers` saves gives the same logits here; other files are told apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPSegForImageSegmentation

from scripts.networks.language.base import Normalise
from scripts.networks.language.clip_tokens import ClipTokens
from scripts.networks.language.clipseg.load import load_adapted_clipseg, load_clipseg
from scripts.networks.language.clipseg.network import CLIPSeg

SENTENCES = ["a photo of a polyp", "one large round polyp in the lower left"]


def as_their_input(network: CLIPSeg) -> CLIPSeg:
    """Take images as the library does, already normalised."""
    network.normalise = Normalise((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return network.eval()


@torch.no_grad()
def our_logits(network: CLIPSeg, pixels: Tensor, ids: Tensor) -> Tensor:
    vectors = network.encode_token_ids(ids)[:, None]
    return network.decode(
        network.encode_image(pixels), network.encode_text(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool))
    )


@pytest.mark.parametrize("size", [352, 224, 64])
def test_parity_with_the_library(their_clipseg: CLIPSegForImageSegmentation, clipseg_folder: Path, size: int) -> None:
    ours = as_their_input(load_clipseg(clipseg_folder))
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    ids = ClipTokens().token_ids(SENTENCES)
    with torch.no_grad():
        theirs = their_clipseg(input_ids=ids, pixel_values=pixels).logits
    torch.testing.assert_close(our_logits(ours, pixels, ids)[:, 0], theirs, rtol=1e-5, atol=1e-5)


def test_an_image_that_is_no_square(their_clipseg: CLIPSegForImageSegmentation, clipseg_folder: Path) -> None:
    ours = as_their_input(load_clipseg(clipseg_folder))
    pixels, ids = torch.randn(2, 3, 96, 160), ClipTokens().token_ids(SENTENCES)
    with pytest.raises(RuntimeError), torch.no_grad():
        their_clipseg(input_ids=ids, pixel_values=pixels)
    logits = our_logits(ours, pixels, ids)
    assert logits.shape == (2, 1, 96, 160)
    assert logits.std() > 0


def test_unfreezing_really_unfreezes(their_clipseg: CLIPSegForImageSegmentation, clipseg_folder: Path) -> None:
    ids, pixels = ClipTokens().token_ids(SENTENCES), torch.rand(2, 3, 64, 64)
    their_clipseg.requires_grad_(True)(input_ids=ids, pixel_values=pixels).logits.mean().backward()
    assert all(parameter.grad is None for parameter in their_clipseg.clip.parameters())
    their_clipseg.zero_grad()

    for trains in (True, False):
        ours = load_clipseg(clipseg_folder, train_encoders=trains, reads_token_ids=True)
        mask = torch.ones(2, 1, dtype=torch.bool)
        logits = ours.decode(ours.encode_image(pixels), ours.encode_text(ids[:, None].float(), mask))
        logits.square().mean().backward()
        for part in (ours.clip.text_model.encoder.layers[0], ours.clip.vision_model.encoder.layers[0]):
            learned = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in part.parameters()]
            assert all(learned) if trains else not any(learned)
        assert all(parameter.grad is not None for parameter in ours.decoder.parameters())


def test_old_hub_states_hold_more(clipseg_folder: Path, tmp_path: Path) -> None:
    """Older checkpoints carry their position indices as buffers."""
    state = load_clipseg(clipseg_folder).state_dict()
    extra = {
        "clip.logit_scale": torch.ones(()),
        "clip.text_model.embeddings.position_ids": torch.arange(77)[None],
        "clip.vision_model.embeddings.position_ids": torch.arange(17)[None],
    }
    shutil.copy(clipseg_folder / "config.json", tmp_path / "config.json")
    torch.save({**state, **extra}, tmp_path / "pytorch_model.bin")
    loaded = load_clipseg(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def lightning(state: dict[str, Tensor], **more: Any) -> dict[str, Any]:
    return {"state_dict": state, "epoch": 3, "global_step": 12, "hyper_parameters": {"threshold": 0.5}, **more}


def test_medvlsm_checkpoint(clipseg_folder: Path, tmp_path: Path) -> None:
    trained = {name: value + 0.5 for name, value in load_clipseg(clipseg_folder).state_dict().items()}
    named = {f"net.clipseg.{name}": value for name, value in trained.items()}
    named["net.clipseg.clip.logit_scale"] = torch.ones(())
    torch.save(lightning(named), tmp_path / "best.ckpt")
    loaded = load_clipseg(clipseg_folder, checkpoint=tmp_path / "best.ckpt").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in trained.items())


@pytest.mark.parametrize("kind", ["dense", "shallow"])
def test_adapter_checkpoint(clipseg_folder: Path, tmp_path: Path, kind: Any) -> None:
    network = load_adapted_clipseg(clipseg_folder, kind=kind, hidden=8, released=True)
    trained = {name: value + 0.5 for name, value in network.state_dict().items()}
    named: dict[str, Tensor] = {}
    for name, value in trained.items():
        is_adapter = name.startswith("adapters.")
        named["net." + (name.removeprefix("adapters.") if is_adapter else f"clipseg.{name}")] = value
        if name.startswith("clip.") and kind == "shallow":
            named[f"net.{name}"] = value  # the released module holds the encoders twice
    torch.save(lightning(named), tmp_path / "last.ckpt")
    again = load_adapted_clipseg(
        clipseg_folder, kind=kind, hidden=8, released=True, checkpoint=tmp_path / "last.ckpt"
    ).state_dict()
    assert all(torch.equal(again[name], value) for name, value in trained.items())


def test_a_checkpoint_with_code_is_not_loaded(clipseg_folder: Path, tmp_path: Path) -> None:
    torch.save(lightning({}, loss_fn=nn.Linear(1, 1)), tmp_path / "best.ckpt")
    with pytest.raises(ValueError, match=r"best\.ckpt.*more than tensors.*Save its state dict alone"):
        load_clipseg(clipseg_folder, checkpoint=tmp_path / "best.ckpt")


def test_another_networks_state_is_named(clipseg_folder: Path, tmp_path: Path) -> None:
    save_file({"neck.aggr.0.weight": torch.zeros(2, 2)}, tmp_path / "cris.safetensors")
    with pytest.raises(ValueError, match=r"cris\.safetensors is not of this network: it lacks \d+ .*neck\.aggr"):
        load_clipseg(clipseg_folder, checkpoint=tmp_path / "cris.safetensors")


def test_another_shape_is_named(clipseg_folder: Path, tmp_path: Path) -> None:
    state = load_clipseg(clipseg_folder).state_dict()
    state["decoder.film_mul.weight"] = torch.zeros(3, 3)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x\.pt: decoder\.film_mul\.weight has shape \(3, 3\)"):
        load_clipseg(clipseg_folder, checkpoint=tmp_path / "x.pt")


def test_no_weights(clipseg_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent with CLIPSeg"):
        load_clipseg(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        load_clipseg(tmp_path)
    shutil.copy(clipseg_folder / "config.json", tmp_path / "config.json")
    with pytest.raises(FileNotFoundError, match=r"holds no weights; looked for: model\.safetensors"):
        load_clipseg(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_clipseg(tmp_path)


def test_a_name_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="hf download CIDAS/absent-model --local-dir FOLDER"):
        load_clipseg("CIDAS/absent-model")


def test_another_kind_of_model(clipseg_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"config\.json is of a model of type 'bert', expected 'clipseg'"):
        load_clipseg(tmp_path)
