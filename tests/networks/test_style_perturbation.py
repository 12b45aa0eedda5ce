# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import random

import pytest
import torch

from scripts.networks.style_perturbation import (
    STYLES,
    ReleasedStylePerturbation,
    StylePerturbation,
    transfer_statistics,
)


def test_transferred_statistics() -> None:
    content, style = torch.randn(2, 3, 6, 6), 4 + 2 * torch.randn(2, 3, 6, 6)
    result = transfer_statistics(content, style)
    std, mean = torch.std_mean(result, dim=(2, 3), correction=0)
    expected_std, expected_mean = torch.std_mean(style, dim=(2, 3), correction=0)
    torch.testing.assert_close(mean, expected_mean)
    torch.testing.assert_close(std, expected_std, rtol=1e-4, atol=1e-4)


def test_styles_by_hand() -> None:
    module = StylePerturbation(strength=0.5)
    content = torch.tensor([[0.0, 2.0], [4.0, -2.0]]).view(1, 1, 2, 2)
    noise = torch.ones_like(content)
    expected = {
        "noise": [[0.5, 2.5], [4.5, -1.5]],
        "contrast": [[0.0, 3.0], [6.0, -3.0]],
        # Laplacian with zeros outside: 4 x - neighbours = [[-6, 10], [18, -14]]
        "boundary": [[-3.0, 7.0], [13.0, -9.0]],
        "low_contrast": [[0.5, 1.5], [2.5, -0.5]],
    }
    for name in STYLES:
        torch.testing.assert_close(module.style(name, content, noise)[0, 0], torch.tensor(expected[name]))
    released = ReleasedStylePerturbation(strength=0.5).style("contrast", content, noise)
    torch.testing.assert_close(released[0, 0], torch.tensor([[0.0, 3.0], [6.0, 0.0]]))


def test_every_map_draws_its_own_style() -> None:
    module = StylePerturbation().train()
    content = torch.randn(1, 4, 8, 8).expand(16, -1, -1, -1)
    perturbed = module(content)
    contrast = torch.isclose(perturbed.std((1, 2, 3)), 1.3 * content[0].std(), rtol=0.05).sum()
    low = torch.isclose(perturbed.mean((2, 3)), content.mean((2, 3)), atol=1e-5).all(1).sum()
    assert 0 < contrast < 16
    assert 0 < low < 16


def test_draws_are_repeatable_and_resume() -> None:
    content = torch.randn(3, 4, 5, 5)
    module = StylePerturbation(seed=7).train()
    first = [module(content) for _ in range(3)]
    again = StylePerturbation(seed=7).train()
    torch.testing.assert_close(again(content), first[0])
    resumed = StylePerturbation(seed=7).train()
    resumed.load_state_dict(again.state_dict())
    torch.testing.assert_close(resumed(content), first[1])
    assert not torch.allclose(first[0], first[1])


def test_other_generators_are_left_alone() -> None:
    torch.manual_seed(3)
    random.seed(3)
    expected = torch.rand(1), random.random()
    torch.manual_seed(3)
    random.seed(3)
    StylePerturbation().train()(torch.ones(4, 2, 3, 3))
    assert (torch.rand(1), random.random()) == expected


@pytest.mark.parametrize("kind", [StylePerturbation, ReleasedStylePerturbation])
def test_evaluation_leaves_features_alone(kind: type[StylePerturbation]) -> None:
    content = torch.randn(2, 3, 4, 4)
    assert kind().eval()(content) is content


def test_a_map_of_one_pixel_is_finite() -> None:
    module = StylePerturbation().train()
    assert all(torch.isfinite(module(torch.randn(4, 3, 1, 1))).all() for _ in range(4))


def test_released_draws_one_style_from_python() -> None:
    content = torch.randn(1, 4, 8, 8).expand(4, -1, -1, -1)
    random.seed(31)  # draws noise, low contrast, ...
    module = ReleasedStylePerturbation().train()
    module(content)
    perturbed = module(content)
    assert all(torch.equal(perturbed[0], one) for one in perturbed)
    torch.testing.assert_close(perturbed.mean((2, 3)), content.mean((2, 3)))


def test_gradient_reaches_the_features() -> None:
    content = torch.randn(8, 3, 4, 4, requires_grad=True)
    StylePerturbation().train()(content).square().sum().backward()
    assert content.grad is not None
    assert content.grad.abs().sum() > 0
