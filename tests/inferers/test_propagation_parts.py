# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The pure functions of the propagation against values worked out by hand or by plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.inferers.propagation import Propagated, SliceAnnotation
from scripts.inferers.propagation.chains.self_check import check_result
from scripts.inferers.propagation.chains.wavefront import TravelledLabel
from scripts.inferers.propagation.evidence.calibration import logistic_regression
from scripts.inferers.propagation.evidence.global_ridge import cell_inputs, fit_ridge
from scripts.inferers.propagation.evidence.intensity import histogram_log_ratio, intensity_range, scale_intensity
from scripts.inferers.propagation.evidence.matching import cell_coverage, choose_cells, match
from scripts.inferers.propagation.evidence.optical_flow import carry, dense_flow
from scripts.inferers.propagation.evidence.slice_features import SliceStack
from scripts.inferers.propagation.geometry.body_box import body_box, holds
from scripts.inferers.propagation.geometry.key_slices import choose_key_slices, slice_step
from scripts.inferers.propagation.geometry.morphology import dilate, drop_islands, fill_holes, signed_distance
from scripts.inferers.propagation.geometry.slice_axis import choose_slice_axis, from_slices, slice_spacing, to_slices
from scripts.inferers.propagation.geometry.working_grid import labels_to_image, labels_to_working, working_shape
from scripts.inferers.propagation.memory.memo import Memo, digest
from scripts.inferers.propagation.parameters import PropagationParameters

PARAMETERS = PropagationParameters()


def test_dilate_grows_by_a_square():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    expected = np.zeros((9, 9), bool)
    expected[2:7, 2:7] = True
    assert np.array_equal(dilate(mask, 2), expected)
    assert np.array_equal(dilate(mask, 0), mask)


def test_signed_distance_counts_from_the_outline():
    mask = np.zeros((7, 7), bool)
    mask[2:5, 2:5] = True
    distance = signed_distance(mask)
    assert distance[3, 3] == pytest.approx(1.5)
    assert distance[2, 3] == pytest.approx(0.5)
    assert distance[1, 3] == pytest.approx(-0.5)
    assert distance[0, 3] == pytest.approx(-1.5)
    assert (signed_distance(np.zeros((3, 3), bool)) == -99).all()
    assert (signed_distance(np.ones((3, 3), bool)) == 99).all()


def test_fill_holes_up_to_a_size():
    mask = np.ones((12, 12), bool)
    mask[2, 2] = mask[6:9, 6:9] = False
    assert fill_holes(mask).all()
    filled = fill_holes(mask, largest=4)
    assert filled[2, 2]
    assert not filled[6:9, 6:9].any()


def test_drop_islands_by_pixels_and_fraction():
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = mask[15:18, 15:18] = True
    assert drop_islands(mask, 10, 0.0).sum() == 100
    assert drop_islands(mask, 9, 0.05).sum() == 109
    assert drop_islands(mask, 1, 0.1).sum() == 100


def test_match_against_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    levels = ("c3", "c4")
    query, support = (
        {level: torch.nn.functional.normalize(torch.randn(6, 16, generator=generator), dim=0) for level in levels}
        for _ in range(2)
    )
    cells, foreground, background = np.array([0, 5, 9]), np.array([1, 2, 6, 7]), np.array([3, 12])
    score = match(query, support, cells, foreground, background, levels, top_k=3, grid=(4, 4))
    for cell in range(16):
        expected = -1.0
        if cell in cells:
            expected = 0.0
            for level in levels:
                cosines = query[level][:, cell] @ support[level]
                inside = sorted((float(cosines[other]) for other in foreground), reverse=True)[:3]
                outside = sorted((float(cosines[other]) for other in background), reverse=True)[:3]
                expected += np.mean(inside) - np.mean(outside)
        assert score.ravel()[cell] == pytest.approx(expected, abs=1e-6)


def test_match_with_itself_hides_the_own_place():
    unit = {"c3": torch.eye(16)}
    cells = np.arange(16)
    hidden = match(unit, unit, cells, cells, cells[:0], ("c3",), top_k=1, grid=(4, 4), excluded_radius=1)
    shown = match(unit, unit, cells, cells, cells[:0], ("c3",), top_k=1, grid=(4, 4))
    assert (hidden == 0).all()
    assert (shown == 1).all()


