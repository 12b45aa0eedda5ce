# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""BiomedCLIPSeg from files: the names of open_clip, medvlsm's checkpoints, and what is another network's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from open_clip.timm_model import TimmModel
from safetensors.torch import load_file, save_file

from scripts.networks.language.biomedclipseg.load import load_biomedclipseg


def test_open_clip_layout(biomedclip_folder: Path) -> None:
    given = load_file(biomedclip_folder / "open_clip_model.safetensors")
    network = load_biomedclipseg(biomedclip_folder)
    assert network.text_dim == 32
    for name, value in network.image.trunk.state_dict().items():
        assert torch.equal(value, given[f"visual.trunk.{name}"])


def test_names_of_open_clip_itself(tmp_path: Path) -> None:
    image_tower = TimmModel("vit_tiny_patch16_224", embed_dim=32, image_size=64, pool="", proj="linear")
    state = {f"visual.{name}": value for name, value in image_tower.state_dict().items()}
    save_file(state, tmp_path / "open_clip_model.safetensors")
    network = load_biomedclipseg(tmp_path)
    assert network.text_dim == 32
    assert network.image.trunk.embed_dim == 192
    assert network.image.trunk.blocks[0].attn.num_heads == 3


def test_medvlsm_checkpoint(biomedclip_folder: Path, tmp_path: Path) -> None:
    state = {name: value + 0.5 for name, value in load_biomedclipseg(biomedclip_folder).state_dict().items()}
    named = {"net." + name.replace("image.trunk.", "biomedclip.visual.trunk."): value for name, value in state.items()}
    more = {
        "net.biomedclip.text.proj.0.weight": torch.zeros(2),
        "net.biomedclip.visual.head.proj.weight": torch.zeros(2),
    }
    torch.save({"state_dict": {**named, **more, "net.biomedclip.logit_scale": torch.ones(())}}, tmp_path / "a.ckpt")
    loaded = load_biomedclipseg(biomedclip_folder, checkpoint=tmp_path / "a.ckpt").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_another_decoder(biomedclip_folder: Path, clipseg_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"is for activations of 48 and conditions of 32, .* has 64 and 32"):
        load_biomedclipseg(biomedclip_folder, decoder_of=clipseg_folder)


def test_another_state(tmp_path: Path) -> None:
    save_file({"visual.conv1.weight": torch.zeros(2)}, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(ValueError, match=r"lacks visual\.trunk\.pos_embed, visual\.trunk\.cls_token"):
        load_biomedclipseg(tmp_path)
