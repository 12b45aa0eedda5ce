# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import nibabel
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from torch.utils.tensorboard import SummaryWriter

from scripts.apps.reports.curves import draw_curves, read_scalars
from scripts.apps.reports.figures import OverlaySlice, draw_slices
from scripts.apps.reports.volume_figure import choose_slices, draw_volume, draw_volume_files

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
    with pytest.raises(ValueError, match="no curve"):
        draw_curves(tmp_path / "a.png", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("annotated", "number", "chosen"),
    [
        ((), 3, [10, 15, 20]),
        ((16,), 3, [10, 16, 20]),
        ((12, 30), 3, [12, 15, 30]),
        ((11, 12, 13, 14), 3, [11, 12, 13]),
        ((), 100, list(range(10, 21))),
    ],
)
def test_slices_are_spread_over_the_extent_and_hold_the_annotated(annotated, number, chosen):
    areas = np.zeros(40)
    areas[10:21] = 50
    assert choose_slices(areas, annotated, number) == chosen


def test_slices_without_any_label_and_nearly_empty_ends():
    assert choose_slices(np.zeros(9), (), 3) == [0, 4, 8]
    areas = np.array([1.0, 1000, 1000, 1000, 1])
    assert choose_slices(areas, (), 5) == [1, 2, 3]


def test_a_label_map_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\(4, 4, 3\) is not the image's \(4, 4, 4\)"):
        draw_volume(tmp_path / "a.png", np.zeros((4, 4, 4)), np.zeros((4, 4, 3)), None, labels=LABELS)


def test_files_are_drawn_upright_whatever_their_orientation(tmp_path):
    """A label at the patient's front must be on top, whether the file is stored LPS or RAS."""
    image = np.zeros((30, 40, 5), np.float32)  # x to the left, y to the back, z to the head
    image[1:-1, 1:-1] = 1
    label = np.zeros(image.shape, np.uint8)
    label[5:25, 2:10, 2] = 1
    annotation = np.full(image.shape, 255, np.uint8)
    annotation[:, :, 2] = label[:, :, 2]
    pictures = []
    for name, flips, signs in (("lps", (), (-1, -1, 1)), ("ras", (0, 1), (1, 1, 1))):
        affine = np.diag([*np.array(signs, float) * (1, 1, 5), 1])
        for kind, content in (("image", image), ("label", label), ("annotation", annotation)):
            nibabel.save(nibabel.Nifti1Image(np.flip(content, flips), affine), tmp_path / f"{name}_{kind}.nii.gz")
        files = {kind: tmp_path / f"{name}_{kind}.nii.gz" for kind in ("image", "label", "annotation")}
        pictures.append(
            imread(
                draw_volume_files(
                    tmp_path / f"{name}.png",
                    files["image"],
                    files["label"],
                    labels={1: "liver"},
                    annotation_file=files["annotation"],
                    num_slices=1,
                )
            )
        )
    assert np.array_equal(pictures[0], pictures[1])
    assert share_of(pictures[0], YELLOW) > 0.005
    body = pictures[0][: int(pictures[0].shape[0] * 0.85)]
    rows = np.flatnonzero((np.abs(body[..., :3] - np.array(to_rgb(ORANGE))).max(axis=-1) < 0.02).any(axis=1))
    assert rows.mean() < body.shape[0] / 2


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
