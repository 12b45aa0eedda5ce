# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What targets and overlays of a comparison are called, and that no two are called the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.apps.startup.assembly import CONFIGS
from scripts.studies.compare.cell import Cell
from scripts.studies.compare.entries import label_overlays
from scripts.studies.compare.workflow import plan


def cells(root: Path, **changes: Any) -> list[Cell]:
    values = {
        "data_root": root,
        "hosts": ["matching"],
        "targets": ["CHAOS"],
        "text": ["off"],
        "refinement": ["off"],
        "num_shots": [1],
        "seeds": [0],
        "ckpt_root": None,
        "allow_untrained": True,
        "backbone": None,
        "options": {},
    }
    return plan(**{**values, **changes})


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    for name in ("KVASIR", "BUSI", "CHAOS", "ISIC"):
        (tmp_path / "data" / name).mkdir(parents=True)
    return tmp_path / "data"


def own(path: Path, kind: str = "hosts", name: str = "matching") -> str:
    path.parent.mkdir(parents=True)
    shutil.copy(CONFIGS / kind / f"{name}.json", path)
    return str(path)


def test_ordinary_cells_go_by_overlays(data_root: Path) -> None:
    names = [cell.name for cell in cells(data_root, hosts=["patnet"], targets=["CHAOS", "BUSI"])]
    assert names == ["chaos_mr-patnet-off-off-1shot-seed0", "image_text-patnet-off-off-1shot-seed0"]


def test_targets_of_one_overlay_go_by_folder(data_root: Path) -> None:
    found = cells(data_root, targets=["kvasir", "BUSI", "CHAOS"])
    assert [cell.labels.target for cell in found] == ["KVASIR", "BUSI", "chaos_mr"]
    assert len({cell.name for cell in found}) == 3


def test_a_file_of_a_shipped_name_goes_by_folder_too(data_root: Path, tmp_path: Path) -> None:
    path = own(tmp_path / "mine" / "matching.json")
    found = cells(data_root, hosts=["matching", path])
    assert [cell.labels.host for cell in found] == ["matching", "mine_matching"]
    assert [cell.labels.host for cell in cells(data_root, hosts=[path])] == ["matching"]


def test_a_text_of_ones_own_is_not_taken_for_none(data_root: Path, tmp_path: Path) -> None:
    path = own(tmp_path / "mine" / "off.json", "text", "minilm")
    (cell,) = cells(data_root, hosts=["prototype"], text=[path])
    assert cell.labels.text == "mine_off"
    with pytest.raises(ValueError, match="'matching' can't hold a text"):
        cells(data_root, text=[path])
    assert label_overlays("text", [str(CONFIGS / "text" / "off.json")]).popitem()[1] == "off"


def test_weights_of_hosts_of_one_name_are_kept_apart(data_root: Path, tmp_path: Path) -> None:
    path = own(tmp_path / "mine" / "ifa.json", name="ifa")
    with pytest.raises(FileNotFoundError, match=r"ifa-off/checkpoints/best\.pt"):
        cells(data_root, hosts=["ifa"], allow_untrained=False)
    with pytest.raises(FileNotFoundError, match=r"mine_ifa-off/checkpoints/best\.pt"):
        cells(data_root, hosts=[path, "ifa"], allow_untrained=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ["isic2018", "ISIC"]}, "targets 'isic2018' and 'ISIC' are both .*ISIC: leave one out"),
        ({"targets": ["image_text", "KVASIR"]}, "targets 'image_text' and 'KVASIR' are both .*KVASIR"),
        ({"hosts": ["ifa", str(CONFIGS / "hosts" / "ifa.json")]}, "hosts 'ifa' and '.*ifa.json' are both"),
        ({"seeds": [0, 1, 0]}, "seeds has 0 and 0, in .*leave one out"),
        ({"refinement": ["off", "off"]}, "refinement has 'off' and 'off', in .*leave one out"),
    ],
)
def test_the_same_twice_is_refused(data_root: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cells(data_root, **changes)


def test_files_that_cant_be_told_apart_are_refused(tmp_path: Path) -> None:
    paths = [own(tmp_path / part / "mine" / "matching.json") for part in ("a", "b")]
    with pytest.raises(ValueError, match=r"hosts '.*a/mine/.*' and '.*b/mine/.*' would both be called 'mine_matching'"):
        label_overlays("hosts", paths)


def test_cells_of_one_name_are_refused(data_root: Path, tmp_path: Path) -> None:
    hosts = ["prototype", own(tmp_path / "a" / "prototype-x.json", name="prototype")]
    text = [
        own(tmp_path / "b" / "x-y.json", "text", "minilm"),
        own(tmp_path / "c" / "y.json", "text", "minilm"),
    ]
    with pytest.raises(ValueError, match="would both be the cell chaos_mr-prototype-x-y-off-1shot-seed0"):
        cells(data_root, hosts=hosts, text=text)
