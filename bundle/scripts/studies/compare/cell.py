# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""One cell of a comparison: one host, with or without text and refinement, on one target.

A cell is an evaluation of the bundle's own, in a folder of its own. Beside ``summary.json`` and ``cases.csv`` lies
``cell.json`` with everything that the result depends on, written last: a cell whose identity is unchanged is finished.
"""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.bundle.workflows import ConfigWorkflow
from monai.transforms.compose import Compose
from numpy.typing import NDArray

from ...apps.reports.peak_memory import peak_mib
from ...apps.startup.assembly import Target, evaluation_files, start
from ...data.items import expand_items, item_id
from ...files.atomic import replace_when_done, write_json
from ...files.read_json import read_json
from ...handlers.case_metrics import foreground_mask
from .identity import Identity, code_digest, config_digests, digest_once, listing_digest, named_files

__all__ = ["Cell", "Labels", "identities", "read_record", "run_cell"]

logger = logging.getLogger(__name__)


class Labels(NamedTuple):
    """What target and overlays of a cell are called in folders, tables and figures."""

    target: str
    host: str
    text: str
    refinement: str


@dataclass(frozen=True)
class Cell:
    """What is evaluated.

    Args:
        host: host overlay.
        text: text overlay.
        refinement: refinement overlay.
        target: data overlay and folder.
        num_shots: supports per class.
        seed: of drawn episodes and untrained weights.
        checkpoint: trained weights; None for a host without any.
        backbone: backbone overlay; None for the default.
        options: further values of the evaluation, such as ``image_size``.
        own_labels: None where the names of overlays (or of their files) tell the cells of a comparison apart.
    """

    host: str
    text: str
    refinement: str
    target: Target
    num_shots: int
    seed: int
    checkpoint: Path | None = None
    backbone: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    own_labels: Labels | None = None

    @property
    def labels(self) -> Labels:
        """What the cell's parts are called."""
        stems = (Path(name).stem for name in (self.host, self.text, self.refinement))
        return self.own_labels or Labels(self.target.overlay, *stems)

    @property
    def name(self) -> str:
        """Name of the cell's folder."""
        return "-".join((*self.labels, f"{self.num_shots}shot", f"seed{self.seed}"))

    @property
    def files(self) -> list[str]:
        """Configuration files of the evaluation."""
        return evaluation_files(
            self.host, self.target.overlay, text=self.text, refinement=self.refinement, backbone=self.backbone
        )

    def identity(self, listing: str | None = None) -> Identity:
        """Everything that the result depends on, as JSON gives it back.

        Args:
            listing: digest of the data set's listing, where it is known; None lists the data set now.
        """
        identity: Identity = {
            "configs": config_digests(self.files),
            "files": named_files(self.files, dataset_dir=str(self.target.dataset_dir)),
            "code": code_digest(),
            "data": listing_digest(self.target.dataset_dir) if listing is None else listing,
            "checkpoint": None if self.checkpoint is None else digest_once(self.checkpoint),
            "num_shots": self.num_shots,
            "seed": self.seed,
            "options": dict(self.options),
        }
        as_json: Identity = json.loads(json.dumps(identity))
        return as_json


def identities(cells: Sequence[Cell]) -> list[Identity]:
    """Identities of the cells of one comparison; each data set is listed once, however many cells it has."""
    folders = {cell.target.dataset_dir for cell in cells}
    listings = {folder: listing_digest(folder) for folder in folders}
    return [cell.identity(listings[cell.target.dataset_dir]) for cell in cells]


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read ``cell.json``; None where no cell was finished."""
    try:
        record = read_json(folder / "cell.json")
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) and "identity" in record else None


def run_cell(
    cell: Cell, folder: Path, identity: Identity, *, feature_cache_dir: Path, device: str | None = None
) -> bool:
    """Evaluate a cell, unless its folder holds the finished result of the same identity.

    Args:
        cell: what to evaluate.
        folder: where its files go.
        identity: the cell's, as planned.
        feature_cache_dir: where backbone features are shared between cells.
        device: as in the evaluation; None lets it choose.

    Returns:
        Whether it was evaluated now.
    """
    finished = read_record(folder)
    if finished is not None and finished["identity"] == identity:
        return False
    record = folder / "cell.json"
    record.unlink(missing_ok=True)
    logger.info("evaluating %s", cell.name)
    workflow = start(
        cell.files,
        dataset_dir=str(cell.target.dataset_dir),
        output_dir=str(folder),
        num_shots=cell.num_shots,
        seed=cell.seed,
        checkpoint=None if cell.checkpoint is None else str(cell.checkpoint),
        feature_cache_dir=str(feature_cache_dir),
        device=device,
        **cell.options,
    )
    workflow.run()
    costs = _measure_first(workflow, folder / "first.npz")
    workflow.finalize()
    description = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(cell).items()}
    del description["own_labels"]
    description["labels"] = cell.labels._asdict()
    description["target"] = {"overlay": cell.target.overlay, "dataset_dir": str(cell.target.dataset_dir)}
    write_json(record, {"cell": description, **costs, "identity": identity})
    gc.collect()
    return True


def _measure_first(workflow: ConfigWorkflow, file: Path) -> dict[str, Any]:
    """Answer the first task once more: its peak memory, and what a figure needs of it.

    Writes ``image`` and ``support_image`` (3, S, S) in [0, 1], ``label``, ``support_label`` and ``pred`` (H, W).
    """
    evaluator = workflow.parser.get_parsed_content("validate#evaluator")
    dataset = workflow.parser.get_parsed_content("validate#dataset")
    batch = next(iter(evaluator.data_loader))
    if "query_ids" not in batch:  # a volume that is its own support
        return {"peak_mib": None}
    inputs, label, arguments, named = evaluator.prepare_batch(batch, evaluator.state.device, evaluator.non_blocking)
    network = evaluator.network.eval()

    @torch.no_grad()
    def answer() -> torch.Tensor:
        logits: torch.Tensor = evaluator.inferer(inputs, network, *arguments, **named)
        return logits

    logits, mib = peak_mib(answer, evaluator.state.device)
    task = dataset.episode_list.tasks[0]
    arrays = {
        "image": _picture(workflow, task["query"][0]),
        "support_image": _picture(workflow, task["support"][0]),
        "label": label[0, 0].cpu().numpy(),
        "support_label": batch["support_label"][0, 0, 0].cpu().numpy(),
        "pred": foreground_mask(logits[0], label.shape[-2:])[0].cpu().numpy(),
    }
    with replace_when_done(file) as draft, draft.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return {"peak_mib": mib, "first": {"class_name": task["class_name"], "query": task["query"][0]}}


def _picture(workflow: ConfigWorkflow, name: str) -> NDArray[np.float32]:
    """Image (3, S, S) in [0, 1] of an item, as it enters the backbone."""
    items = expand_items(workflow.parser.get_parsed_content("eval_datalist"))
    (item,) = (item for item in items if item_id(item) == name)
    return np.asarray(Compose(workflow.parser.get_parsed_content("load_transforms"))(item)["image"])
