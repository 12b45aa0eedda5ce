# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A session in the axes of the file: slices as any viewer of the file counts and shows them.

session = VolumeSession.open("V.nii.gz")
session.annotate_file("A.nii.gz")    # a label map of the same grid
result = session.segment()           # result.label has the axes of the file
session.correct(20, label)           # slice 20 of the file is like this
session.segment().save("out.nii.gz")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ...data.class_names import name_labels
from ...data.mask_values import check_annotation
from ...data.volume_reader import Volume, check_same_grid, on_grid_of, read_volume
from ...files.bundle_root import BUNDLE_ROOT
from ...networks.protocols import FeatureSource
from ...transforms.result_files import write_result_files
from ...transforms.save_volume import save_like
from ...transforms.source_grid import SourceGrid, read_source_grid
from ..propagation import PropagationParameters, PropagationResult, SliceReport
from ..propagation.evidence.annotations import labelled_slices
from ..propagation.evidence.slice_features import FeatureFunction
from ..propagation.geometry.slice_axis import axis_of_labels, choose_slice_axis, refuse_other_axis
from ..propagation.progress import Progress
from .array_session import ArraySession
from .default_backbone import DefaultBackbone
from .guesses import tell_guesses

__all__ = ["FileResult", "FileSession"]


@dataclass(frozen=True)
class FileResult:
    """A segmented file.

    Attributes:
        grid: of the file.
        canonical: the result with the axes (X, Y, Z) of the canonical orientation, as inferers give it.
        class_names: names of the labels in the order of their values; may be empty.
    """

    grid: SourceGrid
    canonical: PropagationResult
    class_names: tuple[str, ...] = ()

    @property
    def label(self) -> NDArray[Any]:
        """Label values in the axes of the file."""
        return self.grid.from_canonical(self.canonical.label)

    @property
    def probability(self) -> NDArray[np.float16] | None:
        """Probability of any label in the axes of the file; None unless it was asked for."""
        found = self.canonical.probability
        return None if found is None else self.grid.from_canonical(found)

    @property
    def slice_axis(self) -> int:
        """Axis of the file that slices are counted along."""
        return self.grid.own_axis(self.canonical.slice_axis)[0]

    @property
    def slices(self) -> list[SliceReport]:
        """A report per label and slice, slices counted as in the file."""
        axis = self.canonical.slice_axis
        reports = [replace(each, slice=self._own_slice(each.slice, axis)) for each in self.canonical.slices]
        return sorted(reports, key=lambda report: (report.slice, report.label))

    @property
    def predicted_dice(self) -> dict[int, float]:
        """By label, an estimate of its Dice that needs no ground truth."""
        return self.canonical.predicted_dice

    @property
    def seconds(self) -> dict[str, float]:
        """By stage."""
        return self.canonical.seconds

    def save(self, path: str | Path) -> Path:
        """Write the label map as NIfTI with the grid, axes and affine of the file; nothing is resampled."""
        return save_like(self.grid, self.canonical.label, path)

    def write(self, output_dir: str | Path) -> list[Path]:
        """Write all files of a result, as the inference workflow does; see ``write_result_files``."""
        return write_result_files(
            self.grid,
            self.canonical.label,
            self.canonical.slices,
            output_dir,
            slice_axis=self.canonical.slice_axis,
            probability=self.canonical.probability,
            predicted_dice=self.predicted_dice,
            names=name_labels(sorted(self.predicted_dice), self.class_names),
        )

    def _own_slice(self, index: int, axis: int) -> int:
        _, is_reversed = self.grid.own_axis(axis)
        return int(self.canonical.label.shape[axis]) - 1 - index if is_reversed else index


