# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an optimizer gets."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["parameter_groups", "trainable_parameters"]


def trainable_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Parameters that take gradients: frozen parts would be dead groups in the optimizer.

    Args:
        network: for example a Segmenter with its frozen backbone.

    Returns:
        The parameters with ``requires_grad``.

    Raises:
        ValueError: when there is none, as with a training-free host.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not parameters:
        host = type(getattr(network, "host", network)).__name__
        raise ValueError(
            f"host {host} has no parameters to train: evaluate it as it is, or choose a trained host, "
            "for example configs/hosts/ifa.json"
        )
    return parameters


def parameter_groups(
    network: nn.Module, learning_rate: float, head_factor: float = 1.0, bias_factor: float = 1.0
) -> list[dict[str, Any]]:
    """Parameters that take gradients, with rates for the host and for biases, as PMMs' published optimizer has them.

    Args:
        network: a Segmenter.
        learning_rate: of the backbone's weights.
        head_factor: what the rate is times of everything but the backbone.
        bias_factor: what the rate is times of biases, those of norms included.

    Returns:
        Groups of an optimizer, empty ones left out.

    Raises:
        ValueError: when nothing learns, as in :func:`trainable_parameters`.
    """
    trainable_parameters(network)
    groups: list[dict[str, Any]] = []
    for is_backbone in (True, False):
        for is_bias in (False, True):
            found = [
                parameter
                for name, parameter in network.named_parameters()
                if parameter.requires_grad
                and name.startswith("backbone.") == is_backbone
                and name.endswith("bias") == is_bias
            ]
            rate = learning_rate * (1.0 if is_backbone else head_factor) * (bias_factor if is_bias else 1.0)
            if found:
                groups.append({"params": found, "lr": rate})
    return groups
