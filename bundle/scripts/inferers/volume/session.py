# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Segment a volume slice annotation by slice annotation, with an answer at once.

session = VolumeSession.open("V.nii.gz")  # in the axes of the file
session.annotate_file("A.nii.gz")
result = session.segment()                # the whole volume
session.correct(20, label)
result = session.segment()                # only what the correction touches is computed again

The same over an array:

session = VolumeSession(image, spacing=(7.7, 1.25, 1.25))
session.annotate(14, label)               # (H, W), 0 = none of the labels, 255 = not annotated
result = session.segment()
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .array_session import ArraySession
from .file_session import FileSession

__all__ = ["VolumeSession"]


class VolumeSession(ArraySession):
    """Annotate slices of one volume and get the whole volume segmented; arguments as in ``ArraySession``."""

    @staticmethod
    def open(image: str | Path, **options: Any) -> FileSession:
        """Open a NIfTI file or DICOM series and work in its own axes; see ``FileSession`` for the options."""
        return FileSession(image, **options)
