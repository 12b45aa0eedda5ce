# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from scripts.apps.reports.figures import OverlaySlice, draw_slices

LABELS = {1: "liver", 4: "spleen"}
ORANGE, BLUE, YELLOW = "#E69F00", "#56B4E9", "#F5C518"


def share_of(picture, colour: str) -> float:
    """Share of pixels that have the colour (to within the compression of a pixel value)."""
    return float((np.abs(picture[..., :3] - np.array(to_rgb(colour))).max(axis=-1) < 0.02).mean())


def square(value: int, size: int = 40) -> np.ndarray:
    label = np.zeros((size, size), np.uint8)
    label[10:30, 10:30] = value
    return label


def grey(size: int = 40) -> np.ndarray:
    return np.linspace(0.2, 1, size * size).reshape(size, size)


def test_outlines_have_the_label_colour_and_frames_mark_annotated_slices(tmp_path):
    plain = [OverlaySlice(grey(), square(1), square(1), "slice 3")]
    picture = imread(draw_slices(tmp_path / "a.png", plain, labels={1: "liver"}))
    assert share_of(picture, ORANGE) > 0.001
    assert share_of(picture, YELLOW) == 0
    plain[0].is_annotated = True
    assert share_of(imread(draw_slices(tmp_path / "a.png", plain, labels={1: "liver"})), YELLOW) > 0.005


def test_a_label_keeps_its_colour_whichever_labels_are_in_the_slice(tmp_path):
    only_spleen = imread(draw_slices(tmp_path / "a.png", [OverlaySlice(grey(), square(4))], labels=LABELS, apart=True))
    nothing = imread(draw_slices(tmp_path / "b.png", [OverlaySlice(grey(), square(0))], labels=LABELS, apart=True))
    # beyond the legend's patch, which both have
    blended = 0.75 * np.array(to_rgb(BLUE))[None] + 0.25 * np.linspace(0, 1, 20)[:, None]
    picture = only_spleen[::4, ::4, None, :3]
    assert (np.abs(picture - blended).max(axis=-1).min(axis=-1) < 0.03).mean() > 0.05
    assert share_of(nothing, BLUE) == share_of(only_spleen, BLUE) > 0


def test_rows_and_columns(tmp_path):
    slices = [OverlaySlice(grey(), square(1), square(1)) for _ in range(5)]

    def size(name: str, **options):
        height, width = imread(draw_slices(tmp_path / name, slices, labels=LABELS, **options)).shape[:2]
        return height, width

    one_row, two_rows, apart = size("a.png", columns=6), size("b.png", columns=3), size("c.png", apart=True)
    assert one_row[1] > 1.5 * two_rows[1]
    assert two_rows[0] > 1.7 * (one_row[0] - 100)
    assert apart[0] > 2 * one_row[0]  # image, prediction and truth
    for each in slices:
        each.truth = None
    assert size("d.png", apart=True)[0] < 0.8 * apart[0]


def test_the_empty_rim_is_not_drawn(tmp_path):
    image = np.zeros((100, 200))
    image[40:60, 20:180] = 1
    height, width = imread(draw_slices(tmp_path / "a.png", [OverlaySlice(image)], labels={1: "liver"})).shape[:2]
    assert height < width / 1.5  # whole, the picture would be twice as high


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no slice"):
        draw_slices(tmp_path / "a.png", [], labels=LABELS)
    assert list(tmp_path.iterdir()) == []
