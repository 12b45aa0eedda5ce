# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The state of the random generators survives a checkpoint that holds plain values only."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

from scripts.files.atomic import write_torch
from scripts.handlers.random_state import random_state, restore_random_state
from scripts.handlers.weights import read_checkpoint


def draw() -> tuple[list[float], list[float], list[float]]:
    """Gaussians among them, of which numpy and Python keep the second of a pair."""
    return (
        torch.rand(3).tolist(),
        [*np.random.rand(2).tolist(), float(np.random.randn())],
        [random.random(), random.gauss(0, 1)],
    )


def test_restored_generators_draw_the_same() -> None:
    draw()  # leaves half a pair in numpy and in Python
    state = random_state()
    first = draw()
    assert draw() != first
    restore_random_state(state)
    assert draw() == first


def test_half_a_pair_of_gaussians_is_kept() -> None:
    np.random.seed(0)
    np.random.randn()
    state = random_state()
    second = np.random.randn()
    np.random.seed(1)
    restore_random_state(state)
    assert np.random.randn() == second


def test_it_goes_through_a_file_of_plain_values(tmp_path: Path) -> None:
    write_torch(tmp_path / "state.pt", {"random_state": random_state()})
    first = draw()
    torch.manual_seed(5)
    restore_random_state(read_checkpoint(tmp_path / "state.pt")["random_state"])
    assert draw() == first


def test_gpus_of_another_number_are_left_as_they_are() -> None:
    state = random_state()
    first = draw()
    absent = torch.cuda.device_count() + 1
    restore_random_state({**state, "cuda": [torch.zeros(16, dtype=torch.uint8)] * absent})
    assert draw() == first
