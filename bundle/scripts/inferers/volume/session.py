# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Segment a volume slice annotation by slice annotation, with an answer at once.

session = VolumeSession(image, spacing=(7.7, 1.25, 1.25))
session.annotate(14, label)          # (H, W), 0 = none of the labels, 255 = not annotated
result = session.segment()           # the whole volume
session.annotate(20, correction)
result = session.segment()           # only what the correction touches is computed again

``VolumeSession.open("V.nii.gz")`` does the same in the axes of a file, see ``file_session``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..propagation import (
    Memo,
    PropagationParameters,
    PropagationResult,
    SliceAnnotation,
    SliceStack,
    segment_stack,
)
from ..propagation.chains.self_check import check_result
from ..propagation.evidence.annotations import impose
from ..propagation.evidence.intensity import scale_intensity
from ..propagation.evidence.slice_features import Backbone, FeatureSource
from ..propagation.geometry.key_slices import slice_step
from ..propagation.geometry.working_grid import labels_to_image, resize, to_working, working_shape
from ..propagation.memory.feature_cache import volume_digest
from .annotations import Annotations, Entry, check_label
from .features import SliceEncoder
from .session_file import SavedSession, read_session, write_session
from .slices import VolumeSlices

if TYPE_CHECKING:
    from .file_session import FileSession

__all__ = ["Progress", "VolumeSession"]

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""


