# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Competition and components."""

from __future__ import annotations

import numpy as np

from scripts.inferers.propagation.chains.output import compete, keep_annotated_components
from scripts.inferers.propagation.evidence.annotations import SliceAnnotation


def test_the_largest_logit_wins_where_its_mask_holds() -> None:
    logits = {2: np.array([[1, 3, 5]], np.float32), 9: np.array([[2, 1, 6]], np.float32)}
    masks = {2: np.array([[True, True, True]]), 9: np.array([[True, True, False]])}
    assert compete(logits, masks, (1, 3)).tolist() == [[9, 2, 0]]
    assert compete({}, {}, (1, 2)).tolist() == [[0, 0]]


def test_only_components_that_touch_an_annotation_stay() -> None:
    labels = np.zeros((3, 4, 9), np.int32)
    labels[:, 1:3, 1:3] = 1
    labels[2, 1:3, 6:8] = 1
    annotation = SliceAnnotation(np.where(labels[0] == 1, 1, 0).astype(np.int32), np.ones((4, 9), bool))
    keep_annotated_components(labels, {0: annotation}, (1,))
    assert (labels[2, 1:3, 6:8] == 0).all()
    assert (labels[:, 1:3, 1:3] == 1).all()
