# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from torch.utils.tensorboard import SummaryWriter

from scripts.apps.reports.curves import draw_curves, read_scalars


def share_of(picture, colour: str) -> float:
    """Share of pixels that have the colour (to within the compression of a pixel value)."""
    return float((np.abs(picture[..., :3] - np.array(to_rgb(colour))).max(axis=-1) < 0.02).mean())


def test_curves_from_a_tensorboard_log(tmp_path):
    for first, offset in ((0, 1.0), (60, 0.5)):  # a second, resumed run logs some steps again
        with SummaryWriter(tmp_path / "log" / str(first)) as writer:
            for step in range(first, first + 80):
                writer.add_scalar("loss", offset / (step + 1), step)
    scalars = read_scalars(tmp_path / "log")
    assert [step for step, _ in scalars["loss"]] == list(range(140))
    assert scalars["loss"][10][1] == pytest.approx(1 / 11)
    assert scalars["loss"][70][1] == pytest.approx(0.5 / 71)
    few = [(0, 0.1), (70, 0.4), (140, 0.5)]
    picture = imread(
        draw_curves(tmp_path / "a.png", {"loss": {"training": scalars["loss"]}, "mIoU": {"validation": few}})
    )
    left, right = np.array_split(picture, 2, axis=1)
    assert share_of(left, "#0072B2") > 0.0005
    assert share_of(right, "#0072B2") > 0.0005


def test_a_missing_log_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no TensorBoard log in {tmp_path}"):
        read_scalars(tmp_path)


def test_no_curve_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no curve"):
        draw_curves(tmp_path / "a.png", {})
    assert list(tmp_path.iterdir()) == []
