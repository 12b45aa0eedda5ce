# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Bad input ends in one clear error that names the file or key, with nothing half-written; it is the last line."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from PIL import Image

from scripts.apps.startup.errors import cause_of
from scripts.apps.startup.model_file import write_model
from scripts.networks import Segmenter
from scripts.networks.backbones import efficientnet_lite2
from scripts.networks.hosts import Prototype

Run = Callable[..., ConfigWorkflow]
Files = dict[str, Path]
TRAIN = ["train.json", "hosts/ifa.json"]
EVALUATE = ["train.json", "evaluate.json", "hosts/prototype.json"]
PROPAGATION = ["inference.json", "inferers/propagation.json"]
REFERENCE = ["inference.json", "inferers/reference.json"]


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Four pictures of a dog in the layout of VOC 2012."""
    root = tmp_path / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    mask = np.zeros((20, 24), np.uint8)
    mask[5:15, 6:18] = 12
    for name in "abcd":
        Image.fromarray(np.full((20, 24, 3), 90, np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
        Image.fromarray(mask).save(root / "SegmentationClass" / f"{name}.png")
    for split in ("train", "val"):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("a\nb\nc\nd\n")
    return root


def prototype_weights(path: Path, description: str | None = None) -> str:
    """Write the weights of a prototype network; ``description`` makes them those of another one."""
    backbone = efficientnet_lite2()
    network = Segmenter(backbone, Prototype(channels=backbone.channels, levels=("c4", "c5")))
    if description is not None:
        text = torch.tensor(list(description.encode()), dtype=torch.uint8)
        network.signature.zero_()[: len(text)] = text
    return str(write_model(network, path))


def save_label(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> str:
    nibabel.save(nibabel.Nifti1Image(values, nibabel.load(path).affine if affine is None else affine), path)
    return str(path)


def truncate(path: Path) -> str:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return str(path)


class Data:
    """What the cases below spoil."""

    def __init__(self, folder: Path, voc: Path, chaos: Path, volume: Files, other: Files) -> None:
        self.folder, self.voc, self.chaos, self.volume, self.other = folder, voc, chaos, volume, other

    def spoilt_voc(self, spoil: Callable[[Path], Any]) -> dict[str, Any]:
        spoil(self.voc)
        return {"dataset_dir": str(self.voc), "fold": None}

    def annotated(self, **changes: Any) -> dict[str, Any]:
        return {"image": str(self.volume["image"]), "annotation": str(self.volume["annotation"]), **changes}

    def supported(self, **changes: Any) -> dict[str, Any]:
        files = {"support_images": str(self.other["image"]), "support_labels": str(self.other["label"])}
        return {"image": str(self.volume["image"]), **files, "image_size": 96, **changes}


def _label(data: Data) -> np.ndarray:
    return np.asarray(nibabel.load(data.volume["annotation"]).dataobj)


Case = tuple[list[str], Callable[[Data], dict[str, Any]], list[str]]
CASES: dict[str, Case] = {
    "missing folder": (
        [*TRAIN, "data/voc2012.json"],
        lambda data: {"dataset_dir": str(data.folder / "none")},
        ["dataset_dir", "/none", "VOC 2012", "JPEGImages"],
    ),
    "folder not given": ([*TRAIN, "data/voc2012.json"], lambda data: {}, ["dataset_dir is not given", "voc2012"]),
    "folder not given, volumes": (
        [*EVALUATE, "data/chaos_mr.json"],
        lambda data: {},
        ["chaos_mr", "--dataset_dir FOLDER"],
    ),
    "folder of something else": (
        [*EVALUATE, "data/chaos_mr.json"],
        lambda data: {"dataset_dir": str(data.voc)},
        ["VOC2012", "CHAOS MR", "image_<case>.nii.gz"],
    ),
    "split names a missing image": (
        [*TRAIN, "data/voc2012.json"],
        lambda data: data.spoilt_voc(lambda root: (root / "JPEGImages" / "c.jpg").unlink()),
        [".txt names c, but there is no ", "JPEGImages/c.jpg"],
    ),
    "sizes differ": (
        [*TRAIN, "data/voc2012.json"],
        lambda data: data.spoilt_voc(
            lambda root: Image.fromarray(np.zeros((20, 30), np.uint8)).save(root / "SegmentationClass" / "b.png")
        ),
        ["b.jpg has 20 x 24", "b.png 20 x 30"],
    ),
    "unknown label values": (
        [*TRAIN, "data/voc2012.json"],
        lambda data: data.spoilt_voc(
            lambda root: Image.fromarray(np.full((20, 24), 77, np.uint8)).save(root / "SegmentationClass" / "d.png")
        ),
        ["d.png has unknown label values [77]", "0-20, 255"],
    ),
    "broken picture": (
        [*TRAIN, "data/voc2012.json"],
        lambda data: data.spoilt_voc(lambda root: (root / "JPEGImages" / "a.jpg").write_bytes(b"no picture")),
        ["a.jpg is not a readable picture"],
    ),
    "host without parameters": (
        ["train.json", "hosts/matching.json"],
        lambda data: {},
        ["host Matching has no parameters to train", "configs/hosts/ifa.json"],
    ),
    "mistyped key": (TRAIN, lambda data: {"epoch": 1}, ["epoch: did you mean 'epochs'?"]),
    "mistyped nested key": (TRAIN, lambda data: {"train#dataset#num_shot": 1}, ["num_shot", "'num_shots'"]),
    "mistyped key of inference": (
        PROPAGATION,
        lambda data: data.annotated(anotation="x"),
        ["anotation", "'annotation'"],
    ),
    "unknown overlay": ([*TRAIN, "hosts/nothing.json"], lambda data: {}, ["configs/hosts/nothing.json"]),
    "unknown protocol": (EVALUATE, lambda data: {"protocol": "episode"}, ["'episode' is unknown", "labelled_chunks"]),
    "protocol of volumes on pictures": (
        EVALUATE,
        lambda data: {"protocol": "propagation"},
        ["needs volumes", "episodes"],
    ),
    "unknown support case": (
        [*EVALUATE, "data/chaos_mr.json"],
        lambda data: {"dataset_dir": str(data.chaos), "support_case": 77},
        ["support_case 77", "1, 2, 10"],
    ),
    "missing episode list": (EVALUATE, lambda data: {"episode_list": "none.json"}, ["no episode list none.json"]),
    "missing checkpoint": (EVALUATE, lambda data: {"checkpoint": "none.pt"}, ["no checkpoint none.pt"]),
    "damaged checkpoint": (
        EVALUATE,
        lambda data: {"checkpoint": truncate(Path(prototype_weights(data.folder / "half.pt")))},
        ["half.pt can't be read as a checkpoint", "damaged"],
    ),
    "checkpoint of another host": (
        ["train.json", "evaluate.json", "hosts/matching.json"],
        lambda data: {"checkpoint": prototype_weights(data.folder / "other.pt")},
        ["other.pt", "the checkpoint is of host Prototype", "the network is host Matching"],
    ),
    "checkpoint of another backbone": (
        EVALUATE,
        lambda data: {
            "checkpoint": prototype_weights(data.folder / "other.pt", "host Prototype, backbone resnet50, levels c4 c5")
        },
        ["other.pt", "backbone resnet50", "backbone efficientnet_lite2"],
    ),
    "no image": (PROPAGATION, lambda data: {}, ["no image given", "--image"]),
    "missing image": (PROPAGATION, lambda data: data.annotated(image="none.nii.gz"), ["image none.nii.gz"]),
    "picture as image": (
        PROPAGATION,
        lambda data: data.annotated(image=str(data.voc / "JPEGImages" / "a.jpg")),
        ["image ", "a.jpg", "NIfTI"],
    ),
    "truncated volume": (
        PROPAGATION,
        lambda data: data.annotated(image=truncate(data.volume["image"])),
        ["case_image.nii.gz is not a readable NIfTI volume"],
    ),
    "annotation not given": (PROPAGATION, lambda data: data.annotated(annotation=None), ["no annotation given"]),
    "annotation missing": (PROPAGATION, lambda data: data.annotated(annotation="none.nii"), ["annotation none.nii"]),
    "annotation too few": (
        PROPAGATION,
        lambda data: data.annotated(image=[str(data.volume["image"])] * 2),
        ["2 images but 1 annotation"],
    ),
    "annotation of another shape": (
        PROPAGATION,
        lambda data: data.annotated(annotation=save_label(data.volume["annotation"], _label(data)[:-1])),
        ["case_image.nii.gz", "case_annotation.nii.gz", "different shapes"],
    ),
    "annotation of another place": (
        PROPAGATION,
        lambda data: data.annotated(annotation=save_label(data.volume["annotation"], _label(data), np.eye(4))),
        ["case_image.nii.gz", "case_annotation.nii.gz", "different affines"],
    ),
    "annotation without a label": (
        PROPAGATION,
        lambda data: data.annotated(annotation=save_label(data.volume["annotation"], np.zeros_like(_label(data)))),
        ["annotation", "no label"],
    ),
    "annotation with fractions": (
        PROPAGATION,
        lambda data: data.annotated(annotation=save_label(data.volume["annotation"], _label(data) * np.float32(0.5))),
        ["case_annotation.nii.gz", "whole numbers"],
    ),
    "no support": (REFERENCE, lambda data: data.supported(support_images=[]), ["support_images", "support_labels"]),
    "support missing": (
        REFERENCE,
        lambda data: data.supported(support_labels="none.nii.gz"),
        ["none.nii.gz does not exist"],
    ),
    "empty support mask": (
        REFERENCE,
        lambda data: data.supported(support_labels=save_label(data.other["label"], np.zeros((40, 36, 9), np.uint8))),
        ["other_label.nii.gz", "every mask is empty"],
    ),
    "support of two kinds": (
        REFERENCE,
        lambda data: data.supported(support_labels=str(data.voc / "SegmentationClass" / "a.png")),
        ["all volumes or all pictures", "a.png"],
    ),
    "too many names": (
        REFERENCE,
        lambda data: data.supported(class_names=["a", "b", "c"]),
        ["3 class_names", "[3, 7]"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_clear_error(
    run_workflow: Run,
    small: dict[str, Any],
    voc: Path,
    chaos_folder: Path,
    small_volume: Callable[..., Files],
    tmp_path: Path,
    name: str,
) -> None:
    configs, spoil, told = CASES[name]
    data = Data(tmp_path, voc, chaos_folder, small_volume(), small_volume("other", shift=1.0))
    if configs[0] == "inference.json":
        overrides = spoil(data)
    else:
        if any(config.startswith("data/") for config in configs):
            del small["dataset_dir"]
        overrides = {**small, **spoil(data)}
    output = tmp_path / "out"
    with pytest.raises((RuntimeError, ValueError, OSError)) as caught:
        run_workflow(*configs, output_dir=str(output), **overrides)
    cause = cause_of(caught.value)
    assert isinstance(cause, ValueError | OSError), repr(cause)
    message = str(cause)
    assert all(part in message for part in told), message
    assert not [path for path in output.rglob("*") if path.is_file()]


def test_training_with_other_settings_does_not_go_on(run_workflow: Run, small: dict[str, Any], tmp_path: Path) -> None:
    run_workflow(*TRAIN, output_dir=str(tmp_path), **{**small, "epochs": 1})
    before = (tmp_path / "checkpoints" / "last.pt").read_bytes()
    with pytest.raises(RuntimeError) as caught:
        run_workflow(*TRAIN, output_dir=str(tmp_path), **small, seed=3)
    message = str(cause_of(caught.value))
    assert "last.pt is of another training: seed was 0, now 3" in message
    assert (tmp_path / "checkpoints" / "last.pt").read_bytes() == before


@pytest.mark.parametrize("step", ["training", "evaluating", "inference"])
def test_no_space_left(
    run_workflow: Run,
    small: dict[str, Any],
    small_volume: Callable[..., Files],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    files = small_volume()
    configs, overrides, target = {
        "training": (TRAIN, {**small, "epochs": 1}, "checkpoints/"),
        "evaluating": (EVALUATE, {**small, "num_episodes": 2}, "cases.csv"),
        "inference": (
            REFERENCE,
            {
                "image": str(files["image"]),
                "support_images": str(files["image"]),
                "support_labels": str(files["label"]),
                "image_size": 96,
            },
            "case_image_seg.nii.gz",
        ),
    }[step]
    fsync = os.fsync

    def full(file: int) -> None:
        if str(tmp_path) in os.readlink(f"/proc/self/fd/{file}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((RuntimeError, OSError)) as caught:
        run_workflow(*configs, output_dir=str(tmp_path / "out"), **overrides)
    cause = cause_of(caught.value)
    assert isinstance(cause, OSError)
    assert "no space left to write" in str(cause)
    assert target in str(cause)
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in written if "tensorboard" not in path.parts]


def _small_files_only() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run_id", "configs", "overrides", "told"),
    [
        ("training", TRAIN, {}, "no space left to write"),  # of the checkpoint, by the limit on a file's size
        ("training", ["train.json", "hosts/matching.json"], {}, "ValueError: host Matching has no parameters"),
        ("training", [*TRAIN, "hosts/nothing.json"], {}, "FileNotFoundError: Cannot find the config file"),
        ("training", TRAIN, {"epoch": 1}, "epoch: did you mean 'epochs'?"),
        ("training", TRAIN, {"feature_cache_dir": "/dev/null/features"}, "can't write features to /dev/null/features"),
        ("evaluating", EVALUATE, {"checkpoint": "none.pt"}, "FileNotFoundError: no checkpoint none.pt"),
        ("run", PROPAGATION, {"image": "none.nii.gz"}, "FileNotFoundError: image none.nii.gz does not exist"),
    ],
)
def test_the_last_line_is_the_error(
    bundle_root: Path,
    small: dict[str, Any],
    tmp_path: Path,
    run_id: str,
    configs: list[str],
    overrides: dict[str, str],
    told: str,
) -> None:
    files = "[" + ", ".join(f"'configs/{name}'" for name in configs) + "]"
    values = {**(small if run_id != "run" else {}), "output_dir": tmp_path / "out", **overrides}
    arguments = [part for key, value in values.items() for part in (f"--{key}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "monai.bundle", "run", run_id, "--config_file", files, *arguments],
        cwd=bundle_root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
        preexec_fn=_small_files_only if "no space" in told else None,
    )
    assert done.returncode == 1, done.stderr[-3000:]
    assert told in done.stderr.strip().splitlines()[-1], done.stderr[-3000:]
    assert not list((tmp_path / "out").rglob("*.pt")) + list((tmp_path / "out").rglob(".partial-*"))
