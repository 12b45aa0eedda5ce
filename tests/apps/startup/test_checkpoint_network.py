# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A checkpoint brings its network, and nothing but a network of this bundle's parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from scripts.apps.startup.checkpoint_network import network_of_checkpoint
from scripts.apps.startup.errors import cause_of
from scripts.apps.startup.network_sections import NetworkSections, network_sections
from scripts.files.atomic import write_torch
from scripts.files.digest import file_digest

HOST = {"_target_": ".networks.hosts.QNet", "channels": {"c4": 120, "c5": 208}, "levels": ["c4", "c5"]}
OTHER = {"host_def": {**HOST, "guidance": "@guidance_def", "fine_weight": 0.7}, "guidance_def": None}
BACKBONE = {"_target_": ".networks.backbones.efficientnet_lite2"}


def read(bundle_root: Path, *configs: str, **values: Any) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config([str(bundle_root / "configs" / name) for name in ("train.json", "evaluate.json", *configs)])
    parser.update({"bundle_root": str(bundle_root), **values})
    parser["initialize"] = ["$scripts.apps.network_of_checkpoint('train.json', 'evaluate.json')"]
    return parser


def merged(bundle_root: Path, tmp_path: Path, sections: Any, *configs: str, **values: Any) -> ConfigParser:
    """Let a configuration take the network of a checkpoint with these sections."""
    names = {"host_name": "qnet", "text_name": "off"}
    kept = NetworkSections(names, sections, values.pop("files", {}), values.pop("encodes", True))
    kept = kept._replace(names=values.pop("names", names))
    path = write_torch(tmp_path / "best.pt", {"model": {}, "network": kept.as_json()})
    parser = read(bundle_root, *configs, checkpoint=str(path), **values)
    parser.get_parsed_content("initialize::0")
    return parser


def refusal(*arguments: Any, **values: Any) -> str:
    with pytest.raises(RuntimeError) as caught:
        merged(*arguments, **values)
    return str(cause_of(caught.value))


def test_the_network_is_that_of_the_checkpoint(bundle_root: Path, tmp_path: Path) -> None:
    parser = merged(bundle_root, tmp_path, OTHER)
    host = parser.get_parsed_content("network_def").host
    assert (type(host).__name__, host.fine_weight) == ("QNet", 0.7)
    assert (parser["host_name"], parser.get_parsed_content("text_table")) == ("qnet", None)
    assert parser.get_parsed_content("output_dir").endswith("evaluate_synthetic_qnet")


def test_what_was_described_is_taken_again(bundle_root: Path, tmp_path: Path) -> None:
    source = read(bundle_root, "hosts/qnet.json", fine_weight=0.6, initial_threshold=-5.0)
    kept = network_sections(source)
    parser = merged(bundle_root, tmp_path, kept.sections, names=kept.names)
    assert network_sections(parser) == kept
    assert parser.get_parsed_content("host_def").fine_weight == 0.6


def test_overlays_that_agree_are_no_contradiction(bundle_root: Path, tmp_path: Path) -> None:
    kept = network_sections(read(bundle_root, "hosts/qnet.json"))
    overlays = ("hosts/qnet.json", "text/off.json", "backbones/efficientnet_lite2.json")
    assert merged(bundle_root, tmp_path, kept.sections, *overlays)["host_name"] == "qnet"


@pytest.mark.parametrize(
    ("configs", "values", "told"),
    [
        (
            ["hosts/ifa.json"],
            {},
            "host_def#_target_ is '.networks.hosts.QNet' in the checkpoint, '.networks.hosts.IFA'",
        ),
        (["hosts/qnet.json"], {}, "host_def#fine_weight is 0.7 in the checkpoint, 0.9 here"),
        ([], {"neck_channels": 64}, "host_def#neck_channels is None in the checkpoint, 64 here"),
        (["text/minilm.json"], {}, "text_table is none in the checkpoint, .text.embedding_table here"),
        (
            ["backbones/resnet50.json"],
            {},
            "backbone_def#_target_ is '.networks.backbones.efficientnet_lite2' in the checkpoint, "
            "'.networks.backbones.resnet50' here",
        ),
        (
            ["recipes/train_backbone.json"],
            {},
            "network_def#backbone is as it came in the checkpoint, .networks.Trained",
        ),
    ],
)
def test_contradictions(
    bundle_root: Path, tmp_path: Path, configs: list[str], values: dict[str, Any], told: str
) -> None:
    sections = {**OTHER, "backbone_def": BACKBONE, "text_table": None}
    message = refusal(bundle_root, tmp_path, sections, *configs, **values)
    assert f"the configuration contradicts {tmp_path / 'best.pt'}: " in message
    assert told in message
    assert "network_from_checkpoint False" in message
    given = merged(bundle_root, tmp_path, sections, *configs, network_from_checkpoint=False, **values)
    assert given["host_name"] == read(bundle_root, *configs)["host_name"]


