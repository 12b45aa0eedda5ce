# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt segment``: a volume from annotated slices of its own, or from annotated images of other cases."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..apps.startup.errors import UsageError
from ..version import version
from .choices import AdaptationOption, BackboneOption, OverlayOption, RefinementOption
from .options import with_keys
from .progress import StageProgress
from .run import overlay_file, run_workflow, say

__all__ = ["segment"]

_DIRECT = {
    "annotation_complete",
    "class_names",
    "device",
    "feature_cache_dir",
    "image_size",
    "intensity_window",
    "output_dir",
    "save_probability",
    "series_uid",
    "slice_axis",
}
"""Keys that the session knows; with others the workflow runs."""

_OUTPUT = "output/inference"


@with_keys("inference", without=("image", "annotation", "dataset_dir"))
def segment(
    keys: dict[str, Any],
    image: Annotated[
        Path, typer.Argument(help="NIfTI volume, folder of a DICOM series, or folder of volumes.", exists=True)
    ],
    annotation: Annotated[
        Optional[Path],
        typer.Argument(
            help="Label map of the same grid with one or more painted slices; 255 is not annotated.",
            exists=True,
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        Optional[str],
        typer.Option(
            help="Host, for supports of other cases; aligned_matching by default.", metavar="HOST", show_default=False
        ),
    ] = None,
    backbone: BackboneOption = None,
    refinement: RefinementOption = None,
    adaptation: AdaptationOption = None,
    overlay: OverlayOption = None,
) -> None:
    """Segment a volume from one painted slice, or from annotated images of other cases.

    Examples: segprompt segment V.nii.gz A.nii.gz -o out

    segprompt segment V.nii.gz --support_images S.nii.gz --support_labels L.nii.gz -o out
    """
    choices = {"backbones": backbone, "refinements": refinement, "adaptations": adaptation}
    has_support = bool(keys.get("support_images"))
    if annotation is None and not has_support and not overlay:
        raise UsageError(
            f"nothing says what to segment in {image}: give a label map with a painted slice "
            "(segprompt segment V.nii.gz A.nii.gz), or --support_images and --support_labels"
        )
    if annotation is not None and has_support:
        raise UsageError("give either an annotation of the volume itself or --support_images, not both")
    is_chosen = host is not None or overlay or any(name is not None for name in choices.values())
    if annotation is not None and not is_chosen and set(keys) <= _DIRECT and not _holds_volumes(image):
        _segment_directly(image, annotation, keys)
        return
    chosen_names = {"inferers": "reference" if has_support else "propagation", "hosts": host, **choices}
    if has_support and host is None:
        chosen_names["hosts"] = "aligned_matching"
    files = [overlay_file(kind, name) for kind, name in chosen_names.items() if name is not None]
    given = dict(keys)
    given["dataset_dir" if _holds_volumes(image) else "image"] = str(image)
    if annotation is not None:
        given["annotation"] = str(annotation)
    run_workflow("inference", [*files, *(overlay or [])], given, task=f"segment {image}")


def _holds_volumes(image: Path) -> bool:
    """Whether a path is a folder of volumes, and no series."""
    return image.is_dir() and any(image.glob("*.nii*"))


def _segment_directly(image: Path, annotation: Path, keys: Mapping[str, Any]) -> None:
    """Segment with the volume session alone: the workflow's answer without MONAI's start."""
    given = {name: value for name, value in keys.items() if value is not None}
    output = Path(given.pop("output_dir", _OUTPUT)).expanduser()
    device = _device(given.pop("device", None))
    say(f"segprompt {version()}: segment {image} on {device or _default_device()}")
    from ..inferers.volume.files import segment_files

    started = time.time()
    with StageProgress() as progress:
        result = segment_files(image, annotation, output, device=device, progress=progress, **given)
    expected = ", ".join(f"label {label} {dice:.2f}" for label, dice in result.predicted_dice.items())
    say(f"expected Dice: {expected}")
    written = [path for path in sorted(output.iterdir()) if path.stat().st_mtime >= started - 1]
    say(f"wrote {', '.join(map(str, written))} in {time.time() - started:.1f} s")


def _device(value: Any) -> str | None:
    return None if value is None else str(value).removeprefix("$torch.device(").rstrip(")").strip("'\"")


def _default_device() -> str:
    import torch

    return "cuda:0" if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"
