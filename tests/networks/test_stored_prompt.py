# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A support set in a network's state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scripts.networks.stored_prompt import StoredPrompt


def support(shots: int = 2) -> tuple[dict[str, Tensor], Tensor]:
    """Features of two levels, counted up from 0, and a level that isn't asked for."""
    features = {
        "c4": torch.arange(shots * 3 * 2 * 2.0).view(shots, 3, 2, 2),
        "c3": 1000 + torch.arange(shots * 2 * 4 * 5.0).view(shots, 2, 4, 5),
        "c5": torch.zeros(shots, 1, 1, 1),
    }
    return features, torch.randint(0, 2, (shots, 1, 8, 10)).float()


def test_it_gives_back_what_was_stored() -> None:
    stored = StoredPrompt(("c3", "c4"))
    assert stored.is_empty()
    features, label = support()
    stored.store(features, label)
    assert not stored.is_empty()
    found = stored()
    assert list(found) == ["c3", "c4"]
    for level, maps in found.items():
        assert torch.equal(maps, features[level].unsqueeze(0))
    assert torch.equal(stored.label, label)
    assert stored.values.shape == (2 * 2 * 4 * 5 + 2 * 3 * 2 * 2,)
    assert stored.values[0] == 1000


def test_the_last_set_stays() -> None:
    stored = StoredPrompt(("c3", "c4"))
    stored.store(*support(5))
    features, label = support(1)
    stored.store(features, label)
    assert stored()["c4"].shape == (1, 1, 3, 2, 2)
    assert torch.equal(stored.label, label)


def test_a_state_brings_its_own_sizes() -> None:
    """Within a network, over another stored set, and an empty one."""
    full, other = nn.ModuleDict({"prompt": StoredPrompt(("c3", "c4"))}), StoredPrompt(("c3", "c4"))
    features, label = support(3)
    full["prompt"].store(features, label)
    state = full.state_dict()
    assert set(state) == {"prompt.values", "prompt.shapes", "prompt.label"}
    other.store(*support(1))
    network = nn.ModuleDict({"prompt": other})
    network.load_state_dict(state)
    assert torch.equal(other()["c3"], features["c3"].unsqueeze(0))
    assert torch.equal(other.label, label)
    network.load_state_dict(nn.ModuleDict({"prompt": StoredPrompt(("c3", "c4"))}).state_dict())
    assert other.is_empty()


def test_torchscript() -> None:
    stored = StoredPrompt(("c3", "c4"))
    features, label = support()
    stored.store(features, label)
    scripted = torch.jit.script(stored)
    for level, maps in scripted().items():
        assert torch.equal(maps, features[level].unsqueeze(0))
