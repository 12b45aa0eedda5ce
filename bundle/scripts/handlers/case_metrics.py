# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Metrics per case and class as an Ignite handler: the evaluation's tables and the training's validation metric.

The counting is in ``scripts.metrics``; here is only what an engine adds: reading the items of an iteration, timing it,
gathering the rows of all processes, and writing the files.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from monai.data import decollate_batch
from monai.engines import IterationEvents, Workflow
from monai.utils import CommonKeys
from torch import Tensor

from ..files.atomic import write_csv, write_json
from ..labels import IGNORED
from ..metrics import CaseRow, CaseTable, OverlapCounts, count_overlap, summarise
from ..metrics.segmentation import CaseArrays, figures

__all__ = ["CASE_COLUMNS", "CaseMetrics", "foreground_mask", "item_rows"]

CASE_COLUMNS = (
    "dataset", "protocol", "class_name", "case_id", "support_ids", "dice", "iou", "intersection", "union", "seconds",
)  # fmt: skip
Classes = Mapping[str, Sequence[int]]


class CaseMetrics:
    """Count overlap per case and class over an evaluator's run; figures to ``engine.state.metrics``, tables to files.

    An item (of ``engine.state.batch`` and ``engine.state.output`` together) is either an episode's query or a whole
    label map:

    - episode: ``class_name``, ``case_id``, ``support_ids``; ``label`` (1, H, W) in {0, 1, 255}; ``pred`` logits (2,
      H, W) of the label's size, foreground where logit 1 > logit 0, or a mask (1, H, W) in {0, 1}.
    - label map: no ``class_name``; ``pred`` and ``label`` (1, *spatial) label values (255 in the label is not
      counted), and the table ``classes`` {name: [values]}, in the item or given here: one row per class of the table.

    Iterations with the same case and class (slices or chunks of a volume) are pooled. ``seconds`` is the time of the
    network's pass, shared equally by the items of a batch, or the item's own ``seconds``. Several processes must share
    the items without overlap (``partition_dataset(even_divisible=False)``): a repeated item would be counted twice.

    It stands as the evaluator's key metric (``key_val_metric: {"mean_dice": CaseMetrics}``) or among its handlers.

    Args:
        output_dir: where ``cases.csv`` and ``summary.json`` go; None writes nothing (validation in training).
        dataset: name of the data set, a column of the table.
        protocol: how the set was evaluated, a column of the table and a key of the summary.
        summary: what else ``summary.json`` says: host, backbone, text, num_shots, seed, episode_list_sha256.
        classes: label table for items that bring none.
        num_resamples: bootstrap replicates for the intervals of the summary.
        seed: seed of the bootstrap.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str] | None = None,
        *,
        dataset: str = "",
        protocol: str = "",
        summary: Mapping[str, Any] | None = None,
        classes: Classes | None = None,
        num_resamples: int = 2000,
        seed: int = 0,
    ) -> None:
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.dataset = dataset
        self.protocol = protocol
        self.summary = dict(summary or {})
        self.classes = classes
        self.num_resamples = num_resamples
        self.seed = seed
        self.table = CaseTable()
        self._logger = logging.getLogger(__name__)
        self._started = 0.0
        self._seconds: float | None = None

    def attach(self, engine: Engine, name: str | None = None) -> None:
        """Attach to an evaluator; ``name`` is the key metric's (MONAI passes it), which must be one of the figures."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._reset)
        engine.add_event_handler(Events.ITERATION_STARTED, self._start_clock)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._count)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._finish, name)
        if isinstance(engine, Workflow):  # a bare Ignite engine doesn't know the event
            engine.add_event_handler(IterationEvents.FORWARD_COMPLETED, self._stop_clock)

    def write(self, table: CaseTable) -> tuple[Path, Path]:
        """Write ``cases.csv`` and ``summary.json`` for a table of rows and return their paths."""
        if self.output_dir is None:
            raise RuntimeError("CaseMetrics was made without output_dir, so it has nowhere to write")
        cases = write_csv(self.output_dir / "cases.csv", map(self._csv_row, table.rows), CASE_COLUMNS)
        summary = {
            "dataset": self.dataset,
            "protocol": self.protocol,
            **self.summary,
            "num_cases": len({row.case_id for row in table.rows}),
            "metrics": summarise(table.rows, num_resamples=self.num_resamples, seed=self.seed),
        }
        return cases, write_json(self.output_dir / "summary.json", summary)

    def _reset(self, engine: Engine) -> None:
        self.table = CaseTable()

    def _start_clock(self, engine: Engine) -> None:
        self._started, self._seconds = time.perf_counter(), None

    def _stop_clock(self, engine: Engine) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._seconds = time.perf_counter() - self._started

    def _count(self, engine: Engine) -> None:
        if self._seconds is None:  # an engine with an iteration of its own
            self._stop_clock(engine)
        items = list(_items(engine))
        seconds = (self._seconds or 0.0) / max(len(items), 1)
        for item in items:
            for row in item_rows(item, classes=self.classes, seconds=seconds):
                self.table.add(row)

    def _finish(self, engine: Engine, name: str | None) -> None:
        table = _gather(self.table)
        values = {key: float(value[0]) for key, value in figures(CaseArrays.from_rows(table.rows)).items()}
        if name is not None and name not in values:
            raise ValueError(f"the key metric {name!r} is none of the figures: {', '.join(values)}")
        engine.state.metrics.update(values)
        if self.output_dir is not None and _rank() == 0:
            for path in self.write(table):
                self._logger.info("wrote %s", path)

    def _csv_row(self, row: CaseRow) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "protocol": self.protocol,
            "class_name": row.class_name,
            "case_id": row.case_id,
            "support_ids": ";".join(row.support_ids),
            "dice": round(row.dice, 6),
            "iou": round(row.iou, 6),
            "intersection": row.counts.intersection,
            "union": row.counts.union,
            "seconds": round(row.seconds, 6),
        }


