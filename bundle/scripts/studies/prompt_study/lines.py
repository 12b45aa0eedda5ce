# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The same tasks, answered once per line of the table: a network and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from monai.utils.enums import CommonKeys
from torch import Tensor, nn
from tqdm import tqdm

from ...data.episodes.dataset import ID_SEPARATOR
from ...handlers.case_metrics import foreground_mask, item_rows
from ...labels import IGNORED
from ...metrics import CaseTable

__all__ = ["Line", "answer"]


@dataclass
class Line:
    """One line of the table.

    Args:
        name: of the line.
        network: the segmenter, with its weights.
        texts: class name, or id of an image -> (T, D) text embedding; what is not in it is left out. None for a network
            without text.
        kind: ``wording`` of the studied network, or ``control`` with a network of its own.
        sentences: what the classes' texts are, for the report.
        cases: overlap with the truth, filled by `answer`.
        agreement: overlap with the masks of the first line, filled by `answer`.
    """

    name: str
    network: nn.Module
    texts: Mapping[str, Tensor] | None
    kind: str = "wording"
    sentences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cases: CaseTable = field(default_factory=CaseTable)
    agreement: CaseTable = field(default_factory=CaseTable)

    def embedding(self, batch: Mapping[str, Any]) -> Tensor | None:
        """(1, T, D) for a task, or None without text.

        Raises:
            KeyError: when the line has no text for it.
        """
        if self.texts is None:
            return None
        for key in (*batch["query_ids"].split(ID_SEPARATOR), batch["class_name"]):
            if key in self.texts:
                return self.texts[key][None]
        raise KeyError(batch["class_name"])

    def answers(self, batch: Mapping[str, Any]) -> bool:
        """Whether the line has something to say to a task."""
        return self.texts is None or any(
            key in self.texts for key in (*batch["query_ids"].split(ID_SEPARATOR), batch["class_name"])
        )


@torch.no_grad()
def answer(evaluator: Any, lines: Sequence[Line], *, title: str = "") -> None:
    """Answer every task of an evaluator's data with every line, and count.

    Args:
        evaluator: gives data, device, inferer and how a batch is prepared; its own network isn't used.
        lines: the first is the one that the others' masks are compared with.
        title: of the progress bar.

    Raises:
        ValueError: when the tasks are whole volumes, which take no text.
    """
    device = evaluator.state.device
    for line in lines:
        line.network.to(device).eval()
    for batch in tqdm(evaluator.data_loader, desc=title, mininterval=5):
        if "query_ids" not in batch:
            raise ValueError(
                "a propagated volume takes no text; choose the protocol episodes, labelled_chunks or all_slices"
            )
        images, labels, _, support = evaluator.prepare_batch(batch, device, evaluator.non_blocking)
        support.pop("text_embedding", None)
        reference: list[Tensor] = []
        for line in lines:
            if not line.answers(batch):
                continue
            text = line.embedding(batch)
            given = support if text is None else {**support, "text_embedding": text.to(device)}
            logits = evaluator.inferer(images, line.network, **given)
            masks = [foreground_mask(each, label.shape[1:]) for each, label in zip(logits, labels, strict=True)]
            reference = reference or masks
            for mask, first, label in zip(masks, reference, labels, strict=True):
                _count(line.cases, batch, mask, label)
                _count(line.agreement, batch, mask, torch.where(label == IGNORED, label, first.to(label)))


def _count(table: CaseTable, batch: Mapping[str, Any], mask: Tensor, label: Tensor) -> None:
    named = {key: batch[key] for key in ("case_id", "class_name", "support_ids")}
    for row in item_rows({**named, CommonKeys.PRED: mask, CommonKeys.LABEL: label}):
        table.add(row)
