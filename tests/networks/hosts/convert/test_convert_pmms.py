# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scripts.networks.hosts import PMMs, RPMMs
from scripts.networks.hosts.convert.pmms import convert_pmms, convert_rpmms, pmms_names, rpmms_names

CHANNELS = {"c3": 512, "c4": 1024}
KINDS = [(PMMs, convert_pmms, pmms_names), (RPMMs, convert_rpmms, rpmms_names)]


def published(host: torch.nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    """A state as the public repository writes it."""
    torch.manual_seed(0)
    own = host.state_dict()
    own["embedding.weight"] = torch.empty(own["embedding.bias"].shape[0], 1536, 3, 3)
    state = {theirs: torch.rand_like(own[ours]) for theirs, ours in names.items()}
    return {**state, "model_res.conv1.weight": torch.zeros(1), "layer5.1.num_batches_tracked": torch.tensor(9)}


@pytest.mark.parametrize(("kind", "convert", "names"), KINDS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_weight_finds_its_place(kind: Any, convert: Any, names: Any, prefix: str) -> None:
    host = kind(CHANNELS, embedding_channels=8)
    start = host.start.clone()
    state = published(host, names())
    host.load_state_dict(convert({prefix + name: value for name, value in state.items()}))
    assert torch.equal(torch.cat(list(host.embedding.weights), dim=1), state["layer5.0.weight"])
    assert torch.equal(host.head.pyramid[3].conv.weight, state["layer6.layer6_4.0.weight"])
    assert torch.equal(host.head.trunk[0].first.weight, state["residule1.1.weight"])
    assert torch.equal(host.head.trunk[2].second.bias, state["residule3.3.bias"])
    assert torch.equal(host.embedding.norm.running_var, state["layer5.1.running_var"])
    assert torch.equal(host.start, start)
    other = torch.rand_like(start)
    assert torch.equal(convert(state, other)["start"], other)


@pytest.mark.parametrize(("kind", "convert", "names"), KINDS)
def test_missing_and_unexpected_names_are_listed(kind: Any, convert: Any, names: Any) -> None:
    state = published(kind(CHANNELS, embedding_channels=8), names())
    del state["layer9.bias"]
    state["layer10.bias"] = torch.zeros(1)
    message = rf"not a {kind.__name__} checkpoint: missing \['layer9.bias'\]; unexpected \['layer10.bias'\]"
    with pytest.raises(ValueError, match=message):
        convert(state)
