# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Networks that run as a whole: sizes that suit them, levels by depth, weight files that stop early."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from scripts.networks.backbones import timm_backbone
from scripts.networks.backbones.intermediates import depth_indices, fitting_size, suitable_sides

NAME = "vit_tiny_patch16_224"


@pytest.mark.parametrize(
    ("size", "multiple", "fixed", "expected"),
    [
        ((400, 400), 14, None, (406, 406)),
        ((392, 200), 14, None, (392, 210)),
        ((400, 300), 224, None, (448, 448)),
        ((400, 300), 1, (224, 224), (224, 224)),
    ],
)
def test_fitting_size(
    size: tuple[int, int], multiple: int, fixed: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    assert fitting_size(*size, multiple, fixed) == expected


def test_depth() -> None:
    assert depth_indices(12) == {"c2": 2, "c3": 5, "c4": 8, "c5": 11}


def test_transformer() -> None:
    network = timm_backbone(NAME, pretrained=False)
    maps = network.select(("c3", "c5"))(torch.rand(1, 3, 64, 96))
    assert {level: tuple(value.shape) for level, value in maps.items()} == {"c3": (1, 192, 4, 6), "c5": (1, 192, 4, 6)}


def test_an_image_of_another_size_is_resized_to_the_next_multiple() -> None:
    network = timm_backbone(NAME, pretrained=False).select(("c2",))
    image = torch.rand(1, 3, 50, 64)
    larger = nn.functional.interpolate(image, (64, 64), mode="bilinear", align_corners=False)
    assert torch.allclose(network(image)["c2"], network(larger)["c2"], atol=1e-4)


@pytest.mark.parametrize(
    ("lacking", "levels"),
    [
        (("head.",), ("c2", "c3", "c4", "c5")),
        (("head.", "blocks.9.", "blocks.10."), ("c2", "c3", "c4")),
        (("blocks.6.mlp.fc2.bias",), ("c2", "c3")),
    ],
)
def test_a_file_that_stops_early(tmp_path: Path, lacking: tuple[str, ...], levels: tuple[str, ...]) -> None:
    state = timm.create_model(NAME, pretrained=False).state_dict()
    save_file({key: value for key, value in state.items() if not key.startswith(lacking)}, tmp_path / "vit.safetensors")
    network = timm_backbone(NAME, tmp_path / "vit.safetensors")
    assert network.levels == levels
    for level in {"c2", "c3", "c4", "c5"} - set(levels):
        with pytest.raises(
            ValueError, match=rf"levels \['{level}'\] of {NAME} need weights that the file lacks: blocks"
        ):
            network.select((level,))


@pytest.mark.parametrize("key", ["pos_embed", "patch_embed.proj.bias", "norm.weight", "blocks.0.attn.qkv.weight"])
def test_a_file_without_what_every_level_needs_is_refused(tmp_path: Path, key: str) -> None:
    state = timm.create_model(NAME, pretrained=False).state_dict()
    del state[key]
    save_file(state, tmp_path / "vit.safetensors")
    with pytest.raises(ValueError, match=f"need weights that the file lacks: {key}"):
        timm_backbone(NAME, tmp_path / "vit.safetensors")


def test_what_takes_no_size_says_why() -> None:
    class Odd(nn.Module):
        def forward_intermediates(self, image: torch.Tensor, **_: object) -> list[torch.Tensor]:
            raise RuntimeError("no such luck")

    with pytest.raises(ValueError, match=r"timm model 'odd' gives no maps of images of 64 x 64 px.*no such luck"):
        suitable_sides(Odd(), {"c2": 0}, [32], (64, 64), "odd")
