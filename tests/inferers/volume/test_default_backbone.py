# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The default backbone: whose weights it has, and when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from scripts.inferers.volume.default_backbone import DefaultBackbone
from scripts.networks import Segmenter
from scripts.networks.backbones import efficientnet_lite2
from scripts.networks.hosts import Matching

CPU = torch.device("cpu")
LEVELS = ("c3", "c4")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Segmenter]:
    """A file of the default network whose backbone was changed a little."""
    backbone = efficientnet_lite2()
    segmenter = Segmenter(backbone, Matching(backbone.channels, position_prior=1.0))
    with torch.no_grad():
        for parameter in segmenter.parameters():
            parameter.mul_(1.01)
    path = tmp_path_factory.mktemp("models") / "model.pt"
    torch.save(segmenter.state_dict(), path)
    return path, segmenter.eval()


def test_features_are_those_of_the_package_s_weights() -> None:
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = efficientnet_lite2().select(LEVELS)(image)
    found = DefaultBackbone(LEVELS, device=CPU).features(image)
    assert list(found) == list(expected)
    assert all(torch.equal(found[level], expected[level]) for level in LEVELS)


def test_features_are_those_of_the_model_s_file(tuned: tuple[Path, Segmenter], tmp_path: Path) -> None:
    path, segmenter = tuned
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    source = DefaultBackbone(LEVELS, device=CPU, model=path)
    with torch.inference_mode():
        expected = segmenter.backbone(image)
        found = source.features(image)
    assert torch.allclose(found["c4"], expected["c4"], atol=1e-5)
    plain = DefaultBackbone(LEVELS, device=CPU, model=tmp_path / "none.pt")
    assert not torch.allclose(found["c4"], plain.features(image)["c4"], atol=1e-3)
    assert source.fingerprint() == segmenter.backbone.fingerprint() != plain.fingerprint()


def test_the_file_of_another_network_is_left_alone(tmp_path: Path) -> None:
    backbone = efficientnet_lite2()
    other = Segmenter(backbone, Matching(backbone.channels, position_prior=0.0, levels=["c4"]))
    torch.save(other.state_dict(), tmp_path / "other.pt")
    source = DefaultBackbone(LEVELS, device=CPU, model=tmp_path / "other.pt")
    assert source.fingerprint() == efficientnet_lite2().select(LEVELS).fingerprint()
    (tmp_path / "bad.pt").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"bad\.pt can't be read as the default network"):
        DefaultBackbone(LEVELS, device=CPU, model=tmp_path / "bad.pt").fingerprint()


def test_a_noted_fingerprint_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = DefaultBackbone(LEVELS, device=CPU, notes=tmp_path).fingerprint()
    (note,) = tmp_path.glob("backbone_*.json")
    assert json.loads(note.read_text()) == {"fingerprint": first}

    def refuse() -> None:
        raise AssertionError("the network was loaded")

    with monkeypatch.context() as patch:
        patch.setattr("scripts.networks.backbones.efficientnet_lite2", refuse)
        assert DefaultBackbone(LEVELS, device=CPU, notes=tmp_path).fingerprint() == first
    note.write_text("{")
    assert DefaultBackbone(LEVELS, device=CPU, notes=tmp_path).fingerprint() == first
    assert json.loads(note.read_text()) == {"fingerprint": first}, "a damaged note is written again"


def test_notes_differ_by_the_weights(tuned: tuple[Path, Segmenter], tmp_path: Path) -> None:
    names = set()
    for model in (None, tuned[0]):
        DefaultBackbone(LEVELS, device=CPU, notes=tmp_path, model=model).fingerprint()
        names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 2
