# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Shares of tasks: all of them, none twice."""

from __future__ import annotations

import pytest

from scripts.data import TaskSampler


@pytest.mark.parametrize(("num_tasks", "num_replicas"), [(7, 1), (7, 2), (5, 4), (4, 4), (9, 4)])
def test_every_task_once(num_tasks: int, num_replicas: int) -> None:
    samplers = [TaskSampler(range(num_tasks), num_replicas, rank) for rank in range(num_replicas)]
    shares = [list(sampler) for sampler in samplers]
    assert sorted(number for share in shares for number in share) == list(range(num_tasks))
    assert [len(sampler) for sampler in samplers] == [len(share) for share in shares]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_needs_no_group() -> None:
    assert list(TaskSampler(range(3))) == [0, 1, 2]


def test_too_many_processes() -> None:
    with pytest.raises(ValueError, match=r"2 task\(s\) can't be shared by 3 processes"):
        TaskSampler(range(2), 3, 0)
