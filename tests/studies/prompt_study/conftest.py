# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A host with a toy text encoder, and a small data set of volumes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from scripts.apps.startup.assembly import evaluation_files

TOY = """
import hashlib
import torch

class Encoder:
    name, fingerprint, dim = "toy", "1", 6

    def encode(self, sentences):
        digests = [hashlib.sha256(each.encode()).digest() for each in sentences]
        return torch.tensor([[byte / 64 - 2 for byte in digest[:6]] for digest in digests])
"""
SMALL = {"image_size": 64, "alpha": 0.9, "num_resamples": 50}


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CHAOS with three volumes that show a liver and a spleen."""
    root = tmp_path_factory.mktemp("data")
    (root / "CHAOS").mkdir()
    x, y, z = np.meshgrid(np.arange(40), np.arange(36), np.arange(9), indexing="ij")
    for case, shift in ((1, 0), (2, 1), (3, -1)):
        label = np.zeros(x.shape, np.uint8)
        label[((x - 13) / 8) ** 2 + ((y - 18 - shift) / 9) ** 2 + ((z - 4) / 4.5) ** 2 < 1] = 1
        label[((x - 29) / 6) ** 2 + ((y - 16 - shift) / 7) ** 2 + ((z - 4) / 3.5) ** 2 < 1] = 4
        image = (300 + 250 * (label == 1) + 600 * (label == 4) + 5 * shift * z).astype(np.int16)
        for name, values in (("image", image), ("label", label)):
            affine = np.diag([-1.25, 1.25, 7.7, 1.0])
            nibabel.save(nibabel.Nifti1Image(values, affine), root / "CHAOS" / f"{name}_{case}.nii.gz")
    return root


@pytest.fixture
def arguments(data_root: Path, bundle_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A host with text and one without, with their weights."""
    (tmp_path / "toy_encoder.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    overlay = ConfigParser.load_config_file(str(bundle_root / "configs" / "text" / "minilm.json"))
    overlay["text_name"] = "toy"
    overlay["text_table"] = {
        **overlay["text_table"],
        "encoder": {"_target_": "toy_encoder.Encoder"},
        "cache_file": None,
    }
    (tmp_path / "toy.json").write_text(json.dumps(overlay))
    for text, name in ((str(tmp_path / "toy.json"), "toy"), ("off", "off")):
        parser = ConfigParser()
        parser.read_config(evaluation_files("prototype", "chaos_mr", text=text))
        parser.update({"bundle_root": str(bundle_root), "seed": 0})
        parser.parse()
        torch.manual_seed(0)
        network = parser.get_parsed_content("network_def")
        torch.save({"model": network.state_dict()}, tmp_path / f"prototype-{name}.pt")
    return {
        "output_dir": tmp_path / "out",
        "data_root": data_root,
        "host": "prototype",
        "text": str(tmp_path / "toy.json"),
        "checkpoint": str(tmp_path / "{host}-{text}.pt"),
        "targets": ["CHAOS"],
        "feature_cache_dir": str(tmp_path / "features"),
        **SMALL,
    }
