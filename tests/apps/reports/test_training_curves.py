# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from scripts.apps.reports.training_curves import draw_training, draw_trainings, main


def log(folder: Path, *tags: str) -> Path:
    with SummaryWriter(folder / "tensorboard") as writer:
        for tag in tags:
            for epoch in range(1, 4):
                writer.add_scalar(tag, 1 / epoch, epoch)
    return folder


@pytest.fixture
def training(tmp_path: Path) -> Path:
    return log(tmp_path / "ifa", "train_loss", "val_loss", "class_miou")


def test_one_training_lies_beside_its_log(training: Path) -> None:
    path = draw_training(training)
    assert path == training / "curves.png"
    with Image.open(path) as picture:
        assert picture.width == pytest.approx(3 * 4.6 * 150, abs=2)  # a panel per curve


def test_several_trainings_get_a_line_each(training: Path, tmp_path: Path) -> None:
    other = log(tmp_path / "pmms", "train_loss", "val_loss", "class_miou")
    pictures = []
    for name, folders in (("one", [training]), ("two", [training, other])):
        path = draw_trainings(folders, tmp_path / f"{name}.png")
        with Image.open(path) as picture:
            pictures.append(picture.convert("RGB").tobytes())
    assert pictures[0] != pictures[1]  # the second line, and a legend that tells them apart


def test_two_folders_of_one_name_are_refused(training: Path, tmp_path: Path) -> None:
    same = log(tmp_path / "other" / "ifa", "train_loss", "val_loss", "class_miou")
    with pytest.raises(ValueError, match="the folders of two trainings have one name"):
        draw_trainings([training, same], tmp_path / "a.png")


def test_a_log_without_validation_says_what_it_has(tmp_path: Path) -> None:
    folder = log(tmp_path / "ifa", "train_loss", "other")
    with pytest.raises(ValueError, match=r"has no val_loss, class_miou \(it has other, train_loss\)"):
        draw_training(folder)


def test_the_command(training: Path, tmp_path: Path) -> None:
    assert main([str(training)]) == training / "curves.png"
    assert main([str(training), "--png", str(tmp_path / "own.png")]) == tmp_path / "own.png"
    other = log(tmp_path / "pmms", "train_loss", "val_loss", "class_miou")
    assert main([str(other), str(training)]) == other / "curves.png"
    with pytest.raises(SystemExit):
        main([])
