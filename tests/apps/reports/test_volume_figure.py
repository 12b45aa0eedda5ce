# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import nibabel
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from scripts.apps.reports.volume_figure import choose_slices, draw_volume, draw_volume_files

LABELS = {1: "liver", 4: "spleen"}
ORANGE, YELLOW = "#E69F00", "#F5C518"


def share_of(picture, colour: str) -> float:
    """Share of pixels that have the colour (to within the compression of a pixel value)."""
    return float((np.abs(picture[..., :3] - np.array(to_rgb(colour))).max(axis=-1) < 0.02).mean())


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