def test_choose_cells_keeps_the_best_of_a_small_mask():
    coverage = np.array([0.0, 0.2, 0.4, 0.4], np.float32)
    assert choose_cells(coverage, 0.5).tolist() == [2, 3]
    assert choose_cells(coverage, 0.3).tolist() == [2, 3]
    assert choose_cells(np.zeros(4, np.float32), 0.5).size == 0


def test_cell_coverage_is_the_share_of_pixels():
    mask = np.zeros((8, 8), bool)
    mask[:4, :2] = True
    assert cell_coverage(mask, (2, 2)).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_histogram_ratio_tells_bright_from_dark():
    foreground, background = np.full(500, 0.8, np.float32), np.full(500, 0.2, np.float32)
    image = np.array([[0.8, 0.2]], np.float32)
    ratio = histogram_log_ratio(image, foreground, background, PARAMETERS)
    assert ratio[0, 0] == PARAMETERS.histogram_clip
    assert ratio[0, 1] == -PARAMETERS.histogram_clip


def test_intensity_range_of_units():
    rng = np.random.default_rng(0)
    magnetic = rng.uniform(0, 800, (4, 32, 32))
    low, high = intensity_range(magnetic)
    assert low < 20
    assert 770 < high < 800
    assert intensity_range(np.where(magnetic < 400, -1000, magnetic)) == (-150.0, 250.0)
    assert scale_intensity(np.array([-200, 50, 400]), -150, 250).tolist() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize(
    ("shape", "pixels", "expected"),
    [
        ((256, 256), (1.25, 1.25), (256, 256)),
        ((512, 256), (0.7, 1.4), (256, 256)),
        ((36, 256), (7.7, 1.25), (222, 256)),
    ],
)
def test_working_grid_has_square_pixels(shape, pixels, expected):
    assert working_shape(shape, pixels, 256) == expected


def test_labels_survive_the_working_grid():
    label = np.zeros((300, 300), np.uint8)
    label[40:120, 50:200] = 3
    label[200, 200] = 9
    working = labels_to_working(label, (128, 128), (3, 9))
    assert (working == 9).any()
    back = labels_to_image(working, (300, 300))
    same = 2 * ((back == 3) & (label == 3)).sum() / ((back == 3).sum() + (label == 3).sum())
    assert same > 0.98


def test_key_slices():
    assert slice_step(320, 7.7, 0.017) == 1
    assert slice_step(320, 2.5, 0.0) == 1
    keys = choose_key_slices(20, [5, 12], 3)
    assert {0, 5, 12, 19} <= set(keys)
    assert max(np.diff(keys)) <= 4
    assert choose_key_slices(4, [1], 1) == [0, 1, 2, 3]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_of_any_axis_come_back(axis):
    volume = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    slices = to_slices(volume, axis)
    assert len(slices) == volume.shape[axis]
    assert np.array_equal(from_slices(slices, axis), volume)


def test_coronal_slices_have_the_head_on_top():
    volume = np.arange(5)[:, None, None] * np.ones((5, 2, 3))
    assert to_slices(volume, 1)[0][:, 0].tolist() == [4, 3, 2, 1, 0]
    assert slice_spacing((7.7, 1.5, 1.25), 1) == (1.5, 7.7, 1.25)


def test_slice_axis_is_the_one_with_the_largest_spacing():
    assert choose_slice_axis((7.7, 1.25, 1.25)) == 0
    assert choose_slice_axis((1.25, 7.7, 1.25)) == 1
    assert choose_slice_axis((2.0, 2.0, 2.0)) == 0
    assert choose_slice_axis((2.0, 2.0, 2.0), preferred=2) == 2


def test_flow_carries_a_mask_to_the_shifted_slice():
    rows, columns = np.mgrid[:64, :64]
    source = np.exp(-((rows - 30) ** 2 + (columns - 30) ** 2) / 120).astype(np.float32)
    target = np.roll(source, 4, axis=1)
    carried = carry((source > 0.5).astype(np.float32), dense_flow(target, source)) > 0.5
    expected = target > 0.5
    assert 2 * (carried & expected).sum() / (carried.sum() + expected.sum()) > 0.95


def test_logistic_regression_finds_the_plane():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((4000, 2))
    target = (rng.uniform(size=4000) < 1 / (1 + np.exp(-(2 * inputs[:, 0] - inputs[:, 1] + 0.5)))).astype(float)
    assert logistic_regression(inputs, target, np.ones(4000)) == pytest.approx([2, -1, 0.5], abs=0.2)


