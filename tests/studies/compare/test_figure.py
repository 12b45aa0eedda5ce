# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.studies.compare.figure import draw_examples


def cell(root: Path, target: str, host: str, text: str, *, shots: int = 1, width: int = 20) -> Path:
    folder = root / f"{target}-{host}-{text}-{shots}"
    folder.mkdir(parents=True)
    labels = {"target": target, "host": host, "text": text, "refinement": "off"}
    (folder / "cell.json").write_text(json.dumps({"cell": {"labels": labels, "num_shots": shots}}))
    label = np.zeros((40, 40), np.float32)
    label[10:30, 10:30] = 1
    pred = np.zeros((40, 40), bool)
    pred[10:30, 10 : 10 + width] = True
    picture = np.full((3, 20, 20), 0.5, np.float32)
    np.savez(folder / "first.npz", image=picture, support_image=picture, label=label, support_label=label, pred=pred)
    return folder


def tinted(path: Path, colour: tuple[float, float, float]) -> int:
    """Pixels that show a mask of the colour over the grey picture."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), float) / 255
    return int((np.abs(pixels - (0.55 * np.array(colour) + 0.45 * 0.5)).max(axis=-1) < 0.02).sum())


def test_a_figure_per_host_and_shots_a_row_per_target(tmp_path: Path) -> None:
    folders = [
        cell(tmp_path, "isic", "ifa", "off"),
        cell(tmp_path, "isic", "ifa", "minilm"),
        cell(tmp_path, "wbc", "ifa", "off"),
        cell(tmp_path, "isic", "matching", "off"),
        cell(tmp_path, "isic", "matching", "off", shots=5),
    ]
    paths = draw_examples(folders, tmp_path / "figures")
    assert [path.name for path in paths] == ["ifa-off-1shot.png", "matching-off-1shot.png", "matching-off-5shot.png"]
    sizes = []
    for path in paths:
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes == [(800, 450), (600, 225), (600, 225)]  # support, truth, and each text


def test_the_masks_are_the_cells_own(tmp_path: Path) -> None:
    found = (0.84, 0.37, 0.0)
    areas = []
    for name, width in (("narrow", 10), ("wide", 20)):
        (path,) = draw_examples([cell(tmp_path, name, "ifa", "off", width=width)], tmp_path / name)
        areas.append(tinted(path, found))
        assert tinted(path, (0.0, 0.62, 0.45)) > 0  # the truth
    assert areas[1] == pytest.approx(2 * areas[0], rel=0.1)


def test_volumes_that_are_their_own_support_have_no_figure(tmp_path: Path) -> None:
    folder = cell(tmp_path, "chaos_mr", "matching", "off")
    (folder / "first.npz").unlink()
    assert draw_examples([folder], tmp_path / "figures") == []
    assert not (tmp_path / "figures").exists()
