# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A support set kept in the network's state, so that an image alone can be segmented."""

import torch
from torch import Tensor, nn

__all__ = ["StoredPrompt"]


class StoredPrompt(nn.Module):
    """Features and mask of one support set as buffers; empty until ``store`` is called or a state with one is loaded.

    Args:
        levels: names of the features, in order.
    """

    def __init__(self, levels: tuple[str, ...]) -> None:
        super().__init__()
        self.levels: list[str] = list(levels)
        self.values: Tensor
        self.shapes: Tensor
        self.label: Tensor
        self.register_buffer("values", torch.zeros(0))
        self.register_buffer("shapes", torch.zeros(len(levels), 4, dtype=torch.int64))
        self.register_buffer("label", torch.zeros(0))

    def store(self, features: dict[str, Tensor], label: Tensor) -> None:
        """Keep a support set.

        Args:
            features: {level: (K, C, h, w)}.
            label: (K, 1, H, W) in {0, 1, 255}.
        """
        self.values = torch.cat([features[level].flatten() for level in self.levels])
        self.shapes = torch.tensor([list(features[level].shape) for level in self.levels], device=label.device)
        self.label = label

    def is_empty(self) -> bool:
        """Whether nothing is stored."""
        return self.label.numel() == 0

    def forward(self) -> dict[str, Tensor]:
        """Give back the stored features, {level: (1, K, C, h, w)}."""
        features: dict[str, Tensor] = {}
        start = 0
        for i, level in enumerate(self.levels):
            k, c = int(self.shapes[i, 0]), int(self.shapes[i, 1])
            h, w = int(self.shapes[i, 2]), int(self.shapes[i, 3])
            features[level] = self.values[start : start + k * c * h * w].view(1, k, c, h, w)
            start += k * c * h * w
        return features

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: object) -> None:
        # A stored set has sizes of its own: take those of the state before the usual copy compares them.
        for name in ("values", "label"):
            if prefix + name in state_dict:
                setattr(self, name, getattr(self, name).new_zeros(state_dict[prefix + name].shape))
        super()._load_from_state_dict(state_dict, prefix, *arguments)
