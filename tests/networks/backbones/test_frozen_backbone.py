# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Levels, pruning, freezing and the identity of a backbone."""

from __future__ import annotations

import pytest
import torch

from scripts.networks.backbones import TimmBackbone, efficientnet_lite2, resnet50


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


def test_fingerprint_tells_weights_apart_and_not_levels(lite2: TimmBackbone, resnet_file: str) -> None:
    first = lite2.select(("c4",)).fingerprint()
    assert first == efficientnet_lite2().select(("c4",)).fingerprint()
    assert first == lite2.select(("c3", "c5")).fingerprint()
    other = resnet50(resnet_file).select(("c4",)).fingerprint()
    assert other == resnet50(resnet_file).select(("c3",)).fingerprint() != first  # the file lacks weights of c5
    other = efficientnet_lite2().select(("c4",))
    next(other.body.parameters()).data += 1e-3
    assert first != other.fingerprint()


def test_scripts(lite2: TimmBackbone) -> None:
    image = torch.rand(1, 3, 64, 64)
    lite2.select(("c3", "c4"))
    scripted = torch.jit.script(lite2)
    for level, value in lite2(image).items():
        assert torch.allclose(scripted(image)[level], value, atol=1e-6)


def test_unknown_levels(lite2: TimmBackbone) -> None:
    with pytest.raises(ValueError, match=r"no level \['c9'\]"):
        lite2.select(("c9",))
    with pytest.raises(ValueError, match="no level"):
        lite2.select(())
