# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One example, other images: table of the training-free hosts, what the refinement adds, and the ablation.

    python benchmarks/one_shot.py DATA [--sets isic chest wbc chaos] [--shots 1 2 5] [--variants full host ... | all]
                                  [--stride N] [--cache FOLDER] [--json FILE] [--csv FILE] [--markdown FILE]

DATA holds ISIC, CHEST, WBC and CHAOS in their public layouts. Class mIoU over 150 drawn episodes (seed 0) for the
pictures; for CHAOS the mean organ Dice per volume on labelled slices, three chunks, support from the first cases. With
several numbers of shots all of them answer the same queries: episodes are drawn once for the largest number, and a
smaller one takes the first of its supports.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "bundle")]

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from scripts.data import EvaluationDataset, make_episode_list, read_chaos_mr, read_chest_xray, read_isic2018, read_wbc  # noqa: E402
from scripts.metrics.segmentation import CaseArrays, CaseRow, CaseTable, count_overlap, figures  # noqa: E402
from scripts.networks import FeatureExtractor, Segmenter  # noqa: E402
from scripts.networks.backbones import efficientnet_lite2  # noqa: E402
from scripts.networks.hosts import AlignedMatching, Host, Matching, Prototype  # noqa: E402
from scripts.networks.refinement import ColourCut  # noqa: E402
from scripts.transforms import EncodeFeaturesd, LoadItemd, LoadVolumed, ResizeImaged, ScaleIntensityBodyd  # noqa: E402

NUM_EPISODES = 150
SETS: dict[str, tuple[str, Callable[[Path], list[dict[str, Any]]], str, str]] = {
    "isic": ("ISIC", read_isic2018, "sequential_episodes", "class_miou"),
    "chest": ("CHEST", read_chest_xray, "sequential_episodes", "class_miou"),
    "wbc": ("WBC", read_wbc, "sequential_episodes", "class_miou"),
    "chaos": ("CHAOS", read_chaos_mr, "labelled_chunks", "mean_dice"),
}
CLASSES = {"wbc": ("cytoplasm", "nucleus")}  # the whole cell is their union
LEVELS = ("c2", "c3", "c4", "c5")
# name -> (host, its arguments, refinement's arguments or None for none)
VARIANTS: dict[str, tuple[type[Host], dict[str, Any], dict[str, Any] | None]] = {
    "full": (AlignedMatching, {}, {}),
    "no alignment at all": (AlignedMatching, {"align_levels": ()}, {}),
    "no deformation": (AlignedMatching, {"scene_range": (1.0, 1.0)}, {}),
    "no position prior": (AlignedMatching, {"position_prior": 0.0, "scene_prior": 0.0}, {}),
    "no support bias": (AlignedMatching, {"bias_weight": 0.0}, {}),
    "without c2": (AlignedMatching, {"levels": LEVELS[1:]}, {}),
    "no colour model": (AlignedMatching, {}, {"colour_weight": 0.0}),
    "no links in the cut": (AlignedMatching, {}, {"link_weight": 0.0}),
    "choice without border, contrast": (
        AlignedMatching,
        {},
        {
            "merit_weights": {
                "spread_inside": 1.0,
                "border": 0.0,
                "any_separation": 0.0,
                "contrast": 0.0,
                "near_contrast": 0.0,
            },
        },
    ),
    "one threshold": (AlignedMatching, {}, {"offsets": (0.0,)}),
    "no refinement": (AlignedMatching, {}, None),
    "matching": (Matching, {"position_prior": 1.0}, None),
    "matching, refined": (Matching, {"position_prior": 1.0}, {}),
    "prototype": (Prototype, {}, None),
    "prototype, refined": (Prototype, {}, {}),
}


@dataclass(frozen=True)
class Row:
    """One cell of the table."""

    set: str
    variant: str
    num_shots: int
    metric: str
    value: float
    num_masks: int
    seconds_per_mask: float
    classes: dict[str, float]


def evaluate(
    segmenters: dict[str, Segmenter],
    elements: Iterator[dict[str, Any]],
    set_name: str,
    metric: str,
    shots: Sequence[int],
) -> list[Row]:
    """Answer every task with every variant and number of shots; features are shared by all of them."""
    tables = {(name, k): CaseTable() for name in segmenters for k in shots}
    seconds = dict.fromkeys(tables, 0.0)
    num_masks = 0
    for element in elements:
        num_masks += len(element["label"])
        for (name, k), table in tables.items():
            start = time.perf_counter()
            logits = answer(segmenters[name], element, k)
            seconds[name, k] += time.perf_counter() - start
            counts = count_overlap(logits[:, 1:] > logits[:, :1], element["label"])
            table.add(CaseRow(element["class_name"], element["case_id"], counts))
    rows = []
    for (name, k), table in tables.items():
        values = {key: float(value[0]) for key, value in figures(CaseArrays.from_rows(table.rows)).items()}
        prefix = "iou/" if metric == "class_miou" else "dice/"
        classes = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
        rows.append(
            Row(set_name, name, k, metric, values[metric], num_masks, seconds[name, k] / max(1, num_masks), classes)
        )
    return rows


@torch.no_grad()
def answer(segmenter: Segmenter, element: dict[str, Any], num_shots: int) -> Tensor:
    """Logits of all queries of a task at the label's size: (N, 2, H, W)."""
    support = {level: values[None, :num_shots].float() for level, values in element["support_image"].items()}
    prompt = segmenter.encode_prompt(support, element["support_label"][None, :num_shots])
    size = (element["label"].shape[-2], element["label"].shape[-1])
    logits = []
    for number in range(len(element["label"])):
        query = {level: values[number : number + 1].float() for level, values in element["image"].items()}
        logits.append(segmenter.segment(query, prompt, size))
    return torch.cat(logits)


