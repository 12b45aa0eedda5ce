# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Episodes and figures agree with the scripts that the method's published figures were measured with.

Those scripts lie beside the sample data. Both sides see the same very small feature (the image's brightness on a coarse
grid) and the same rule, so that whatever differs lies in the episodes, the masks, the resizing or the counting.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.data import (
    EvaluationDataset,
    make_episode_list,
    read_chaos_mr,
    read_chest_xray,
    read_isic2018,
    read_wbc,
)
from scripts.metrics.segmentation import CaseArrays, CaseRow, CaseTable, count_overlap, figures
from scripts.transforms import LoadItemd, LoadVolumed, ResizeImaged, ScaleIntensityBodyd

GRID = 50
READERS = {"ISIC": read_isic2018, "CHEST": read_chest_xray, "WBC": read_wbc}
WBC_CLASSES = ("cytoplasm", "nucleus")


def brightness(image: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 1, 50, 50)."""
    return F.interpolate(image.mean(dim=1, keepdim=True), (GRID, GRID), mode="area")


def decide(query: Tensor, support: Tensor, mask: Tensor) -> Tensor:
    """Score (50, 50): nearer to the brightness of the support's foreground than to its background's."""
    weight = F.interpolate(mask[None, None].float(), (GRID, GRID), mode="area")[0, 0]
    inside = (support * weight).sum() / weight.sum().clamp_min(1e-6)
    outside = (support * (1 - weight)).sum() / (1 - weight).sum().clamp_min(1e-6)
    return (query - outside).abs() - (query - inside).abs()


@pytest.fixture
def reference(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The scripts ``evalkit`` and ``kit``, with the coarse brightness in place of their backbone."""
    folder = shared / "experiments"
    if not (folder / "evalkit.py").is_file():
        pytest.skip(f"no reference scripts in {folder}")
    monkeypatch.setenv("EXPERIMENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(folder))
    evalkit, kit = importlib.import_module("evalkit"), importlib.import_module("kit")
    monkeypatch.setattr(kit, "features", lambda image: {"g": brightness(image)})
    yield evalkit, kit
    for name in ("evalkit", "kit"):
        sys.modules.pop(name, None)


def dataset_of(datalist: list[dict[str, Any]], protocol: str, **options: Any) -> EvaluationDataset:
    volume_transforms = [LoadVolumed(["image", "label"], allow_missing_keys=True), ScaleIntensityBodyd("image")]
    transforms = [LoadItemd(["image", "label"], volume_transforms=volume_transforms), ResizeImaged("image", size=400)]
    episodes = make_episode_list(datalist, "set", protocol, **options)
    return EvaluationDataset(episodes, datalist, transforms, progress=False, cache_rate=0.0)


def table_of(masks: Iterator[tuple[dict[str, Any], Tensor]]) -> dict[str, float]:
    table = CaseTable()
    for element, found in masks:
        counts = count_overlap(found, element["label"])
        table.add(CaseRow(element["class_name"], element["case_id"], counts))
    return {name: 100 * float(value[0]) for name, value in figures(CaseArrays.from_rows(table.rows)).items()}


@pytest.mark.parametrize("name", sorted(READERS))
def test_pictures(name: str, reference: tuple[ModuleType, ModuleType], shared_data: Path) -> None:
    if not (shared_data / name).is_dir():
        pytest.skip(f"no {name} in {shared_data}")
    evalkit, _ = reference

    def score(query: dict[str, Tensor], supports: list[dict[str, Tensor]], masks: list[np.ndarray]) -> Tensor:
        return decide(query["g"][0].float(), supports[0]["g"][0].float(), torch.from_numpy(masks[0]))

    mean, by_class = evalkit.set2d(score, name, shared_data, n=40)

    dataset = dataset_of(
        READERS[name](shared_data / name),
        "sequential_episodes",
        num_episodes=40,
        classes=WBC_CLASSES if name == "WBC" else None,
    )

    def masks() -> Iterator[tuple[dict[str, Any], Tensor]]:
        for number in range(len(dataset)):
            element = dataset[number]
            query, support = brightness(element["image"]).half(), brightness(element["support_image"]).half()
            found = decide(query[0, 0].float(), support[0, 0].float(), element["support_label"][0, 0] == 1)
            size = tuple(element["label"].shape[-2:])
            yield element, F.interpolate(found[None, None], size, mode="bilinear", align_corners=False) > 0

    result = table_of(masks())
    assert result["class_miou"] == pytest.approx(mean, abs=0.05)
    for class_name, value in by_class.items():
        assert result[f"iou/{class_name}"] == pytest.approx(value, abs=0.1)


def test_volumes(reference: tuple[ModuleType, ModuleType], shared_data: Path) -> None:
    """The support's mask laid over the query: right only if slices, supports and organs are the same ones."""
    if not (shared_data / "CHAOS").is_dir():
        pytest.skip(f"no CHAOS in {shared_data}")
    evalkit, kit = reference
    cases = kit.cases(shared_data)[:4]

    def laid_over(mask: Tensor) -> Tensor:
        return F.interpolate(mask[None, None].float(), (GRID, GRID), mode="area")[0, 0] - 0.5

    mean, by_organ = evalkit.chaos_chunks(
        lambda query, support, mask: laid_over(torch.from_numpy(np.ascontiguousarray(mask))),
        shared_data,
        cases=cases[1:],
    )

    datalist = [item for item in read_chaos_mr(shared_data / "CHAOS") if int(item["case_id"]) in cases]
    dataset = dataset_of(datalist, "labelled_chunks", support_case=cases[0])

    def masks() -> Iterator[tuple[dict[str, Any], Tensor]]:
        for number in range(len(dataset)):
            element = dataset[number]
            score = laid_over(element["support_label"][0, 0] == 1)
            size = tuple(element["label"].shape[-2:])
            found = F.interpolate(score[None, None], size, mode="bilinear", align_corners=False) > 0
            yield element, found.expand_as(element["label"])

    result = table_of(masks())
    assert result["mean_dice"] == pytest.approx(mean, abs=0.05)
    organs = ("liver", "right kidney", "left kidney", "spleen")
    for organ, value in zip(organs, by_organ.values(), strict=True):
        assert result[f"dice/{organ}"] == pytest.approx(value, abs=0.1)
