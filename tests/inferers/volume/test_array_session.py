# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A session over an array: passes, corrections, undo, saving, errors, and what must not change the result."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.inferers.propagation import PropagationParameters
from scripts.inferers.volume.array_session import ArraySession

SPACING = (7.7, 1.25, 1.25)
MIDDLE = 4


@pytest.fixture
def volume(make_volume):
    return make_volume()


@pytest.fixture
def open_session(volume, make_segmenter):
    def make(image=None, **options):
        options.setdefault("segmenter", make_segmenter())
        options.setdefault("spacing", SPACING)
        return ArraySession(volume[0] if image is None else image, **options)

    return make


def only(label, value):
    return np.where(label == value, value, 0)


def framed(volume):
    """The volume with a grey body around its discs, and a dark frame around the body."""
    image, label = (np.pad(array, ((0, 0), (5, 5), (5, 5))) for array in volume)
    return image, label


def test_one_slice_gives_the_volume(open_session, volume, dice_of):
    image, label = volume
    session = open_session()
    session.annotate(MIDDLE, label[MIDDLE])
    result = session.segment(probability=True)
    assert result.label.shape == image.shape
    assert result.label.dtype == np.uint8
    assert set(np.unique(result.label)) == {0, 1, 5}
    for value in (1, 5):
        assert dice_of(result.label == value, label == value) > 0.9
    assert np.array_equal(result.label[MIDDLE], label[MIDDLE])
    assert result.probability.shape == image.shape
    assert result.probability[result.label > 0].mean() > 0.7 > 0.2 > result.probability[label == 0].mean()
    assert {report.label for report in result.slices} == {1, 5}
    assert all(0 <= report.confidence <= 1 for report in result.slices)
    areas = {(report.slice, report.label): report.area for report in result.slices}
    assert areas[MIDDLE, 1] == (label[MIDDLE] == 1).sum()
    assert set(result.predicted_dice) == {1, 5}
    assert all(0 < estimate <= 1 for estimate in result.predicted_dice.values())


def test_one_pass_per_slice_and_none_for_a_correction(open_session, volume, make_segmenter):
    image, label = volume
    segmenter = make_segmenter()
    session = open_session(segmenter=segmenter)
    session.annotate(MIDDLE, label[MIDDLE])
    session.segment()
    assert segmenter.slices == len(image)
    session.annotate(7, only(label[7], 1))
    session.segment()
    assert segmenter.slices == len(image)


def test_correction_equals_a_fresh_session(open_session, volume):
    _, label = volume
    session = open_session()
    session.annotate(MIDDLE, label[MIDDLE])
    session.segment()
    session.annotate(7, only(label[7], 1))
    corrected = session.segment(probability=True)
    fresh = open_session()
    fresh.annotate(7, only(label[7], 1))
    fresh.annotate(MIDDLE, label[MIDDLE])
    other = fresh.segment(probability=True)
    assert np.array_equal(corrected.label, other.label)
    assert np.array_equal(corrected.probability, other.probability)
    assert corrected.slices == other.slices
    assert corrected.predicted_dice == other.predicted_dice


def test_correction_recomputes_only_what_it_touches(open_session, volume):
    _, label = volume
    session = open_session()
    session.annotate(MIDDLE, label[MIDDLE])
    session.segment()
    first = session._memo.misses
    session.annotate(7, only(label[7], 1))
    session.segment()
    assert 0 < session._memo.misses < first / 2
    session.segment()
    assert session._memo.misses == 0


def test_order_of_annotations_does_not_matter(open_session, volume):
    _, label = volume
    parts = [(MIDDLE, only(label[MIDDLE], 1)), (MIDDLE, only(label[MIDDLE], 5)), (2, only(label[2], 5))]
    results = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        session = open_session()
        for number in order:
            session.annotate(*parts[number])
        results.append(session.segment().label)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_undo_takes_the_last_annotation_back(open_session, volume):
    _, label = volume
    session = open_session()
    session.annotate(MIDDLE, label[MIDDLE])
    before = session.segment().label
    session.annotate(7, label[7])
    assert session.annotated_slices == (MIDDLE, 7)
    assert session.undo() == 7
    assert np.array_equal(session.segment().label, before)
    session.undo()
    with pytest.raises(ValueError, match="nothing to undo"):
        session.undo()


