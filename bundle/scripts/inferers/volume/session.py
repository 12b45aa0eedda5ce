# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Segment a volume slice annotation by slice annotation, with an answer at once.

session = VolumeSession(image, spacing=(7.7, 1.25, 1.25))
session.annotate(14, label)          # (H, W), 0 = none of the labels, 255 = not annotated
result = session.segment()           # the whole volume
session.annotate(20, correction)
result = session.segment()           # only what the correction touches is computed again
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ...files.atomic import replace_when_done
from ..propagation import (
    ANNOTATION_COMPLETE,
    Memo,
    PropagationParameters,
    PropagationResult,
    SliceAnnotation,
    SliceStack,
    extract_features,
    segment_stack,
)
from ..propagation.chains.self_check import check_result
from ..propagation.evidence.annotations import NOT_ANNOTATED, impose
from ..propagation.evidence.intensity import SOFT_TISSUE_WINDOW, intensity_range, scale_intensity
from ..propagation.geometry.body_box import Box, body_box, holds, whole
from ..propagation.geometry.handedness import is_mirrored
from ..propagation.geometry.key_slices import slice_step
from ..propagation.geometry.slice_axis import choose_slice_axis, from_slices, slice_spacing, to_slices, upright
from ..propagation.geometry.working_grid import labels_to_image, resize, to_working, working_shape
from ..propagation.memory.feature_cache import feature_key, fingerprint_of, load_features, save_features, volume_digest

__all__ = ["VolumeSession"]

