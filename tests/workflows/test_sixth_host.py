# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A host of one's own: a module and an overlay somewhere else, and nothing edited here."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from scipy import ndimage

Run = Callable[..., ConfigWorkflow]

MODULE = '''
from typing import NamedTuple, Optional

import torch
from torch import Tensor, nn

from scripts.networks.hosts.base import Host, check_levels


class SixthContext(NamedTuple):
    prototypes: Tensor  # (B, 2, C), background first


class SixthHost(Host):
    """Distance to two prototypes in a learned space."""

    def __init__(self, channels: dict[str, int], level: str, width: int, guidance=None) -> None:
        super().__init__()
        self.levels = check_levels("sixth", [level], channels)
        self.level = level
        self.embed = nn.Conv2d(channels[level], width, 1)
        self.guidance = guidance({"map": width}) if guidance is not None else None

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> SixthContext:
        maps = self.embed(support_features[self.level].flatten(0, 1)).unflatten(0, support_mask.shape[:2])
        size = list(maps.shape[-2:])
        masks = [(support_mask[:, :, 0] == side).float() for side in (0, 1)]
        sides = [nn.functional.interpolate(mask, size, mode="area") for mask in masks]
        averages = [(maps * s[:, :, None]).sum((1, 3, 4)) / s.sum((1, 2, 3))[:, None].clamp_min(1e-6) for s in sides]
        prototypes = torch.stack(averages, dim=1)
        if self.guidance is not None:
            text = self.guidance.class_text(text_embedding)
            prototypes = self.guidance.fuse(prototypes.flip(1), maps, support_mask, text).flip(1)
        return SixthContext(prototypes)

    def decode(self, features: dict[str, Tensor], context: SixthContext) -> Tensor:
        maps = nn.functional.normalize(self.embed(features[self.level]), dim=1)
        prototypes = nn.functional.normalize(context.prototypes, dim=2)
        return 10 * torch.einsum("bchw,bsc->bshw", maps, prototypes)
'''
OVERLAY = {
    "host_name": "sixth",
    "host_def": {
        "_target_": "sixth_host.SixthHost",
        "channels": "$@backbone_def.channels",
        "level": "c4",
        "width": 32,
        "guidance": "@guidance_def",
    },
}


@pytest.fixture
def overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Path of the overlay, relative to ``configs/``; its module can be imported."""
    (tmp_path / "sixth_host.py").write_text(MODULE)
    (tmp_path / "sixth.json").write_text(json.dumps(OVERLAY))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield f"../{'../' * len(Path.cwd().parts)}{str(tmp_path / 'sixth.json').lstrip('/')}"
    sys.modules.pop("sixth_host", None)


@pytest.mark.parametrize("text", [[], ["text/random.json"]])
def test_training_evaluation_and_inference(
    run_workflow: Run, small: dict[str, Any], tmp_path: Path, overlay: str, text: list[str]
) -> None:
    run_workflow("train.json", overlay, *text, run_id="training", output_dir=str(tmp_path / "training"), **small)
    checkpoint = tmp_path / "training" / "checkpoints" / "best.pt"
    names = {name for name in torch.load(checkpoint, weights_only=True)["model"] if name.startswith("host.")}
    assert {"host.embed.weight", "host.embed.bias"} <= names
    assert any("guidance" in name for name in names) == bool(text)

    run_workflow(
        "train.json", "evaluate.json", overlay, *text, run_id="evaluating", checkpoint=str(checkpoint), num_episodes=4,
        output_dir=str(tmp_path / "evaluation"), **small,
    )  # fmt: skip
    summary = json.loads((tmp_path / "evaluation" / "summary.json").read_text())
    assert summary["host"] == "sixth"
    assert 0 <= summary["metrics"]["class_miou"]["value"] <= 1


def test_reference_inference(run_workflow: Run, tmp_path: Path, overlay: str) -> None:
    volumes = []
    for index in range(2):
        generator = np.random.default_rng(index)
        label = np.zeros((40, 40, 4), np.uint8)
        label[8 + 4 * index : 26 + 4 * index, 10:28] = 1
        image = ndimage.gaussian_filter(100.0 * label, (1, 1, 0)) + generator.normal(0, 5, label.shape)
        for kind, array in (("image", image.astype(np.float32)), ("label", label)):
            path = tmp_path / f"{kind}_{index}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(array, np.diag([1.0, 1.0, 5.0, 1.0])), path)
            volumes.append(str(path))
    run_workflow(
        "inference.json", "inferers/reference.json", overlay, image=volumes[2], support_images=[volumes[0]],
        support_labels=[volumes[1]], class_names=["box"], image_size=96, output_dir=str(tmp_path / "inference"),
        checkpoint=None,
    )  # fmt: skip
    found = np.asarray(nibabel.load(tmp_path / "inference" / "image_1_seg.nii.gz").dataobj)
    assert found.shape == (40, 40, 4)
    assert set(np.unique(found)) <= {0, 1}
