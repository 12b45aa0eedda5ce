# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.studies.prompt_study.trained_network import checkpoint_of, find_targets, open_target, require_text


def test_path_of_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "ifa-0.3.pt").touch()
    assert checkpoint_of(str(tmp_path / "{host}-{alpha}.pt"), "ifa", "minilm", alpha=0.3) == tmp_path / "ifa-0.3.pt"
    (tmp_path / "ifa-own.pt").touch()
    assert checkpoint_of(str(tmp_path / "{host}-{text}.pt"), "mine/ifa.json", "own.json") == tmp_path / "ifa-own.pt"
    with pytest.raises(FileNotFoundError, match=r"no weights .*ifa-none\.pt of ifa with text 'none'"):
        checkpoint_of(str(tmp_path / "{host}-{text}.pt"), "ifa", "none")
    with pytest.raises(ValueError, match="needs trained weights"):
        checkpoint_of(None, "ifa", "minilm")


def test_targets_by_name_or_folder(data_root: Path) -> None:
    found = find_targets("study", "CHAOS", data_root)
    assert {name: target.overlay for name, target in found.items()} == {"CHAOS": "chaos_mr"}
    assert found == {"CHAOS": find_targets("study", ["chaos_mr"], data_root)["chaos_mr"]}
    with pytest.raises(ValueError, match="study needs targets, such as"):
        find_targets("study", [], data_root)


@pytest.mark.parametrize(("host", "text"), [("ifa", "off"), ("matching", "minilm")])
def test_without_text_there_is_nothing_to_study(host: str, text: str) -> None:
    require_text("study", "ifa", "minilm")
    with pytest.raises(ValueError, match=f"study needs a host that takes text and a text overlay; got '{host}'"):
        require_text("study", host, text)


def test_an_opened_target_has_the_given_weights(arguments: dict[str, Any], data_root: Path) -> None:
    target = find_targets("study", "CHAOS", data_root)["CHAOS"]
    checkpoint = checkpoint_of(arguments["checkpoint"], "prototype", arguments["text"])
    given = {"image_size": 64, "device": "cpu", "backbone": "efficientnet_lite2", "seed": 0}
    parser = open_target(target, "prototype", arguments["text"], checkpoint, given).parser
    network, stored = parser.get_parsed_content("network"), torch.load(checkpoint, weights_only=True)["model"]
    assert parser.get_parsed_content("device") == torch.device("cpu")
    own = {name: value for name, value in network.state_dict().items() if name in stored}
    assert own
    assert all(torch.equal(value, stored[name]) for name, value in own.items())
