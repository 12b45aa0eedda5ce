# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from scripts.data import read_chaos_mr, read_voc2012, slice_items, with_flips
from scripts.data.episodes.dataset import EpisodeDataset, EpisodeSampler
from scripts.transforms import FlipIfFlaggedd, LoadItemd, LoadVolumed, ResizeImaged, ScaleIntensityBodyd

SIZE = 8


def picture_transforms() -> list[Any]:
    return [LoadItemd(), ResizeImaged("image", SIZE), FlipIfFlaggedd(("image", "label"))]


def volume_transforms() -> list[Any]:
    scale = [LoadVolumed(("image", "label")), ScaleIntensityBodyd("image")]
    return [LoadItemd(volume_transforms=scale), ResizeImaged("image", SIZE)]


def voc_dataset(folder: Path, **arguments: Any) -> EpisodeDataset:
    arguments = {"label_size": SIZE, "classes": ["bus", "person"], "progress": False, **arguments}
    return EpisodeDataset(read_voc2012(folder), picture_transforms(), **arguments)


def test_shapes_and_names(voc_folder: Path) -> None:
    table = {"bus": torch.ones(1, 5), "person": torch.zeros(1, 5)}
    episode = voc_dataset(voc_folder, text_table=table)[0]
    assert episode["image"].shape == (3, SIZE, SIZE)
    assert episode["label"].shape == (1, SIZE, SIZE)
    assert episode["support_image"].shape == (1, 3, SIZE, SIZE)
    assert episode["support_label"].shape == (1, 1, SIZE, SIZE)
    assert episode["text_embedding"] is table[episode["class_name"]]
    assert set(episode["label"].unique().tolist()) <= {0.0, 1.0, 255.0}
    assert {episode["case_id"], episode["support_ids"]} == (
        {"c", "d"} if episode["class_name"] == "bus" else {"a", "d"}
    )


def test_masks_are_of_the_drawn_class_and_keep_the_ignored_border(voc_folder: Path) -> None:
    dataset = voc_dataset(voc_folder, label_size=None)
    areas = {"bus": {"c": 30, "d": 10}, "person": {"a": 6, "d": 8}}
    for number in range(8):
        episode = dataset[number]
        label, name = episode["label"], episode["class_name"]
        assert label.shape == (1, 12, 16)
        assert (label == 1).sum() == areas[name][episode["case_id"]]
        assert (episode["support_label"] == 1).sum() == areas[name][episode["support_ids"]]
        assert (label == 255).sum() == 5


def test_flipped_copies_never_support_their_original(voc_folder: Path) -> None:
    dataset = EpisodeDataset(
        with_flips(read_voc2012(voc_folder)), picture_transforms(), classes=["bus"], progress=False
    )
    plain = voc_dataset(voc_folder, classes=["bus"], label_size=None)
    images = {"c": None, "d": None}
    mirrored = set()
    for number in range(40):
        episode = dataset[number]
        assert episode["case_id"] != episode["support_ids"]
        upright = next(e for e in (plain[n] for n in range(20)) if e["case_id"] == episode["case_id"])
        images[episode["case_id"]] = upright["image"]
        same = torch.equal(episode["image"], upright["image"])
        assert same or torch.allclose(episode["image"], upright["image"].flip(-1), atol=1e-6)
        assert torch.equal(episode["label"], upright["label"] if same else upright["label"].flip(-1))
        mirrored.add(same)
    assert mirrored == {True, False}


def test_support_slices_come_from_another_volume(chaos_folder: Path) -> None:
    dataset = EpisodeDataset(read_chaos_mr(chaos_folder), volume_transforms(), num_shots=2, progress=False)
    for number in range(12):
        episode = dataset[number]
        cases = [name.split(":")[0] for name in (episode["case_id"], *episode["support_ids"].split(";"))]
        assert len(set(cases)) == 3
        assert (episode["label"] == 1).any()
        assert all((label == 1).any() for label in episode["support_label"])
        assert episode["support_image"].shape == (2, 3, SIZE, SIZE)