def item_rows(item: Mapping[str, Any], *, classes: Classes | None = None, seconds: float = 0.0) -> list[CaseRow]:
    """Make the rows of one item: one for an episode's query, one per class for a label map (see ``CaseMetrics``).

    Raises:
        ValueError: for an unknown label value or shapes that do not go together, naming the case.
    """
    case_id = str(item["case_id"])
    pred, label = _plain(item[CommonKeys.PRED]), _plain(item[CommonKeys.LABEL])
    seconds = float(item.get("seconds", seconds))
    supports = _support_ids(item.get("support_ids"))
    try:
        if "class_name" in item:
            counts = {str(item["class_name"]): _count_query(pred, label)}
        else:
            table = item.get("classes", classes)
            if not table:
                raise ValueError("a label map needs `classes` {name: [values]} to be counted, or the item a class_name")
            counts = _count_label_map(pred, label, table)
    except ValueError as error:
        raise ValueError(f"case {case_id}: {error}") from error
    share = seconds / len(counts)
    return [CaseRow(name, case_id, count, supports, share) for name, count in counts.items()]


def foreground_mask(pred: Tensor, size: Sequence[int]) -> Tensor:
    """Decide foreground.

    Args:
        pred: logits (2, H, W), or a mask (1, H, W) in {0, 1}.
        size: (H, W) of the label.

    Returns:
        (1, H, W) boolean.

    Raises:
        ValueError: for anything else, logits of another size than the label's among them: only the segmenter knows by
            which rule its host's logits are resized.
    """
    if pred.ndim != 3 or pred.shape[0] not in (1, 2) or (pred.shape[0] == 2 and not pred.is_floating_point()):
        raise ValueError(f"a prediction is logits (2, H, W) or a mask (1, H, W), got {pred.dtype} {tuple(pred.shape)}")
    if tuple(pred.shape[1:]) != tuple(size):
        raise ValueError(
            f"the prediction {tuple(pred.shape)} is not of the label's size {tuple(size)}: ask the segmenter for "
            "logits of that size (output_size; PrepareTask hands it over), nobody else knows how to resize them"
        )
    if pred.shape[0] == 1:
        return pred > 0
    difference = pred[1:].float() - pred[:1].float()
    if difference.isnan().any():
        raise ValueError("the network's logits are not a number (NaN)")
    return difference > 0


def _count_query(pred: Tensor, label: Tensor) -> OverlapCounts:
    known = (label == 0) | (label == 1) | (label == IGNORED)
    if not bool(known.all()):
        raise ValueError(
            f"a query's label holds 0, 1 and {IGNORED}, got also {sorted(set(label[~known].tolist()))[:5]}"
        )
    return count_overlap(foreground_mask(pred, label.shape[1:]), label)


def _count_label_map(pred: Tensor, label: Tensor, classes: Classes) -> dict[str, OverlapCounts]:
    counts = {}
    for name, values in classes.items():
        wanted = torch.as_tensor([int(value) for value in values], device=label.device)
        truth = torch.isin(label.long(), wanted).to(torch.uint8)
        truth[label == IGNORED] = IGNORED
        counts[name] = count_overlap(torch.isin(pred.long(), wanted.to(pred.device)), truth)
    return counts


def _items(engine: Engine) -> Iterator[dict[str, Any]]:
    """Items of the iteration: outputs that tell all by themselves, or else batch and output together (output wins)."""
    output = _decollated(engine.state.output)
    if all("case_id" in found and CommonKeys.LABEL in found for found in output):
        yield from output
        return
    for given, found in zip(_decollated(engine.state.batch), output, strict=True):
        yield {**given, **found}


def _decollated(content: Any) -> list[dict[str, Any]]:
    return content if isinstance(content, list) else decollate_batch(content, detach=True)


def _plain(value: Any) -> Tensor:
    tensor = torch.as_tensor(value)
    return tensor.as_tensor() if hasattr(tensor, "as_tensor") else tensor  # MONAI's MetaTensor tracks every operation


def _support_ids(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(value.split(";")) if isinstance(value, str) else tuple(map(str, value))


def _rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def _gather(table: CaseTable) -> CaseTable:
    if not (dist.is_available() and dist.is_initialized()):
        return table
    shares: list[list[CaseRow] | None] = [None] * dist.get_world_size()
    dist.all_gather_object(shares, table.rows)
    return CaseTable(row for share in shares for row in share or ())