Progress = Callable[[str, int, int], None]


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
        batch_size: slices per backbone pass.

    Raises:
        ValueError: for an image that isn't 3D, holds no finite value, or arguments out of range.
    """

    def __init__(
        self,
        image: ArrayLike,
        *,
        spacing: Sequence[float] | None = None,
        segmenter: Any = None,
        cache_dir: str | Path | None = None,
        parameters: PropagationParameters | None = None,
        slice_axis: int | None = None,
        intensity_window: tuple[float, float] | None = None,
        annotation_complete: str = "own",
        batch_size: int = 2,
    ) -> None:
        self.image = _checked_image(image)
        self.spacing = _checked_spacing(spacing)
        if slice_axis is not None and slice_axis not in (0, 1, 2):
            raise ValueError(f"slice_axis must be 0, 1 or 2, got {slice_axis!r}")
        if annotation_complete not in ANNOTATION_COMPLETE:
            raise ValueError(f"annotation_complete must be one of {ANNOTATION_COMPLETE}, got {annotation_complete!r}")
        self.slice_axis = choose_slice_axis(self.spacing) if slice_axis is None else slice_axis
        self.parameters = parameters or PropagationParameters()
        self.annotation_complete = annotation_complete
        self.segmenter = segmenter
        self.cache_dir = cache_dir
        self.intensity_window = _checked_window(intensity_window)
        self._batch_size = batch_size
        slices = to_slices(self.image, self.slice_axis)
        self._volume_range = self.intensity_window or intensity_range(self.image)
        self._columns = slice(None, None, -1 if is_mirrored(slices, *self._volume_range) else 1)
        self._slices = slices[..., self._columns]
        self._body = (
            body_box(self._slices, *self._volume_range) if self.parameters.use_body_box else whole(self._slices)
        )
        self._body_range = self._range_inside(self._body)
        self._box, self._range = self._body, self._body_range
        self._gap, *self._pixel_size = slice_spacing(self.spacing, self.slice_axis)
        self._history: list[tuple[int, NDArray, bool]] = []
        self._stack: SliceStack | None = None
        self._memo = Memo()

    @property
    def num_slices(self) -> int:
        """Slices along the slice axis."""
        return len(self._slices)

    @property
    def annotated_slices(self) -> tuple[int, ...]:
        """Indices of the slices that carry an annotation, in rising order."""
        return tuple(sorted({index for index, _, _ in self._history}))

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
        array = _checked_label(label, int(slice_index), self._slices.shape[1:])
        shown = upright(array, self.slice_axis)[:, self._columns]
        entry = (int(slice_index), np.ascontiguousarray(shown), replace)
        self._merged([*self._history, entry])
        self._history.append(entry)

    def undo(self) -> int:
        """Take back the last annotation; returns the index of its slice.

        Raises:
            ValueError: when there is none.
        """
        if not self._history:
            raise ValueError("nothing to undo: the session has no annotation")
        return self._history.pop()[0]

    def prepare(self, progress: Progress | None = None) -> None:
        """Compute (or read) the features of all slices; ``segment`` does it when it is needed."""
        if self._stack is not None:
            return
        low, high = self._range
        slices = self._slices[:, self._box[0], self._box[1]]
        shape = working_shape(
            slices.shape[1:], (self._pixel_size[0], self._pixel_size[1]), self.parameters.working_size
        )
        images = np.empty((self.num_slices, *shape), np.float32)
        for index, image in enumerate(slices):
            images[index] = np.sqrt(to_working(scale_intensity(image, low, high), shape))
        features = self._features(slices, low, high, progress)
        self._stack = SliceStack(images, features, self.parameters.grid_size)

    def segment(self, progress: Progress | None = None, *, probability: bool = False) -> PropagationResult:
        """Segment the whole volume from the annotations so far.

        Args:
            progress: called with (stage, done, total); stages are "features", "propagate", "between", "output".
            probability: also give the probability of any label, per voxel.

        Raises:
            ValueError: when nothing was annotated.
        """
        annotations = self._merged(self._history)
        if not any(annotation.values for annotation in annotations.values()):
            raise ValueError("no slice carries a label: call annotate(slice_index, label) before segment()")
        started = time.perf_counter()
        self._choose_box(annotations)
        self.prepare(progress)
        assert self._stack is not None
        prepared = time.perf_counter()
        self._memo.start_run()
        working = {
            index: annotation.inside(self._box).to_working(self._stack.shape)
            for index, annotation in annotations.items()
        }
        extent = max((side.stop - side.start) * pixel for side, pixel in zip(self._box, self._pixel_size, strict=True))
        propagated = segment_stack(
            self._stack,
            working,
            self.parameters,
            step=slice_step(extent, self._gap, self.parameters.key_slice_step),
            annotation_complete=self.annotation_complete,
            memo=self._memo,
            progress=progress,
        )
        propagated_at = time.perf_counter()
        check = check_result(self._stack, propagated, working, self.parameters, memo=self._memo)
        checked = time.perf_counter()
        values = tuple(sorted({value for annotation in annotations.values() for value in annotation.values}))
        labels = self._to_image_grid(propagated.labels, annotations, values, progress)
        chances = self._probability(propagated.logits, annotations) if probability else None
        finished = time.perf_counter()
        return PropagationResult(
            label=self._as_volume(labels),
            probability=None if chances is None else self._as_volume(chances),
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
        tensors = {f"{number:05d}": label for number, (_, label, _) in enumerate(self._history)}
        state = {
            "history": [[index, replace] for index, _, replace in self._history],
            "parameters": asdict(self.parameters),
            "spacing": self.spacing,
            "slice_axis": self.slice_axis,
            "intensity_window": self.intensity_window,
            "annotation_complete": self.annotation_complete,
            "volume": volume_digest(self._slices),
        }
        with replace_when_done(path) as partial:
            save_file(tensors, partial, metadata={"volume_session": json.dumps(state)})

    @classmethod
    def load(
        cls,
        path: str | Path,
        image: ArrayLike,
        *,
        segmenter: Any = None,
        cache_dir: str | Path | None = None,
        batch_size: int = 2,
    ) -> VolumeSession:
        """Resume a session that was saved.

        Args:
            path: file written by ``save``.
            image: the same volume.
            segmenter: as in the constructor.
            cache_dir: as in the constructor.
            batch_size: as in the constructor.

        Raises:
            FileNotFoundError: when there is no such file.
            ValueError: when it isn't a saved session, or one of another volume.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no saved session {path}")
        try:
            with safe_open(path, framework="numpy") as file:
                state = json.loads((file.metadata() or {})["volume_session"])
                labels = [file.get_tensor(key) for key in sorted(file.keys())]
        except (SafetensorError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is not a saved volume session: {error}") from error
        window = state["intensity_window"]
        session = cls(
            image,
            spacing=state["spacing"],
            segmenter=segmenter,
            cache_dir=cache_dir,
            parameters=PropagationParameters(**state["parameters"]),
            slice_axis=state["slice_axis"],
            intensity_window=None if window is None else tuple(window),
            annotation_complete=state["annotation_complete"],
            batch_size=batch_size,
        )
        found = volume_digest(session._slices)
        if found != state["volume"]:
            raise ValueError(
                f"{path} belongs to another volume (content {state['volume'][:12]}, this one {found[:12]})"
            )
        session._history = [
            (index, label, replace) for (index, replace), label in zip(state["history"], labels, strict=True)
        ]
        return session

    def _merged(self, history: Sequence[tuple[int, NDArray, bool]]) -> dict[int, SliceAnnotation]:
        """Annotation per slice from all entries; the order of entries matters only where one replaces others."""
        by_slice: dict[int, list[NDArray]] = {}
        for index, label, replace in history:
            by_slice[index] = [label] if replace else [*by_slice.get(index, []), label]
        return {
            index: SliceAnnotation.from_label_map(_join(labels, index, self.annotation_complete))
            for index, labels in sorted(by_slice.items())
        }

    def _range_inside(self, box: Box) -> tuple[float, float]:
        """The range of intensities of a box, so that it doesn't depend on what lies around; a known unit keeps its."""
        if self.intensity_window is not None or self._volume_range == SOFT_TISSUE_WINDOW:
            return self._volume_range
        return intensity_range(self._slices[:, box[0], box[1]])

    def _choose_box(self, annotations: Mapping[int, SliceAnnotation]) -> None:
        """The body's box, or the whole slice where a label was annotated outside of it."""
        is_inside = all(holds(self._body, annotation.label > 0) for annotation in annotations.values())
        box = self._body if is_inside else whole(self._slices)
        if box != self._box:
            self._box, self._range = box, self._body_range if is_inside else self._volume_range
            self._stack, self._memo = None, Memo()

    def _features(self, slices: NDArray, low: float, high: float, progress: Progress | None) -> dict[str, torch.Tensor]:
        key = None
        levels = tuple(dict.fromkeys((*self.parameters.levels, *self.parameters.ridge_levels)))
        segmenter = self.segmenter if self.segmenter is not None else _default_segmenter(levels)
        if self.cache_dir is not None:
            key = feature_key(
                volume_digest(slices), fingerprint_of(segmenter), levels, self.parameters.image_size, low, high
            )
            features = load_features(self.cache_dir, key)
            if features is not None:
                return features
        features = extract_features(
            _ScaledSlices(slices, low, high),
            segmenter,
            levels,
            self.parameters.image_size,
            batch_size=self._batch_size,
            progress=None if progress is None else lambda done, total: progress("features", done, total),
        )
        if self.cache_dir is not None and key is not None:
            save_features(self.cache_dir, key, features)
        return features

    def _to_image_grid(
        self,
        labels: NDArray,
        annotations: Mapping[int, SliceAnnotation],
        values: tuple[int, ...],
        progress: Progress | None,
    ) -> NDArray:
        result = np.zeros(self._slices.shape, np.uint8 if max(values) < 256 else np.uint16)
        inside = result[:, self._box[0], self._box[1]]
        for index, label in enumerate(labels):
            inside[index] = labels_to_image(label, inside.shape[1:])
            if progress is not None:
                progress("output", index + 1, len(labels))
        impose(result, annotations, self.annotation_complete, values)
        return result

    def _as_volume(self, slices: NDArray) -> NDArray:
        return np.ascontiguousarray(from_slices(slices[..., self._columns], self.slice_axis))

    def _probability(
        self, logits: Sequence[Mapping[int, NDArray]], annotations: Mapping[int, SliceAnnotation]
    ) -> NDArray[np.float16]:
        result = np.zeros(self._slices.shape, np.float16)
        inside = result[:, self._box[0], self._box[1]]
        for index, by_label in enumerate(logits):
            if by_label:
                highest = np.max(list(by_label.values()), axis=0)
                inside[index] = resize(1 / (1 + np.exp(-highest)), inside.shape[1:])
        for index, annotation in annotations.items():
            certain = annotation.known if self.annotation_complete == "all" else annotation.label > 0
            result[index][certain] = (annotation.label > 0)[certain]
        return result


class _ScaledSlices(Sequence):
    """Slices scaled to [0, 1] when they are asked for, so that no second copy of the volume is made."""

    def __init__(self, slices: NDArray, low: float, high: float) -> None:
        self._slices, self._low, self._high = slices, low, high

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, index: Any) -> Any:
        return scale_intensity(self._slices[index], self._low, self._high)


