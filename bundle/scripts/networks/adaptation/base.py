# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What all adaptations have in common: a few optimiser steps on copies of some of the host's parameters.

An adaptation sees an episode's support set and nothing else, and leaves the host as it was: the tuned copies belong to
the prompt, which lends them to the host while it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..hosts.base import Host
from ..prompt import IMAGE, SupportSet
from ..protocols import FeatureSource
from .lending import with_parameters

__all__ = ["IMAGE", "Adaptation", "SupportSet"]

Optimizer = Callable[[list[Tensor]], torch.optim.Optimizer]


class Adaptation:
    """Tune ``host.adaptable_parameters()`` by gradient steps on a loss that a subclass defines.

    Args:
        optimizer: factory ``optimizer(parameters)``; every episode gets a new one.
        steps: number of steps; 0 leaves the host as it is.

    Raises:
        ValueError: for a negative number of steps.
    """

    needs_images: bool = False
    """Whether support images must come along with their features."""

    def __init__(self, optimizer: Optimizer, *, steps: int) -> None:
        if steps < 0:
            raise ValueError(f"an adaptation needs a number of steps that isn't negative, got {steps}")
        self.optimizer = optimizer
        self.steps = int(steps)

    def __call__(self, segmenter: FeatureSource, support: SupportSet) -> dict[str, Tensor]:
        """Tune copies of the parameters to one episode.

        Args:
            segmenter: in evaluation mode; left as it is.
            support: the episode's.

        Returns:
            Parameter name in the host -> tuned value, without gradient.

        Raises:
            ValueError: for several episodes, a host without anything to tune, or a loss that is not connected to it.
        """
        host: Host = segmenter.host
        if support.label.shape[0] != 1:
            raise ValueError(f"an adaptation is for one episode at a time, got {support.label.shape[0]}")
        names = {id(parameter): name for name, parameter in host.named_parameters()}
        tuned = {
            names[id(parameter)]: parameter.detach().clone().requires_grad_()
            for parameter in host.adaptable_parameters()
        }
        if not tuned:
            raise ValueError(f"host {type(host).__name__} has no parameters to adapt; use configs/adaptation/off.json")
        values = list(tuned.values())
        with torch.enable_grad(), torch.autocast(support.label.device.type, enabled=False):
            optimizer = self.optimizer(values)
            loss = self.loss_of_step(segmenter, support) if self.steps else None
            for step in range(self.steps):
                total = with_parameters(host, tuned, lambda host, step=step: loss(host, step))  # type: ignore[misc]
                gradients: Sequence[Tensor | None] = [None]
                if total.requires_grad:
                    gradients = torch.autograd.grad(total, values, allow_unused=True)
                if all(gradient is None for gradient in gradients):
                    raise ValueError(
                        f"the loss of {type(self).__name__} doesn't reach what it tunes: {', '.join(tuned)}"
                    )
                for value, gradient in zip(values, gradients, strict=True):
                    value.grad = gradient
                optimizer.step()
        return {name: value.detach() for name, value in tuned.items()}

    def loss_of_step(self, segmenter: FeatureSource, support: SupportSet) -> Callable[[Host, int], Tensor]:
        """Prepare an episode: return ``loss(host, step)``, a scalar, where the host holds the values being tuned."""
        raise NotImplementedError(f"{type(self).__name__}.loss_of_step")
