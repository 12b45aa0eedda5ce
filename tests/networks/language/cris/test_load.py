# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CRIS' names: its own state, medvlsm's checkpoints, and CLIP's ResNet alone."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from scripts.networks.language.clip_tokens import ClipTokens
from scripts.networks.language.cris.load import load_cris
from scripts.networks.language.cris.network import CRIS

from ..conftest import randomise


@pytest.mark.parametrize("prefix", ["", "module.", "net."])
def test_published_names(small_cris: CRIS, tmp_path: Path, prefix: str) -> None:
    state = {name: value + 0.5 for name, value in small_cris.state_dict().items() if "num_batches" not in name}
    named = {prefix + name: value for name, value in {**state, "backbone.logit_scale": torch.ones(())}.items()}
    torch.save({"state_dict": named, "epoch": 1}, tmp_path / "best.pth")
    loaded = load_cris(tmp_path / "best.pth", num_heads=4).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


@torch.no_grad()
def test_clip_alone(tmp_path: Path) -> None:
    """A state that open_clip itself names: the encoders give what its own do."""
    vision = open_clip.CLIPVisionCfg(layers=(1, 2, 1, 1), width=16, image_size=96)
    text = open_clip.CLIPTextCfg(width=512, heads=8, layers=2)
    theirs = open_clip.CLIP(32, vision, text, quick_gelu=True)
    randomise(theirs)
    theirs.eval()
    state = {name: value.contiguous() for name, value in theirs.state_dict().items()}
    save_file(state, tmp_path / "open_clip_model.safetensors")
    ours = load_cris(tmp_path).eval()
    ids = ClipTokens().token_ids(["a polyp", "two large lesions in the left half"])
    expected = theirs.encode_text(ids)
    found = ours.backbone.sentence(ours.backbone.words(ids))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    image = torch.rand(1, 3, 96, 96)
    x = theirs.visual.stem(ours.normalise(image))
    stride16 = theirs.visual.layer3(theirs.visual.layer2(theirs.visual.layer1(x)))
    torch.testing.assert_close(ours.encode_image(image)["stride16"], stride16)


def test_words_of_another_width(small_cris: CRIS, tmp_path: Path) -> None:
    """CLIP alone doesn't tell the neck's widths: the published ones are taken, which must fit."""
    state = {name: value for name, value in small_cris.backbone.state_dict().items() if "connect" not in name}
    save_file(state, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(ValueError, match="second width 512 must be that of the words, 32"):
        load_cris(tmp_path)


def test_another_state(tmp_path: Path) -> None:
    save_file({"decoder.film_mul.weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"x\.safetensors is no state of CRIS.*lacks backbone\.visual\.conv3\.weight"):
        load_cris(tmp_path / "x.safetensors")
