# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Training recipes and the adaptation to the target, as workflows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow
from PIL import Image

from scripts.apps.reports.curves import read_scalars
from scripts.apps.reports.training_curves import draw_training, main
from scripts.networks.backbones import efficientnet_lite2

Run = Callable[..., ConfigWorkflow]


def model(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.pt", weights_only=True)["model"]


def test_cpu_recipe(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    """Losses and mIoU from before the first step on, as numbers and as a picture; what is frozen is as it came."""
    run_workflow(
        "train.json", "hosts/ifa.json", "recipes/cpu.json", run_id="training", output_dir=str(tmp_path), **small
    )
    scalars = read_scalars(tmp_path)
    assert [step for step, _ in scalars["val_loss"]] == [0, 1, 2]
    assert [step for step, _ in scalars["class_miou"]] == [0, 1, 2]
    assert len(scalars["train_loss"]) == 2
    assert all(value > 0 for _, value in scalars["val_loss"])
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] > picture.size[1] > 300

    found = model(tmp_path)
    for name, value in efficientnet_lite2().select(("c4", "c5")).state_dict().items():
        assert torch.equal(found[f"backbone.{name}"], value), name


@pytest.mark.parametrize(
    ("host", "kind", "rates"),
    [
        ("ifa", torch.optim.SGD, [0.01]),
        ("patnet", torch.optim.Adam, [0.01]),
        ("dmtnet", torch.optim.Adam, [0.01]),
        ("pmms", torch.optim.SGD, [0.1, 0.2]),
        ("qnet", torch.optim.SGD, [0.01]),
    ],
)
def test_published_recipes(
    run_workflow: Run, small: dict[str, Any], tmp_path: Path, host: str, kind: type, rates: list[float]
) -> None:
    """The optimizer that the authors had trains the host, at the published multiples of a rate."""
    options = {**small, "epochs": 1, "batch_size": 2, "episodes_per_epoch": 4, "image_size": 64, "learning_rate": 0.01}
    workflow = run_workflow(
        "train.json", f"hosts/{host}.json", f"recipes/{host}_published.json",
        run_id="training", output_dir=str(tmp_path), **options,
    )  # fmt: skip
    optimizer = workflow.parser.get_parsed_content("optimizer")
    assert type(optimizer) is kind
    assert [group["initial_lr"] for group in optimizer.param_groups] == pytest.approx(rates)
    found, fresh = model(tmp_path), workflow.parser.get_parsed_content("network", instantiate=True).state_dict()
    assert found.keys() == fresh.keys()
    assert all(torch.isfinite(value).all() for value in found.values() if value.is_floating_point())


def test_trained_backbone(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    """Later stages learn, earlier ones stay; the checkpoint is evaluated with the same overlay."""
    configs = ("hosts/ifa.json", "recipes/train_backbone.json")
    options = {"host_levels": ["c3"], "neck_channels": None}
    small = {**small, "epochs": 1, "learning_rate": 0.01}
    run_workflow("train.json", *configs, run_id="training", output_dir=str(tmp_path / "training"), **small, **options)
    found = model(tmp_path / "training")
    original = efficientnet_lite2().select(("c3",)).state_dict()
    first = efficientnet_lite2().select(("c2",)).state_dict().keys()
    changed = {name for name, value in original.items() if not torch.equal(found[f"backbone.backbone.{name}"], value)}
    assert changed
    assert changed.isdisjoint(first)
    checkpoint = str(tmp_path / "training" / "checkpoints" / "last.pt")
    workflow = run_workflow(
        "train.json", "evaluate.json", *configs, run_id="evaluating", output_dir=str(tmp_path / "evaluation"),
        checkpoint=checkpoint, num_episodes=3, **small, **options,
    )  # fmt: skip
    network = workflow.parser.get_parsed_content("network")
    name = next(iter(changed))
    assert torch.equal(network.backbone.backbone.state_dict()[name], found[f"backbone.backbone.{name}"])
    assert (tmp_path / "evaluation" / "cases.csv").is_file()


def test_adaptation_in_evaluation(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    """On or off by one value; on, the answers are others, and each episode's are those that it gets alone."""

    def evaluate(name: str, **options: Any) -> list[tuple[str, ...]]:
        run_workflow(
            "train.json", "evaluate.json", "hosts/ifa.json", "adaptation/ifa.json", run_id="evaluating", seed=3,
            adaptation_rate=0.05, output_dir=str(tmp_path / name), **small, **options,
        )  # fmt: skip
        with (tmp_path / name / "cases.csv").open(newline="") as file:
            return [(row["case_id"], row["support_ids"], row["intersection"]) for row in csv.DictReader(file)]

    on, off = evaluate("on", adaptation_steps=3, num_episodes=4), evaluate("off", adaptation_steps=0, num_episodes=4)
    assert [row[:2] for row in on] == [row[:2] for row in off]
    assert on != off
    again = evaluate("again", adaptation_steps=3, num_episodes=4)
    assert on == again


def test_no_curves_without_validation(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as log:
        log.add_scalar("train_loss", 1.0, 1)
    with pytest.raises(ValueError, match="has no val_loss, class_miou"):
        draw_training(tmp_path)


def test_curves_of_several_trainings(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for name in ("off", "text", "other/text"):
        with SummaryWriter(tmp_path / name) as log:
            for epoch in range(3):
                for tag in ("train_loss", "val_loss", "class_miou"):
                    log.add_scalar(tag, 1.0 / (epoch + 1), epoch)
    folders = [str(tmp_path / name) for name in ("off", "text", "other/text")]
    assert main(folders[:2]) == tmp_path / "off" / "curves.png"
    with Image.open(main([*folders[:2], "--png", str(tmp_path / "both.png")])) as picture:
        assert picture.size[0] > picture.size[1] > 300
    with pytest.raises(ValueError, match="two trainings have one name"):
        main(folders[1:])
