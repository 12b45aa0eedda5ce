# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Learning rates of a training that goes on with another number of epochs than it began with.

A schedule that depends on the number of epochs (cosine, milestones, polynomial) keeps it in its state. Loading that
state would end the schedule where the old training ended: a cosine climbs back to the full rate from there. Instead
the new schedule is stepped as often as the old one was, so that all rates from there on are those of an unbroken
training of the new length, whatever the schedule.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

__all__ = ["ReplayedSchedule", "replayed_schedules"]


class ReplayedSchedule:
    """A new schedule, stepped to where a saved one was.

    Args:
        schedule: as it was made, not stepped yet.
        steps: how often the saved one was stepped.
    """

    def __init__(self, schedule: LRScheduler, steps: int) -> None:
        self.schedule = schedule
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*optimizer.step.*")
            for _ in range(steps):
                schedule.step()
        self._values = [
            {name: value for name, value in group.items() if name != "params"}
            for group in schedule.optimizer.param_groups
        ]

    def take_effect(self) -> None:
        """Give the optimizer the schedule's values again, after a saved state of the optimizer was loaded."""
        for group, values in zip(self.schedule.optimizer.param_groups, self._values, strict=True):
            group.update(values)


def replayed_schedules(targets: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> dict[str, ReplayedSchedule]:
    """Step the schedules among the targets to where those in the checkpoint are.

    Args:
        targets: name -> object that a checkpoint keeps. Schedules that follow a metric are left to their saved state,
            which doesn't depend on the number of epochs.
        checkpoint: name -> its saved state.
    """
    return {
        name: ReplayedSchedule(target, int(checkpoint[name]["last_epoch"]) - target.last_epoch)
        for name, target in targets.items()
        if isinstance(target, LRScheduler) and not isinstance(target, ReduceLROnPlateau)
    }
