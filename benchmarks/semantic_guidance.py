# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CD-TG's Semantic-guided Unit: one-token form against the literal multi-head attention (one thread, 512 channels).

python benchmarks/semantic_guidance.py [--json FILE]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "bundle")]

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from _harness import compare, run  # noqa: E402
from scripts.networks.semantic_guidance import SemanticUnit, convert_reference_state  # noqa: E402

CHANNELS = 512
GRIDS = (25, 50)


class LiteralUnit(nn.Module):
    """The unit as published: every pixel attends to h * w copies of one text token."""

    def __init__(self, channels: int, heads: int = 8) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(channels, heads)
        self.text_mlp = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels))
        self.norm = nn.LayerNorm(channels)

    def forward(self, features: Tensor, text: Tensor) -> Tensor:
        """Guide a map (N, C, h, w) by a text (N, C)."""
        pixels = features.flatten(2).permute(2, 0, 1)
        token = self.text_mlp(text).unsqueeze(0).expand(pixels.shape[0], -1, -1)
        attended, _ = self.attn(pixels, token, token)
        return self.norm(attended + pixels).permute(1, 2, 0).unflatten(2, features.shape[2:])


def benchmark() -> list[dict[str, Any]]:
    """Compare both units, forward and with the backward pass, at two grids."""
    torch.manual_seed(0)
    literal = LiteralUnit(CHANNELS)
    ours = SemanticUnit(CHANNELS, CHANNELS)
    ours.load_state_dict(convert_reference_state(literal.state_dict()))
    rows = guided_episode(ours, literal)
    for grid in GRIDS:
        # Channels last, as the backbones of this project give their maps.
        features = torch.randn(1, CHANNELS, grid, grid).contiguous(memory_format=torch.channels_last)
        text = torch.randn(1, CHANNELS)

        def one_token(features: Tensor = features, text: Tensor = text) -> Tensor:
            return ours(features, ours.constant(text))

        def attention(features: Tensor = features, text: Tensor = text) -> Tensor:
            return literal(features, text)

        with torch.no_grad():
            difference = (one_token() - attention()).abs().max().item()
            rows.append(
                compare(f"unit {grid}x{grid} forward", one_token, attention, max_difference=difference, rounds=11)
            )
        trained, difference = _with_backward(one_token, ours), _gradient_difference(one_token, attention, ours, literal)
        rows.append(
            compare(
                f"unit {grid}x{grid} forward and backward",
                trained,
                _with_backward(attention, literal),
                max_difference=difference,
                rounds=3,
            )
        )
    return rows


def guided_episode(ours: SemanticUnit, literal: LiteralUnit) -> list[dict[str, Any]]:
    """What CD-TG does per shot: support by the class's and the background's text, query by the class's, two prototypes.

    "Prototypes only" is the path of a host that keeps its raw maps, as the released skeleton does.
    """
    support, query = (torch.randn(1, CHANNELS, 50, 50).contiguous(memory_format=torch.channels_last) for _ in range(2))
    foreground, background = torch.randn(1, CHANNELS), torch.randn(1, CHANNELS)
    mask = (torch.rand(1, 1, 50, 50) > 0.7).float()
    masks = torch.cat([mask, 1.0 - mask], dim=1)

    def released() -> tuple[Tensor, ...]:
        maps = [literal(support, foreground), literal(support, background), literal(query, foreground)]
        pooled = [
            (each * side).sum((2, 3)) / (side.sum((2, 3)) + 1e-6)
            for each, side in zip(maps, (mask, 1 - mask), strict=False)
        ]
        return torch.stack(pooled, dim=1), maps[0], maps[2]

    def released_prototypes() -> tuple[Tensor, ...]:
        return released()[:1]

    def one_token() -> tuple[Tensor, ...]:
        both = ours.constant(torch.stack([foreground, background], dim=1))
        return ours.prototypes(support, both, masks), ours(support, both[:, 0]), ours(query, both[:, 0])

    def prototypes() -> tuple[Tensor, ...]:
        both = ours.constant(torch.stack([foreground, background], dim=1))
        return (ours.prototypes(support, both, masks),)

    rows = []
    for name, call, theirs in (
        ("three passes, two prototypes", one_token, released),
        ("prototypes only", prototypes, released_prototypes),
    ):
        with torch.no_grad():
            difference = max((mine - his).abs().max().item() for mine, his in zip(call(), theirs(), strict=True))
            rows.append(compare(f"{name}, forward", call, theirs, max_difference=difference, rounds=3))
        flat, flat_theirs = _flat(call), _flat(theirs)
        difference = _gradient_difference(flat, flat_theirs, ours, literal)
        steps = _with_backward(flat, ours), _with_backward(flat_theirs, literal)
        rows.append(compare(f"{name}, and backward", *steps, max_difference=difference, rounds=3))
    return rows


def _flat(call: Callable[[], tuple[Tensor, ...]]) -> Callable[[], Tensor]:
    return lambda: torch.cat([each.flatten() for each in call()])


def _with_backward(forward: Callable[[], Tensor], module: nn.Module) -> Callable[[], None]:
    def step() -> None:
        module.zero_grad(set_to_none=True)
        output = forward()
        (output * torch.linspace(-1.0, 1.0, output.numel()).view(output.shape)).mean().backward()

    return step


def _gradient_difference(
    one_token: Callable[[], Tensor], attention: Callable[[], Tensor], ours: SemanticUnit, literal: LiteralUnit
) -> float:
    """Largest difference of the gradients that reach the text MLP."""
    _with_backward(one_token, ours)()
    _with_backward(attention, literal)()
    pairs = zip(ours.text_mlp.parameters(), literal.text_mlp.parameters(), strict=True)
    return max((mine.grad - theirs.grad).abs().max().item() for mine, theirs in pairs)  # type: ignore[operator]


if __name__ == "__main__":
    run(benchmark, __doc__)