def test_state_is_saved_and_resumed(open_session, volume, make_segmenter, tmp_path):
    image, label = volume
    session = open_session(annotation_complete="all", parameters=PropagationParameters(bias=-1.5))
    session.annotate(MIDDLE, label[MIDDLE])
    session.annotate(7, label[7])
    expected = session.segment().label
    session.save(tmp_path / "state.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    resumed = ArraySession.load(tmp_path / "state.safetensors", image, segmenter=make_segmenter())
    assert resumed.parameters.masks.bias == -1.5
    assert resumed.annotated_slices == (MIDDLE, 7)
    assert np.array_equal(resumed.segment().label, expected)
    resumed.undo()
    assert resumed.annotated_slices == (MIDDLE,)
    with pytest.raises(ValueError, match="another volume"):
        ArraySession.load(tmp_path / "state.safetensors", image + 1, segmenter=make_segmenter())
    (tmp_path / "broken").write_bytes(b"not a session")
    with pytest.raises(ValueError, match="not a saved volume session"):
        ArraySession.load(tmp_path / "broken", image)
    with pytest.raises(FileNotFoundError, match="missing"):
        ArraySession.load(tmp_path / "missing", image)


def test_features_are_cached_by_content(open_session, volume, make_segmenter, tmp_path):
    image, label = volume
    results = []
    for seed, expected_passes in ((0, len(image)), (0, 0), (1, len(image))):
        segmenter = make_segmenter(seed)
        session = open_session(segmenter=segmenter, cache_dir=tmp_path)
        session.annotate(MIDDLE, label[MIDDLE])
        results.append(session.segment().label)
        assert segmenter.slices == expected_passes
    assert np.array_equal(results[0], results[1])
    changed = make_segmenter()
    session = open_session(image + np.eye(64, dtype=np.float32), segmenter=changed, cache_dir=tmp_path)
    session.prepare()
    assert changed.slices == len(image)


def test_a_damaged_cache_is_made_again(open_session, volume, make_segmenter, tmp_path):
    open_session(cache_dir=tmp_path).prepare()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    segmenter = make_segmenter()
    open_session(segmenter=segmenter, cache_dir=tmp_path).prepare()
    assert segmenter.slices == len(volume[0])


def test_two_sessions_do_not_mix(open_session, volume):
    image, label = volume
    first, second = open_session(), open_session(image[:, ::-1].copy())
    first.annotate(MIDDLE, only(label[MIDDLE], 1))
    second.annotate(MIDDLE, only(label[MIDDLE][::-1], 5))
    one, other = first.segment().label, second.segment().label
    assert set(np.unique(one)) == {0, 1}
    assert set(np.unique(other)) == {0, 5}
    assert np.array_equal(first.segment().label, one)


def test_progress_is_told(open_session, volume):
    calls = []
    session = open_session()
    session.annotate(MIDDLE, volume[1][MIDDLE])
    session.segment(lambda stage, done, total: calls.append((stage, done, total)))
    assert {"features", "propagate", "output"} <= {stage for stage, _, _ in calls}
    assert all(0 < done <= total for _, done, total in calls)
    assert ("features", 9, 9) in calls


def test_mirrored_volume_gives_the_mirrored_mask(open_session, volume, dice_of):
    image, label = volume
    session, mirrored = open_session(), open_session(image[..., ::-1].copy())
    session.annotate(MIDDLE, label[MIDDLE])
    mirrored.annotate(MIDDLE, label[MIDDLE][..., ::-1])
    one, other = session.segment().label, mirrored.segment().label[..., ::-1]
    for value in (1, 5):
        assert dice_of(one == value, other == value) >= 0.98


@pytest.mark.parametrize("margins", [((0, 0), (7, 21), (30, 2)), ((0, 0), (64, 64), (64, 64))])
def test_empty_margins_change_nothing(open_session, volume, margins):
    image, label = framed(volume)
    padded = np.pad(image, margins)
    session, wider = open_session(image), open_session(padded)
    session.annotate(MIDDLE, label[MIDDLE])
    wider.annotate(MIDDLE, np.pad(label, margins)[MIDDLE])
    one, other = session.segment(probability=True), wider.segment(probability=True)
    assert (one.label > 0).sum() > 200
    assert np.array_equal(np.pad(one.label, margins), other.label)
    assert np.array_equal(np.pad(one.probability, margins), other.probability)
    assert one.predicted_dice == other.predicted_dice


def test_a_label_outside_the_body_is_followed(open_session, volume, make_segmenter):
    image, label = (np.pad(array, ((0, 0), (0, 40), (0, 0))) for array in framed(volume))
    image[:, 80:90, 20:30] = 25.0  # too dark to count as body
    label[:, 80:90, 20:30] = 7
    segmenter = make_segmenter()
    session = open_session(image, segmenter=segmenter)
    session.annotate(MIDDLE, only(label[MIDDLE], 1))
    session.segment()
    session.annotate(MIDDLE, only(label[MIDDLE], 7))
    assert (session.segment().label[MIDDLE + 1] == 7).sum() > 50
    assert segmenter.slices == 2 * len(image)
    session.undo()
    fresh = open_session(image)
    fresh.annotate(MIDDLE, only(label[MIDDLE], 1))
    assert np.array_equal(session.segment().label, fresh.segment().label)


@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.uint16])
def test_data_type_does_not_matter(open_session, volume, dtype):
    image, label = volume
    image = image.round()
    results = []
    for array in (image, image.astype(dtype)):
        session = open_session(array)
        session.annotate(MIDDLE, label[MIDDLE])
        results.append(session.segment().label)
    assert np.array_equal(*results)


