# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A small training with all that a resume must bring back: momentum, a schedule, shuffled data, dropout, validation.

As a program: `toy_training.py CKPT_DIR [SECONDS_PER_ITERATION]` trains to the end and says "finished".
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import torch
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, StatsHandler, ValidationHandler
from monai.utils import set_determinism
from torch import nn

from scripts.handlers import CaseMetrics, TrainingCheckpoint

EPOCHS = 4


class ToyNetwork(nn.Module):
    """Per-pixel logits with dropout, so that the result hangs on the random generator."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(8, 2, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> logits (B, 2, H, W)."""
        return self.layers(image)


def episodes() -> list[dict]:
    """Six images whose foreground is where the first channel is bright."""
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(6, 3, 8, 8, generator=generator)
    return [
        {"image": image, "label": (image[:1] > 0.5).float(), "case_id": str(index), "class_name": "bright"}
        for index, image in enumerate(images)
    ]


def cross_entropy(pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (B, 2, H, W) and labels (B, 1, H, W)."""
    return nn.functional.cross_entropy(pred, label[:, 0].long())


def make_training(
    ckpt_dir: Path, *, epochs: int = EPOCHS, seed: int = 1, validate: bool = True, learning_rate: float = 0.1, **options
) -> tuple[SupervisedTrainer, TrainingCheckpoint]:
    """Build trainer and checkpointing; `options` go to the latter."""
    set_determinism(seed)
    network = ToyNetwork()
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=0.9)
    lr_scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(episodes(), batch_size=3),
        network=network,
        key_val_metric={"class_miou": CaseMetrics()},
    )
    handlers = [StatsHandler(iteration_log=False), LrScheduleHandler(lr_scheduler)] + (
        [ValidationHandler(1, evaluator)] if validate else []
    )
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(episodes(), batch_size=2, shuffle=True),
        network=network,
        optimizer=optimizer,
        loss_function=cross_entropy,
        train_handlers=handlers,
        decollate=False,
    )
    checkpointing = TrainingCheckpoint(
        ckpt_dir,
        {"model": network, "optimizer": optimizer, "lr_scheduler": lr_scheduler},
        evaluator=evaluator if validate else None,
        **options,
    )
    checkpointing.attach(trainer)
    return trainer, checkpointing


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    torch.set_num_threads(1)
    toy_trainer, _ = make_training(Path(sys.argv[1]))
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    if pause:
        from ignite.engine import Events

        toy_trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: time.sleep(pause))
        toy_trainer.add_event_handler(
            Events.ITERATION_STARTED, lambda engine: print("iteration", engine.state.iteration, flush=True)
        )
    toy_trainer.run()
    print("finished", flush=True)
