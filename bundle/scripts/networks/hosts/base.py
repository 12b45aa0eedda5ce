# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What every few-shot host has in common: features and masks in, logits out.

A host never sees images. It names the backbone levels it wants, condenses the support set once (``encode``) and
answers any number of queries from that (``decode``). Both must compile with TorchScript: plain typed Python.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torch import Tensor, nn

from ..blocks.logits import resize_logits

__all__ = ["Host", "TrainingTerm", "check_levels"]


class TrainingTerm(NamedTuple):
    """One summand of a host's training loss."""

    logits: Tensor
    """(N, 2, H, W), channel 0 background, 1 foreground, at the target's size."""
    target: Tensor
    """(N, 1, H, W) in {0, 1, 255}; 255 is ignored."""
    weight: float
    """factor of this term in the sum."""
    background_weight: float = 1.0
    """weight of a background pixel in this term's mean; a foreground pixel has 1."""


class Host(nn.Module):
    """Base class of the few-shot networks.

    A subclass sets ``self.levels`` (names of the backbone levels it wants) and defines ``encode`` and ``decode``:

    - ``encode(support_features, support_mask, text_embedding=None) -> context``: ``support_features`` is
      ``{level: (B, K, C, h, w)}``, ``support_mask`` (B, K, 1, H, W) in {0, 1, 255}, ``text_embedding`` (B, T, D) or
      None; the context is a NamedTuple of tensors with B in front.
    - ``decode(features, context) -> logits``: ``features`` is ``{level: (B, C, h, w)}``, logits (B, 2, h, w) at the
      host's own grid, channel 0 background, 1 foreground.
    """

    align_corners: bool = False
    """How this host's logits are brought to the image's size: corner-aligned, or by the default half-pixel rule."""

    takes_text: bool = True
    """Whether it can hold CD-TG's text guidance."""

    if TYPE_CHECKING:  # TorchScript cannot read this annotation
        levels: tuple[str, ...]

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Optional[Tensor] = None
    ) -> Any:
        """Condense the support set into a context; see the class."""
        raise NotImplementedError(f"{type(self).__name__}.encode")

    def decode(self, features: dict[str, Tensor], context: Any) -> Tensor:
        """Answer a query from a context; see the class."""
        raise NotImplementedError(f"{type(self).__name__}.decode")

    def training_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: Any,
    ) -> list[TrainingTerm]:
        """List the summands of the training loss; by default the decoded query alone.

        Args:
            features: {level: (B, C, h, w)} of the query.
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}.
            query_mask: (B, 1, H, W) in {0, 1, 255}.
            context: result of ``encode``.
        """
        return [TrainingTerm(self.upsample(self.decode(features, context), query_mask), query_mask, 1.0)]

    def adaptation_terms(
        self,
        features: dict[str, Tensor],
        support_features: dict[str, Tensor],
        support_mask: Tensor,
        query_mask: Tensor,
        context: Any,
    ) -> list[TrainingTerm]:
        """List the summands of the loss while the host is tuned to a target: those of training, unless overridden."""
        return self.training_terms(features, support_features, support_mask, query_mask, context)

    def adaptation_loss(self, support_features: dict[str, Tensor], support_mask: Tensor, context: Any) -> Tensor:
        """Loss for tuning the host to a target by its own means, from the support set alone.

        Args:
            support_features: {level: (B, K, C, h, w)}.
            support_mask: (B, K, 1, H, W) in {0, 1, 255}.
            context: result of ``encode``, made before the tuning.
        """
        raise NotImplementedError(
            f"host {type(self).__name__} has no fine-tuning of its own; configs/adaptation/ifa.json suits every host "
            "with parameters"
        )

    def adaptable_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the parameters that are tuned to a target: all that train, unless overridden."""
        return (parameter for parameter in self.parameters() if parameter.requires_grad)

    def upsample(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Bring logits (N, C, h, w) to the spatial size of a mask (N, 1, H, W), by this host's rule."""
        return resize_logits(logits, (mask.shape[-2], mask.shape[-1]), self.align_corners)


def check_levels(host: str, levels: Sequence[str], channels: Optional[Mapping[str, int]]) -> tuple[str, ...]:
    """Check the levels that a host asks for against those the backbone has.

    Args:
        host: named in the error.
        levels: names such as ``c4``.
        channels: widths per level, or None when they are not known.

    Returns:
        The levels as a tuple.

    Raises:
        ValueError: for no level, a repeated one, or one that the backbone lacks.
    """
    if isinstance(levels, str) or not levels or len(set(levels)) != len(levels):
        raise ValueError(f"host {host!r}: levels must be a list of different names, got {levels!r}")
    missing = [level for level in levels if channels is not None and level not in channels]
    if missing:
        raise ValueError(f"host {host!r} asks for levels {missing}, the backbone has {sorted(channels or {})}")
    return tuple(levels)