@pytest.mark.parametrize("axis", [1, 2])
def test_other_slice_axes(open_session, volume, axis, dice_of):
    image, label = volume
    turned, turned_label = np.moveaxis(image, 0, axis), np.moveaxis(label, 0, axis)
    spacing = np.full(3, 1.25)
    spacing[axis] = 7.7
    session = open_session(turned, spacing=spacing)
    assert session.slice_axis == axis
    session.annotate(MIDDLE, np.take(turned_label, MIDDLE, axis))
    result = session.segment()
    assert result.label.shape == turned.shape
    assert result.slice_axis == axis
    for value in (1, 5):
        assert dice_of(result.label == value, turned_label == value) > 0.85


def test_thin_slices_use_key_slices(open_session, make_volume, dice_of):
    image, label = make_volume(slices=17)
    session = open_session(image, spacing=(0.5, 1.25, 1.25), slice_axis=0)
    session.annotate(8, label[8])
    result = session.segment()
    assert dice_of(result.label == 1, label == 1) > 0.85


def test_all_complete_keeps_a_label_off_slices_that_lack_it(open_session, volume):
    _, label = volume
    kept, ended = open_session(), open_session(annotation_complete="all")
    for session in (kept, ended):
        session.annotate(MIDDLE, label[MIDDLE])
        session.annotate(6, only(label[6], 1))
    assert (kept.segment().label[6] == 5).any()
    result = ended.segment().label
    assert not (result[6:] == 5).any()
    assert (result[7] == 1).any()


def test_an_empty_annotation_denies_all_labels(open_session, volume):
    _, label = volume
    session = open_session()
    session.annotate(MIDDLE, label[MIDDLE])
    session.annotate(6, np.zeros_like(label[6]))
    assert not session.segment().label[6:].any()


def test_pixels_that_were_not_annotated_are_open(open_session, volume):
    _, label = volume
    half = label[MIDDLE].astype(int)
    half[:, 32:] = 255
    session = open_session()
    session.annotate(MIDDLE, half)
    result = session.segment().label
    assert set(np.unique(result)) == {0, 1}
    assert np.array_equal(result[MIDDLE][:, :32], half[:, :32])


def test_large_label_values(open_session, volume):
    _, label = volume
    session = open_session()
    session.annotate(MIDDLE, np.where(label[MIDDLE] == 1, 1000, 0))
    result = session.segment().label
    assert result.dtype == np.uint16
    assert set(np.unique(result)) == {0, 1000}


def test_contradictions_are_refused_and_replaced_on_request(open_session, volume):
    _, label = volume
    session = open_session()
    session.annotate(MIDDLE, only(label[MIDDLE], 1))
    with pytest.raises(ValueError, match=f"two annotations of slice {MIDDLE} contradict each other at"):
        session.annotate(MIDDLE, np.where(label[MIDDLE] == 1, 5, 0))
    with pytest.raises(ValueError, match="contradict"):
        session.annotate(MIDDLE, only(np.roll(label[MIDDLE], 2, axis=0), 1))
    assert session.annotated_slices == (MIDDLE,)
    session.annotate(MIDDLE, np.where(label[MIDDLE] == 1, 5, 0), replace=True)
    assert set(np.unique(session.segment().label)) == {0, 5}


