# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Other values for some of a network's parameters, for the length of one call."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["with_parameters"]

Result = TypeVar("Result")


def with_parameters(network: nn.Module, values: Mapping[str, Tensor], function: Callable[[Any], Result]) -> Result:
    """Call ``function(network)`` while the network has other parameter values.

    The network's own tensors are set aside, never written to, and are back when this returns or raises.

    Args:
        network: any module.
        values: name, as in ``named_parameters`` -> value of the same shape; gradients flow to it.
        function: what to call.
    """
    if not values:
        return function(network)
    lent = {f"network.{name}": value for name, value in values.items()}
    result: Result = functional_call(_Call(network), lent, (function,))
    return result


class _Call(nn.Module):
    """Makes a call of any method a ``forward``, which is what ``functional_call`` calls."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, function: Callable[[Any], Result]) -> Result:
        return function(self.network)
