# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Tasks shared by several processes, each task once."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, cast

import torch.distributed
from monai.data.samplers import DistributedSampler

__all__ = ["TaskSampler"]


class TaskSampler(DistributedSampler):
    """Every n-th task to each of n processes, in order; none is repeated to make the shares equal.

    A repeated task would be counted twice by the metrics. One process without a group gets all tasks.

    Args:
        dataset: of tasks or validation episodes.
        num_replicas: processes; None asks torch.distributed, 1 where it isn't running.
        rank: number of this process; None asks torch.distributed.

    Raises:
        ValueError: when there are fewer tasks than processes: one of them would have nothing to run.
    """

    def __init__(self, dataset: Sized, num_replicas: int | None = None, rank: int | None = None) -> None:
        running = torch.distributed.is_available() and torch.distributed.is_initialized()
        if num_replicas is None:
            num_replicas = torch.distributed.get_world_size() if running else 1
        if rank is None:
            rank = torch.distributed.get_rank() if running else 0
        if len(dataset) < num_replicas:
            raise ValueError(f"{len(dataset)} task(s) can't be shared by {num_replicas} processes: start fewer")
        shares: dict[str, Any] = {"even_divisible": False, "num_replicas": num_replicas, "rank": rank, "shuffle": False}
        super().__init__(cast(Any, dataset), **shares)
