# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What an optimizer gets."""

from __future__ import annotations

from torch import nn

__all__ = ["trainable_parameters"]


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
