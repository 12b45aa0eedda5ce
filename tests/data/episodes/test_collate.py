# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A task becomes a batch: its queries are one already, the rest gets an axis."""

from __future__ import annotations

import torch

from scripts.data import collate_task


def test_a_volume_as_a_whole() -> None:
    task = {
        "image": torch.rand(1, 4, 5, 6),
        "label": torch.zeros(1, 4, 5, 6, dtype=torch.uint8),
        "annotation": torch.full((1, 4, 5, 6), 255, dtype=torch.uint8),
        "spacing": torch.tensor([1.0, 2.0, 3.0]),
        "label_names": {"liver": 1, "spleen": 2},
        "annotated_slices": {"liver": [3], "spleen": [1, 5]},
        "case_id": "7",
        "affine": torch.eye(4),
    }
    batch = collate_task(task)
    assert batch["image"].shape == (1, 1, 4, 5, 6)
    assert batch["annotation"].shape == (1, 1, 4, 5, 6)
    assert batch["spacing"].shape == (1, 3)
    assert batch["classes"] == {"liver": [[1]], "spleen": [[2]]}
    assert batch["support_ids"] == "liver:3;spleen:1;spleen:5"
    assert batch["case_id"] == "7"


def test_an_episode_leaves_the_task_as_it_is() -> None:
    task = {
        "image": {"c4": torch.rand(5, 4, 3, 3)},
        "label": torch.ones(5, 1, 6, 7),
        "support_image": {"c4": torch.rand(2, 4, 3, 3)},
        "support_label": torch.zeros(2, 1, 6, 7),
        "text_embedding": torch.rand(1, 8),
        "class_name": "liver",
    }
    batch = collate_task(task)
    assert batch["image"] is task["image"]
    assert batch["support_image"]["c4"].shape == (1, 2, 4, 3, 3)
    assert batch["text_embedding"].shape == (1, 1, 8)
    assert task["text_embedding"].shape == (1, 8)
    assert batch["class_name"] == "liver"
