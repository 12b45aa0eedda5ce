# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from scripts.apps.startup.assembly import Target
from scripts.studies.compare import cell as module
from scripts.studies.compare.cell import Cell, Labels, identities, read_record


@pytest.fixture
def target(tmp_path: Path) -> Target:
    (tmp_path / "CHEST").mkdir()
    (tmp_path / "CHEST" / "a.png").write_bytes(b"a picture")
    return Target("chest_xray", tmp_path / "CHEST")


def test_a_cell_goes_by_its_overlays_unless_it_has_labels(target: Target) -> None:
    cell = Cell("mine/ifa.json", "minilm", "off", target, 5, 3)
    assert cell.labels == Labels("chest_xray", "ifa", "minilm", "off")
    assert cell.name == "chest_xray-ifa-minilm-off-5shot-seed3"
    own = Cell("mine/ifa.json", "minilm", "off", target, 5, 3, own_labels=Labels("CHEST", "mine_ifa", "minilm", "off"))
    assert own.name == "CHEST-mine_ifa-minilm-off-5shot-seed3"


def test_the_files_override_each_other_in_order(target: Target) -> None:
    files = Cell("ifa", "minilm", "colour_cut", target, 1, 0, backbone="efficientnet_lite2").files
    assert ["/".join(Path(file).parts[-2:]) for file in files] == [
        "configs/train.json",
        "configs/evaluate.json",
        "hosts/ifa.json",
        "data/chest_xray.json",
        "backbones/efficientnet_lite2.json",
        "text/minilm.json",
        "refinement/colour_cut.json",
    ]


def test_a_data_set_is_listed_once_however_many_cells_it_has(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "OTHER").mkdir()
    other = Target("chest_xray", tmp_path / "OTHER")
    cells = [Cell("matching", "off", "off", each, 1, seed) for each in (target, other) for seed in range(4)]
    expected = [cell.identity() for cell in cells]
    listed: Counter[Path] = Counter()

    def counting(folder: Path) -> str:
        listed[folder] += 1
        return original(folder)

    original = module.listing_digest
    monkeypatch.setattr(module, "listing_digest", counting)
    assert identities(cells) == expected
    assert listed == {target.dataset_dir: 1, other.dataset_dir: 1}
    assert expected[0]["data"] != expected[4]["data"]


def test_an_identity_is_as_json_gives_it_back(target: Target) -> None:
    cell = Cell("matching", "off", "off", target, 1, 0, options={"classes": ("lung",), "image_size": 96})
    identity = cell.identity()
    assert identity["options"] == {"classes": ["lung"], "image_size": 96}
    assert json.loads(json.dumps(identity)) == identity
    os.utime(target.dataset_dir / "a.png", ns=(0, 0))
    changed = cell.identity()
    assert {key for key, value in identity.items() if changed[key] != value} == {"data"}  # type: ignore[literal-required]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"cell": {}}'])
def test_a_folder_without_a_finished_cell_has_no_record(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "cell.json").write_text(content)
    assert read_record(tmp_path) is None


def test_a_finished_cell_has_a_record(tmp_path: Path) -> None:
    (tmp_path / "cell.json").write_text('{"identity": {"seed": 0}}')
    assert read_record(tmp_path) == {"identity": {"seed": 0}}
