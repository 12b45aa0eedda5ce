# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Style perturbation of support features in training (CD-TG's released code; in neither figure nor abstract).

A style map s is made from the content x by one of four choices of equal probability, with strength g:

    noise         x + g n, n ~ N(0, 1)
    contrast      (1 + g) x
    boundary      x + g high-pass(x)
    low contrast  mean + g (x - mean)

and the content takes the style's mean and standard deviation per channel,

    x' = (x - mean) / (std + eps) * std(s) + mean(s)
"""

import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["STYLES", "ReleasedStylePerturbation", "StylePerturbation", "boundary_style", "transfer_statistics"]

STYLES = ("noise", "contrast", "boundary", "low_contrast")
_EPS = 1e-5


class StylePerturbation(nn.Module):
    """Gives every map of a batch its own random style.

    Draws come from a generator of the module's own, seeded by ``seed`` and the number of calls; that number is part of
    the state, so training that resumes from a checkpoint goes on with the same draws. Differences from the released
    code: one draw per map instead of per batch; a fixed Laplacian instead of a new random kernel; the biased standard
    deviation, which a map of one pixel has too; contrast does not clip maps that are negative in places.

    Args:
        strength: g above.
        seed: of the draws.
    """

    def __init__(self, strength: float = 0.3, seed: int = 0) -> None:
        super().__init__()
        self.strength = float(strength)
        self.seed = int(seed)
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    @torch.jit.unused
    def forward(self, features: Tensor) -> Tensor:
        """Perturb maps (N, C, h, w) in training; leave them alone otherwise."""
        if not self.training:
            return features
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.calls))
        self.calls += 1
        chosen = torch.randint(len(STYLES), (features.shape[0],), generator=generator).tolist()
        noise = torch.randn(features.shape, generator=generator).to(features) if 0 in chosen else features
        perturbed = [
            transfer_statistics(features[i : i + 1], self.style(STYLES[choice], features[i : i + 1], noise[i : i + 1]))
            for i, choice in enumerate(chosen)
        ]
        return torch.cat(perturbed)

    def style(self, name: str, content: Tensor, noise: Tensor) -> Tensor:
        """Make the style map of one kind, with the noise (N, C, h, w) that was drawn for it."""
        if name == "noise":
            return content + self.strength * noise
        if name == "contrast":
            return (1.0 + self.strength) * content
        if name == "boundary":
            return boundary_style(content, laplacian(content), self.strength)
        mean = content.mean(dim=(2, 3), keepdim=True)
        return mean + self.strength * (content - mean)


class ReleasedStylePerturbation(StylePerturbation):
    """The released behaviour: one style for the batch from Python's ``random``, a random kernel, clipped contrast."""

    @torch.jit.unused
    def forward(self, features: Tensor) -> Tensor:
        """Perturb maps (N, C, h, w) in training; leave them alone otherwise."""
        if not self.training:
            return features
        name = random.choice(STYLES)
        return transfer_statistics(features, self.style(name, features, torch.randn_like(features)), is_unbiased=True)

    def style(self, name: str, content: Tensor, noise: Tensor) -> Tensor:
        """Make the style map of one kind."""
        if name == "contrast":
            return F.relu((1.0 + self.strength) * content)
        if name == "boundary":
            kernel = torch.empty(content.shape[1], 1, 3, 3, dtype=content.dtype, device=content.device)
            return boundary_style(content, kernel.uniform_(-1 / 3, 1 / 3), self.strength)
        return super().style(name, content, noise)


def transfer_statistics(content: Tensor, style: Tensor, is_unbiased: bool = False) -> Tensor:
    """Give the content (N, C, h, w) the style's mean and standard deviation per map and channel."""
    correction = 1 if is_unbiased else 0
    std, mean = torch.std_mean(content, dim=(2, 3), keepdim=True, correction=correction)
    style_std, style_mean = torch.std_mean(style, dim=(2, 3), keepdim=True, correction=correction)
    return (content - mean) / (std + _EPS) * style_std + style_mean


def boundary_style(content: Tensor, kernel: Tensor, strength: float) -> Tensor:
    """Add a filtered copy of every channel: content (N, C, h, w), kernel (C, 1, 3, 3), zero padding."""
    return content + strength * F.conv2d(content, kernel, padding=1, groups=content.shape[1])


def laplacian(content: Tensor) -> Tensor:
    """4-neighbour Laplacian kernel for every channel of (N, C, h, w): (C, 1, 3, 3)."""
    kernel = content.new_tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
    return kernel.expand(content.shape[1], 1, 3, 3)
