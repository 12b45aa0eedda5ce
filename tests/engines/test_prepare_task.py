# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Evaluation tasks: episodes as in training, volumes with annotation and spacing."""

from __future__ import annotations

import torch

from scripts.data import collate_task
from scripts.engines import PrepareTask, PrepareVolume


def test_an_episode_keeps_its_queries_and_gets_one_support_set() -> None:
    task = {
        "image": torch.rand(5, 3, 8, 8),
        "label": torch.ones(5, 1, 6, 7),
        "support_image": {"c4": torch.rand(2, 4, 3, 3).half()},
        "support_label": torch.zeros(2, 1, 6, 7),
        "class_name": "liver",
        "case_id": "3",
        "support_ids": "1:4;2:5",
    }
    image, label, args, kwargs = PrepareTask()(collate_task(task), "cpu")
    assert image.shape == (5, 3, 8, 8)
    assert label.shape == (5, 1, 6, 7)
    assert args == ()
    assert kwargs.keys() == {"support_image", "support_label", "output_size"}
    assert kwargs["output_size"] == (6, 7)
    assert kwargs["support_image"]["c4"].shape == (1, 2, 4, 3, 3)
    assert kwargs["support_image"]["c4"].dtype == torch.float32
    assert kwargs["support_label"].shape == (1, 2, 1, 6, 7)


def test_a_volume_hands_over_annotation_and_spacing() -> None:
    batch = {
        "image": torch.rand(1, 1, 4, 5, 6),
        "label": torch.zeros(1, 1, 4, 5, 6),
        "annotation": torch.full((1, 1, 4, 5, 6), 255),
        "spacing": torch.tensor([[1.0, 2.0, 3.0]]),
    }
    image, label, args, kwargs = PrepareTask()(batch, "cpu")
    assert torch.equal(image, batch["image"])
    assert torch.equal(label, batch["label"])
    assert args == ()
    assert kwargs["annotation"].shape == (1, 4, 5, 6)
    assert kwargs["spacing"].tolist() == [1, 2, 3]


def test_a_volume_of_inference_has_no_label() -> None:
    batch = {"image": torch.rand(1, 1, 4, 5, 6), "annotation": torch.zeros(1, 1, 4, 5, 6)}
    image, label, args, kwargs = PrepareVolume()(batch, "cpu")
    assert image is batch["image"]
    assert label is None
    assert args == ()
    assert kwargs == {"annotation": batch["annotation"]}
    assert PrepareVolume()({"image": batch["image"]}, "cpu")[3] == {}
