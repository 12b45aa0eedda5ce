# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A session over an array: its annotations, and the answer that they give, at once after the first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from numpy.typing import ArrayLike

from ...networks.protocols import FeatureSource
from ..propagation import Memo, PropagationParameters, PropagationResult, SliceAnnotation, SliceStack, segment_stack
from ..propagation.chains.self_check import check_result
from ..propagation.evidence.slice_features import FeatureFunction
from ..propagation.memory.feature_cache import volume_digest
from ..propagation.progress import Progress, stage_progress
from .annotations import Annotations, Entry, check_label
from .features import SliceEncoder
from .image_grid import labels_on_image, probability_on_image
from .session_file import SavedSession, read_session, write_session
from .slices import VolumeSlices
from .working_stack import working_stack

__all__ = ["ArraySession"]

Session = TypeVar("Session", bound="ArraySession")


class ArraySession:
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
        segmenter: FeatureSource | FeatureFunction | None = None,
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
        index = self._slices.check_index(slice_index)
        array = check_label(label, index, self._slices.shape)
        self._annotations.add(Entry(index, self._slices.show(array), replace))

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
        propagated = segment_stack(
            stack,
            working,
            self.parameters,
            step=self._slices.step_of(self._box, self.parameters.key_slices.key_slice_step),
            annotation_complete=complete,
            keep_highest=probability,
            memo=self._memo,
            progress=progress,
        )
        propagated_at = time.perf_counter()
        check = check_result(stack, propagated, working, self.parameters, annotation_complete=complete, memo=self._memo)
        checked = time.perf_counter()
        shape, tell = self._slices.shown.shape, stage_progress(progress, "output")
        labels = labels_on_image(
            propagated.labels, shape, self._box, annotations, complete, values=values, progress=tell
        )
        highest = propagated.summary.highest
        chances = None if highest is None else probability_on_image(highest, shape, self._box, annotations, complete)
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
        cls: type[Session],
        path: str | Path,
        image: ArrayLike,
        *,
        segmenter: FeatureSource | FeatureFunction | None = None,
        cache_dir: str | Path | None = None,
        batch_size: int | None = None,
        device: torch.device | str | None = None,
    ) -> Session:
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
        saved.refuse_other_volume(path, volume_digest(session._slices.shown))
        for entry in saved.history:
            session._annotations.add(entry)
        return session

    def _prepared(self, progress: Progress | None) -> SliceStack:
        """The slices with their features."""
        if self._stack is None:
            self._stack = working_stack(self._slices, self._box, self.parameters.grids, self._encoder, progress)
        return self._stack

    def _choose_box(self, annotations: Mapping[int, SliceAnnotation]) -> None:
        """The body's box, or the whole slice where a label was annotated outside of it."""
        box = self._slices.box_of(annotation.label > 0 for annotation in annotations.values())
        if box != self._box:
            self._box = box
            self._stack, self._memo = None, Memo(limit=self._memory)
