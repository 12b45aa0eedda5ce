# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The self-test of ``segprompt doctor``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel import nifti1

from scripts.cli.self_test import EXPECTED_DICE, self_test, write_case


def test_it_reaches_its_dice(tmp_path: Path) -> None:
    assert self_test(tmp_path) >= EXPECTED_DICE


def test_the_case_is_annotated_on_one_slice(tmp_path: Path) -> None:
    image, annotation, label = write_case(tmp_path)
    painted = np.asarray(nifti1.load(annotation).dataobj)
    assert set(np.unique(label)) == {0, 1, 2}
    assert nifti1.load(image).shape == label.shape
    slices = np.flatnonzero(painted.any(axis=(0, 1)))
    assert len(slices) == 1
    assert np.array_equal(painted[..., slices[0]], label[..., slices[0]])
