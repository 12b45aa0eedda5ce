# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Low-rank, non-negative factorisation: of what has that rank, from a seed or learned, never below zero."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scripts.networks.language.lsms.factorisation import Factorisation, Hamburger


def test_factorisation_of_what_has_that_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(1, 12, 3, generator=generator) @ torch.rand(1, 3, 40, generator=generator)
    found = Factorisation(12, rank=3, eval_steps=600).eval()(values)
    assert ((found - values).norm() / values.norm()) < 0.05


@pytest.mark.parametrize(("training", "steps"), [(True, 2), (False, 3)])
def test_updates_by_a_loop(training: bool, steps: int) -> None:
    values = torch.rand(2, 5, 9, generator=torch.Generator().manual_seed(0))
    module = Factorisation(5, rank=3, train_steps=2, eval_steps=3, seed=4).train(training)
    start = torch.rand(5, 3, generator=torch.Generator().manual_seed(4))
    found = module(values)
    for sample in range(2):
        z, b = values[sample], start / start.norm(dim=0)
        c = (z.T @ b).softmax(1)
        for _ in range(steps):
            c = c * (z.T @ b) / (c @ b.T @ b + 1e-6)
            b = b * (z @ c) / (b @ c.T @ c + 1e-6)
        c = c * (z.T @ b) / (c @ b.T @ b + 1e-6)
        torch.testing.assert_close(found[sample], b @ c.T)


@torch.no_grad()
def test_a_seed_gives_the_same_and_each_sample_is_for_itself() -> None:
    values = torch.rand(3, 5, 9)
    first = Factorisation(5, 2, seed=1).eval()(values)
    assert torch.equal(first, Factorisation(5, 2, seed=1).eval()(values))
    assert not torch.allclose(first, Factorisation(5, 2, seed=2).eval()(values))
    torch.testing.assert_close(Factorisation(5, 2, seed=1).eval()(values[1:2]), first[1:2])
    given = F.normalize(torch.rand(3, 5, 2), dim=1)
    assert not torch.allclose(Factorisation(5, 2, seed=1).eval()(values, given), first)


@torch.no_grad()
def test_zeros_stay_zero_and_nothing_falls_below() -> None:
    module = Factorisation(5, 2, is_learned=True).eval()
    assert torch.equal(module(torch.zeros(1, 5, 9)), torch.zeros(1, 5, 9))
    module.bases.neg_()
    assert (module(torch.rand(1, 5, 9)) >= 0).all()


@pytest.mark.parametrize("is_learned", [True, False])
def test_bases_learn_where_asked(is_learned: bool) -> None:
    module = Hamburger(5, Factorisation(5, 2, is_learned=is_learned))
    module(torch.rand(1, 5, 3, 3)).square().mean().backward()
    assert ("factorisation.bases" in dict(module.named_parameters())) == is_learned
    assert "factorisation.bases" in module.state_dict()
    assert all(value.grad is not None and value.grad.any() for value in module.parameters())


@torch.no_grad()
@pytest.mark.parametrize("size", [(3, 4), (1, 1)])
def test_hamburger_adds_it(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module, x = Hamburger(5, Factorisation(5, 2)).eval(), torch.randn(2, 5, *size)
    inner = module.factorisation(module.before(x).relu().flatten(2)).view_as(x)
    torch.testing.assert_close(module(x), (x + module.after(inner)).relu())
    nn.init.zeros_(module.after.weight)
    nn.init.zeros_(module.after.bias)  # type: ignore[arg-type]
    assert torch.equal(module(x), x.relu())
