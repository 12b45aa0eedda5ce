# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What is padding, and what is a CT: one table of volumes in all the units that scanners and tools write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.data.intensity_unit import SOFT_TISSUE_WINDOW, are_hounsfield_units, check_window, without_padding
from scripts.data.volume_reader import read_volume
from scripts.inferers.propagation.evidence.intensity import intensity_range
from scripts.transforms import ScaleIntensityBodyd, body_range


def magnitude(seed: int = 0) -> np.ndarray:
    """Body of 300 to 900 in dark noise, as an MR has it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:48j, -1:1:40j]
    body = (x**2 / 0.7 + y**2 / 0.8 < 1)[None].repeat(6, 0)
    return np.where(body, rng.normal(600, 120, body.shape), np.abs(rng.normal(0, 15, body.shape))).round()


def ct(seed: int = 0) -> np.ndarray:
    """Soft tissue, fat, bone and lung in air."""
    rng = np.random.default_rng(seed)
    body = magnitude(seed) > 150
    parts = rng.choice([-850.0, -100, 40, 60, 700], body.shape, p=[0.15, 0.25, 0.25, 0.25, 0.1])
    values = np.where(body, parts, -1000) + rng.normal(0, 12, body.shape)
    return np.clip(values, -1024, 3071).round()


def framed(volume: np.ndarray, value: float) -> np.ndarray:
    """The corners outside of a circle, and an edge, filled with one value."""
    y, x = np.mgrid[-1 : 1 : volume.shape[1] * 1j, -1 : 1 : volume.shape[2] * 1j]
    return np.where((x**2 + y**2 > 1)[None], value, volume)


# Volume -> whether it is in Hounsfield units.
UNITS: dict[str, tuple[Callable[[], np.ndarray], bool]] = {
    "ct": (ct, True),
    "ct, circle -2000": (lambda: framed(ct(), -2000), True),
    "ct, circle -3024": (lambda: framed(ct(), -3024), True),
    "ct, circle -1024": (lambda: framed(ct(), -1024), True),
    "ct, circle -32768": (lambda: framed(ct(), -32768), True),
    "ct, circle in a resampled frame": (
        lambda: np.pad(framed(ct(), -2000), ((0, 0), (4, 4), (4, 4)), constant_values=-32768),
        True,
    ),
    "mr": (magnitude, False),
    "mr, padded with -1024": (lambda: framed(magnitude(), -1024), False),
    "mr, padded with -2000": (lambda: framed(magnitude(), -2000), False),
    "mr, padded with -32768": (lambda: framed(magnitude(), -32768), False),
    "mr, padded with the lowest float": (lambda: framed(magnitude(), float(np.finfo(np.float32).min)), False),
    "phase": (lambda: np.random.default_rng(0).integers(-2048, 2048, (6, 48, 40)).astype(float), False),
    "inversion recovery": (lambda: np.random.default_rng(0).uniform(-1000, 1000, (6, 48, 40)), False),
    "z-score": (lambda: (magnitude() - magnitude().mean()) / magnitude().std(), False),
    "z-score x 1000": (lambda: (magnitude() - magnitude().mean()) / magnitude().std() * 1000, False),
    "shifted by -1000": (lambda: magnitude() * 4 - 1000, False),
}


@pytest.mark.parametrize("name", UNITS)
def test_units(name: str) -> None:
    make, is_ct = UNITS[name]
    values = without_padding(make().ravel())
    assert are_hounsfield_units(values) is is_ct
    low, high = intensity_range(make())
    if is_ct:
        assert (low, high) == SOFT_TISSUE_WINDOW
    else:
        inner = make()[:, 14:-14, 12:-12]  # no padding there
        spread = np.percentile(inner, (1, 99))
        assert low < spread[0] + 0.3 * (spread[1] - spread[0])
        assert spread[0] + 0.5 * (spread[1] - spread[0]) < high < spread[1] + 0.5 * (spread[1] - spread[0])


@settings(max_examples=40, deadline=None)
@given(padding=st.floats(-40000, -1024), seed=st.integers(0, 9), margin=st.integers(1, 30))
def test_padding_changes_nothing(padding: float, seed: int, margin: int) -> None:
    plain = magnitude(seed)
    padded = np.pad(plain, ((0, 0), (margin, margin), (margin, margin)), constant_values=padding)
    np.testing.assert_array_equal(np.sort(without_padding(padded.ravel())), np.sort(plain.ravel()))
    assert intensity_range(padded) == intensity_range(plain)
    assert body_range(torch.from_numpy(padded)) == body_range(torch.from_numpy(plain))


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.integers(-1000, 4000), min_size=1, max_size=200))
def test_what_was_measured_stays(values: list[int]) -> None:
    array = np.array(values, np.float32)
    assert without_padding(array) is array


def test_the_sample_ct_is_one(shared_data: Path) -> None:
    volume = read_volume(shared_data / "CHAOS_CT_sample" / "DICOM_anon").array
    assert intensity_range(volume) == SOFT_TISSUE_WINDOW


def test_the_window_of_the_user_wins() -> None:
    scale: Any = ScaleIntensityBodyd("image", window=[0, 1000])
    result = scale({"image": torch.tensor([-5.0, 500, 2000])})["image"]
    assert result.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("window", [5, "ab", [1], [1, 2, 3], [2, 1], [1, 1], ["1", "2"], [None, 3], [False, True]])
def test_windows_that_are_none(window: Any) -> None:
    with pytest.raises(ValueError, match=r"intensity_window must have a width: two numbers.* got"):
        check_window(window)
