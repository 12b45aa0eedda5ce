# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Loading data: cached against decoded anew, in images per second (one thread, pictures and volumes made on the fly).

The last row is a batch as train.json makes it; below the table stands its share of a training step.

python benchmarks/data_loading.py [--json FILE]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "bundle")]

import nibabel  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from _harness import compare, run  # noqa: E402
from scripts.data import EpisodeDataset, expand_items, picture_item  # noqa: E402
from scripts.engines import trainable_parameters  # noqa: E402
from scripts.losses import EpisodeLoss  # noqa: E402
from scripts.networks import FeatureExtractor, Segmenter  # noqa: E402
from scripts.networks.backbones import efficientnet_lite2  # noqa: E402
from scripts.networks.hosts import IFA  # noqa: E402
from scripts.transforms import (  # noqa: E402
    EncodeFeaturesd,
    LoadItemd,
    LoadVolumed,
    ResizeImaged,
    ScaleIntensityBodyd,
)

NUM_PICTURES, PICTURE_SHAPE = 16, (375, 500)
VOLUME_SHAPE = (256, 256, 36)
IMAGE_SIZE = 400
LEVELS = ("c3", "c4", "c5")
BATCH_SIZE, NUM_STEPS, NECK_CHANNELS = 4, 5, 328


def benchmark() -> list[dict[str, Any]]:
    """Compare warm with cold for pictures, for slices of a volume and for features of the default backbone."""
    with tempfile.TemporaryDirectory() as folder:
        pictures, slices = _write_pictures(Path(folder)), _write_volume(Path(folder))
        rows = [_pictures(pictures), _slices(slices), _features(pictures, Path(folder) / "features"), _batch(pictures)]
    print(f"{'':44} {'images/s warm':>14} {'cold':>8}")
    for row in rows:
        images = row.pop("images")
        print(f"{row['name']:44} {images / row['ours_s']:14.0f} {images / row['naive_s']:8.1f}")
    step, warm, cold = (rows[-1][key] for key in ("step_s", "ours_s", "naive_s"))
    print(
        f"a training step takes {step:.2f} s beside its data: data are {warm / (warm + step):.1%} of it warm, "
        f"{cold / (cold + step):.0%} cold\n"
    )
    return rows


def _pictures(items: list[dict[str, Any]]) -> dict[str, Any]:
    transforms = [LoadItemd(), ResizeImaged("image", IMAGE_SIZE)]

    def dataset(cache_rate: float) -> EpisodeDataset:
        return EpisodeDataset(items, transforms, label_size=IMAGE_SIZE, cache_rate=cache_rate, progress=False)

    warm, cold = dataset(1.0), dataset(0.0)
    difference = (warm[3]["support_image"] - cold[3]["support_image"]).abs().max().item()
    row = compare("episode of two JPEGs, from memory", lambda: warm[3], lambda: cold[3], max_difference=difference)
    return {**row, "images": 2}


def _slices(items: list[dict[str, Any]]) -> dict[str, Any]:
    volume_transforms = [LoadVolumed(("image", "label")), ScaleIntensityBodyd("image")]
    kept = LoadItemd(volume_transforms=volume_transforms)

    def anew() -> dict[str, Any]:
        return LoadItemd(volume_transforms=volume_transforms)(items[20])

    difference = (kept(items[20])["image"] - anew()["image"]).abs().max().item()
    row = compare("slice of a volume that is kept", lambda: kept(items[20]), anew, max_difference=difference, rounds=3)
    return {**row, "images": 1}


def _features(items: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    backbone = efficientnet_lite2().select(LEVELS)
    image = ResizeImaged("image", IMAGE_SIZE)(LoadItemd()(items[0]))
    stored, computed = EncodeFeaturesd("image", backbone, folder), EncodeFeaturesd("image", backbone)
    first, second = stored(image)["image"], computed(image)["image"]
    difference = max((stored(image)["image"][level] - second[level]).abs().max().item() for level in first)
    encode: tuple[Callable[[], Any], Callable[[], Any]] = (lambda: stored(image), lambda: computed(image))
    row = compare("features of EfficientNet-Lite2, from disk", *encode, max_difference=difference, rounds=3)
    return {**row, "images": 1}


def _batch(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Episodes of the default training: features of the frozen backbone, from memory or computed anew."""
    backbone = efficientnet_lite2()
    host = IFA(backbone.channels, levels=("c4", "c5"), neck_channels=NECK_CHANNELS)
    segmenter = Segmenter(backbone, host).train()
    encode = EncodeFeaturesd("image", FeatureExtractor(segmenter))
    transforms = [LoadItemd(), ResizeImaged("image", IMAGE_SIZE), encode]

    def loader(cache_rate: float) -> Callable[[], dict[str, Any]]:
        dataset = EpisodeDataset(items, transforms, label_size=IMAGE_SIZE, cache_rate=cache_rate, progress=False)
        return lambda: next(iter(DataLoader(dataset, batch_size=BATCH_SIZE)))

    warm, cold = loader(1.0), loader(0.0)
    batch = warm()
    difference = max((batch["image"][level] - maps).abs().max().item() for level, maps in cold()["image"].items())
    optimizer = torch.optim.AdamW(trainable_parameters(segmenter))

    def step() -> None:
        optimizer.zero_grad()
        terms = segmenter(batch["image"], batch["support_image"], batch["support_label"], query_label=batch["label"])
        EpisodeLoss()(terms, batch["label"]).backward()
        optimizer.step()

    step()
    start = time.perf_counter()
    for _ in range(NUM_STEPS):
        step()
    seconds = (time.perf_counter() - start) / NUM_STEPS
    name = f"batch of {BATCH_SIZE} episodes for training, from memory"
    row = compare(name, warm, cold, max_difference=difference, rounds=3)
    return {**row, "images": 2 * BATCH_SIZE, "step_s": seconds}


def _write_pictures(folder: Path) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    items = []
    for number in range(NUM_PICTURES):
        coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        height, width = PICTURE_SHAPE
        image, label = folder / f"{number}.jpg", folder / f"{number}.png"
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(image, quality=90)
        mask = np.zeros(PICTURE_SHAPE, np.uint8)
        mask[100:200, 100:300] = 1
        Image.fromarray(mask).save(label)
        items.append(picture_item(image, label, str(number), class_values={"box": [1]}))
    return items


def _write_volume(folder: Path) -> list[dict[str, Any]]:
    values = np.random.default_rng(0).integers(0, 900, VOLUME_SHAPE).astype(np.int16)
    paths = {"image": folder / "image.nii.gz", "label": folder / "label.nii.gz"}
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), paths["image"])
    nibabel.save(nibabel.Nifti1Image((values > 800).astype(np.uint8), np.eye(4)), paths["label"])
    return expand_items([{key: str(path) for key, path in paths.items()}])


if __name__ == "__main__":
    torch.manual_seed(0)
    run(benchmark, __doc__)
