# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The session by its public name: over an array, over a file, and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np

from scripts.inferers import VolumeSession
from scripts.inferers.volume.file_session import FileSession


def test_over_an_array_and_resumed(make_volume: Callable, make_segmenter: Callable, tmp_path: Path) -> None:
    image, label = make_volume()
    session = VolumeSession(image, spacing=(7.7, 1.25, 1.25), segmenter=make_segmenter())
    session.annotate(4, label[4])
    session.save(tmp_path / "case.session")
    again = VolumeSession.load(tmp_path / "case.session", image, segmenter=make_segmenter())
    assert type(again) is VolumeSession
    assert again.annotated_slices == (4,)
    assert again.annotated_values == (1, 5)


def test_over_a_file(make_volume: Callable, make_segmenter: Callable, tmp_path: Path) -> None:
    image, label = make_volume()
    nibabel.save(nibabel.Nifti1Image(image.T, np.diag([-1.25, -1.25, 7.7, 1])), tmp_path / "v.nii.gz")
    session = VolumeSession.open(tmp_path / "v.nii.gz", segmenter=make_segmenter(), class_names=["a", "b"])
    assert isinstance(session, FileSession)
    assert (session.num_slices, session.slice_axis, session.class_names) == (9, 2, ("a", "b"))
    session.annotate(4, label[4].T)
    session.save(tmp_path / "case.session")
    assert VolumeSession.load(tmp_path / "case.session", image, segmenter=make_segmenter()).annotated_slices == (4,)
