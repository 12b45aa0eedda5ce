# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from monai.data import CacheDataset
from safetensors.torch import load_file
from torch import Tensor, nn

from scripts.networks import FeatureExtractor, Segmenter, TrainedBackbone
from scripts.networks.backbones import efficientnet_lite2
from scripts.networks.hosts import Prototype
from scripts.transforms import EncodeFeaturesd, FlipIfFlaggedd


class ToyBackbone(nn.Module):
    """Two levels; counts its passes."""

    def __init__(self, weight: float = 1.0, levels: Sequence[str] = ("c3", "c4")) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight), requires_grad=False)
        self.levels = tuple(levels)
        self.dropout = nn.Dropout(0.5)
        self.passes = 0
        self.eval()

    def fingerprint(self) -> str:
        return f"toy {self.weight.item()}"

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.passes += len(image)
        maps = {"c3": image[..., ::2, ::2] * self.weight, "c4": image[:, :1, ::4, ::4] + self.weight}
        return {level: maps[level] for level in self.levels}


@pytest.fixture
def images() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [{"image": torch.rand(3, 8, 8, generator=generator)} for _ in range(3)]


def test_features_in_half_precision_take_the_image_s_place(images: list[dict[str, Tensor]]) -> None:
    result = EncodeFeaturesd("image", ToyBackbone())(images[0])["image"]
    assert {level: tuple(maps.shape) for level, maps in result.items()} == {"c3": (3, 4, 4), "c4": (1, 2, 2)}
    assert all(maps.dtype == torch.float16 and not maps.requires_grad for maps in result.values())
    torch.testing.assert_close(result["c3"].float(), images[0]["image"][:, ::2, ::2], atol=5e-4, rtol=0)


def test_a_second_run_reads_the_disk(tmp_path: Path, images: list[dict[str, Tensor]]) -> None:
    first, second = ToyBackbone(), ToyBackbone()
    computed = [EncodeFeaturesd("image", first, tmp_path)(item)["image"] for item in images]
    stored = [EncodeFeaturesd("image", second, tmp_path)(item)["image"] for item in images]
    assert (first.passes, second.passes) == (3, 0)
    for one, other in zip(computed, stored, strict=True):
        assert all(torch.equal(one[level], other[level]) for level in one)
    files = list(tmp_path.rglob("*.safetensors"))
    assert len(files) == 3
    assert set(load_file(files[0])) == {"c3", "c4"}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3  # no draft is left


@pytest.mark.parametrize("change", ["weights", "image", "flip", "size"])
def test_whatever_changes_features_is_another_entry(
    tmp_path: Path, images: list[dict[str, Tensor]], change: str
) -> None:
    EncodeFeaturesd("image", ToyBackbone(), tmp_path)(images[0])
    other = ToyBackbone(2.0 if change == "weights" else 1.0, ("c3", "c4"))
    item = dict(images[0])
    if change == "image":
        item["image"] = item["image"] + 1e-6
    elif change == "flip":
        item = FlipIfFlaggedd("image")({**item, "flip": True})
    elif change == "size":
        item["image"] = item["image"].reshape(3, 4, 16)
    EncodeFeaturesd("image", other, tmp_path)(item)
    assert other.passes == 1


def test_backbones_of_other_levels_share_the_file(tmp_path: Path, images: list[dict[str, Tensor]]) -> None:
    one, other, both = ToyBackbone(1.0, ("c3",)), ToyBackbone(1.0, ("c4",)), ToyBackbone(1.0, ("c3", "c4"))
    for backbone, passes in ((one, 1), (other, 1), (both, 0)):
        result = EncodeFeaturesd("image", backbone, tmp_path)(images[0])["image"]
        assert backbone.passes == passes
        assert set(result) == set(backbone.levels)
    (file,) = tmp_path.rglob("*.safetensors")
    assert set(load_file(file)) == {"c3", "c4"}


def test_a_damaged_file_is_written_again(
    tmp_path: Path, images: list[dict[str, Tensor]], caplog: pytest.LogCaptureFixture
) -> None:
    encode = EncodeFeaturesd("image", ToyBackbone(), tmp_path)
    expected = encode(images[0])["image"]
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:40])
    with caplog.at_level(logging.WARNING):
        assert torch.equal(encode(images[0])["image"]["c3"], expected["c3"])
    assert "is damaged" in caplog.text
    assert torch.equal(load_file(file)["c3"], expected["c3"])


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path, images: list[dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match=r"can't write features to .*no space left to write .*is the disk full\?"):
        EncodeFeaturesd("image", ToyBackbone(), tmp_path)(images[0])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_inside_a_cache_each_image_is_encoded_once(images: list[dict[str, Tensor]]) -> None:
    backbone = ToyBackbone()
    cache = CacheDataset(images, EncodeFeaturesd("image", backbone), progress=False)
    for _ in range(3):
        assert all(cache[number]["image"]["c4"].shape == (1, 2, 2) for number in range(3))
    assert backbone.passes == 3


def test_a_backbone_in_training_mode_is_refused(images: list[dict[str, Tensor]]) -> None:
    with pytest.raises(ValueError, match="of a frozen backbone in eval mode"):
        EncodeFeaturesd("image", ToyBackbone().train())(images[0])
    with pytest.raises(ValueError, match=r"of a frozen backbone can be cached, and this one trains"):
        EncodeFeaturesd("image", ToyBackbone().requires_grad_())(images[0])


def test_what_a_segmenter_encodes_must_be_frozen_too() -> None:
    """The workflows hand over no module, but the segmenter's first step."""
    backbone = efficientnet_lite2()
    image = {"image": torch.rand(3, 32, 32)}
    frozen = FeatureExtractor(Segmenter(backbone, Prototype(backbone.channels, levels=("c3",))))
    assert set(EncodeFeaturesd("image", frozen)(image)["image"]) == {"c3"}
    trained = TrainedBackbone(efficientnet_lite2(), "c2")
    extractor = FeatureExtractor(Segmenter(trained, Prototype(trained.channels, levels=("c3",))))
    with pytest.raises(ValueError, match=r"this one trains; feed images: encode_transforms \[\]"):
        EncodeFeaturesd("image", extractor)(image)


def test_any_callable_with_levels_and_fingerprint_will_do(images: list[dict[str, Tensor]]) -> None:
    class Half:
        levels = ("c3",)

        def __call__(self, image: Tensor) -> dict[str, Tensor]:
            return {"c3": image / 2}

    result = EncodeFeaturesd("image", Half())(images[0])["image"]
    torch.testing.assert_close(result["c3"].float(), images[0]["image"] / 2, atol=5e-4, rtol=0)
