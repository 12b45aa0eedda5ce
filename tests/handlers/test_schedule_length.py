# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Learning rates after a resume with more epochs are those of an unbroken training of the new length."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

import pytest
import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LRScheduler,
    MultiStepLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from scripts.handlers.schedule_length import replayed_schedules

Make = Callable[[torch.optim.Optimizer, int], LRScheduler]

# as train.json, ifa_published.json and pmms_published.json have them
SCHEDULES: dict[str, tuple[Make, Callable[[int, int], float]]] = {
    "cosine": (
        lambda optimizer, epochs: CosineAnnealingLR(optimizer, T_max=epochs),
        lambda epoch, epochs: (1 + cos(pi * epoch / epochs)) / 2,
    ),
    "milestones": (
        lambda optimizer, epochs: MultiStepLR(optimizer, milestones=[epochs // 3, 2 * epochs // 3]),
        lambda epoch, epochs: 0.1 ** ((epoch >= epochs // 3) + (epoch >= 2 * epochs // 3)),
    ),
    "polynomial": (
        lambda optimizer, epochs: PolynomialLR(optimizer, total_iters=epochs, power=0.9),
        lambda epoch, epochs: (1 - epoch / epochs) ** 0.9,
    ),
}


def training(make: Make, epochs: int) -> tuple[torch.optim.Optimizer, LRScheduler]:
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.2}], lr=0.1, momentum=0.9)
    return optimizer, make(optimizer, epochs)


def steps(optimizer: torch.optim.Optimizer, schedule: LRScheduler, number: int) -> list[list[float]]:
    """Rates during the next epochs."""
    rates = []
    for _ in range(number):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_follow_the_new_length(name: str) -> None:
    make, closed_form = SCHEDULES[name]
    unbroken = steps(*training(make, 12), 12)
    optimizer, schedule = training(make, 6)
    steps(optimizer, schedule, 6)
    checkpoint = {"optimizer": optimizer.state_dict(), "lr_scheduler": schedule.state_dict()}

    optimizer, schedule = training(make, 12)
    schedules = replayed_schedules({"optimizer": optimizer, "lr_scheduler": schedule}, checkpoint)
    assert set(schedules) == {"lr_scheduler"}
    optimizer.load_state_dict(checkpoint["optimizer"])
    schedules["lr_scheduler"].take_effect()
    resumed = steps(optimizer, schedule, 6)
    assert resumed == unbroken[6:]  # bit by bit
    for epoch, rates in enumerate(resumed, start=6):
        assert rates == pytest.approx([rate * closed_form(epoch, 12) for rate in (0.1, 0.2)])
    assert optimizer.param_groups[1]["initial_lr"] == 0.2
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_a_schedule_of_schedules() -> None:
    def make(optimizer: torch.optim.Optimizer, epochs: int) -> LRScheduler:
        parts = [PolynomialLR(optimizer, total_iters=2), CosineAnnealingLR(optimizer, T_max=epochs - 2)]
        return SequentialLR(optimizer, parts, milestones=[2])

    unbroken = steps(*training(make, 9), 9)
    optimizer, schedule = training(make, 5)
    steps(optimizer, schedule, 4)
    checkpoint = {"optimizer": optimizer.state_dict(), "lr_scheduler": schedule.state_dict()}
    optimizer, schedule = training(make, 9)
    schedules = replayed_schedules({"lr_scheduler": schedule}, checkpoint)
    optimizer.load_state_dict(checkpoint["optimizer"])
    schedules["lr_scheduler"].take_effect()
    assert steps(optimizer, schedule, 5) == unbroken[4:]


def test_a_schedule_by_a_metric_keeps_its_state() -> None:
    _, schedule = training(lambda optimizer, epochs: ReduceLROnPlateau(optimizer), 3)
    assert replayed_schedules({"lr_scheduler": schedule}, {"lr_scheduler": schedule.state_dict()}) == {}
