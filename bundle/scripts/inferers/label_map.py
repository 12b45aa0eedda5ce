# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The label map alone, where an engine wants one tensor."""

from __future__ import annotations

from typing import Any

from monai.inferers.inferer import Inferer
from torch import Tensor

__all__ = ["LabelMapInferer"]


class LabelMapInferer(Inferer):
    """Leave probabilities and self-check aside.

    Args:
        inferer: returns a result with ``label``, as those of whole volumes do.
    """

    def __init__(self, inferer: Inferer) -> None:
        super().__init__()
        self.inferer = inferer

    def __call__(self, inputs: Tensor, network: Any, *arguments: Any, **options: Any) -> Tensor:
        """Segment, and return the label map (1, 1, X, Y, Z)."""
        label: Tensor = self.inferer(inputs, network, *arguments, **options).label
        return label
