# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scripts.networks.blocks.anchor_transform import (
    anchor_coordinates,
    correlation_factors,
    dense_correlation,
    inverse_rows,
    unit_rows,
)

WIDTH = 12


def literal(features: Tensor, prototypes: Tensor, anchors: Tensor) -> Tensor:
    """The transform as published: pseudo-inverse by SVD, a (C, C) matrix, a transformed map."""
    matrix = (torch.linalg.pinv(unit_rows(prototypes), rtol=1e-5) @ anchors).transpose(1, 2)
    return (matrix @ features.flatten(2)).unflatten(2, features.shape[2:])


def unit(values: Tensor) -> Tensor:
    return values / (values.norm(dim=1, keepdim=True) + 1e-5)


@pytest.fixture(params=["regular", "no background", "no foreground", "parallel", "nothing"])
def prototypes(request: pytest.FixtureRequest) -> Tensor:
    torch.manual_seed(1)
    rows = torch.randn(2, 2, WIDTH)
    if request.param == "no background":
        rows[:, 0] = 0
    elif request.param == "no foreground":
        rows[:, 1] = 0
    elif request.param == "parallel":
        rows[:, 1] = 2 * rows[:, 0]
    elif request.param == "nothing":
        rows[:] = 0
    return rows


def test_equals_the_literal_transform(prototypes: Tensor) -> None:
    torch.manual_seed(0)
    query, support = torch.randn(2, WIDTH, 5, 4), torch.randn(2, WIDTH, 3, 6)
    mask = (torch.rand(2, 1, 3, 6) > 0.4).float()
    anchors = unit_rows(torch.randn(2, WIDTH))
    mapped_query = literal(query, prototypes, anchors)
    mapped_support = literal(support * mask, prototypes, anchors)
    expected = torch.einsum("bchw,bcxy->bhwxy", unit(mapped_query), unit(mapped_support))

    inverse = inverse_rows(prototypes)
    coordinates = anchor_coordinates(query, inverse)
    torch.testing.assert_close(torch.einsum("mc,bmhw->bchw", anchors, coordinates), mapped_query, rtol=1e-4, atol=1e-5)
    factors = correlation_factors(coordinates, anchor_coordinates(support, inverse) * mask, anchors, anchors)
    torch.testing.assert_close(torch.einsum("bhwd,bxyd->bhwxy", *factors), expected, rtol=1e-4, atol=1e-5)
    dense = dense_correlation(factors[0].unsqueeze(3), factors[1].unsqueeze(3))
    torch.testing.assert_close(dense[:, 0], expected.relu(), rtol=1e-4, atol=1e-5)


def test_query_and_support_may_have_anchors_of_their_own() -> None:
    """DMTNet: four coordinates and anchors on the query's side, drawn anew for every episode."""
    torch.manual_seed(0)
    query, support = torch.randn(2, 4, 3, 3), torch.randn(2, 2, 2, 2)
    query_rows, support_rows = torch.randn(2, 4, WIDTH), torch.randn(2, 2, WIDTH)
    left = unit(torch.einsum("bmc,bmhw->bchw", query_rows, query))
    right = unit(torch.einsum("bmc,bmhw->bchw", support_rows, support))
    factors = correlation_factors(query, support, query_rows, support_rows)
    found = torch.einsum("bhwd,bxyd->bhwxy", *factors)
    torch.testing.assert_close(found, torch.einsum("bchw,bcxy->bhwxy", left, right))


def test_gradient_of_the_anchors(prototypes: Tensor) -> None:
    torch.manual_seed(0)
    query, support = torch.randn(2, WIDTH, 4, 4), torch.randn(2, WIDTH, 4, 4)
    support[:, :, 0] = 0
    weight = torch.randn(2, WIDTH, requires_grad=True)
    probe = torch.rand(2, 4, 4, 4, 4)

    mapped = [literal(maps, prototypes, unit_rows(weight)) for maps in (query, support)]
    correlation = torch.einsum("bchw,bcxy->bhwxy", unit(mapped[0]), unit(mapped[1]))
    (expected,) = torch.autograd.grad((correlation.relu() * probe).sum(), weight)

    inverse, rows = inverse_rows(prototypes), unit_rows(weight)
    left, right = correlation_factors(
        anchor_coordinates(query, inverse), anchor_coordinates(support, inverse), rows, rows
    )
    ours = dense_correlation(left.unsqueeze(3), right.unsqueeze(3))[:, 0]
    (found,) = torch.autograd.grad((ours * probe).sum(), weight)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_gradient_reaches_the_prototypes() -> None:
    rows = torch.tensor([[[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]], requires_grad=True)
    inverse = inverse_rows(rows)
    torch.testing.assert_close(inverse, torch.tensor([[[1.0, -0.75, 0.0], [0.0, 1.25, 0.0]]]), atol=1e-5, rtol=0)
    inverse.sum().backward()
    assert rows.grad is not None
    assert rows.grad.abs().sum() > 0
    null = torch.zeros(1, 2, 3, requires_grad=True)
    inverse_rows(null).sum().backward()
    assert torch.isfinite(null.grad).all()


def test_unit_rows() -> None:
    torch.testing.assert_close(
        unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]])), torch.tensor([[0.6, 0.8], [0.0, 0.0]])
    )
    assert F.cosine_similarity(unit_rows(torch.tensor([[1.0, 1.0]])), torch.tensor([[1.0, 1.0]])) > 0.99
