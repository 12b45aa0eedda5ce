# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""How often the backbone runs: once per image, whatever the number of labels, shots and corrections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

from scripts.inferers import VolumeSession
from scripts.inferers.propagation import PropagationParameters
from scripts.networks import Segmenter
from scripts.networks.backbones import TimmBackbone, efficientnet_lite2
from scripts.networks.hosts import Matching

Run = Callable[..., ConfigWorkflow]
NUM_SLICES = 9


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of images of each call of a backbone."""
    counted: list[int] = []
    forward = TimmBackbone.forward

    def counting(self, image):  # type: ignore[no-untyped-def]
        counted.append(len(image))
        return forward(self, image)

    monkeypatch.setattr(TimmBackbone, "forward", counting)
    return counted


def add_labels(path: Path, number: int) -> None:
    """Cut the label of a file into several, by rows."""
    source = nibabel.load(path)
    label = np.asarray(source.dataobj).copy()
    rows = np.arange(label.shape[1])[None, :, None] % number
    label[label == 3] = (10 + np.broadcast_to(rows, label.shape))[label == 3]
    nibabel.save(nibabel.Nifti1Image(label, source.affine), path)


@pytest.mark.parametrize("num_labels", [1, 4])
@pytest.mark.parametrize("num_cases", [1, 2])
def test_reference(
    run_workflow: Run,
    small_volume: Callable[..., dict[str, Path]],
    passes: list[int],
    tmp_path: Path,
    num_labels: int,
    num_cases: int,
) -> None:
    supports = [small_volume(f"support{case}", shift=1.0 + case) for case in range(num_cases)]
    for support in supports:
        add_labels(support["label"], num_labels)
    query = small_volume("query")
    run_workflow(
        "inference.json",
        "inferers/reference.json",
        image=str(query["image"]),
        support_images=[str(support["image"]) for support in supports],
        support_labels=[str(support["label"]) for support in supports],
        image_size=96,
        output_dir=str(tmp_path / "out"),
    )
    # both ellipsoids reach over other slices, so the middles of their thirds differ: at most 3 slices per extent
    used = {
        (case, int(z))
        for case, support in enumerate(supports)
        for z in support_slices(np.asarray(nibabel.load(support["label"]).dataobj))
    }
    assert sum(passes) == len(used) + NUM_SLICES


def support_slices(label: np.ndarray) -> set[int]:
    """Middle slices of the thirds of every label's extent."""
    found: set[int] = set()
    for value in set(np.unique(label)) - {0}:
        extent = np.flatnonzero((label == value).any(axis=(0, 1)))
        found |= {int(third[len(third) // 2]) for third in np.array_split(extent, 3)}
    return found


@pytest.mark.parametrize("num_labels", [1, 4])
def test_propagation(
    run_workflow: Run, small_volume: Callable[..., dict[str, Path]], passes: list[int], tmp_path: Path, num_labels: int
) -> None:
    files = small_volume()
    add_labels(files["annotation"], num_labels)
    parameters = {"_target_": "scripts.inferers.propagation.PropagationParameters", "image_size": 96}
    overrides = {
        "image": str(files["image"]),
        "annotation": str(files["annotation"]),
        "feature_cache_dir": str(tmp_path / "features"),
        "output_dir": str(tmp_path / "out"),
        "inferer#parameters": {**parameters, "grid_size": 12, "working_size": 64},
    }
    run_workflow("inference.json", "inferers/propagation.json", **overrides)
    assert sum(passes) == NUM_SLICES
    run_workflow("inference.json", "inferers/propagation.json", **overrides)
    assert sum(passes) == NUM_SLICES  # the volume's features were kept


def test_a_correction_costs_no_pass(small_volume: Callable[..., dict[str, Path]], passes: list[int]) -> None:
    files = small_volume()
    image, label = (np.asarray(nibabel.load(files[name]).dataobj).transpose(2, 1, 0) for name in ("image", "label"))
    backbone = efficientnet_lite2()
    segmenter = Segmenter(backbone, Matching(channels=backbone.channels)).eval()
    parameters = PropagationParameters(image_size=96, grid_size=12, working_size=64)
    session = VolumeSession(image, spacing=(6, 2, 2), segmenter=segmenter, parameters=parameters)
    session.annotate(4, label[4])
    first = session.segment()
    assert sum(passes) == NUM_SLICES
    correction = np.roll(label[6], 3, axis=0)
    session.annotate(6, correction)
    second = session.segment()
    assert sum(passes) == NUM_SLICES
    assert not np.array_equal(first.label, second.label)
    assert np.array_equal(second.label[6], correction)