class VolumeSession:
    """Annotate slices of one volume and get the whole volume segmented.

    The backbone runs once per slice, however many labels and corrections follow. A result depends on the annotations
    alone, not on their order nor on what was computed before.

    Args:
        image: (Z, H, W), any unit and data type; axes from feet to head, front to back, right to left.
        spacing: mm per axis of ``image``; (1, 1, 1) if None.
        segmenter: gives features, ``segmenter.features(images (B, 3, S, S) in [0, 1]) -> {level: (B, C, h, w)}``, or
            a backbone to be called the same way; EfficientNet-Lite2 if None.
        cache_dir: folder that keeps the features, so that opening the volume again costs no backbone pass.
        parameters: values and switches of the propagation.
        slice_axis: axis of ``image`` that slices are counted along; the one with the largest spacing if None (the first
            on ties).
        intensity_window: range of intensities that matters, in the unit of the image; found by itself if None
            (``propagation.intensity.intensity_range``).
        annotation_complete: what an unlabelled pixel of an annotated slice means. "own": a label that occurs on the
            slice is complete there, of others nothing is known. "all": everything visible is marked.
        batch_size: slices per backbone pass; 2, on CUDA 16, if None.
        device: where the backbone runs; None: where the segmenter is, and for the default one CUDA where there is one,
            else the CPU.
        memory_mib: memory for what earlier answers computed, so that a correction is quick; 0 where a session is asked
            once.

    Raises:
        ValueError: for an image that isn't 3D, holds no finite value, or arguments out of range.
    """

    def __init__(
        self,
        image: ArrayLike,
        *,
        spacing: Sequence[float] | None = None,
        segmenter: FeatureSource | Backbone | None = None,
        cache_dir: str | Path | None = None,
        parameters: PropagationParameters | None = None,
        slice_axis: int | None = None,
        intensity_window: tuple[float, float] | None = None,
        annotation_complete: str = "own",
        batch_size: int | None = None,
        device: torch.device | str | None = None,
        memory_mib: int = 1024,
    ) -> None:
        self.parameters = parameters or PropagationParameters()
        self._annotations = Annotations(annotation_complete)
        self._slices = VolumeSlices(
            image,
            spacing=spacing,
            slice_axis=slice_axis,
            intensity_window=intensity_window,
            use_body_box=self.parameters.grids.use_body_box,
        )
        self._encoder = SliceEncoder(
            self.parameters.levels,
            self.parameters.grids.image_size,
            segmenter=segmenter,
            device=device,
            batch_size=batch_size,
            cache_dir=cache_dir,
        )
        self._box = self._slices.body
        self._stack: SliceStack | None = None
        self._memory = memory_mib * 2**20
        self._memo = Memo(limit=self._memory)

    @staticmethod
    def open(image: str | Path, **options: Any) -> FileSession:
        """Open a NIfTI file or DICOM series and work in its own axes; see ``FileSession`` for the options."""
        from .file_session import FileSession

        return FileSession(image, **options)

    @property
    def num_slices(self) -> int:
        """Slices along the slice axis."""
        return len(self._slices)

    @property
    def slice_axis(self) -> int:
        """Axis of the image that slices are counted along."""
        return self._slices.slice_axis

    @property
    def intensity_range(self) -> tuple[float, float]:
        """Range of intensities that matters within the body, given or found."""
        return self._slices.range_of(self._slices.body)

    @property
    def annotated_slices(self) -> tuple[int, ...]:
        """Indices of the slices that carry an annotation, in rising order."""
        return self._annotations.slices

    @property
    def annotated_values(self) -> tuple[int, ...]:
        """All labels that occur on annotated slices, in rising order."""
        return self._annotations.values

    def annotate(self, slice_index: int, label: ArrayLike, *, replace: bool = False) -> None:
        """Add the annotation of one slice.

        Further labels on a slice that is annotated already join those that are there. Where two annotations of one
        slice contradict each other (other label values at a pixel, or another outline of the same label) there is no
        rule that would be right: that is an error, unless the new one is to replace the old one.

        Args:
            slice_index: along the slice axis.
            label: (H, W) as ``numpy.take(image, slice_index, slice_axis)`` gives it: label values (whole numbers), 0 =
                none of the labels, 255 = not annotated. A slice without any label says that no label is there.
            replace: forget earlier annotations of this slice.

        Raises:
            ValueError: for another shape, a slice that doesn't exist, values that aren't labels, or a contradiction.
        """
        if isinstance(slice_index, bool) or not isinstance(slice_index, (int, np.integer)):
            raise ValueError(f"slice_index must be a whole number, got {slice_index!r}")
        if not 0 <= slice_index < self.num_slices:
            raise ValueError(
                f"slice {slice_index} does not exist: the volume has {self.num_slices} slices along axis "
                f"{self.slice_axis} (0 to {self.num_slices - 1})"
            )
        array = check_label(label, int(slice_index), self._slices.shape)
        self._annotations.add(Entry(int(slice_index), self._slices.show(array), replace))

    def undo(self) -> int:
        """Take back the last annotation; returns the index of its slice.

        Raises:
            ValueError: when there is none.
        """
        return self._annotations.undo()

    def prepare(self, progress: Progress | None = None) -> None:
        """Compute (or read) the features of all slices; ``segment`` does it when it is needed."""
        self._prepared(progress)

    def segment(self, progress: Progress | None = None, *, probability: bool = False) -> PropagationResult:
        """Segment the whole volume from the annotations so far.

        Args:
            progress: called with (stage, done, total); stages are "features", "propagate", "between", "output".
            probability: also give the probability of any label, per voxel.

        Raises:
            ValueError: when nothing was annotated.
        """
        annotations = self._annotations.by_slice()
        values = self.annotated_values
        if not values:
            raise ValueError("no slice carries a label: call annotate(slice_index, label) before segment()")
        complete = self._annotations.annotation_complete
        started = time.perf_counter()
        self._choose_box(annotations)
        stack = self._prepared(progress)
        prepared = time.perf_counter()
        self._memo.start_run()
        working = {
            index: annotation.inside(self._box).to_working(stack.shape) for index, annotation in annotations.items()
        }
        pixel_size = self._slices.pixel_size
        extent = max((side.stop - side.start) * pixel for side, pixel in zip(self._box, pixel_size, strict=True))
        propagated = segment_stack(
            stack,
            working,
            self.parameters,
            step=slice_step(extent, self._slices.gap, self.parameters.key_slices.key_slice_step),
            annotation_complete=complete,
            keep_highest=probability,
            memo=self._memo,
            progress=progress,
        )
        propagated_at = time.perf_counter()
        check = check_result(stack, propagated, working, self.parameters, annotation_complete=complete, memo=self._memo)
        checked = time.perf_counter()
        labels = self._to_image_grid(propagated.labels, annotations, values, progress)
        highest = propagated.summary.highest
        chances = None if highest is None else self._probability(highest, annotations)
        finished = time.perf_counter()
        return PropagationResult(
            label=self._slices.as_volume(labels),
            probability=None if chances is None else self._slices.as_volume(chances),
            slices=check.reports(labels),
            predicted_dice=check.predicted_dice,
            slice_axis=self.slice_axis,
            seconds={
                "features": prepared - started,
                "propagation": propagated_at - prepared,
                "self_check": checked - propagated_at,
                "output": finished - checked,
            },
        )

    def save(self, path: str | Path) -> None:
        """Write the annotations and settings to a file (safetensors), beside its place first, then renamed."""
        state = SavedSession(
            history=self._annotations.history,
            parameters=self.parameters.flat(),
            spacing=self._slices.spacing,
            slice_axis=self.slice_axis,
            intensity_window=self._slices.intensity_window,
            annotation_complete=self._annotations.annotation_complete,
            volume=volume_digest(self._slices.shown),
        )
        write_session(path, state)

    @classmethod
    def load(
        cls,
        path: str | Path,
        image: ArrayLike,
        *,
        segmenter: FeatureSource | Backbone | None = None,
        cache_dir: str | Path | None = None,
        batch_size: int | None = None,
        device: torch.device | str | None = None,
    ) -> VolumeSession:
        """Resume a session that was saved.

        Args:
            path: file written by ``save``.
            image: the same volume.
            segmenter: as in the constructor.
            cache_dir: as in the constructor.
            batch_size: as in the constructor.
            device: as in the constructor.

        Raises:
            FileNotFoundError: when there is no such file.
            ValueError: when it isn't a saved session, one of a later format, or one of another volume.
        """
        saved = read_session(path)
        session = cls(
            image,
            spacing=saved.spacing,
            segmenter=segmenter,
            cache_dir=cache_dir,
            parameters=PropagationParameters(**saved.parameters),
            slice_axis=saved.slice_axis,
            intensity_window=saved.intensity_window,
            annotation_complete=saved.annotation_complete,
            batch_size=batch_size,
            device=device,
        )
        found = volume_digest(session._slices.shown)
        if found != saved.volume:
            raise ValueError(f"{path} belongs to another volume (content {saved.volume[:12]}, this one {found[:12]})")
        for entry in saved.history:
            session._annotations.add(entry)
        return session

    def _prepared(self, progress: Progress | None) -> SliceStack:
        """The slices with their features."""
        if self._stack is None:
            low, high = self._slices.range_of(self._box)
            slices = self._slices.shown[:, self._box[0], self._box[1]]
            grids = self.parameters.grids
            shape = working_shape((slices.shape[1], slices.shape[2]), self._slices.pixel_size, grids.working_size)
            images = np.empty((self.num_slices, *shape), np.float32)
            for index, image in enumerate(slices):
                images[index] = np.sqrt(to_working(scale_intensity(image, low, high), shape))
            tell = None if progress is None else lambda done, total: progress("features", done, total)
            features = self._encoder.encode(slices, low, high, tell)
            self._stack = SliceStack(images, features, grids.grid_size)
        return self._stack

    def _choose_box(self, annotations: Mapping[int, SliceAnnotation]) -> None:
        """The body's box, or the whole slice where a label was annotated outside of it."""
        box = self._slices.box_of(annotation.label > 0 for annotation in annotations.values())
        if box != self._box:
            self._box = box
            self._stack, self._memo = None, Memo(limit=self._memory)

    def _to_image_grid(
        self,
        labels: NDArray[np.int32],
        annotations: Mapping[int, SliceAnnotation],
        values: tuple[int, ...],
        progress: Progress | None,
    ) -> NDArray[Any]:
        result = np.zeros(self._slices.shown.shape, np.uint8 if max(values) < 256 else np.uint16)
        inside = result[:, self._box[0], self._box[1]]
        for index, label in enumerate(labels):
            inside[index] = labels_to_image(label, (inside.shape[1], inside.shape[2]))
            if progress is not None:
                progress("output", index + 1, len(labels))
        impose(result, annotations, self._annotations.annotation_complete, values)
        return result

    def _probability(
        self, highest: NDArray[np.float32], annotations: Mapping[int, SliceAnnotation]
    ) -> NDArray[np.float16]:
        result = np.zeros(self._slices.shown.shape, np.float16)
        inside = result[:, self._box[0], self._box[1]]
        for index, logit in enumerate(highest):
            if np.isfinite(logit).any():
                inside[index] = resize(1 / (1 + np.exp(-logit)), (inside.shape[1], inside.shape[2]))
        for index, annotation in annotations.items():
            is_complete = self._annotations.annotation_complete == "all"
            certain = annotation.known if is_complete else annotation.label > 0
            result[index][certain] = (annotation.label > 0)[certain]
        return result
