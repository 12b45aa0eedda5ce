# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The sentence becomes a convolution: by a loop over samples, four times finer."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from scripts.networks.language.cris.projector import Projector


@torch.no_grad()
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize(("batch_size", "size"), [(1, (3, 3)), (3, (2, 5)), (2, (1, 1))])
def test_each_sample_has_its_own_kernel(kernel_size: int, batch_size: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    projector = Projector(6, 4, kernel_size).eval()
    x, sentence = torch.randn(batch_size, 8, *size), torch.randn(batch_size, 6)
    found = projector(x, sentence)
    assert found.shape == (batch_size, 1, 4 * size[0], 4 * size[1])
    for index in range(batch_size):
        kernel = projector.txt(sentence[index])
        drawn = F.conv2d(
            projector.vis(x[index : index + 1]),
            kernel[:-1].reshape(1, 4, kernel_size, kernel_size),
            kernel[-1:],
            padding=kernel_size // 2,
        )
        torch.testing.assert_close(found[index : index + 1], drawn, rtol=1e-4, atol=1e-5)


def test_all_learn() -> None:
    projector, sentence = Projector(6, 4), torch.randn(2, 6, requires_grad=True)
    projector(torch.randn(2, 8, 3, 3), sentence).square().mean().backward()
    assert sentence.grad is not None
    assert all(value.grad is not None for value in projector.parameters())
