# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks of twelve families by their names, at sizes that they were not made for."""

from __future__ import annotations

import time

import pytest
import torch

from scripts.networks.backbones import TimmBackbone, timm_backbone

CHANNELS = {
    "swin_tiny_patch4_window7_224": (96, 192, 384, 768),
    "swinv2_tiny_window8_256": (96, 192, 384, 768),
    "mobilevit_s": (64, 96, 128, 640),
    "levit_128": (128, 256),  # from c4 on
    "fastvit_t8": (48, 96, 192, 384),
    "maxvit_tiny_tf_224": (64, 128, 256, 512),
    "vit_small_patch14_dinov2": (384, 384, 384, 384),
    "vit_small_patch16_dinov3": (384, 384, 384, 384),
    "convnext_tiny": (96, 192, 384, 768),
    "efficientvit_b0": (16, 32, 64, 128),
    "regnety_002": (24, 56, 152, 368),
    "hrnet_w18_small": (128, 256, 512, 1024),
    "deit_tiny_patch16_224": (192, 192, 192, 192),
}
SIZES = ((224, 224), (256, 256), (400, 400), (200, 330))


@pytest.fixture(scope="module", params=list(CHANNELS))
def network(request: pytest.FixtureRequest) -> TimmBackbone:
    torch.manual_seed(0)
    return timm_backbone(request.param, pretrained=False)


def test_every_size(network: TimmBackbone) -> None:
    expected = CHANNELS[network.name]
    assert network.levels == ("c2", "c3", "c4", "c5")[-len(expected) :]
    assert tuple(network.channels.values()) == expected
    network.select(network.levels[-2:])
    started = time.process_time()
    for height, width in SIZES:
        image = torch.rand(1, 3, height, width)
        maps = network(image)
        assert [value.shape[:2] for value in maps.values()] == [(1, channels) for channels in expected[-2:]]
        assert all(bool(value.isfinite().all()) for value in maps.values())
    assert time.process_time() - started < 20
    assert all(torch.equal(value, maps[level]) for level, value in network(image).items())


def test_maps_show_the_whole_image(network: TimmBackbone) -> None:
    """What changes in a corner of the image changes most in that corner of the map, whatever the image's size."""
    deepest = network.levels[-2 if network.name.startswith(("levit", "hrnet")) else 1 if len(network.levels) > 2 else 0]
    network.select((deepest,))
    image = torch.rand(1, 3, 250, 330)
    plain = network(image)[deepest]
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        changed = image.clone()
        changed[..., row * 190 : row * 190 + 60, column * 250 : column * 250 + 80] = 0.5
        difference = (network(changed)[deepest] - plain).abs().mean(dim=(0, 1))
        place = divmod(int(difference.argmax()), difference.shape[1])
        assert (place[0] >= difference.shape[0] / 2, place[1] >= difference.shape[1] / 2) == (row == 1, column == 1)


def test_state_round_trip(network: TimmBackbone) -> None:
    other = timm_backbone(network.name, pretrained=False)
    network.select(network.levels)
    other.select(network.levels)
    image = torch.rand(1, 3, 64, 64)
    assert any(not torch.equal(value, other(image)[level]) for level, value in network(image).items())
    other.load_state_dict(network.state_dict())
    assert all(torch.equal(value, other(image)[level]) for level, value in network(image).items())


def test_resnet_by_name() -> None:
    network = timm_backbone("resnet18", pretrained=False)
    maps = network(torch.rand(1, 3, 64, 64))
    assert {level: tuple(value.shape[1:]) for level, value in maps.items()} == {
        "c2": (64, 16, 16),
        "c3": (128, 8, 8),
        "c4": (256, 4, 4),
        "c5": (512, 2, 2),
    }


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"timm has no model 'resnet51'; near: .*resnet"):
        timm_backbone("resnet51")


def test_a_network_of_one_size_sees_every_image_at_it() -> None:
    """An MLP-Mixer has weights per patch: it takes 224 x 224 px alone."""
    network = timm_backbone("mixer_s32_224", pretrained=False)
    network.select(("c2", "c5"))
    for size in ((224, 224), (200, 330)):
        maps = network(torch.rand(1, 3, *size))
        assert {level: value.shape for level, value in maps.items()} == {"c2": (1, 512, 7, 7), "c5": (1, 512, 7, 7)}


def test_a_network_without_maps_at_the_strides_is_refused() -> None:
    with pytest.raises(ValueError, match="timm model 'crossvit_tiny_240' has no map at stride 4, 8, 16 or 32"):
        timm_backbone("crossvit_tiny_240", pretrained=False)