def test_plain_pairs_are_enough(chaos_folder: Path) -> None:
    pairs = [
        {"image": str(chaos_folder / f"image_{case}.nii.gz"), "label": str(chaos_folder / f"label_{case}.nii.gz")}
        for case in (1, 2, 3)
    ]
    dataset = EpisodeDataset(pairs, volume_transforms(), progress=False)
    assert dataset.index.classes == ["class_1", "class_2", "class_3", "class_4"]
    assert (dataset[0]["label"] == 1).any()
    described = EpisodeDataset(slice_items(read_chaos_mr(chaos_folder)), volume_transforms(), progress=False)
    assert len(described.items) == len(dataset.items) // 3 * 4


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(voc_folder: Path, num_workers: int) -> None:
    dataset = voc_dataset(voc_folder, episodes_per_epoch=6)
    alone = list(DataLoader(dataset, batch_size=2, sampler=EpisodeSampler(dataset)))
    shared = list(DataLoader(dataset, batch_size=2, sampler=EpisodeSampler(dataset), num_workers=num_workers))
    for batch, other in zip(alone, shared, strict=True):
        assert torch.equal(batch["image"], other["image"])
        assert torch.equal(batch["support_label"], other["support_label"])
        assert batch["case_id"] == other["case_id"]
    assert alone[0]["support_image"].shape == (2, 1, 3, SIZE, SIZE)


def test_features_are_handed_out_level_by_level_in_float32(voc_folder: Path) -> None:
    def encode(item: dict[str, Any]) -> dict[str, Any]:
        return {**item, "image": {"c3": item["image"][:2, :4, :4].half(), "c4": item["image"][:1, :2, :2].half()}}

    dataset = voc_dataset(voc_folder)
    encoded = EpisodeDataset(dataset.items, [*picture_transforms(), encode], classes=["bus", "person"], progress=False)
    episode, plain = encoded[5], dataset[5]
    assert {level: tuple(maps.shape) for level, maps in episode["image"].items()} == {"c3": (2, 4, 4), "c4": (1, 2, 2)}
    assert episode["support_image"]["c3"].shape == (1, 2, 4, 4)
    assert episode["image"]["c3"].dtype == episode["support_image"]["c3"].dtype == torch.float32
    torch.testing.assert_close(episode["image"]["c3"], plain["image"][:2, :4, :4], atol=1e-3, rtol=1e-3)


class Numbers(Dataset):
    """Stands for an EpisodeDataset: elements are their numbers."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> int:
        return number


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 40), processes=st.integers(1, 5), epoch=st.integers(0, 9))
def test_processes_share_the_epoch(length: int, processes: int, epoch: int) -> None:
    shares = []
    for rank in range(processes):
        sampler = EpisodeSampler(Numbers(length), num_replicas=processes, rank=rank)  # type: ignore[arg-type]
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler) == math.ceil(length / processes)
    union = {number for share in shares for number in share}
    assert union == set(range(epoch * length, (epoch + 1) * length))


def test_monai_moves_the_sampler_to_the_epoch() -> None:
    dataset = Numbers(3)
    seen: list[int] = []

    def update(engine: Any, batch: Tensor) -> dict[str, Any]:
        seen.extend(batch.tolist())
        return {}

    sampler = EpisodeSampler(dataset)  # type: ignore[arg-type]
    assert isinstance(sampler, DistributedSampler)
    network = torch.nn.Linear(1, 1)
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=2,
        train_data_loader=DataLoader(dataset, batch_size=2, sampler=sampler),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        iteration_update=update,
    )
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: None)
    trainer.run()
    assert seen == [3, 4, 5, 6, 7, 8]


def test_arguments_are_checked(voc_folder: Path) -> None:
    with pytest.raises(ValueError, match="episodes_per_epoch must be at least 1"):
        voc_dataset(voc_folder, episodes_per_epoch=0)
    with pytest.raises(ValueError, match="the datalist is empty"):
        EpisodeDataset([], picture_transforms())
    with pytest.raises(ValueError, match="class 'bus' occurs in 2 case"):
        voc_dataset(voc_folder, num_shots=2, classes=["bus"])
