# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From one evaluation task to the batch that an engine takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ignite.utils import apply_to_tensor

__all__ = ["collate_task"]

_OF_THE_TASK = ("support_image", "support_label", "text_embedding")
_OF_THE_VOLUME = ("image", "label", "annotation", "spacing")


def collate_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """Give everything in a task a batch axis.

    The queries of an episodic task are its batch already; the support set and the text, which all queries share, become
    a batch of one. A volume with its annotated slices is a batch of one as a whole.

    Args:
        task: an element of ``EvaluationDataset`` or ``PropagationDataset``.

    Returns:
        The batch. For a volume, ``classes`` {name: [[label value]]} replaces ``label_names``.
    """
    if "annotation" not in task:
        batched = {key: apply_to_tensor(task[key], lambda tensor: tensor[None]) for key in _OF_THE_TASK if key in task}
        return {**task, **batched}
    slices = task["annotated_slices"]
    return {
        **{key: task[key][None] for key in _OF_THE_VOLUME},
        "classes": {name: [[value]] for name, value in task["label_names"].items()},
        "case_id": task["case_id"],
        "support_ids": ";".join(f"{name}:{z}" for name, chosen in slices.items() for z in chosen),
    }
