# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the benchmarks share: timing two implementations in turn, peak memory, the table and its JSON file."""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own chatter

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bundle"))

from scripts.apps.reports import peak_memory

__all__ = ["compare", "peak_mib", "report", "run"]

Rows = list[dict[str, Any]]


def compare(
    name: str,
    ours: Callable[[], Any],
    naive: Callable[[], Any],
    *,
    max_difference: float,
    rounds: int = 7,
    minimum_s: float = 0.05,
) -> dict[str, Any]:
    """Time two ways to the same result in one process, in turn, so that a busy machine hurts both alike.

    Times are those of the processor, on one thread: they don't count the time that other programs take.

    Args:
        name: of the row.
        ours: the way of this project.
        naive: the literal way.
        max_difference: largest absolute difference of their results.
        rounds: pairs of measurements; the medians are compared.
        minimum_s: a measurement repeats its call until this time has passed and divides.

    Returns:
        A row of the table.
    """
    ours_mib, naive_mib = peak_mib(ours), peak_mib(naive)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, measured in zip((ours, naive), times, strict=True):
            measured.append(_seconds_per_call(call, minimum_s))
    ours_s, naive_s = statistics.median(times[0]), statistics.median(times[1])
    return {
        "name": name,
        "ours_s": ours_s,
        "naive_s": naive_s,
        "ratio": naive_s / ours_s,
        "ours_mib": ours_mib,
        "naive_mib": naive_mib,
        "max_difference": max_difference,
    }


def peak_mib(call: Callable[[], Any]) -> float:
    """Most memory that torch holds at a time during a call beyond what it held before, in MiB."""
    call()
    gc.collect()
    return peak_memory.peak_mib(call)[1]


def report(rows: Sequence[dict[str, Any]]) -> str:
    """Format the rows as a table."""
    lines = [f"{'what':44} {'ours':>10} {'literal':>10} {'ratio':>7} {'ours':>9} {'literal':>9} {'max. diff.':>10}"]
    lines += [
        f"{row['name']:44} {row['ours_s'] * 1e3:7.2f} ms {row['naive_s'] * 1e3:7.1f} ms {row['ratio']:7.1f} "
        f"{row['ours_mib']:5.1f} MiB {row['naive_mib']:5.0f} MiB {row['max_difference']:10.1e}"
        for row in rows
    ]
    return "\n".join(lines)


def run(benchmark: Callable[..., Rows], description: str | None, *, choices: Sequence[str] = ()) -> None:
    """Command line of a benchmark: run it on one thread, print the table, write ``--json FILE`` if asked.

    Args:
        benchmark: returns the rows; with `choices` it is called with those that were named, by default none.
        description: of the command.
        choices: names that the command takes.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    if choices:
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these, of {', '.join(choices)}")
    arguments = parser.parse_args()
    named = getattr(arguments, "names", [])
    if unknown := [name for name in named if name not in choices]:
        parser.error(f"unknown {', '.join(unknown)}; there are {', '.join(choices)}")
    torch.set_num_threads(1)
    rows = benchmark(named) if choices else benchmark()
    print(report(rows))
    if arguments.json:
        partial = arguments.json.with_name(arguments.json.name + ".part")
        partial.write_text(json.dumps(rows, indent=2) + "\n")
        partial.replace(arguments.json)


def _seconds_per_call(call: Callable[[], Any], minimum_s: float) -> float:
    count, start = 0, time.process_time()
    while True:
        call()
        count += 1
        passed = time.process_time() - start
        if passed >= minimum_s:
            return passed / count
