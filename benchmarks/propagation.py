# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Propagation from annotated slices: accuracy of every row, what each switch is worth, and the time it takes.

    python benchmarks/propagation.py --data_root ../shared/data --output_dir /tmp/propagation
    python benchmarks/propagation.py --data_root ../shared/data --rows chaos_mr/own1 --ablation

``data_root`` holds CHAOS (MR) and CHAOS_CT_sample; sets that are missing are left out and named. The MNI152 volume
comes with nilearn. Torch and OpenCV run on one thread. Writes ``propagation.csv`` (a row per case and label),
``propagation.json`` and ``propagation.md``.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bundle"))

from scripts.data.episodes.protocols import annotation_slices
from scripts.data.readers.chaos_ct import read_chaos_ct
from scripts.data.readers.chaos_mr import read_chaos_mr
from scripts.data.readers.mni152 import read_mni152
from scripts.data.volume_reader import load_volume
from scripts.inferers.propagation import PropagationParameters
from scripts.inferers.volume.session import VolumeSession
from scripts.networks.backbones import efficientnet_lite2

LEVELS = ("c3", "c4", "c5")
ROWS = {
    "chaos_mr/own1": ("chaos_mr", 1, "own"),
    "chaos_mr/low1": ("chaos_mr", 0.35, "own"),
    "chaos_mr/high1": ("chaos_mr", 0.65, "own"),
    "chaos_mr/all1": ("chaos_mr", 1, "all"),
    "chaos_mr/own3": ("chaos_mr", 3, "own"),
    "chaos_mr/all3": ("chaos_mr", 3, "all"),
    "chaos_ct/own1": ("chaos_ct", 1, "own"),
    "chaos_ct/own3": ("chaos_ct", 3, "own"),
    "mni152/joint1": ("mni152", 1, "joint"),
    "mni152/joint3": ("mni152", 3, "joint"),
    "chaos_mr_coronal/own1": ("chaos_mr_coronal", 1, "own"),
}
CORONAL_CASES = ("2", "8", "31")
ABLATIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "without body box": {"use_body_box": False},
    "without features": {"use_features": False},
    "without intensity": {"use_intensity": False},
    "without flow": {"use_flow": False},
    "without distance": {"use_distance": False},
    "without exclusion": {"use_exclusion": False},
    "without ridge": {"use_ridge": False},
    "without output pass": {"use_output_pass": False},
    "without components": {"use_component": False},
    "without key slices": {"use_key_slices": False},
    "without calibration": {"use_calibration": False},
    "bias 0": {"bias": 0.0},
}


