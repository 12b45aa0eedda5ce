# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Refinement of logits by the query image: colour model, minimum cut, candidates, choice.

For each offset o of the threshold, with U the logit of foreground against background on a ``grid`` x ``grid`` raster:

    m_0 = sigmoid(U - o),   m_t = minimum cut of  U - o + beta * log(h_in / h_out)

where h_in and h_out are the histograms of the query's colours inside and outside m_{t-1}. Of the masks m_2(o) the one
is taken whose region descriptors resemble the support's object most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from .candidate_choice import MeritWeights, candidate_merit
from .colour_model import ColourHistogram, lab_map
from .minimum_cut import Links, contrast_links, minimum_cut
from .region_descriptors import Region, describe_region, mean_region, to_row

__all__ = ["Candidate", "ColourCut", "ColourPrompt"]


class ColourPrompt(NamedTuple):
    """What the refinement knows of the support."""

    descriptors: Tensor
    """(B, K, 11) region descriptors of each support's object; NaN where it has none."""


class Candidate(NamedTuple):
    """One candidate mask of one query."""

    offset: float
    mask: np.ndarray
    descriptors: Region
    merit: float


class ColourCut(nn.Module):
    """Refine logits with the image they belong to. No parameters, no gradient, SciPy on the CPU.

    Args:
        grid: raster of the candidates.
        offsets: thresholds of the candidates, in logits.
        colour_weight: beta.
        colour_limit: bound on the colours' log ratio.
        bins: histogram bins per Lab channel.
        link_weight: link of two equal neighbours.
        iterations: rounds of colour model and cut.
        merit_weights: weights that differ from those of ``MeritWeights``, by name.
        smoothing: standard deviation in raster cells of the Gaussian on the mask.
        scale: logit difference far inside the object.
    """

    def __init__(
        self,
        *,
        grid: int = 100,
        offsets: Sequence[float] = (-4, -2, -1, 0, 1, 2, 4, 6, 8, 12),
        colour_weight: float = 2.0,
        colour_limit: float = 2.0,
        bins: int = 16,
        link_weight: float = 2.0,
        iterations: int = 2,
        merit_weights: Mapping[str, float] | None = None,
        smoothing: float = 0.7,
        scale: float = 10.0,
    ) -> None:
        super().__init__()
        unknown = sorted(set(merit_weights or {}) - set(MeritWeights._fields))
        if unknown:
            raise ValueError(f"merit_weights has unknown names {unknown}; they are {list(MeritWeights._fields)}")
        if grid < 8 or not offsets or iterations < 1 or bins < 2:
            raise ValueError(
                f"grid {grid} must be at least 8, offsets {list(offsets)} not empty, iterations {iterations} at least "
                f"1, bins {bins} at least 2"
            )
        self.grid = grid
        self.logit_size = (grid, grid)
        """where the host's logits are wanted, resized by the host's own rule"""
        self.offsets = tuple(float(offset) for offset in offsets)
        self.colour_weight = colour_weight
        self.colour_limit = colour_limit
        self.bins = bins
        self.link_weight = link_weight
        self.iterations = iterations
        self.merit_weights = MeritWeights(**(merit_weights or {}))
        self.smoothing = smoothing
        self.scale = scale

    @torch.no_grad()
    def encode(self, support_image: Tensor, support_label: Tensor) -> ColourPrompt:
        """Describe the support's object, once per prompt.

        Args:
            support_image: (B, K, 3, H, W) RGB in [0, 1].
            support_label: (B, K, 1, H', W') in {0, 1, 255}.
        """
        batch, shots = support_image.shape[:2]
        lab = lab_map(support_image.flatten(0, 1), self.grid).permute(0, 2, 3, 1).cpu().numpy()
        coverage = F.interpolate((support_label.flatten(0, 1) == 1).float(), size=(self.grid, self.grid), mode="area")
        rows = []
        for colours, share in zip(lab, coverage[:, 0].cpu().numpy(), strict=True):
            mask = share > 0.5 if (share > 0.5).any() else share >= max(share.max(), 1e-6)
            rows.append(to_row(describe_region(mask, colours)))
        descriptors = torch.as_tensor(np.stack(rows), dtype=torch.float32, device=support_image.device)
        return ColourPrompt(descriptors.unflatten(0, (batch, shots)))

    @torch.no_grad()
    def forward(self, logits: Tensor, image: Tensor, prompt: ColourPrompt) -> Tensor:
        """Refine.

        Args:
            logits: (B, 2, grid, grid) of any host, background and foreground.
            image: (B, 3, H, W) the query, RGB in [0, 1].
            prompt: of :meth:`encode`.

        Returns:
            (B, 2, grid, grid) logits on the input's device and in its dtype.

        Raises:
            ValueError: for logits on another raster.
        """
        if logits.shape[1:] != (2, *self.logit_size):
            raise ValueError(
                f"the refinement works on logits (B, 2, {self.grid}, {self.grid}), got {tuple(logits.shape)}: resize "
                "them by their host's rule, as the segmenter does"
            )
        unary = logits[:, 1:].float() - logits[:, :1].float()
        lab = lab_map(image, self.grid).permute(0, 2, 3, 1).cpu().numpy()
        support = [mean_region(rows) for rows in prompt.descriptors.double().cpu().numpy()]
        refined = []
        for u, colours, description in zip(unary[:, 0].cpu().numpy(), lab, support, strict=True):
            candidates = self.candidates(u, colours, description)
            mask = max(candidates, key=lambda candidate: candidate.merit).mask if candidates else u > 0
            refined.append(gaussian_filter(mask.astype(np.float32), self.smoothing) - 0.5)
        s = self.scale * torch.as_tensor(np.stack(refined)).to(logits)
        return torch.stack([-s, s], dim=1)

    def candidates(self, unary: np.ndarray, lab: np.ndarray, support: Region | None) -> list[Candidate]:
        """Candidate masks of one query.

        Args:
            unary: (grid, grid) logit of foreground.
            lab: (grid, grid, 3) colours.
            support: descriptors of the support's object, or None.

        Returns:
            one per offset, less those that are (almost) empty or full.
        """
        histogram, links = ColourHistogram(lab, self.bins), contrast_links(lab, self.link_weight)
        found = []
        for offset in self.offsets:
            mask = self.cut(unary - offset, histogram, links)
            described = describe_region(mask, lab)
            if described is not None:
                merit = candidate_merit(described, support, offset, self.merit_weights)
                found.append(Candidate(offset, mask, described, merit))
        return found

    def cut(self, unary: np.ndarray, histogram: ColourHistogram, links: Links) -> np.ndarray:
        """Alternate colour model and minimum cut, from the logits alone: (h, w) -> (h, w) bool."""
        weight = 1.0 / (1.0 + np.exp(-np.clip(unary, -30.0, 30.0)))
        mask = unary > 0
        for _ in range(self.iterations):
            ratio = histogram.log_ratio(weight, self.colour_limit)
            mask = minimum_cut(unary + self.colour_weight * ratio, links)
            if mask.sum() < 4:
                break
            weight = mask.astype(np.float64)
        return mask