def test_text_left_out_on_purpose_contradicts(bundle_root: Path, tmp_path: Path) -> None:
    table = {"_target_": ".text.embedding_table", "prompts_file": "@prompts_file", "encoder": None}
    assert merged(bundle_root, tmp_path, {"text_table": table})["text_table"]["prompts_file"] == "@prompts_file"
    assert "text_table is .text.embedding_table in the checkpoint, none here" in refusal(
        bundle_root, tmp_path, {"text_table": table}, "text/off.json"
    )


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"host_def": {"_target_": "os.system", "command": "true"}}, "host_def is built by os.system, which isn't"),
        ({"host_def": {"_target_": ".networks.segmenter.torch.load", "f": "x"}}, "isn't a part that this bundle ships"),
        ({"host_def": {"_target_": ".apps.write_model", "path": "x"}}, "isn't a part that this bundle ships"),
        ({"host_def": {**HOST, "_mode_": "debug"}}, "isn't a part that this bundle ships"),
        ({"host_def": {**HOST, "fine_weight": "$__import__('os').getpid()"}}, "holds the expression"),
        ({"host_def": {**HOST, "levels": [["%train"]]}}, "holds the expression '%train'"),
        ({"host_def": {**HOST, "levels": "@run"}}, "holds the expression '@run'"),
        ({"host_def": {**HOST, "channels": {"_target_": "os.getcwd"}}}, "is built by os.getcwd"),
        ({"run": ["$print(1)"]}, "brings a section run, which builds no network"),
        ({"dataset_dir": "/"}, "brings a section dataset_dir"),
        ({"text_table": {"_target_": ".text.embedding_table", "cache_file": "/x"}}, "would write to '/x'"),
    ],
)
def test_nothing_else_is_taken(bundle_root: Path, tmp_path: Path, sections: dict[str, Any], told: str) -> None:
    assert told in refusal(bundle_root, tmp_path, sections)


def test_a_name_is_no_expression(bundle_root: Path, tmp_path: Path) -> None:
    assert "host_name '$1' is an expression" in refusal(bundle_root, tmp_path, OTHER, names={"host_name": "$1"})


def test_what_cannot_be_read_is_told(bundle_root: Path, tmp_path: Path) -> None:
    path = write_torch(tmp_path / "best.pt", {"model": {}, "network": json.dumps({"further": 1})})
    with pytest.raises(RuntimeError) as caught:
        read(bundle_root, checkpoint=str(path)).get_parsed_content("initialize::0")
    assert "best.pt: what it says about its network can't be read" in str(cause_of(caught.value))


def test_a_file_that_the_network_needs(bundle_root: Path, tmp_path: Path) -> None:
    """It may lie elsewhere than it did; another one is refused, and so is none."""
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"weights")
    files = {"backbone_def.weights": {"path": str(weights), "sha256": file_digest(weights)}}
    backbone = {"_target_": ".networks.backbones.timm_backbone", "name": "resnet18", "weights": str(weights)}
    arguments: tuple[Any, ...] = (bundle_root, tmp_path, {"backbone_def": backbone})
    assert merged(*arguments, files=files)["backbone_def"]["weights"] == str(weights)
    weights.rename(tmp_path / "moved.pth")
    assert f"was trained with the file {weights} (backbone_def#weights" in refusal(*arguments, files=files)
    given = {"timm_name": "resnet18", "backbone_weights": str(tmp_path / "moved.pth")}
    found = merged(*arguments, "backbones/timm.json", files=files, **given)
    assert found["backbone_def"]["weights"] == str(tmp_path / "moved.pth")
    (tmp_path / "moved.pth").write_bytes(b"others")
    assert "backbone_def#weights is " in refusal(*arguments, "backbones/timm.json", files=files, **given)


def test_a_backbone_that_was_trained_gets_images(bundle_root: Path, tmp_path: Path) -> None:
    source = read(bundle_root, "hosts/ifa.json", "recipes/train_backbone.json", host_levels=["c3"], neck_channels=None)
    kept = network_sections(source)
    assert not kept.encodes
    parser = merged(bundle_root, tmp_path, kept.sections, names=kept.names, encodes=False)
    assert type(parser.get_parsed_content("network_def").backbone).__name__ == "TrainedBackbone"
    assert parser["encode_transforms"] == []


def test_parts_of_ones_own_need_their_overlay(bundle_root: Path, tmp_path: Path) -> None:
    sections = {"host_def": {"_target_": "my_host.MyHost", "level": "c4"}}
    assert "is built by my_host.MyHost, which isn't a part" in refusal(bundle_root, tmp_path, sections)
    own = {"host_name": "my_host", "host_def": {"_target_": "my_host.MyHost", "level": "c4"}}
    parser = merged(bundle_root, tmp_path, sections, **own)
    assert parser["host_def"] == own["host_def"]
    own["host_def"] = {"_target_": "my_host.MyHost", "level": "c5"}
    assert "host_def#level is 'c4' in the checkpoint, 'c5' here" in refusal(bundle_root, tmp_path, sections, **own)


def test_without_a_configuration() -> None:
    with pytest.raises(RuntimeError, match="network_of_checkpoint reads the configuration that calls it"):
        network_of_checkpoint("train.json")


def test_a_network_that_only_its_overlay_builds(bundle_root: Path, tmp_path: Path) -> None:
    names = {"host_name": "lsms", "text_name": "minilm tokens"}
    told = refusal(bundle_root, tmp_path, {}, names=names)
    assert "best.pt is of 'lsms', the configuration of 'ifa': give the overlay that it was trained with" in told
    parser = merged(bundle_root, tmp_path, {}, "language/lsms.json", names=names)
    assert parser["network_def"]["_target_"] == "scripts.networks.language.LanguageSegmenter"