def _default_segmenter(levels: tuple[str, ...]) -> Any:
    from ...networks.backbones.timm_networks import efficientnet_lite2

    return efficientnet_lite2().select(levels)


def _checked_image(image: ArrayLike) -> NDArray:
    array = np.asarray(image)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"image must have three axes (Z, H, W), got shape {array.shape}")
    if array.dtype.kind not in "iufb":
        raise ValueError(f"image must hold numbers, got data type {array.dtype}")
    if array.dtype.kind == "f" and not all(np.isfinite(part).all() for part in array):
        raise ValueError("image holds values that are not finite (NaN or infinity)")
    return array


def _checked_spacing(spacing: Sequence[float] | None) -> tuple[float, float, float]:
    if spacing is None:
        return (1.0, 1.0, 1.0)
    values = tuple(float(value) for value in spacing)
    if len(values) != 3 or not all(np.isfinite(value) and value > 0 for value in values):
        raise ValueError(f"spacing must be three positive numbers in mm, got {spacing!r}")
    return values  # type: ignore[return-value]


def _checked_window(window: Sequence[float] | None) -> tuple[float, float] | None:
    if window is None:
        return None
    if len(window) != 2 or not window[0] < window[1]:
        raise ValueError(f"intensity_window must be (low, high) with low < high, got {window!r}")
    return float(window[0]), float(window[1])


