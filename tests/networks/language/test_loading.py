# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""States from files: nothing is unpickled but tensors, and what is missing or unknown is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from scripts.networks.language.loading import load_named, model_folder, read_config, read_state, strip_prefix

State = dict[str, Tensor]
STATE: State = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([7.0, 8.0])}


@pytest.mark.parametrize(
    "content",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "trainer": {"epoch": 1}},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
    ],
)
def test_what_a_state_lies_in(tmp_path: Path, content: Callable[[State], object]) -> None:
    torch.save(content(STATE), tmp_path / "pytorch_model.bin")
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        found = read_state(path)
        assert found.keys() == STATE.keys()
        assert all(torch.equal(found[name], value) for name, value in STATE.items())


def test_a_folder_offers_safetensors_first(tmp_path: Path) -> None:
    torch.save({"old": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    save_file(STATE, tmp_path / "model.safetensors")
    assert read_state(tmp_path).keys() == STATE.keys()


def test_what_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights .*absent\.pt"):
        read_state(tmp_path / "absent.pt")
    with pytest.raises(
        FileNotFoundError, match=r"holds no weights; looked for: model\.safetensors, pytorch_model\.bin"
    ):
        read_state(tmp_path)
    torch.save({"epoch": 3}, tmp_path / "numbers.pt")
    with pytest.raises(ValueError, match=r"numbers\.pt holds no state dict: expected names with tensors"):
        read_state(tmp_path / "numbers.pt")
    (tmp_path / "half.pt").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"half\.pt can't be read: it is damaged, or holds more than tensors"):
        read_state(tmp_path / "half.pt")
    (tmp_path / "half.safetensors").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"half\.safetensors is not a readable safetensors file"):
        read_state(tmp_path / "half.safetensors")


def test_a_prefix() -> None:
    one = torch.ones(1)
    assert strip_prefix({"net.a.net.b": one, "a.net.c": one, "net": one}, "net.") == {"a.net.b": one}


def linear() -> nn.Linear:
    return nn.Linear(3, 2)


def test_values_arrive_as_single_precision() -> None:
    network = linear()
    load_named(network, {name: value.half() for name, value in STATE.items()}, "a file")
    assert network.weight.dtype == torch.float32
    assert torch.equal(network.weight, STATE["weight"])
    assert torch.equal(network.bias, STATE["bias"])


def test_what_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(ValueError, match=r"a file is not of this network: it lacks 1 tensors, such as bias.* nothing"):
        load_named(linear(), {"weight": STATE["weight"]}, "a file")
    with pytest.raises(ValueError, match=r"it lacks nothing, .*doesn't know: 1 tensors, such as scale"):
        load_named(linear(), {**STATE, "scale": torch.ones(())}, "a file")
    with pytest.raises(ValueError, match=r"a file: weight has shape \(1, 3\), the network needs \(2, 3\)"):
        load_named(linear(), {**STATE, "weight": torch.ones(1, 3)}, "a file")


def test_what_may_differ() -> None:
    network = linear()
    bias = network.bias.detach().clone()
    more = {"weight": STATE["weight"], "text.x": torch.ones(1), "deep.position_ids": torch.ones(1)}
    load_named(network, more, "a file", ignored=("text.", "position_ids"), absent=("bias",))
    assert torch.equal(network.weight, STATE["weight"])
    assert torch.equal(network.bias, bias)
    load_named(
        nn.BatchNorm1d(2), {name: torch.ones(2) for name in ("weight", "bias", "running_mean", "running_var")}, "x"
    )


def test_a_models_folder(tmp_path: Path) -> None:
    assert model_folder(str(tmp_path), "CLIPSeg") == tmp_path
    for name in ("./absent", "~/absent", "a/b/c", str(tmp_path / "absent")):
        with pytest.raises(FileNotFoundError, match=r"no folder .* with CLIPSeg; give a folder, or a name on the"):
            model_folder(name, "CLIPSeg")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert read_config(tmp_path) == {"a": 1}
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json"):
        read_config(tmp_path)
