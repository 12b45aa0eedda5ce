# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What builds a network is kept with plain values; what belongs to the data set is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from scripts.apps.startup.network_sections import describe_network, network_sections


def test_values_take_the_place_of_references(bundle_root: Path) -> None:
    parser = ConfigParser()
    configs = ("train.json", "hosts/ifa.json", "data/synthetic.json")
    parser.read_config([str(bundle_root / "configs" / name) for name in configs])
    parser.update({"neck_channels": 64, "refinement_def": {"_target_": "scripts.networks.refinement.ColourCut"}})
    kept = network_sections(parser)
    assert kept.names == {"host_name": "ifa", "text_name": "off"}
    assert kept.sections["backbone_def"] == {"_target_": ".networks.backbones.efficientnet_lite2"}
    host = kept.sections["host_def"]
    assert (host["_target_"], host["neck_channels"], host["guidance"]) == (".networks.hosts.IFA", 64, None)
    assert host["channels"]["c4"] == 120
    assert kept.sections["text_table"] is None
    assert "ColourCut" not in kept.as_json()
    assert json.loads(kept.as_json())["encodes"] is True


def test_of_a_network_that_words_prompt_the_names_are_kept(bundle_root: Path) -> None:
    parser = ConfigParser()
    parser.read_config([str(bundle_root / "configs" / name) for name in ("train.json", "language/clipseg.json")])
    kept = network_sections(parser)
    assert (kept.names, kept.sections, kept.encodes) == ({"host_name": "clipseg", "text_name": "clip"}, {}, True)


def test_without_a_configuration() -> None:
    with pytest.raises(RuntimeError, match="describe_network reads the configuration that calls it"):
        describe_network()
