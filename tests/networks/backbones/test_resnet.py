# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""ResNet-50: strides, activations, weights that stop early."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from scripts.networks.backbones import resnet50, timm_backbone


def test_resnet_dilated_to_stride_8(resnet_file: str) -> None:
    network = resnet50(resnet_file)
    assert network.levels == ("c2", "c3", "c4")
    maps = network(torch.rand(1, 3, 64, 64))
    assert {level: tuple(value.shape[1:]) for level, value in maps.items()} == {
        "c2": (256, 16, 16),
        "c3": (512, 8, 8),
        "c4": (1024, 8, 8),
    }


def test_stride_in_1x1_moves_the_stride(resnet_file: str) -> None:
    image = torch.rand(1, 3, 64, 64)
    usual = resnet50(resnet_file, output_stride=32).select(("c3",))
    moved = resnet50(resnet_file, output_stride=32, stride_in_1x1=True).select(("c3",))
    assert usual.body.get_submodule("layer2.0.conv1").stride == (1, 1)
    assert moved.body.get_submodule("layer2.0.conv1").stride == (2, 2)
    assert moved(image)["c3"].shape == usual(image)["c3"].shape
    assert not torch.allclose(moved(image)["c3"], usual(image)["c3"])


def test_block_relu(resnet_file: str) -> None:
    """Every level is the sum before its block's ReLU, and the next block still gets the rectified map."""
    image = torch.rand(1, 3, 64, 64)
    levels = ("c3.0", "c3", "c4.2", "c4")
    rectified = resnet50(resnet_file).select(levels)
    sums = resnet50(resnet_file, block_relu=False).select(levels)
    assert rectified.fingerprint() != sums.fingerprint()
    expected, found = rectified(image), sums(image)
    for level in levels:
        assert found[level].min() < 0
        torch.testing.assert_close(found[level].relu(), expected[level])


def test_last_relu(resnet_file: str) -> None:
    image = torch.rand(1, 3, 64, 64)
    rectified = resnet50(resnet_file).select(("c3", "c4"))(image)
    signed = resnet50(resnet_file, last_relu=False).select(("c3", "c4"))(image)
    assert rectified["c4"].min() >= 0
    assert signed["c4"].min() < 0
    assert torch.allclose(signed["c4"].relu(), rectified["c4"], atol=1e-6)
    assert torch.equal(signed["c3"], rectified["c3"])


def test_matches_the_unfolded_network(resnet_file: str) -> None:
    network = timm.create_model("resnet50", pretrained=False, output_stride=8).eval()
    from safetensors.torch import load_file

    network.load_state_dict(load_file(resnet_file), strict=False)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network.forward_intermediates((image - mean) / std, indices=[3], intermediates_only=True)[0]
    found = resnet50(resnet_file)(image)["c4"]
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_level_that_the_file_lacks(resnet_file: str) -> None:
    with pytest.raises(ValueError, match=r"c5.*lacks"):
        resnet50(resnet_file).select(("c5",))


def test_fingerprint_and_name_tell_geometries_apart(resnet_file: str) -> None:
    """Or a cache would give one network the maps of another, and a checkpoint load where its features mean less."""
    variants: list[dict[str, Any]] = [
        {},
        {"output_stride": 32},
        {"output_stride": 32, "stride_in_1x1": True},
        {"block_relu": False},
        {"last_relu": False},
    ]
    backbones = [resnet50(resnet_file, **options).select(("c3",)) for options in variants]
    assert len({backbone.fingerprint() for backbone in backbones}) == len(variants)
    assert [backbone.name for backbone in backbones] == [
        "resnet50",
        "resnet50, output stride 32",
        "resnet50, output stride 32, stride in 1x1",
        "resnet50, sums before ReLU",
        "resnet50, no last ReLU",
    ]
    plain, dilated = (timm_backbone("resnet18", pretrained=False, output_stride=stride) for stride in (None, 16))
    assert dilated.name == "resnet18, output stride 16" != plain.name
