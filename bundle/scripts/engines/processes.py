# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Several processes, one per GPU, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
import torch.distributed as dist
from ignite.handlers import ProgressBar
from monai.handlers import MLFlowHandler, StatsHandler, TensorBoardHandler

__all__ = ["handlers_of_process", "join_processes"]

_REPORTING = (ProgressBar, StatsHandler, TensorBoardHandler, MLFlowHandler)


def join_processes(backend: str, device: torch.device) -> None:
    """Join the group of processes and take this process's device.

    Args:
        backend: ``nccl`` for GPUs, ``gloo`` for CPUs.
        device: of this process.

    Raises:
        RuntimeError: when the process wasn't started by torchrun.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        raise RuntimeError(
            "a multi-GPU config needs one process per GPU: start it with "
            "`torchrun --standalone --nnodes=1 --nproc_per_node=2 -m monai.bundle run …`"
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group(backend)


def handlers_of_process(handlers: Sequence[object]) -> list[object]:
    """Choose the handlers of this process: all on the first one, on the others those that do more than report.

    What a handler is decides, not where it stands: one that all processes must have (a validation, which gathers
    figures from all of them) stays wherever it is in the list.

    Args:
        handlers: of an engine; progress bars, statistics, TensorBoard and MLflow only report.
    """
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    return [handler for handler in handlers if rank == 0 or not isinstance(handler, _REPORTING)]