@pytest.mark.parametrize("index", [0, 8])
def test_annotated_first_or_last_slice(open_session, volume, index, dice_of):
    _, label = volume
    session = open_session()
    session.annotate(index, label[index])
    assert dice_of(session.segment().label == 1, label == 1) > 0.7


def test_label_that_fills_the_slice(open_session, volume):
    session = open_session()
    session.annotate(MIDDLE, np.ones((64, 64)))
    result = session.segment().label
    assert (result[MIDDLE] == 1).all()


def test_one_voxel_label(open_session, volume):
    label = np.zeros((64, 64))
    label[22, 20] = 3
    session = open_session()
    session.annotate(MIDDLE, label)
    result = session.segment().label
    assert (result[MIDDLE] == 3).sum() == 1
    assert (result == 3).sum() < 2000


def test_one_voxel_label_on_a_finer_grid_than_the_working_one(open_session):
    label = np.zeros((300, 300))
    label[100, 100] = 2
    session = open_session(np.random.default_rng(0).uniform(0, 1, (3, 300, 300)))
    session.annotate(1, label)
    assert session.segment().label[1, 100, 100] == 2


def test_constant_slice_and_constant_volume(open_session, volume):
    image, label = volume
    image = image.copy()
    image[6] = 50.0
    for array in (image, np.full_like(image, 3.0)):
        session = open_session(array)
        session.annotate(MIDDLE, label[MIDDLE])
        assert np.array_equal(session.segment().label[MIDDLE], label[MIDDLE])


def test_single_slice_volume(open_session, volume):
    image, label = volume
    session = open_session(image[MIDDLE : MIDDLE + 1])
    session.annotate(0, label[MIDDLE])
    result = session.segment()
    assert np.array_equal(result.label[0], label[MIDDLE])


@pytest.mark.parametrize(
    ("index", "label", "message"),
    [
        (9, np.ones((64, 64)), "slice 9 does not exist: the volume has 9 slices"),
        (-1, np.ones((64, 64)), "slice -1 does not exist"),
        (1.5, np.ones((64, 64)), "slice_index must be a whole number"),
        (2, np.ones((63, 64)), r"shape \(63, 64\), expected \(64, 64\)"),
        (2, np.full((64, 64), 0.5), "value 0.5"),
        (2, np.full((64, 64), -1), "value -1"),
        (2, np.full((64, 64), np.nan), "value nan"),
        (2, np.full((64, 64), 255), "says nothing"),
        (2, np.full((64, 64), "a"), "whole numbers"),
    ],
)
def test_bad_annotations(open_session, index, label, message):
    with pytest.raises(ValueError, match=message):
        open_session().annotate(index, label)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((4, 4)), {}, r"three axes \(Z, H, W\), got shape \(4, 4\)"),
        (np.zeros((0, 4, 4)), {}, "three axes"),
        (np.full((2, 4, 4), np.nan), {}, "not finite"),
        (np.zeros((2, 4, 4), complex), {}, "complex"),
        (np.zeros((2, 4, 4)), {"spacing": (1, 0, 1)}, "three positive numbers"),
        (np.zeros((2, 4, 4)), {"slice_axis": 3}, "slice_axis must be 0, 1 or 2, got 3"),
        (np.zeros((2, 4, 4)), {"annotation_complete": "some"}, "annotation_complete"),
        (np.zeros((2, 4, 4)), {"intensity_window": (5, 1)}, "low < high"),
    ],
)
def test_bad_volumes(image, options, message):
    with pytest.raises(ValueError, match=message):
        ArraySession(image, **options)


def test_no_annotation_at_all(open_session):
    session = open_session()
    with pytest.raises(ValueError, match="no slice carries a label"):
        session.segment()
    session.annotate(2, np.zeros((64, 64)))
    with pytest.raises(ValueError, match="no slice carries a label"):
        session.segment()


def test_a_segmenter_without_the_levels_is_refused(open_session, volume):
    class Shallow:
        def features(self, image):
            return {"c2": image}

    session = open_session(segmenter=Shallow())
    session.annotate(MIDDLE, volume[1][MIDDLE])
    with pytest.raises(ValueError, match=r"levels c3, .* computes only c2: take a host"):
        session.segment()