def tasks_of(set_name: str, data: Path, shots: Sequence[int], stride: int) -> tuple[list[dict[str, Any]], Any]:
    """Datalist and episode list of one set, thinned to every ``stride``-th query."""
    folder, read, protocol, _ = SETS[set_name]
    datalist = read(data / folder)
    episodes = make_episode_list(
        datalist,
        set_name,
        protocol,
        num_shots=max(shots),
        num_episodes=NUM_EPISODES,
        classes=CLASSES.get(set_name),
    )
    if stride == 1:
        return datalist, episodes
    queries = [{**task, "query": [name]} for task in episodes.tasks for name in task["query"]]
    return datalist, replace(episodes, tasks=queries[::stride])


def dataset_of(datalist: list[dict[str, Any]], episodes: Any, size: int, cache: Path | None) -> EvaluationDataset:
    """Tasks with cached features and the image beside them."""
    everything = Segmenter(efficientnet_lite2(), AlignedMatching(levels=LEVELS), ColourCut())
    volume_transforms = [LoadVolumed(["image", "label"], allow_missing_keys=True), ScaleIntensityBodyd("image")]
    transforms = [
        LoadItemd(["image", "label"], volume_transforms=volume_transforms),
        ResizeImaged("image", size=size),
        EncodeFeaturesd("image", backbone=FeatureExtractor(everything), cache_dir=cache),
    ]
    return EvaluationDataset(episodes, datalist, transforms, progress=False)


def segmenter_of(name: str) -> Segmenter:
    """Build a variant."""
    host, arguments, refinement = VARIANTS[name]
    backbone = efficientnet_lite2()
    built = host(backbone.channels, **arguments)
    return Segmenter(backbone, built, None if refinement is None else ColourCut(**refinement)).eval()


def table(rows: Sequence[Row]) -> str:
    """Markdown table, variants and shots down, sets across, in percent."""
    sets = list(dict.fromkeys(row.set for row in rows))
    lines = [
        "| variant | shots | " + " | ".join(sets) + " | mean | s per mask |",
        "| --- | --- | " + " | ".join("---" for _ in sets) + " | --- | --- |",
    ]
    for name, k in dict.fromkeys((row.variant, row.num_shots) for row in rows):
        found = {row.set: row for row in rows if (row.variant, row.num_shots) == (name, k)}
        values = [100 * found[key].value for key in sets]
        cells = " | ".join(f"{value:.1f}" for value in values)
        seconds = sum(row.seconds_per_mask for row in found.values()) / len(found)
        lines.append(f"| {name} | {k} | {cells} | {sum(values) / len(values):.1f} | {seconds:.2f} |")
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Write beside, then rename."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    partial.replace(path)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line per cell."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "variant", "num_shots", "metric", "value", "num_masks", "seconds_per_mask"])
        for row in rows:
            cells = (row.set, row.variant, row.num_shots, row.metric, f"{row.value:.5f}")
            writer.writerow([*cells, row.num_masks, f"{row.seconds_per_mask:.3f}"])
    partial.replace(path)


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the sets")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--shots", nargs="+", type=int, default=[1])
    parser.add_argument("--variants", nargs="+", default=["full"], help=f"all, or some of: {', '.join(VARIANTS)}")
    parser.add_argument("--stride", type=int, default=1, help="every n-th query only")
    parser.add_argument("--size", type=int, default=400, help="side of the images that the backbone sees")
    parser.add_argument("--cache", type=Path, help="folder for features, kept between runs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args(command)
    if arguments.variants == ["all"]:
        arguments.variants = list(VARIANTS)
    unknown = [name for name in arguments.variants if name not in VARIANTS]
    if unknown:
        parser.error(f"unknown variants {unknown}; choose among: {', '.join(VARIANTS)}")
    if min(arguments.shots) < 1 or arguments.stride < 1:
        parser.error(f"--shots {arguments.shots} and --stride {arguments.stride} must be at least 1")
    if not arguments.data.is_dir():
        parser.error(f"no folder {arguments.data}")
    return arguments


def main(command: Sequence[str] | None = None) -> list[Row]:
    """Run the command."""
    arguments = arguments_of(command)
    torch.set_num_threads(1)
    segmenters = {name: segmenter_of(name) for name in arguments.variants}
    rows: list[Row] = []
    for set_name in arguments.sets:
        datalist, episodes = tasks_of(set_name, arguments.data, arguments.shots, arguments.stride)
        dataset = dataset_of(datalist, episodes, arguments.size, arguments.cache)
        elements = (dataset[number] for number in range(len(dataset)))
        found = evaluate(segmenters, elements, set_name, SETS[set_name][3], arguments.shots)
        rows += found
        for row in found:
            classes = ", ".join(f"{key} {100 * value:.1f}" for key, value in row.classes.items())
            print(f"{set_name:6} {row.variant:20} K={row.num_shots} {100 * row.value:5.1f} ({classes})", flush=True)
    print(table(rows))
    if arguments.json:
        write(arguments.json, json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if arguments.csv:
        write_csv(arguments.csv, rows)
    if arguments.markdown:
        write(arguments.markdown, table(rows) + "\n")
    return rows


if __name__ == "__main__":
    main()
