# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The papers' hosts after the backbone, against their literal formulations: time, memory, and how far results differ.

One episode at the published size, one thread, float32; with text, five shots and backward passes where they matter. The
rows of a host are in ``_hosts_<host>.py``.

python benchmarks/hosts.py [HOST ...] [--json FILE]
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "bundle")]

from _harness import run  # noqa: E402

_PREFIX = "_hosts_"
HOSTS = sorted(file.stem.removeprefix(_PREFIX) for file in Path(__file__).parent.glob(f"{_PREFIX}*.py"))


def benchmark(hosts: list[str]) -> list[dict[str, Any]]:
    """Gather the rows of the given hosts, or of all."""
    table: list[dict[str, Any]] = []
    for host in hosts or HOSTS:
        print(f"measuring {host}", file=sys.stderr)
        table += import_module(_PREFIX + host).rows()
    return table


if __name__ == "__main__":
    run(benchmark, __doc__, choices=HOSTS)
