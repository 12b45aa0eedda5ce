# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Fold the batch norms of a frozen network into the convolutions before them."""

from __future__ import annotations

from timm.layers import BatchNormAct2d
from timm.models._features_fx import get_notrace_functions, get_notrace_modules
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fold_batch_norm"]


def fold_batch_norm(network: nn.Module) -> int:
    """Replace convolution + batch norm by one convolution, in place.

    Pairs are found on the traced graph: a batch norm (timm's with an activation too) whose only input is a convolution
    that nobody else reads. A network that cannot be traced, a transformer say, is left as it is.

    Args:
        network: in evaluation mode.

    Returns:
        Number of folded batch norms.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return 0
    graph = _Tracer().trace(network)
    modules = dict(network.named_modules())
    count = 0
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        source = node.args[0]
        if source.op != "call_module" or len(source.users) > 1 or not isinstance(modules[source.target], nn.Conv2d):
            continue
        convolution, norm = modules[source.target], modules[node.target]
        network.set_submodule(source.target, fuse_conv_bn_eval(convolution, norm))
        rest = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
        network.set_submodule(node.target, rest)
        count += 1
    return count


class _Tracer(fx.Tracer):
    """Keeps batch norms and timm's untraceable layers as leaves."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=tuple(get_notrace_functions()))

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        """Whether the tracer stays out of the module."""
        leaves = (nn.BatchNorm2d, *get_notrace_modules())
        return isinstance(module, leaves) or super().is_leaf_module(module, qualified_name)