def _checked_label(label: ArrayLike, slice_index: int, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    array = np.asarray(label)
    if array.shape != tuple(shape):
        raise ValueError(f"annotation of slice {slice_index} has shape {array.shape}, expected {tuple(shape)}")
    if array.dtype.kind not in "iufb":
        raise ValueError(f"annotation of slice {slice_index} must hold whole numbers, got data type {array.dtype}")
    values = np.unique(array)
    wrong = values[~((values >= 0) & (values <= 65535) & (values == np.round(values)))]
    if len(wrong):
        raise ValueError(
            f"annotation of slice {slice_index} has the value {wrong[0]}; expected whole numbers 0 to 65535"
        )
    if (values == NOT_ANNOTATED).all():
        raise ValueError(f"annotation of slice {slice_index} says nothing: all its pixels are 255 (not annotated)")
    return array.astype(np.uint16)


def _join(labels: Sequence[NDArray], slice_index: int, annotation_complete: str) -> NDArray:
    """One label map from all annotations of a slice, whatever their order."""
    result = labels[0].copy()
    for label in labels[1:]:
        both = (result != NOT_ANNOTATED) & (label != NOT_ANNOTATED) & (result != label)
        if annotation_complete == "own":  # 0 = not the labels of that map, so only labels can contradict each other
            shared = np.intersect1d(_values(result), _values(label))
            both &= ((result > 0) & (label > 0)) | np.isin(result, shared) | np.isin(label, shared)
            if not len(_values(result)) or not len(_values(label)):
                both = (result != NOT_ANNOTATED) & (label != NOT_ANNOTATED) & (result != label)
        if both.any():
            row, column = (int(axis[0]) for axis in np.nonzero(both))
            raise ValueError(
                f"two annotations of slice {slice_index} contradict each other at {int(both.sum())} pixels (first at "
                f"row {row}, column {column}: {int(result[row, column])} and {int(label[row, column])}); undo one, or "
                "annotate with replace=True"
            )
        is_unset = (result == NOT_ANNOTATED) | ((result == 0) & (label > 0) & (label != NOT_ANNOTATED))
        result[is_unset] = label[is_unset]
    return result


def _values(label: NDArray) -> NDArray:
    values = np.unique(label)
    return values[(values > 0) & (values != NOT_ANNOTATED)]
