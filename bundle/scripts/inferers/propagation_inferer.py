# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Propagation as a MONAI inferer: a volume and a label map with a few annotated slices give the whole label map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers.inferer import Inferer
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..data.class_names import name_labels
from .propagation import ANNOTATION_COMPLETE, PropagationParameters, PropagationResult
from .propagation.evidence.annotations import labelled_slices
from .propagation.evidence.slice_features import Backbone, FeatureSource
from .propagation.geometry.slice_axis import axis_of_labels, refuse_other_axis
from .volume.guesses import tell_guesses
from .volume.session import Progress, VolumeSession

__all__ = ["PropagationInferer"]


class PropagationInferer(Inferer):
    """Segment a volume from annotated slices of its own.

    Args:
        parameters: values and switches of the propagation.
        annotation_complete: what an unlabelled pixel of an annotated slice means, "own" or "all"
            (``VolumeSession``).
        slice_axis: axis of (X, Y, Z) that slices are counted along; the one that the annotation was painted along if
            None (``axis_of_labels``).
        cache_dir: folder that keeps features, so that the same volume costs no backbone pass again.
        intensity_window: (low, high) in the volume's unit; found by itself if None.
        probability: also give the probability of any label.
        batch_size: slices per backbone pass; 2, on CUDA 16, if None.
        class_names: names of the labels in the order of their values; a number other than that of the annotated labels
            is refused before anything is computed.
        progress: show a progress bar (tqdm) where no callback is given.
    """

    def __init__(
        self,
        parameters: PropagationParameters | None = None,
        *,
        annotation_complete: str = "own",
        slice_axis: int | None = None,
        cache_dir: str | Path | None = None,
        intensity_window: tuple[float, float] | None = None,
        probability: bool = False,
        batch_size: int | None = None,
        class_names: Sequence[str] = (),
        progress: bool = False,
    ) -> None:
        super().__init__()
        if annotation_complete not in ANNOTATION_COMPLETE:
            raise ValueError(f"annotation_complete must be one of {ANNOTATION_COMPLETE}, got {annotation_complete!r}")
        if slice_axis not in (None, 0, 1, 2):
            raise ValueError(f"slice_axis must be 0, 1, 2 or None, got {slice_axis!r}")
        self.parameters = parameters
        self.annotation_complete = annotation_complete
        self.slice_axis = slice_axis
        self.cache_dir = cache_dir
        self.intensity_window = intensity_window
        self.probability = probability
        self.batch_size = batch_size
        self.class_names = tuple(class_names)
        self.progress = progress

    def __call__(
        self,
        inputs: Tensor,
        network: FeatureSource | Backbone,
        *,
        annotation: Tensor,
        spacing: Sequence[float] | None = None,
        progress: Progress | None = None,
    ) -> PropagationResult:
        """Segment one volume.

        Args:
            inputs: (1, 1, X, Y, Z) or (1, X, Y, Z), axes to the patient's left, back and head; any unit.
            network: a segmenter, or anything else with ``features(images) -> {level: maps}``.
            annotation: label map of the same grid; 255 = not annotated; slices without any label are not annotated.
            spacing: mm per axis of (X, Y, Z); from the tensor's affine if None.
            progress: called with (stage, done, total).

        Returns:
            The result; ``label`` and ``probability`` are tensors of the shape of ``inputs``, with its affine where it
            has one; slices are counted along ``slice_axis`` of (X, Y, Z).

        Raises:
            ValueError: for other shapes, or an annotation without any label.
        """
        volume, label = _as_volume(inputs, "inputs"), _as_volume(annotation, "annotation")
        if volume.shape != label.shape:
            raise ValueError(f"annotation has the shape {label.shape}, expected that of the volume, {volume.shape}")
        millimetres = _spacing(inputs, spacing)
        axis = axis_of_labels(label, millimetres, preferred=2) if self.slice_axis is None else self.slice_axis
        refuse_other_axis(label, axis, _source(annotation))
        session = VolumeSession(
            volume.transpose(2, 1, 0),
            spacing=millimetres[::-1],
            segmenter=network,
            cache_dir=self.cache_dir,
            parameters=self.parameters,
            slice_axis=2 - axis,
            intensity_window=self.intensity_window,
            annotation_complete=self.annotation_complete,
            batch_size=self.batch_size,
            memory_mib=0,
        )
        tell_guesses(
            label,
            slice_axis=axis,
            found_axis=self.slice_axis is None,
            window=session.intensity_range if self.intensity_window is None else None,
        )
        for index in labelled_slices(label, axis):
            session.annotate(index, np.take(label.transpose(2, 1, 0), index, axis=2 - axis))
        if not session.annotated_slices:
            raise ValueError("the annotation has no label on any slice (its values are only 0 and 255)")
        name_labels(session.annotated_values, self.class_names)
        with nullcontext(progress) if progress is not None or not self.progress else _progress_bar() as tell:
            result = session.segment(tell, probability=self.probability)
        result.label = _like(result.label, inputs)
        if result.probability is not None:
            result.probability = _like(result.probability, inputs)
        result.slice_axis = axis
        return result


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """A bar that shows the stage and how far it is."""
    with tqdm(unit="step", leave=False) as bar:

        def tell(stage: str, done: int, total: int) -> None:
            if bar.desc != f"{stage}: ":
                bar.set_description(stage, refresh=False)
            bar.total, bar.n = total, done
            bar.refresh()

        yield tell


def _source(annotation: Tensor) -> str:
    """File of an annotation, where its metadata names one."""
    name = annotation.meta.get("filename_or_obj") if isinstance(annotation, MetaTensor) else None
    name = name[0] if isinstance(name, (list, tuple)) and name else name
    return str(name) if name else "the annotation"


def _as_volume(tensor: Tensor | NDArray[Any], name: str) -> NDArray[Any]:
    array = tensor.detach().cpu().numpy() if isinstance(tensor, Tensor) else np.asarray(tensor)
    shape = array.shape
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3:
        raise ValueError(f"{name} must have the shape (1, 1, X, Y, Z) or (1, X, Y, Z), got {shape}")
    return array


def _spacing(inputs: Tensor, spacing: Sequence[float] | None) -> tuple[float, ...]:
    if spacing is None and isinstance(inputs, MetaTensor):
        spacing = np.linalg.norm(np.asarray(inputs.affine, dtype=float).reshape(-1, 4, 4)[0][:3, :3], axis=0).tolist()
    values = tuple(float(value) for value in (spacing if spacing is not None else (1.0, 1.0, 1.0)))
    if len(values) != 3:
        raise ValueError(f"spacing must be three numbers in mm, got {spacing!r}")
    return values


def _like(array: NDArray[Any], inputs: Tensor) -> Tensor:
    """An array (Z, Y, X) as a tensor of the shape, device and affine of the inputs."""
    tensor = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 1, 0))).reshape(tuple(inputs.shape))
    if isinstance(inputs, MetaTensor):
        return MetaTensor(tensor.to(inputs.device), meta=dict(inputs.meta))
    return tensor.to(inputs.device) if isinstance(inputs, Tensor) else tensor
