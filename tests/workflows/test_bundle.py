# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What MONAI's own tools ask of a bundle: properties, metadata, shapes, export, start from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

Make = Callable[..., ConfigWorkflow]


def test_properties_of_training(make_workflow: Make, small: dict[str, Any], tmp_path: Path) -> None:
    overrides = {
        "output_dir": str(tmp_path),
        "train#trainer#max_epochs": 1,
        "train#dataset#cache_rate": 0.0,
        "train#dataloader#num_workers": 0,
    }
    workflow = make_workflow("train.json", workflow_type="train", **small, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []
    workflow.run()
    assert (tmp_path / "checkpoints" / "last.pt").is_file()


def test_properties_of_evaluation(make_workflow: Make, small: dict[str, Any], tmp_path: Path) -> None:
    overrides = {"output_dir": str(tmp_path), "num_episodes": 2, "validate#dataset#cache_rate": 0.0}
    workflow = make_workflow("train.json", "evaluate.json", workflow_type="train", **small, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []
    workflow.run()
    assert (tmp_path / "summary.json").is_file()


@pytest.mark.parametrize("overlay", [[], ["inferers/propagation.json"], ["inferers/reference.json"]])
def test_properties_of_inference_without_an_image(
    make_workflow: Make, small_volume: Callable[..., dict[str, Path]], tmp_path: Path, overlay: list[str]
) -> None:
    supports = {}
    if "inferers/reference.json" in overlay:
        files = small_volume()
        supports = {"support_images": str(files["image"]), "support_labels": str(files["label"]), "image_size": 96}
    workflow = make_workflow(
        "inference.json", *overlay, workflow_type="inference", output_dir=str(tmp_path / "out"), **supports
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    assert not (tmp_path / "out").exists()


def test_metadata_in_the_zoo_form(bundle_root: Path) -> None:
    metadata = ConfigParser.load_config_file(bundle_root / "configs" / "metadata.json")
    assert metadata["version"] in metadata["changelog"]
    assert list(metadata["network_data_format"]["inputs"]) == ["image"]
    assert list(metadata["network_data_format"]["outputs"]) == ["pred"]
    assert all("+" not in metadata[key] for key in ("monai_version", "pytorch_version", "numpy_version"))


def run_monai(bundle_root: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "monai.bundle", *arguments],
        cwd=cwd or bundle_root,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_metadata_follows_the_schema(bundle_root: Path) -> None:
    files = ("--meta_file", "configs/metadata.json", "--filepath", "configs/metadata_schema.json")
    assert "metadata is verified with no error" in run_monai(bundle_root, "verify_metadata", *files)


@pytest.mark.slow
def test_network_takes_and_gives_what_the_metadata_say(bundle_root: Path) -> None:
    files = ("--meta_file", "configs/metadata.json", "--config_file", "configs/inference.json")
    output = run_monai(bundle_root, "verify_net_in_out", "--net_id", "network_def", *files, "--n", "4", "--p", "3")
    assert "data shape of network is verified with no error" in output


@pytest.mark.slow
def test_exported_program_equals_the_network(bundle_root: Path, make_workflow: Make, tmp_path: Path) -> None:
    from scripts.apps.startup.model_file import write_model

    network = make_workflow("inference.json").parser.get_parsed_content("network_def").eval()
    image = torch.rand(2, 3, 96, 96)
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 20:60, 30:70] = 1
    network.store_prompt(image[:1], mask)
    model, program = tmp_path / "model.pt", tmp_path / "model.ts"
    write_model(network, model)
    files = ("--meta_file", "configs/metadata.json", "--config_file", "configs/inference.json")
    run_monai(
        bundle_root,
        *("ckpt_export", "--net_id", "network_def", "--filepath", str(program), "--ckpt_file", str(model), *files),
    )
    network.load_state_dict(torch.load(model, weights_only=True))  # half precision, as the program has it
    exported = torch.jit.load(str(program)).eval()
    with torch.no_grad():
        expected, found = network(image), exported(image)
    assert found.shape == (2, 2, 96, 96)
    assert expected.argmax(1).float().mean() > 0.05  # the stored prompt is at work
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.slow
def test_from_another_working_directory(
    bundle_root: Path, small_volume: Callable[..., dict[str, Path]], tmp_path: Path
) -> None:
    files = small_volume()
    configs = [str(bundle_root / "configs" / name) for name in ("inference.json", "inferers/propagation.json")]
    for name in ("image", "annotation"):  # relative paths are relative to where the command runs
        files[name].rename(tmp_path / f"{name}.nii.gz")
    arguments = ["run", "--config_file", str(configs), "--bundle_root", str(bundle_root), "--output_dir", "out"]
    arguments += ["--image", "image.nii.gz", "--annotation", "annotation.nii.gz"]
    run_monai(bundle_root, *arguments, cwd=tmp_path, PYTHONPATH=str(bundle_root))
    assert np.asarray(nibabel.load(tmp_path / "out" / "image_seg.nii.gz").dataobj).max() == 7
