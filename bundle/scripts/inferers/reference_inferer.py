# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Whole volumes with annotated images of other cases as supports: the few-shot literature's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange
from monai.inferers.inferer import Inferer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..data.reference_support import ReferenceSupport, SupportPart
from ..networks.segmenter import Prompt, Segmenter
from .propagation import PropagationResult, SliceReport

__all__ = ["ReferenceInferer"]


class ReferenceInferer(Inferer):
    """Segment a volume slice by slice; labels compete by the largest logit.

    A slice takes the part of the support whose relative height in the stack is nearest to its own. The backbone runs
    once per slice and once per support image, whatever the number of labels.

    Args:
        support: from ``read_reference_support``.
        text_table: class name -> (T, D), for hosts with text; the support's class names are looked up.
        image_size: side of the square that a slice is resized to.
        batch_size: slices that pass the backbone together.
        probability: also return the foreground probability.
        progress: show a progress bar.
    """

    def __init__(
        self,
        support: ReferenceSupport,
        *,
        text_table: Any = None,
        image_size: int = 400,
        batch_size: int = 4,
        probability: bool = False,
        progress: bool = False,
    ) -> None:
        super().__init__()
        self.support = support
        self.text_table = text_table
        self.image_size = image_size
        self.batch_size = batch_size
        self.probability = probability
        self.progress = progress

    def __call__(self, inputs: Tensor, network: Any) -> PropagationResult:
        """Segment one volume.

        Args:
            inputs: (1, 1, X, Y, Z) in [0, 1], canonical orientation.
            network: a Segmenter, possibly wrapped for several processes.

        Returns:
            ``label`` (1, 1, X, Y, Z) with the supports' label values, ``probability`` of any label where asked for, and
            a report per slice.
        """
        segmenter: Segmenter = getattr(network, "module", network)
        if inputs.ndim != 5 or inputs.shape[:2] != (1, 1):
            raise ValueError(f"inputs must be (1, 1, X, Y, Z), got {tuple(inputs.shape)}")
        stack = rearrange(torch.as_tensor(inputs), "1 1 x y z -> z 1 y x")
        prompts = self._prompts(segmenter, stack.device)
        label = torch.zeros(stack.shape, dtype=torch.int32, device=stack.device)
        score = torch.full(stack.shape, -torch.inf, device=stack.device)
        strongest = {value: torch.full((len(stack),), -torch.inf, device=stack.device) for value in prompts}
        height, width = int(stack.shape[2]), int(stack.shape[3])
        starts = range(0, len(stack), self.batch_size)
        for start in tqdm(starts, desc="segmenting", unit="batch", disable=not self.progress):
            numbers = list(range(start, min(start + self.batch_size, len(stack))))
            images = F.interpolate(stack[numbers].float(), [self.image_size] * 2, mode="bilinear").expand(-1, 3, -1, -1)
            features = segmenter.features(images)
            for value, parts in prompts.items():
                chosen = [_nearest([position for _, position in parts], z / max(1, len(stack) - 1)) for z in numbers]
                for part in set(chosen):
                    members = [i for i, number in enumerate(chosen) if number == part]
                    logits = segmenter.segment(
                        {level: maps[members] for level, maps in features.items()}, parts[part][0], (height, width)
                    )
                    slices = [numbers[i] for i in members]
                    margin = (logits[:, 1:] - logits[:, :1]).float()
                    strongest[value][slices] = margin.amax((1, 2, 3))
                    wins = margin > score[slices]
                    label[slices] = torch.where(wins & (margin > 0), value, label[slices])
                    score[slices] = torch.where(wins, margin, score[slices])
        probability = score.sigmoid()
        return PropagationResult(
            label=rearrange(label, "z 1 y x -> 1 1 x y z"),
            probability=rearrange(probability, "z 1 y x -> 1 1 x y z") if self.probability else None,
            slices=_reports(
                label[:, 0].cpu().numpy(),
                probability[:, 0].cpu().numpy(),
                {value: logits.sigmoid().tolist() for value, logits in strongest.items()},
            ),
            predicted_dice={},
            slice_axis=2,
            seconds={},
        )

    def _prompts(self, segmenter: Segmenter, device: torch.device) -> dict[int, list[tuple[Prompt, float | None]]]:
        features = segmenter.features(self.support.images.to(device))

        def encode(part: SupportPart, text_embedding: Tensor | None) -> Prompt:
            own = {level: maps[list(part.images)][None] for level, maps in features.items()}
            return segmenter.encode_prompt(own, part.label[None].to(device), text_embedding)

        prompts = {}
        for value, parts in self.support.parts.items():
            text = (
                None if self.text_table is None else self.text_table[self.support.class_names[value]][None].to(device)
            )
            prompts[value] = [(encode(part, text), part.position) for part in parts]
        return prompts


def _nearest(positions: list[float | None], height: float) -> int:
    return int(np.argmin([0.0 if position is None else abs(position - height) for position in positions]))


def _reports(
    label: NDArray[np.int32], probability: NDArray[np.float32], highest: Mapping[int, Sequence[float]]
) -> list[SliceReport]:
    """Per slice and label: area, and how sure the network is of the pixels it gave the label, or that there is none.

    Args:
        label: (Z, H, W) label values.
        probability: (Z, H, W) of any label.
        highest: by label, the largest probability of the label on each slice.
    """
    reports = []
    for z in range(len(label)):
        for value, chances in highest.items():
            mask = label[z] == value
            if mask.any():
                confidence, state = float(2 * probability[z][mask].mean() - 1), "predicted"
            else:
                confidence, state = max(0.0, 1 - 2 * chances[z]), "absent"
            reports.append(SliceReport(z, value, int(mask.sum()), round(confidence, 4), state))
    return reports
