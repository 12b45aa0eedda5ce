# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Every cell is a query: by a plain loop, on the grid of the positions and on others."""

from __future__ import annotations

import math

import pytest
import torch

from scripts.networks.language.cris.attention_pool import SpatialAttentionPool
from scripts.networks.language.positions import resize_positions


@torch.no_grad()
@pytest.mark.parametrize(("heads", "grid"), [(1, (2, 2)), (2, (2, 2)), (4, (3, 2)), (2, (1, 1))])
def test_by_a_loop(heads: int, grid: tuple[int, int]) -> None:
    torch.manual_seed(0)
    pool, x = SpatialAttentionPool(8, 5, heads, 2).eval(), torch.randn(2, 8, *grid)
    cells = x.flatten(2).transpose(1, 2)
    tokens = cells + resize_positions(pool.positional_embedding[1:], grid)
    query, key, value = pool.q_proj(tokens), pool.k_proj(tokens), pool.v_proj(tokens)
    joined = torch.zeros_like(tokens)
    for head in range(heads):
        part = slice(head * 8 // heads, (head + 1) * 8 // heads)
        for cell in range(tokens.shape[1]):
            weights = (key[..., part] @ query[:, cell, part, None] / math.sqrt(8 / heads)).softmax(1)
            joined[:, cell, part] = (weights * value[..., part]).sum(1)
    expected = (pool.c_proj(joined).transpose(1, 2).view(2, 5, *grid) + pool.connect(x)).relu()
    torch.testing.assert_close(pool(x), expected)


def test_clips_first_position_is_kept_but_not_read() -> None:
    pool = SpatialAttentionPool(8, 5, 2, 2)
    assert pool.positional_embedding.shape == (5, 8)
    pool(torch.randn(2, 8, 2, 2)).sum().backward()
    gradient = pool.positional_embedding.grad
    assert gradient is not None
    assert not gradient[0].any()
    assert gradient[1:].any(1).all()