class FileSession:
    """Annotate and segment a NIfTI file or a DICOM series in its own axes (of a series: columns, rows, slices).

    Args:
        image: the file, or the folder of a series.
        series_uid: SeriesInstanceUID, where the folder holds several series.
        slice_axis: axis of the file that slices are counted along; if None, the one along which the first annotated
            file was painted, until then the one with the largest spacing (from feet to head on ties).
        class_names: names of the labels in the order of their values, for the written tables.
        cache_dir: folder that keeps the features, so that opening the file again costs no backbone pass.
        segmenter: gives features, see ``ArraySession``; if None, the backbone of the inference workflow: that of the
            shipped ``models/model.pt`` where there is one.
        parameters: values and switches of the propagation.
        intensity_window: range of intensities that matters.
        annotation_complete: what an unlabelled pixel of an annotated slice means.
        batch_size: slices per backbone pass.
        device: where the backbone runs.
        memory_mib: memory for what earlier answers computed.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it can't be read, or for arguments out of range.
    """

    def __init__(
        self,
        image: str | Path,
        *,
        series_uid: str | None = None,
        slice_axis: int | None = None,
        class_names: Sequence[str] = (),
        cache_dir: str | Path | None = None,
        segmenter: FeatureSource | FeatureFunction | None = None,
        parameters: PropagationParameters | None = None,
        intensity_window: tuple[float, float] | None = None,
        annotation_complete: str = "own",
        batch_size: int | None = None,
        device: torch.device | str | None = None,
        memory_mib: int = 1024,
    ) -> None:
        volume = read_volume(image, series_uid=series_uid)
        self.grid = read_source_grid(image, volume.series_uid)
        if slice_axis not in (None, 0, 1, 2):
            raise ValueError(f"slice_axis must be 0, 1, 2 or None, got {slice_axis!r}")
        self._found_axis = slice_axis is None
        self._found_window = intensity_window is None
        self.class_names = tuple(class_names)
        self._volume = volume._replace(array=np.ascontiguousarray(volume.array))
        parameters = parameters or PropagationParameters()
        if segmenter is None:
            device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
            model = BUNDLE_ROOT / "models" / "model.pt"
            segmenter = DefaultBackbone(parameters.levels, device=device, notes=cache_dir, model=model)
        self._make_session = partial(
            ArraySession,
            self._volume.array.transpose(2, 1, 0),
            spacing=volume.spacing[::-1],
            segmenter=segmenter,
            cache_dir=cache_dir,
            parameters=parameters,
            intensity_window=intensity_window,
            annotation_complete=annotation_complete,
            batch_size=batch_size,
            device=device,
            memory_mib=memory_mib,
        )
        if slice_axis is None:
            self._count_along(choose_slice_axis(volume.spacing, preferred=2))
        else:
            self._count_along(next(axis for axis in range(3) if self.grid.own_axis(axis)[0] == slice_axis))

    @property
    def num_slices(self) -> int:
        """Slices along the slice axis."""
        return self._session.num_slices

    @property
    def annotated_slices(self) -> tuple[int, ...]:
        """Numbers of the slices of the file that carry an annotation, in rising order."""
        return tuple(sorted(map(self._turn, self._session.annotated_slices)))

    def annotate(self, slice_index: int, label: ArrayLike, *, replace: bool = False) -> None:
        """Add the annotation of one slice of the file.

        Args:
            slice_index: along ``slice_axis``.
            label: the slice as ``numpy.take(array_of_the_file, slice_index, slice_axis)`` gives it; values as in
                ``ArraySession.annotate``.
            replace: forget earlier annotations of this slice.

        Raises:
            ValueError: see ``ArraySession.annotate``.
        """
        array = np.asarray(label)
        expected = tuple(size for axis, size in enumerate(self.grid.shape) if axis != self.slice_axis)
        if array.shape != expected:
            raise ValueError(f"annotation of slice {slice_index} has shape {array.shape}, expected {expected}")
        if not 0 <= slice_index < self.num_slices:
            raise ValueError(
                f"slice {slice_index} does not exist: {self.grid.source} has {self.num_slices} slices along axis "
                f"{self.slice_axis} (0 to {self.num_slices - 1})"
            )
        plane = self.grid.to_canonical(np.expand_dims(array, self.slice_axis))
        self._session.annotate(self._turn(slice_index), plane.take(0, axis=self._axis).transpose(1, 0), replace=replace)

    def annotate_file(self, path: str | Path, *, replace: bool = False) -> list[int]:
        """Add the annotated slices of a label map: those that carry a label. 255 = not annotated.

        Args:
            path: label map of the same grid, NIfTI or DICOM-SEG.
            replace: forget earlier annotations of these slices.

        Returns:
            The numbers of the slices, as the file counts them.

        Raises:
            FileNotFoundError: when there is no such file.
            ValueError: when it is of another grid, has no label, was painted along another axis, or contradicts
                earlier annotations.
        """
        label = self._read_label(path)
        check_annotation(label.array, path)
        if self._found_axis and not self._session.annotated_slices:
            axis = axis_of_labels(label.array, self._volume.spacing, preferred=2)
            if axis != self._axis:
                self._count_along(axis)
        refuse_other_axis(label.array, self._axis, str(path))
        found = labelled_slices(label.array, self._axis)
        tell_guesses(
            label.array,
            slice_axis=self._axis,
            found_axis=self._found_axis,
            window=self._session.intensity_range if self._found_window else None,
        )
        for index in found:
            plane = np.take(label.array.transpose(2, 1, 0), index, axis=2 - self._axis)
            self._session.annotate(index, plane, replace=replace)
        return sorted(map(self._turn, found))

    def correct(self, slice_index: int, label: ArrayLike) -> None:
        """Say how a slice of the file is; what was annotated on it before is forgotten."""
        self.annotate(slice_index, label, replace=True)

    def undo(self) -> int:
        """Take back the last annotation; returns the number of its slice in the file."""
        return self._turn(self._session.undo())

    def prepare(self, progress: Progress | None = None) -> None:
        """Compute (or read) the features of all slices; ``segment`` does it when it is needed."""
        self._session.prepare(progress)

    def segment(self, progress: Progress | None = None, *, probability: bool = False) -> FileResult:
        """Segment the whole file from the annotations so far; see ``ArraySession.segment``.

        Raises:
            ValueError: when nothing was annotated, or there are not as many names as labels.
        """
        if self.class_names:
            name_labels(self._session.annotated_values, self.class_names)
        result = self._session.segment(progress, probability=probability)
        result.label = result.label.transpose(2, 1, 0)
        if result.probability is not None:
            result.probability = result.probability.transpose(2, 1, 0)
        result.slice_axis = self._axis
        return FileResult(self.grid, result, self.class_names)

    def save(self, path: str | Path) -> None:
        """Write annotations and settings, see ``ArraySession.save``; ``VolumeSession.load`` reads them again."""
        self._session.save(path)

    def _count_along(self, axis: int) -> None:
        """Count slices along an axis of the canonical orientation; annotations so far are forgotten."""
        self._axis = axis
        self.slice_axis, self._is_reversed = self.grid.own_axis(axis)
        self._session: ArraySession = self._make_session(slice_axis=2 - axis)

    def _read_label(self, path: str | Path) -> Volume:
        label = read_volume(path, is_label=True, image=self.grid.source, series_uid=self._volume.series_uid)
        label = on_grid_of(self._volume, label)
        check_same_grid(self._volume, label)
        return label

    def _turn(self, index: int) -> int:
        """Number of a slice: from the file's to the canonical one, and back."""
        return self.num_slices - 1 - index if self._is_reversed else index