@dataclass
class Case:
    """One volume: image and label (Z, H, W) in the canonical order, spacing in mm."""

    name: str
    image: NDArray
    label: NDArray
    spacing: tuple[float, float, float]
    window: tuple[float, float] | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the tables."""
    options = _parse(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    segmenter = efficientnet_lite2().select(LEVELS)
    folder = Path(options.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    base = PropagationParameters(image_size=options.image_size)
    chosen = ABLATIONS if options.ablation else {"all": {}}
    records: list[dict[str, Any]] = []
    for set_name in dict.fromkeys(ROWS[row][0] for row in options.rows):
        try:
            cases = list(load(set_name, Path(options.data_root)))
        except (FileNotFoundError, ImportError) as error:
            print(f"left out {set_name}: {error}")
            continue
        for case in cases:
            if options.cases and case.name.split()[0] not in options.cases:
                continue
            for row in options.rows:
                if ROWS[row][0] != set_name:
                    continue
                for variant, changes in chosen.items():
                    records += measure(case, row, variant, replace(base, **changes), segmenter, options.cache_dir)
            print(f"{set_name} {case.name} done", flush=True)
    if not records:
        raise SystemExit(f"nothing to measure under {options.data_root}")
    write(records, folder)


def measure(
    case: Case, row: str, variant: str, parameters: PropagationParameters, segmenter: Any, cache_dir: str
) -> list[dict[str, Any]]:
    """Segment one volume from its annotated slices; a record per label."""
    _, number, annotate = ROWS[row]
    session = VolumeSession(
        case.image,
        spacing=case.spacing,
        segmenter=segmenter,
        cache_dir=cache_dir,
        slice_axis=0,
        parameters=parameters,
        intensity_window=case.window,
        annotation_complete="own" if annotate == "own" else "all",
    )
    for index, label in annotation(case.label, number, annotate).items():
        session.annotate(index, label)
    session.prepare()
    started = time.perf_counter()
    result = session.segment()
    seconds = time.perf_counter() - started
    records = []
    for value in (int(each) for each in np.unique(case.label) if each):
        found, truth = result.label == value, case.label == value
        reports = [report for report in result.slices if report.label == value]
        errors = {report.slice: int((found[report.slice] ^ truth[report.slice]).sum()) for report in reports}
        records.append(
            {
                "row": row,
                "variant": variant,
                "case": case.name,
                "label": value,
                "dice": 2 * float((found & truth).sum()) / max(1, int(found.sum() + truth.sum())),
                "predicted_dice": result.predicted_dice.get(value, float("nan")),
                "seconds": seconds,
                "slices": [
                    (report.confidence, errors[report.slice])
                    for report in reports
                    if report.area and report.slice not in session.annotated_slices
                ],
            }
        )
    return records


def annotation(label: NDArray, number: float, annotate: str) -> dict[int, NDArray]:
    """Annotated slices of a label volume (Z, H, W), as the evaluation protocol chooses them.

    A fraction instead of a number: one slice, at this position in the label's extent.
    """
    values = [int(value) for value in np.unique(label) if value]
    if annotate == "joint":
        return {index: label[index] for index in annotation_slices((label > 0).sum(axis=(1, 2)), int(number))}
    slices: dict[int, NDArray] = {}
    for value in values:
        areas = (label == value).sum(axis=(1, 2))
        for index in _at(areas, number) if number < 1 else annotation_slices(areas, int(number)):
            marked = slices.setdefault(index, np.zeros_like(label[index]))
            marked[label[index] == value] = value
    return {index: label[index] for index in slices} if annotate == "all" else slices


def _at(areas: NDArray, position: float) -> list[int]:
    occupied = np.flatnonzero(areas)
    return [int(occupied[0] + round(position * (occupied[-1] - occupied[0])))]


def load(set_name: str, root: Path) -> Iterator[Case]:
    """Volumes of a set."""
    if set_name == "mni152":
        with tempfile.TemporaryDirectory() as folder:
            yield from map(_from_item, read_mni152(folder))
    elif set_name == "chaos_ct":
        yield from map(_from_item, read_chaos_ct(root / "CHAOS_CT_sample"))
    else:
        items = read_chaos_mr(root / "CHAOS")
        if set_name == "chaos_mr":
            yield from map(_from_item, items)
            return
        chosen = [item for item in items if item["case_id"] in CORONAL_CASES] or items[:3]
        yield from (coronal(_from_item(item)) for item in chosen)


def coronal(case: Case) -> Case:
    """Every second coronal slice, rows resliced to the pixel size of the columns, head on top."""
    rows = round(case.image.shape[0] * case.spacing[0] / case.spacing[1])
    present = np.flatnonzero(case.label.any(axis=(0, 2)))
    kept = range(max(0, int(present[0]) - 8), min(case.image.shape[1], int(present[-1]) + 9), 2)

    def reslice(volume: NDArray, interpolation: int) -> NDArray:
        size = (volume.shape[2], rows)
        return np.stack([cv2.resize(volume[::-1, row], size, interpolation=interpolation) for row in kept])

    image = reslice(case.image.astype(np.float32), cv2.INTER_LINEAR)
    label = reslice(case.label.astype(np.uint8), cv2.INTER_NEAREST)
    return Case(f"{case.name} coronal", image, label, (2 * case.spacing[1], case.spacing[1], case.spacing[2]))


def write(records: list[dict[str, Any]], folder: Path) -> None:
    """Write the records and the table, and print the table."""
    with (folder / "propagation.csv").open("w", newline="") as file:
        names = [name for name in records[0] if name != "slices"]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(records)
    summary = []
    for row in dict.fromkeys(record["row"] for record in records):
        for variant in dict.fromkeys(record["variant"] for record in records if record["row"] == row):
            summary.append(_summary(row, variant, [r for r in records if (r["row"], r["variant"]) == (row, variant)]))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / "propagation.json").write_text(json.dumps({"rows": summary, "peak_memory_mib": memory}, indent=2) + "\n")
    lines = [
        "| row | variant | mean Dice | per label | worst case | s per volume | Spearman | error of predicted Dice | "
        "errors in the least confident tenth (most possible) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in summary:
        labels = " ".join(f"{100 * value:.1f}" for value in entry["labels"].values())
        lines.append(
            f"| {entry['row']} | {entry['variant']} | {100 * entry['mean']:.2f} | {labels} | "
            f"{100 * entry['worst']:.1f} | {entry['seconds']:.2f} | {entry['spearman']:.2f} | "
            f"{100 * entry['predicted_error']:.1f} | "
            f"{entry['worst_tenth']:.1f} x ({entry['worst_tenth_at_best']:.1f} x) |"
        )
    lines.append(f"\nPeak memory of the process {memory:.0f} MiB; after the backbone passes, one thread.")
    (folder / "propagation.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _summary(row: str, variant: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    labels = sorted({record["label"] for record in records})
    cases = sorted({record["case"] for record in records})
    by_label = {str(each): float(np.mean([r["dice"] for r in records if r["label"] == each])) for each in labels}
    pairs = sorted(pair for record in records for pair in record["slices"])
    tenth = pairs[: max(1, len(pairs) // 10)]
    total = sum(error for _, error in pairs)
    dice = [record["dice"] for record in records]
    predicted = [record["predicted_dice"] for record in records]
    return {
        "row": row,
        "variant": variant,
        "mean": float(np.mean(list(by_label.values()))),
        "labels": by_label,
        "worst": min(float(np.mean([r["dice"] for r in records if r["case"] == case])) for case in cases),
        "seconds": float(np.mean([record["seconds"] for record in records])),
        "spearman": float(spearmanr(predicted, dice)[0]) if len(records) > 4 else float("nan"),
        "predicted_error": float(np.mean(np.abs(np.subtract(predicted, dice)))),
        "worst_tenth": _share(tenth, total, len(pairs)),
        "worst_tenth_at_best": _share(sorted(pairs, key=lambda pair: -pair[1])[: len(tenth)], total, len(pairs)),
    }


def _share(chosen: list[tuple[float, int]], total: int, count: int) -> float:
    """Errors of the chosen slices, in multiples of what as many slices would hold on average."""
    return sum(error for _, error in chosen) / max(1, total) * count / max(1, len(chosen))


def _from_item(item: dict[str, Any]) -> Case:
    """Read a volume of a datalist with the product's own reader."""
    image, label = load_volume(item["image"]), load_volume(item["label"], is_label=True, image=item["image"])
    spacing = np.linalg.norm(np.asarray(image.affine, dtype=float)[:3, :3], axis=0)[::-1]
    arrays = [np.ascontiguousarray(volume[0].numpy().transpose(2, 1, 0)) for volume in (image, label)]
    values = np.zeros_like(arrays[1], dtype=np.uint8)
    for number, grey in enumerate(item["classes"].values(), start=1):
        values[np.isin(arrays[1], grey)] = number
    return Case(str(item["case_id"]), arrays[0], values, tuple(float(each) for each in spacing))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_root", "--dataset_dir", required=True, help="folder with CHAOS and CHAOS_CT_sample")
    parser.add_argument("--output_dir", default="runs/propagation", help="where the tables go")
    parser.add_argument("--cache_dir", default=None, help="folder for features; default: <output_dir>/features")
    parser.add_argument(
        "--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="only these cases")
    parser.add_argument("--image_size", type=int, default=400, help="side of the backbone's input")
    parser.add_argument("--ablation", action="store_true", help="also every switch off in turn")
    options = parser.parse_args(arguments)
    options.cache_dir = options.cache_dir or str(Path(options.output_dir) / "features")
    return options


if __name__ == "__main__":
    main()
