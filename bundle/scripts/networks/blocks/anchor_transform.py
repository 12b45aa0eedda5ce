# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""PATNet's pyramid anchor transform (Lei et al., ECCV 2022, section 4.2) in the two dimensions that it keeps.

With the rows C = (p_b, p_f) of an episode's unit prototypes and learned anchors R, both (2, C), PATNet maps features by
F' = R^T pinv(C)^T F and correlates them by cosine. The map has rank 2: with the coordinates a = pinv(C)^T F of a pixel
and G = R R^T,

    F' = R^T a,    cos(F'_q, F'_s) = a_q^T G a_s / (|F'_q| |F'_s|),    |F'|^2 = a^T G a,

so neither a (C, C) matrix nor a transformed map is ever made, and a correlation is the product of two thin matrices.
"""

import torch
from torch import Tensor

__all__ = ["anchor_coordinates", "correlation_factors", "dense_correlation", "inverse_rows", "unit_rows"]


def unit_rows(rows: Tensor, eps: float = 1e-6) -> Tensor:
    """Divide rows (..., C) by their length + eps; a row of zeros stays one."""
    unit: Tensor = rows / (rows.norm(p=2, dim=-1, keepdim=True) + eps)
    return unit


def inverse_rows(prototypes: Tensor, cut_off: float = 1e-5) -> Tensor:
    """Rows that give a pixel's coordinates: the transposed pseudo-inverse of the unit prototypes.

    Prototypes that span one dimension only (one of them is zero, or both are parallel) are inverted in that dimension.

    Args:
        prototypes: (..., 2, C), background first.
        cut_off: singular values below this share of the largest count as zero.

    Returns:
        (..., 2, C).
    """
    rows = unit_rows(prototypes).double()  # two near-parallel prototypes leave few digits in their Gram matrix
    gram = rows @ rows.transpose(-1, -2)
    first, second, both = gram[..., 0, 0], gram[..., 1, 1], gram[..., 0, 1]
    determinant = first * second - both * both
    trace = first + second
    # det / trace^2 is about the squared ratio of the singular values.
    is_regular = determinant > cut_off * cut_off * trace * trace
    adjugate = torch.stack([second, -both, -both, first], dim=-1).unflatten(-1, [2, 2])
    regular = adjugate / torch.where(is_regular, determinant, 1.0)[..., None, None]
    singular = gram / torch.where(trace > 0, trace * trace, 1.0)[..., None, None]
    inverse = torch.where(is_regular[..., None, None], regular, singular)
    return (inverse @ rows).to(prototypes.dtype)


def anchor_coordinates(features: Tensor, inverse: Tensor) -> Tensor:
    """Coordinates of every pixel: features (N, C, h, w), inverse rows (N, M, C) -> (N, M, h, w)."""
    coordinates = torch.matmul(inverse, features.flatten(2))
    return torch.unflatten(coordinates, 2, [features.shape[2], features.shape[3]])


def correlation_factors(
    query: Tensor, support: Tensor, query_rows: Tensor, support_rows: Tensor, eps: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """Thin factors of the cosine between transformed query and support pixels.

    Args:
        query: (N, P, h, w) coordinates.
        support: (N, S, h', w') coordinates; zero where the support is masked.
        query_rows: (P, C) or (N, P, C) anchors that the query's coordinates belong to.
        support_rows: (S, C) or (N, S, C) anchors of the support's coordinates.
        eps: added to the length of a transformed pixel.

    Returns:
        (N, h, w, S) and (N, h', w', S), whose inner products over S are the cosines.
    """
    left = query.permute(0, 2, 3, 1).flatten(1, 2)
    right = support.permute(0, 2, 3, 1).flatten(1, 2)
    left_length = _length(left, query_rows @ query_rows.transpose(-1, -2)) + eps
    right_length = _length(right, support_rows @ support_rows.transpose(-1, -2)) + eps
    left = (left @ (query_rows @ support_rows.transpose(-1, -2))) / left_length
    right = right / right_length
    return left.unflatten(1, [query.shape[2], query.shape[3]]), right.unflatten(1, [support.shape[2], support.shape[3]])


def dense_correlation(query: Tensor, support: Tensor) -> Tensor:
    """Correlation with negative values set to zero, as PATNet stores it.

    Args:
        query: (B, h, w, n, S) factors of n maps.
        support: (B, h', w', n, S).

    Returns:
        (B, n, h, w, h', w').
    """
    return torch.einsum("bhwns,bxyns->bnhwxy", query, support).relu()


def _length(coordinates: Tensor, gram: Tensor) -> Tensor:
    """Length of the transformed pixels: (N, L, M), (M, M) or (N, M, M) -> (N, L, 1), with gradient 0 at length 0."""
    squared = ((coordinates @ gram) * coordinates).sum(dim=-1, keepdim=True)
    is_positive = squared > 0
    return torch.where(is_positive, torch.where(is_positive, squared, 1.0).sqrt(), 0.0)
