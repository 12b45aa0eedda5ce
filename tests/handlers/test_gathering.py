# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Two processes (gloo) that share the items write the same files as one."""

import csv
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from ignite.engine import Engine

from scripts.handlers import CaseMetrics


def items() -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "pred": torch.randn(2, 4, 4, generator=generator),
            "label": torch.randint(0, 2, (1, 4, 4), generator=generator),
            "case_id": str(index % 3),
            "class_name": "liver",
            "seconds": 0.5,
        }
        for index in range(7)
    ]


def evaluate(share: list[dict], folder: Path) -> dict:
    engine = Engine(lambda engine, item: [item])
    CaseMetrics(folder, num_resamples=50).attach(engine)
    engine.run(share)
    return engine.state.metrics


def one_of_two(rank: int, port: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    metrics = evaluate(items()[rank::2], folder)
    torch.save(metrics, folder / f"metrics_{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_two_processes_equal_one(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    alone, together = tmp_path / "alone", tmp_path / "together"
    together.mkdir()
    expected = evaluate(items(), alone)
    mp.start_processes(one_of_two, (port, together), nprocs=2, start_method="fork")
    for rank in range(2):
        assert torch.load(together / f"metrics_{rank}.pt") == pytest.approx(expected)
    for name in ("cases.csv", "summary.json"):
        assert (together / name).read_text() == (alone / name).read_text()
    with (alone / "cases.csv").open() as file:
        assert sum(float(row["seconds"]) for row in csv.DictReader(file)) == 3.5
