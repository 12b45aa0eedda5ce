# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The bundle's own weights are taken where they fit, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scripts.apps.startup.model_file import write_model
from scripts.handlers import load_weights, shipped_checkpoint
from scripts.networks import Segmenter
from scripts.networks.hosts import Matching, Prototype


class ToyBackbone(nn.Module):
    def __init__(self, name: str = "toy") -> None:
        super().__init__()
        self.name = name
        self.weight = nn.Parameter(torch.rand(4), requires_grad=False)

    def select(self, levels: tuple[str, ...]) -> ToyBackbone:
        return self

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"c4": image}


def network(host: type = Prototype, backbone: str = "toy") -> Segmenter:
    return Segmenter(ToyBackbone(backbone), host(channels={"c4": 3}, levels=("c4",)))


def test_weights_of_this_network(tmp_path: Path) -> None:
    first, second = network(), network()
    path = write_model(first, tmp_path / "model.pt")
    found = shipped_checkpoint(path, second)
    assert found == str(path)
    load_weights(second, found)
    assert torch.equal(second.backbone.weight, first.backbone.weight.half().float())


@pytest.mark.parametrize("other", [(Matching, "toy"), (Prototype, "resnet50")])
def test_weights_of_another_network(tmp_path: Path, other: tuple[type, str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = write_model(network(), tmp_path / "model.pt")
    assert shipped_checkpoint(path, network(*other)) is None
    assert "model.pt is of host Prototype, backbone toy" in caplog.text


def test_no_file(tmp_path: Path) -> None:
    assert shipped_checkpoint(tmp_path / "model.pt", network()) is None


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = write_model(network(), tmp_path / "model.pt")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"model\.pt can't be read as a checkpoint"):
        shipped_checkpoint(path, network())
