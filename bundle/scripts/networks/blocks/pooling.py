# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Masked average pooling and averages over shots."""

import torch
from torch import Tensor

__all__ = ["masked_averages", "mean_over_shots"]


def masked_averages(features: Tensor, weights: Tensor, eps: float = 1e-5) -> Tensor:
    """Average the features under several masks at once (one matrix product).

    Args:
        features: (N, C, h, w).
        weights: (N, M, h, w), M non-negative masks.
        eps: added to the sum of a mask; the average of an empty one is zero.

    Returns:
        (N, M, C).
    """
    flat = weights.flatten(2)
    # Shares first: sums over thousands of cells could leave the range of half precision.
    shares = flat / (flat.sum(dim=2, keepdim=True) + eps)
    return torch.matmul(shares, features.flatten(2).transpose(1, 2))


def mean_over_shots(prototypes: Tensor, is_present: Tensor) -> Tensor:
    """Average prototypes over the shots that have one.

    Args:
        prototypes: (B, K, C).
        is_present: (B, K) bool.

    Returns:
        (B, C), zero where no shot has one.
    """
    share = is_present.to(prototypes.dtype)
    total = (prototypes * share.unsqueeze(2)).sum(dim=1)
    return total / share.sum(dim=1, keepdim=True).clamp_min(1.0)
