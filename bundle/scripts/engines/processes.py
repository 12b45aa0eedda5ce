# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Several processes, one per GPU, as torchrun starts them."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist

__all__ = ["join_processes"]


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
