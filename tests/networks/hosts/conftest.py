# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Made episodes, and a network that holds just a host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

CHANNELS = {"c3": 6, "c4": 10, "c5": 14}
GRIDS = {"c3": 12, "c4": 6, "c5": 3}
SIDE = 48


class HostNetwork(nn.Module):
    """Encodes and decodes in one call, as the segmenter does."""

    def __init__(self, host: nn.Module) -> None:
        super().__init__()
        self.host = host

    def forward(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        text_embedding: Tensor | None = None,
    ) -> Tensor:
        return self.host.decode(features, self.host.encode(support_features, support_mask, text_embedding))


Episode = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]


@pytest.fixture
def channels() -> dict[str, int]:
    return dict(CHANNELS)


@pytest.fixture
def make_network() -> type[HostNetwork]:
    return HostNetwork


@pytest.fixture
def make_episode() -> Callable[..., Episode]:
    """Features and masks: a square object with features of its own, at another place in every image."""

    def make(batch: int = 1, shots: int = 1, seed: int = 0) -> Episode:
        generator = torch.Generator().manual_seed(seed)
        masks = torch.zeros(batch, shots + 1, 1, SIDE, SIDE)
        for b in range(batch):
            for k in range(shots + 1):
                row, column = torch.randint(0, SIDE // 2, (2,), generator=generator).tolist()
                masks[b, k, 0, row : row + SIDE // 2, column : column + SIDE // 2] = 1
        maps = {}
        for level, width in CHANNELS.items():
            grid = GRIDS[level]
            inside, outside = torch.randn(2, width, 1, 1, generator=generator)
            share = nn.functional.interpolate(masks.flatten(0, 1), (grid, grid), mode="area")
            noise = torch.randn(batch * (shots + 1), width, grid, grid, generator=generator)
            maps[level] = (share * inside + (1 - share) * outside + 0.3 * noise).unflatten(0, (batch, shots + 1))
        query = {level: value[:, shots] for level, value in maps.items()}
        support = {level: value[:, :shots] for level, value in maps.items()}
        return query, support, masks

    return make


@pytest.fixture
def take() -> Callable[[Episode, int], Episode]:
    """One element of a batch of episodes, as a batch of one."""

    def pick(episode: Episode, index: int) -> Episode:
        query, support, masks = episode
        one = slice(index, index + 1)
        return {k: v[one] for k, v in query.items()}, {k: v[one] for k, v in support.items()}, masks[one]

    return pick