def test_ridge_equals_the_weighted_normal_equations():
    rng = np.random.default_rng(0)
    parameters = PropagationParameters(levels=("c4",), ridge_levels=("c4",), grid_size=8)
    images = rng.uniform(0, 1, (3, 32, 32)).astype(np.float32)
    stack = SliceStack(images, {"c4": torch.from_numpy(rng.standard_normal((3, 5, 8, 8)).astype(np.float32)).half()}, 8)
    masks = {0: np.zeros((32, 32), bool), 1: np.zeros((32, 32), bool)}
    masks[0][8:24, 4:20] = masks[1][10:26, 4:20] = True
    fitted = fit_ridge(stack, masks, [1], parameters, Memo())
    rows, targets, weights = [], [], []
    for index in range(3):
        inputs = cell_inputs(stack, index, parameters).double().numpy()
        coverage = cell_coverage(masks.get(index, np.zeros((32, 32), bool)), (8, 8))
        is_bright = inputs[:, 5] > parameters.ridge_darkest
        for side, chosen in ((1, coverage > 0.7), (-1, coverage < 0.1)):
            chosen = chosen & is_bright
            rows.append(inputs[chosen])
            targets.append(np.full(chosen.sum(), side))
            weights.append(np.full(chosen.sum(), np.exp(-abs(index - 1) / parameters.ridge_decay)))
    rows, targets, weights = np.concatenate(rows), np.concatenate(targets), np.concatenate(weights)
    for side in (1, -1):
        weights[targets == side] *= 0.5 / weights[targets == side].sum()
    matrix = rows.T @ (rows * weights[:, None])
    matrix += parameters.ridge_penalty * matrix.diagonal().mean() * np.eye(len(matrix))
    expected = np.linalg.solve(matrix, rows.T @ (weights * targets))
    assert fitted.numpy() == pytest.approx(expected, abs=1e-3)


def test_memo_forgets_what_no_run_asked_for():
    memo, calls = Memo(runs=1), []
    for _ in range(2):
        memo.start_run()
        assert memo.recall("a", lambda: calls.append(1) or 7) == 7
    assert len(calls) == 1
    memo.start_run()
    memo.start_run()
    memo.recall("a", lambda: calls.append(1) or 7)
    assert len(calls) == 2
    assert digest(np.zeros((2, 3))) != digest(np.zeros((3, 2)))


def test_parameters_refuse_nonsense():
    with pytest.raises(ValueError, match="grid_size"):
        PropagationParameters(grid_size=0)
    with pytest.raises(ValueError, match="levels"):
        PropagationParameters(levels=())


def test_body_box_leaves_margins_and_specks_out():
    image = np.zeros((40, 30, 50), np.float32)
    image[5:35, 4:20, 10:41] = 100
    image[7, 28, 3] = 100  # bright on one slice of forty
    assert body_box(image, 0, 100) == (slice(4, 20), slice(10, 41))
    assert body_box(np.zeros((2, 3, 4)), 0, 1) == (slice(0, 3), slice(0, 4))
    mask = np.zeros((30, 50), bool)
    mask[4, 10] = True
    assert holds((slice(4, 20), slice(10, 41)), mask)
    mask[3, 10] = True
    assert not holds((slice(4, 20), slice(10, 41)), mask)


def test_confidence_falls_with_doubt_and_distance():
    """On slices with the same doubt, the one that is farther from the annotation is less sure."""
    masks = {index: np.pad(np.ones((6, 6), bool), 5) for index in range(5)}
    labels = np.stack([np.pad(np.ones((8, 8), np.int32), 4)] * 5)
    travelled = TravelledLabel(
        {index: np.where(mask, 1.0, -1.0).astype(np.float32) for index, mask in masks.items()}, masks
    )
    propagated = Propagated(labels, [{}] * 5, range(5), {1: travelled}, {})
    annotation = SliceAnnotation(labels[0], np.ones((16, 16), bool))
    parameters = PropagationParameters(use_self_check=False)
    confidence = check_result([None] * 5, propagated, {0: annotation}, parameters).confidence
    assert confidence[0, 1] == 1.0
    values = [confidence[index, 1] for index in range(1, 5)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(1 / (1 + 28 * 1.05 * 128 / 256))
    assert values[3] == pytest.approx(1 / (1 + 28 * 1.20 * 128 / 256))
