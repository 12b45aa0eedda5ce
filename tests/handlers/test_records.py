# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A summary names the weights by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from scripts.files.atomic import write_torch
from scripts.handlers import checkpoint_record, experiment_hash, name_of
from scripts.networks.refinement import ColourCut


def test_a_checkpoint_of_a_training(tmp_path: Path) -> None:
    path = write_torch(tmp_path / "ifa-off" / "checkpoints" / "best.pt", {"model": {}, "experiment_sha256": "ab"})
    record = checkpoint_record(path)
    assert record == {
        "file": "ifa-off/checkpoints/best.pt",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert experiment_hash(path) == "ab"


def test_weights_alone_and_none(tmp_path: Path) -> None:
    path = write_torch(tmp_path / "model.pt", {"weight": torch.zeros(1)})
    record = checkpoint_record(path)
    assert record is not None
    assert record["file"] == "model.pt"
    assert experiment_hash(path) is None
    assert (checkpoint_record(None), experiment_hash(None)) == (None, None)


def test_names_of_parts() -> None:
    assert name_of(None) == "off"
    assert name_of(ColourCut()) == "ColourCut"
