# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The first thing a new user runs: a little training, then a brain volume from one annotated slice, and a report.

Every step is the bundle's own command line, so that what is printed can be typed again with other data.

    python -m scripts.apps.quickstart --output_dir ../quickstart      (from the bundle's folder)
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np

from ..data import read_mni152
from ..data.readers.mni152 import MNI152_VALUES
from ..files.atomic import replace_when_done
from ..files.read_json import read_json
from ..labels import NOT_ANNOTATED
from .reports.report import Report
from .reports.training_curves import draw_training
from .reports.volume_figure import draw_volume_files

__all__ = ["main", "write_annotation"]


def main(arguments: Sequence[str] | None = None) -> Path:
    """Run all steps and return the report's path.

    Raises:
        subprocess.CalledProcessError: when a step fails; what it printed has been shown.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output_dir", type=Path, default=Path("../quickstart"), help="folder of everything written")
    output = parser.parse_args(arguments).output_dir
    started = time.time()

    training = output / "training"
    train_command = _run(
        "training", "training", ["configs/train.json", "configs/quickstart.json"],
        output_dir=training, dataset_dir=output / "data" / "synthetic", resume=False,
    )  # fmt: skip

    volume_dir = output / "data" / "mni152"
    volume = read_mni152(volume_dir)[0]
    image, truth = Path(volume["image"]), Path(volume["label"])
    annotation = output / "data" / "annotation.nii.gz"
    annotated = write_annotation(truth, annotation)
    inference = output / "inference"
    inference_command = _run(
        "segmenting the brain from one slice", None, ["configs/inference.json", "configs/inferers/propagation.json"],
        image=image, annotation=annotation, annotation_complete="all", output_dir=inference,
        feature_cache_dir=output / "features",
    )  # fmt: skip

    evaluation = output / "evaluation"
    evaluation_command = _run(
        "evaluating", "evaluating", ["configs/train.json", "configs/evaluate.json", "configs/hosts/matching.json",
                                     "configs/data/mni152.json"],
        dataset_dir=volume_dir, annotate="joint", output_dir=evaluation, feature_cache_dir=output / "features",
    )  # fmt: skip

    labels = {values[0]: name for name, values in MNI152_VALUES.items()}
    segmented = inference / f"{image.name.removesuffix('.nii.gz')}_seg.nii.gz"
    slices = inference / f"{image.name.removesuffix('.nii.gz')}_slices.csv"
    expected = inference / f"{image.name.removesuffix('.nii.gz')}_labels.csv"
    overlay = draw_volume_files(
        output / "overlay.png", image, segmented, truth, labels=labels, annotation_file=annotation, apart=True,
        title="MNI152: one annotated slice, then every slice",
    )  # fmt: skip
    curves = draw_training(training, output / "training.png")

    report = Report(output / "report.md", "Quickstart")
    report.text(
        f"Made by `make quickstart` in {time.time() - started:.0f} s. Nothing here was trained on medical images: the "
        "volume is segmented with the features of a network trained on photographs."
    )
    report.heading("A volume from one annotated slice")
    report.text(
        f"Slice {annotated} of the MNI152 brain carries white and grey matter; all others are found by propagation:"
        f"\n\n    {inference_command}"
    )
    report.figure(overlay, "Image, result and truth on six slices; the annotated one is marked.")
    report.text(f"Dice over the whole volume:\n\n    {evaluation_command}")
    report.label_table(evaluation / "summary.json")
    report.text("What the method expects of itself, without knowing the truth:")
    report.expected_dice(expected, labels=labels)
    report.text("The least certain slices, worth a look:")
    report.slices_to_check(slices, labels=labels)
    report.heading("Training a host")
    report.text(
        "A few dozen episodes on procedural shapes, only to show the trainer; validation is on shapes that were never "
        f"trained:\n\n    {train_command}"
    )
    report.figure(curves, "Losses of training and validation, and class mIoU on held-out classes.")
    report.heading("Files")
    report.files(
        {
            image: "the volume, from nilearn",
            truth: "its white (1) and grey (2) matter",
            annotation: "the one annotated slice; 255 = not annotated",
            segmented: "the result, on the grid of the volume",
            slices: "area and confidence per slice and label",
            expected: "the Dice that is expected of each label",
            evaluation / "summary.json": "metrics of the evaluation",
            evaluation / "cases.csv": "a row per case and label",
            evaluation / "episode_list.json": "what was evaluated, with its hash",
            overlay: "the figure above",
            curves: "the curves above",
            training / "checkpoints" / "best.pt": "the host with the best validation metric",
            training / "checkpoints" / "last.pt": "the state to resume from",
            training / "tensorboard": f"for `tensorboard --logdir {training / 'tensorboard'}`",
        }
    )
    path = report.write()
    scores = read_json(evaluation / "summary.json")["metrics"]
    dice = ", ".join(f"{name} {100 * scores[f'dice/{name}']['value']:.1f} %" for name in labels.values())
    print(f"\nDice from one annotated slice: {dice}\nReport: {path}")
    return path


def write_annotation(truth: str | Path, target: str | Path) -> int:
    """Keep the slice with the largest labelled area of a label map and blank out the others.

    Args:
        truth: NIfTI label map.
        target: NIfTI file to write; 255 on all other slices.

    Returns:
        Index of the slice along the file's last axis.
    """
    source = nibabel.nifti1.Nifti1Image.from_filename(truth)
    label = np.asarray(source.dataobj).astype(np.uint8)
    index = int((label > 0).sum(axis=(0, 1)).argmax())
    annotation = np.full_like(label, NOT_ANNOTATED)
    annotation[..., index] = label[..., index]
    with replace_when_done(target) as partial:
        nibabel.save(nibabel.Nifti1Image(annotation, source.affine), partial)  # type: ignore[no-untyped-call]
    return index


def _run(step: str, run_id: str | None, configs: Sequence[str], **overrides: object) -> str:
    """Run a workflow in a process of its own and return the command as it could be typed."""
    command = ["-m", "monai.bundle", "run", *([run_id] if run_id else [])]
    command += ["--config_file", "[" + ", ".join(f"'{config}'" for config in configs) + "]"]
    for key, value in overrides.items():
        command += [f"--{key}", str(value)]
    shown = "python " + " ".join(f'"{part}"' if part.startswith("[") else shlex.quote(part) for part in command)
    print(f"\n== {step}\n{shown}", flush=True)
    subprocess.run([sys.executable, *command], check=True)
    return shown


if __name__ == "__main__":
    main()
