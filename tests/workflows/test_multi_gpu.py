# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Two processes, as torchrun starts them on two GPUs; here on the CPU. A hang fails by the time limit."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow

from scripts.apps.reports.curves import read_scalars
from scripts.apps.startup.errors import cause_of

Run = Callable[..., ConfigWorkflow]
EVALUATE = ("train.json", "evaluate.json", "hosts/prototype.json")


def torchrun(bundle_root: Path, run_id: str, *configs: str, **overrides: Any) -> None:
    files = "[" + ", ".join(f"'configs/{name}'" for name in configs) + "]"
    arguments = [part for key, value in overrides.items() for part in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nnodes=1", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, "-m", "monai.bundle", "run", run_id, "--config_file", files, *arguments],
        cwd=bundle_root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.slow
def test_training(bundle_root: Path, small: dict[str, Any], tmp_path: Path) -> None:
    small.update(episodes_per_epoch=8, val_episodes=5)  # an odd number: shares of the validation differ
    configs = ("train.json", "hosts/ifa.json", "multi_gpu_train.json")
    torchrun(bundle_root, "training", *configs, output_dir=tmp_path, **small)
    last = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    assert last["trainer"] == {"epoch_length": 2, "max_epochs": 2, "iteration": 4}  # 8 episodes / (2 processes x 2)
    assert len(last["random_state"]) == 2
    assert not any(key.startswith("module.") for key in last["model"])
    assert len(read_scalars(tmp_path / "tensorboard")["loss"]) == 4
    # it goes on from there
    torchrun(bundle_root, "run", *configs, output_dir=tmp_path, **{**small, "epochs": 3})
    resumed = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    assert resumed["trainer"]["iteration"] == 6


@pytest.mark.slow
def test_evaluation_equals_that_of_one_process(
    bundle_root: Path, run_workflow: Run, small: dict[str, Any], tmp_path: Path
) -> None:
    small.update(num_episodes=7)
    run_workflow(*EVALUATE, output_dir=str(tmp_path / "one"), **small)
    torchrun(bundle_root, "evaluating", *EVALUATE, "multi_gpu_evaluate.json", output_dir=tmp_path / "two", **small)
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("one", "two")]
    assert summaries[0]["episode_list_sha256"] == summaries[1]["episode_list_sha256"]
    first, second = ({name: metric["value"] for name, metric in each["metrics"].items()} for each in summaries)
    assert first == pytest.approx(second, abs=1e-12)
    tables = []
    for name in ("one", "two"):
        rows = csv.DictReader((tmp_path / name / "cases.csv").read_text().splitlines())
        tables.append(sorted(tuple(value for key, value in row.items() if key != "seconds") for row in rows))
    assert tables[0] == tables[1]
    assert (tmp_path / "two" / "episode_list.json").is_file()


def test_without_torchrun(run_workflow: Run, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(RuntimeError) as caught:
        run_workflow("train.json", "multi_gpu_train.json", **small)
    assert "torchrun --standalone" in str(cause_of(caught.value))
