# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine

from scripts.handlers import ValidationLoss
from scripts.losses import EpisodeLoss


def test_mean_over_the_queries_of_all_batches() -> None:
    torch.manual_seed(0)
    items = [{"pred": torch.randn(2, 4, 4), "label": (torch.rand(1, 4, 4) > 0.5).float()} for _ in range(3)]
    items[1]["label"][0, 0] = 255
    engine = Engine(lambda engine, batch: batch)
    ValidationLoss(EpisodeLoss()).attach(engine, "val_loss")
    engine.run([items[:2], items[2:]])
    expected = []
    for batch in (items[:2], items[2:]):
        logits, label = (torch.stack([item[key] for item in batch]) for key in ("pred", "label"))
        expected += [torch.nn.functional.cross_entropy(logits, label[:, 0].long(), ignore_index=255)] * len(batch)
    assert isinstance(engine.state.metrics["val_loss"], float)
    assert engine.state.metrics["val_loss"] == pytest.approx(float(torch.stack(expected).mean()), rel=1e-6)
