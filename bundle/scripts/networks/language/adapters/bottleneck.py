# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The adapter of VLSM-Adapter (Dhakal et al., MICCAI 2024): a bottleneck beside an identity."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Bottleneck"]


class Bottleneck(nn.Module):
    """x + W2 relu(W1 x + b1) + b2, which is the identity at the start.

    Args:
        width: of x.
        hidden: of the bottleneck.
        released: as in the released code: a ReLU after W2 as well, so that x can only grow, and W2 drawn at random,
            so that training doesn't start from the frozen network. Otherwise W2 and b2 start at zero, and nothing
            follows them: a ReLU there would let no gradient through at zero.
    """

    def __init__(self, width: int, hidden: int, released: bool = False) -> None:
        super().__init__()
        self.released = released
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        if not released:
            nn.init.zeros_(self.fc2.weight)
            nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor, with_identity: bool = True) -> Tensor:
        """Adapt (..., D); without the identity, give what is added to it."""
        update: Tensor = self.fc2(F.relu(self.fc1(x)))
        if self.released:
            update = F.relu(update)
        return x + update if with_identity else update
