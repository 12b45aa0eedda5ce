# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scripts.data import load_volume, make_episode_list, read_chaos_mr, read_voc2012
from scripts.data.episodes.evaluation import NOT_ANNOTATED, EvaluationDataset, PropagationDataset, evaluation_dataset
from scripts.transforms import LoadItemd, LoadVolumed, ResizeImaged, ScaleIntensityBodyd, volume_slice

SIZE = 8


def volume_transforms() -> list[Any]:
    return [LoadVolumed(("image", "label")), ScaleIntensityBodyd("image")]


def item_transforms() -> list[Any]:
    return [LoadItemd(volume_transforms=volume_transforms()), ResizeImaged("image", SIZE)]


def test_tasks_of_a_volume(chaos_folder: Path) -> None:
    volumes = read_chaos_mr(chaos_folder)
    tasks = make_episode_list(volumes, "chaos_mr", "labelled_chunks", support_case=1)
    table = {name: torch.full((1, 3), value) for value, name in enumerate(volumes[0]["classes"])}
    dataset = evaluation_dataset(tasks, volumes, item_transforms(), text_table=table, progress=False)
    assert isinstance(dataset, EvaluationDataset)
    assert len(dataset) == 36
    number = next(n for n, task in enumerate(tasks.tasks) if task["class_name"] == "spleen")
    element = dataset[number]
    slices = [int(name.split(":")[1]) for name in element["query_ids"].split(";")]
    label = load_volume(chaos_folder / "label_2.nii.gz", is_label=True)
    expected = torch.stack([(volume_slice(label, z) == 4).float() for z in slices])
    assert torch.equal(element["label"], expected)
    assert element["image"].shape == (len(slices), 3, SIZE, SIZE)
    assert element["support_image"].shape == (1, 3, SIZE, SIZE)
    assert element["support_label"].shape == (1, 1, 12, 16)
    assert element["case_id"] == "2"
    assert element["support_ids"].startswith("1:")
    assert torch.equal(element["text_embedding"], table["spleen"])


def test_each_needed_item_is_loaded_once(chaos_folder: Path) -> None:
    loaded: list[str] = []

    class Counting(LoadItemd):
        def __call__(self, data: Any) -> Any:
            loaded.append(f"{data['case_id']}:{data['slice']}")
            return super().__call__(data)

    volumes = read_chaos_mr(chaos_folder)
    tasks = make_episode_list(volumes, "chaos_mr", "labelled_chunks")
    transforms = [Counting(volume_transforms=volume_transforms()), ResizeImaged("image", SIZE)]
    dataset = EvaluationDataset(tasks, volumes, transforms, progress=False)
    for number in range(len(dataset)):
        dataset[number]
    used = {name for task in tasks.tasks for name in (*task["query"], *task["support"])}
    assert sorted(loaded) == sorted(used)


def test_pictures_keep_their_size_and_ignored_border(voc_folder: Path) -> None:
    items = read_voc2012(voc_folder)
    tasks = make_episode_list(items, "voc2012", "episodes", classes=["bus"], num_episodes=4)
    element = EvaluationDataset(tasks, items, item_transforms(), progress=False)[0]
    assert element["label"].shape == (1, 1, 12, 16)
    assert (element["label"] == 255).sum() == 5
    assert (element["label"] == 1).sum() == {"c": 30, "d": 10}[element["case_id"]]


@pytest.mark.parametrize("annotate", ["own", "all"])
def test_propagation_shows_annotated_slices_only(chaos_folder: Path, annotate: str) -> None:
    volumes = read_chaos_mr(chaos_folder, classes=["spleen", "liver"])
    tasks = make_episode_list(volumes, "chaos_mr", "propagation", annotate=annotate)
    dataset = evaluation_dataset(tasks, volumes, [], volume_transforms())
    assert isinstance(dataset, PropagationDataset)
    assert len(dataset) == 4
    element = dataset[0]
    values = element["label_names"]
    assert sorted(values.values()) == [1, 2]
    assert element["image"].shape == element["label"].shape == element["annotation"].shape == (1, 16, 12, 10)
    assert 0 <= element["image"].min() < element["image"].max() <= 1
    np.testing.assert_allclose(element["spacing"], [1.25, 1.25, 7.7])
    truth = load_volume(chaos_folder / "label_1.nii.gz", is_label=True)
    for name, original in (("liver", 1), ("spleen", 4)):
        assert torch.equal(element["label"] == values[name], truth.as_tensor() == original)
    shown = {z for chosen in element["annotated_slices"].values() for z in chosen}
    for z in range(10):
        plane, own = element["annotation"][..., z], element["label"][..., z]
        if z not in shown:
            assert plane.eq(NOT_ANNOTATED).all()
        elif annotate == "all":
            assert torch.equal(plane, own)
        else:
            wanted = [values[name] for name, chosen in element["annotated_slices"].items() if z in chosen]
            assert torch.equal(plane, torch.where(torch.isin(own, torch.tensor(wanted)), own, 0))


def test_items_that_the_list_names_must_exist(chaos_folder: Path) -> None:
    volumes = read_chaos_mr(chaos_folder)
    tasks = make_episode_list(volumes, "chaos_mr", "labelled_chunks")
    with pytest.raises(ValueError, match="which the data lack"):
        EvaluationDataset(tasks, volumes[:2], item_transforms(), progress=False)
