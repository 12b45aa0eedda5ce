# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Global context by a low-rank, non-negative factorisation: Hamburger (Geng et al. 2021), linear in the cells.

    Z ~ B C^T;  C = softmax(Z^T B);  repeat: C <- C (Z^T B) / (C B^T B), B <- B (Z C) / (B C^T C)

The public code draws new bases at every call, also in evaluation, so that the same image gets two results. Here they
are drawn once from a seed, or learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Factorisation", "Hamburger"]

_EPS = 1e-6


class Factorisation(nn.Module):
    """Z (B, C, N) -> its approximation by R bases.

    Args:
        channels: C.
        rank: R.
        train_steps: updates in training.
        eval_steps: updates in evaluation.
        is_learned: whether the initial bases learn.
        seed: of the initial bases.
    """

    bases: Tensor

    def __init__(
        self,
        channels: int,
        rank: int = 64,
        *,
        train_steps: int = 6,
        eval_steps: int = 7,
        is_learned: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.train_steps = train_steps
        self.eval_steps = eval_steps
        bases = torch.rand(channels, rank, generator=torch.Generator().manual_seed(seed))
        if is_learned:
            self.bases = nn.Parameter(bases)
        else:
            self.register_buffer("bases", bases)

    def forward(self, values: Tensor, bases: Tensor | None = None) -> Tensor:
        """Approximate.

        Args:
            values: (B, C, N), not negative.
            bases: (B, C, R) unit columns to start from; None takes the module's own.

        Returns:
            (B, C, N).
        """
        if bases is None:
            # a learned basis may cross zero; a factor must not
            bases = F.normalize(self.bases.abs(), dim=0).expand(values.shape[0], -1, -1)
        coefficients = (values.transpose(1, 2) @ bases).softmax(dim=2)
        for _ in range(self.train_steps if self.training else self.eval_steps):
            coefficients = _updated(coefficients, values.transpose(1, 2), bases)
            bases = _updated(bases, values, coefficients)
        coefficients = _updated(coefficients, values.transpose(1, 2), bases)
        return bases @ coefficients.transpose(1, 2)


class Hamburger(nn.Module):
    """relu(Y + conv(factorisation(relu(conv Y)))).

    Args:
        channels: of Y.
        factorisation: of as many channels.
    """

    def __init__(self, channels: int, factorisation: Factorisation) -> None:
        super().__init__()
        self.before = nn.Conv2d(channels, channels, 1)
        self.factorisation = factorisation
        self.after = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add global context to (B, C, h, w)."""
        values = F.relu(self.before(x)).flatten(2)
        return F.relu(x + self.after(self.factorisation(values).view_as(x)))


def _updated(factor: Tensor, values: Tensor, other: Tensor) -> Tensor:
    """Multiplicative update of a factor (B, N, R) of values (B, N, C) = factor other^T."""
    return factor * (values @ other) / (factor @ (other.transpose(1, 2) @ other) + _EPS)
