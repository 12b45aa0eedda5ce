# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Peak memory of a call, on a processor or a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

__all__ = ["peak_mib"]

Value = TypeVar("Value")


def peak_mib(call: Callable[[], Value], device: torch.device | str = "cpu") -> tuple[Value, float]:
    """Call a function; give its result and the most memory that torch held meanwhile beyond what it held before.

    Args:
        call: the function.
        device: where it runs.

    Returns:
        The result, and MiB.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        held = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        result = call()
        return result, (torch.cuda.max_memory_allocated(device) - held) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    recorded: Any = profiler.profiler
    events = [event for event in recorded.kineto_results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return result, highest / 2**20
