# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import Any

import pytest
import torch

from scripts.networks.hosts import IFA
from scripts.networks.semantic_guidance import SemanticGuidance
from scripts.networks.style_perturbation import StylePerturbation

TEXT_DIM, CHANNELS = 6, 10
BACKGROUND = torch.linspace(-1, 1, TEXT_DIM)


def make(**arguments: Any) -> SemanticGuidance:
    torch.manual_seed(0)
    return SemanticGuidance({"c4": CHANNELS}, text_dim=TEXT_DIM, **{"background_embedding": BACKGROUND, **arguments})


@pytest.fixture
def episode() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "host_prototypes": torch.randn(2, 2, CHANNELS),
        "support": torch.randn(2, 3, CHANNELS, 4, 4),
        "mask": (torch.rand(2, 3, 1, 16, 16) > 0.5).float(),
        "text": torch.randn(2, TEXT_DIM),
    }


def reference(guidance: SemanticGuidance, episode: dict[str, torch.Tensor]) -> torch.Tensor:
    """Text prototypes from guided maps, episode by episode, shot by shot: (B, 2, C)."""
    found = []
    for b, text in enumerate(episode["text"]):
        for side, sentence in enumerate((text, guidance.background_embedding)):
            shots = []
            for maps, mask in zip(episode["support"][b], episode["mask"][b], strict=True):
                inside = (mask == 1 - side).float()[None]
                weights = torch.nn.functional.interpolate(inside, (4, 4), mode="bilinear", align_corners=True)
                if weights.sum() > 1e-4:
                    guided = guidance.guide(maps[None], sentence[None])
                    shots.append((guided * weights).sum((0, 2, 3)) / weights.sum())
            found.append(torch.stack(shots).mean(0))
    return torch.stack(found).unflatten(0, (-1, 2))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_fusion(episode: dict[str, torch.Tensor], alpha: float) -> None:
    guidance = make(alpha=alpha)
    expected = (1 - alpha) * episode["host_prototypes"] + alpha * reference(guidance, episode)
    torch.testing.assert_close(guidance.fuse(**episode), expected)


def test_empty_shots_are_left_out(episode: dict[str, torch.Tensor]) -> None:
    guidance = make()
    episode["mask"][0, 1] = 0
    episode["mask"][1, 2] = 1
    expected = 0.7 * episode["host_prototypes"] + 0.3 * reference(guidance, episode)
    torch.testing.assert_close(guidance.fuse(**episode), expected)


def test_an_episode_without_the_side_keeps_its_prototype(episode: dict[str, torch.Tensor]) -> None:
    episode["mask"][0] = 0
    episode["mask"][1] = 1
    fused = make().fuse(**episode)
    assert torch.equal(fused[0, 0], episode["host_prototypes"][0, 0])
    assert torch.equal(fused[1, 1], episode["host_prototypes"][1, 1])
    assert not torch.allclose(fused[0, 1], episode["host_prototypes"][0, 1])


def test_without_a_background_sentence(episode: dict[str, torch.Tensor]) -> None:
    fused = make(background_embedding=None).fuse(**episode)
    assert torch.equal(fused[:, 1], episode["host_prototypes"][:, 1])
    torch.testing.assert_close(fused[:, 0], make().fuse(**episode)[:, 0])


def test_rescaled_text_prototypes_have_the_hosts_length(episode: dict[str, torch.Tensor]) -> None:
    fused = make(alpha=1.0, rescale=True).fuse(**episode)
    torch.testing.assert_close(fused.norm(dim=2), episode["host_prototypes"].norm(dim=2))


def test_rescaling_a_zero_prototype_keeps_gradients_finite(episode: dict[str, torch.Tensor]) -> None:
    prototypes = torch.zeros_like(episode["host_prototypes"]).requires_grad_()
    fused = make(rescale=True).fuse(**{**episode, "host_prototypes": prototypes})
    fused.square().sum().backward()
    assert torch.isfinite(prototypes.grad).all()  # type: ignore[arg-type]
    assert fused.abs().max() < 1e-5


