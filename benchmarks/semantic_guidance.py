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
    rows = []
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