def test_a_learned_alpha_starts_where_it_is_told_and_learns(episode: dict[str, torch.Tensor]) -> None:
    guidance = make(alpha=0.3, learn_alpha=True)
    torch.testing.assert_close(guidance.fuse(**episode), make(alpha=0.3).fuse(**episode))
    before = guidance.text_share(episode["support"]).item()
    optimizer = torch.optim.SGD([guidance.alpha_logit], lr=1.0)
    target = reference(guidance, episode).detach()  # what alpha 1 gives
    for _ in range(5):
        optimizer.zero_grad()
        (guidance.fuse(**episode) - target).square().mean().backward()
        optimizer.step()
    assert before == pytest.approx(0.3)
    assert 0.5 < guidance.text_share(episode["support"]).item() < 1
    other = make(alpha=0.1, learn_alpha=True)
    other.load_state_dict(guidance.state_dict())
    torch.testing.assert_close(other.fuse(**episode), guidance.fuse(**episode))
    assert "alpha_logit" not in make().state_dict()


@pytest.mark.parametrize("learn_alpha", [False, True])
def test_alpha_in_torchscript(episode: dict[str, torch.Tensor], learn_alpha: bool) -> None:
    channels = {"map": CHANNELS}
    host = IFA(
        channels,
        levels=("map",),
        guidance=lambda widths: SemanticGuidance(
            widths, text_dim=TEXT_DIM, background_embedding=BACKGROUND, learn_alpha=learn_alpha
        ),
    )
    support, mask = {"map": episode["support"]}, episode["mask"]
    context = host.encode(support, mask, episode["text"].unsqueeze(1))
    query = {"map": episode["support"][:, 0]}

    class Both(torch.nn.Module):
        def __init__(self, host: IFA) -> None:
            super().__init__()
            self.host = host

        def forward(
            self,
            query: dict[str, torch.Tensor],
            support: dict[str, torch.Tensor],
            mask: torch.Tensor,
            text: torch.Tensor,
        ) -> torch.Tensor:
            return self.host.decode(query, self.host.encode(support, mask, text))

    scripted = torch.jit.script(Both(host))
    found = scripted(query, support, mask, episode["text"].unsqueeze(1))
    torch.testing.assert_close(found, host.decode(query, context))


def test_one_unit_per_width() -> None:
    guidance = SemanticGuidance({"c3": 4, "c4": 8, "c4.1": 8}, text_dim=TEXT_DIM)
    assert sorted(guidance.units) == ["4", "8"]
    assert guidance.guide(torch.randn(1, 4, 2, 2), torch.randn(1, TEXT_DIM)).shape == (1, 4, 2, 2)


def test_host_maps_follow_the_option() -> None:
    maps, text = torch.randn(1, CHANNELS, 2, 2), torch.randn(1, TEXT_DIM)
    assert make().host_maps(maps, text) is maps
    guidance = make(use_guided_features=True)
    torch.testing.assert_close(guidance.host_maps(maps, text), guidance.guide(maps, text))


def test_the_background_is_part_of_the_state() -> None:
    other = make(background_embedding=torch.zeros(TEXT_DIM))
    other.load_state_dict(make().state_dict())
    assert torch.equal(other.background_embedding, BACKGROUND)


def test_style_acts_in_training_only() -> None:
    guidance = make(style=StylePerturbation())
    support = torch.randn(1, 2, CHANNELS, 4, 4)
    assert not torch.allclose(guidance.train().perturb(support), support)
    assert guidance.eval().perturb(support) is support
    assert make().train().perturb(support) is support


def test_constructor_errors() -> None:
    with pytest.raises(ValueError, match="background embedding has 3 numbers, text_dim is 6"):
        make(background_embedding=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"alpha in \[0, 1\] \(got 1.5\)"):
        make(alpha=1.5)
    with pytest.raises(ValueError, match=r"learned starts inside \(0, 1\), got 0"):
        make(alpha=0, learn_alpha=True)
    with pytest.raises(ValueError, match="needs channels"):
        SemanticGuidance({}, text_dim=TEXT_DIM)


@pytest.mark.parametrize("shape", [(2, TEXT_DIM), (2, 0, TEXT_DIM), (2, 1, TEXT_DIM + 1)])
def test_text_errors(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be \(B, T, 6\): T tokens or sentences per episode"):
        make().class_text(torch.zeros(shape))


def test_unknown_width() -> None:
    with pytest.raises(ValueError, match="without a unit for maps of 3 channels"):
        make().guide(torch.zeros(1, 3, 2, 2), torch.zeros(1, TEXT_DIM))
