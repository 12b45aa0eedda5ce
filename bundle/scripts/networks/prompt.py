# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A prompt: what a support set and a text leave behind, and what may be in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from torch import Tensor

__all__ = ["IMAGE", "Features", "Prompt", "SupportSet", "batch_size_of", "check_support", "map_tensors"]

Features = dict[str, Tensor]
Tree = TypeVar("Tree")

IMAGE = "image"
"""Key under which features carry the image itself, where refinement or adaptation needs it."""


class SupportSet(NamedTuple):
    """One episode's support set."""

    features: dict[str, Tensor]
    """{level: (1, K, C, h, w)}, and the images (1, K, 3, H, W) under ``IMAGE`` where the adaptation needs them."""
    label: Tensor
    """(1, K, 1, H, W) in {0, 1, 255}."""
    text_embedding: Tensor | None
    """(1, T, D)."""


class Prompt(NamedTuple):
    """What is known of a class before the query is seen; every tensor of its contexts has the batch axis first.

    Attributes:
        host: the host's own context, a NamedTuple of tensors.
        refinement: the refinement's, or None.
        adapted: parameter of the host -> value that was tuned to the support set, or None.
    """

    host: Any
    refinement: Any = None
    adapted: dict[str, Tensor] | None = None

    def expand(self, batch_size: int) -> Prompt:
        """Repeat the prompt of one episode, without a copy, for a batch of queries."""
        contexts = map_tensors(lambda tensor: tensor.expand(batch_size, *tensor.shape[1:]), self._replace(adapted=None))
        return contexts._replace(adapted=self.adapted)

    def to(self, *arguments: Any, **options: Any) -> Prompt:
        """Move or convert every tensor, as ``Tensor.to``."""
        return map_tensors(lambda tensor: tensor.to(*arguments, **options), self)


def map_tensors(function: Callable[[Tensor], Tensor], tree: Tree) -> Tree:
    """Apply a function to every tensor in nested NamedTuples, tuples, lists and dicts."""
    return cast(Tree, _mapped(function, tree))


def _mapped(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {key: _mapped(function, value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_mapped(function, value) for value in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(_mapped(function, value) for value in tree)
    return tree


def batch_size_of(prompt: Prompt) -> int:
    """Number of episodes that a prompt is of."""
    tensors: list[Tensor] = []

    def collect(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    map_tensors(collect, prompt)
    return tensors[0].shape[0]


def check_support(features: Features, label: Tensor, text_embedding: Tensor | None) -> None:
    """Refuse a support set whose parts don't fit each other or that shows nothing.

    Args:
        features: {level: (B, K, C, h, w)}.
        label: (B, K, 1, H, W) in {0, 1, 255}.
        text_embedding: (B, T, D), or None.

    Raises:
        ValueError: saying what doesn't fit.
    """
    if label.ndim != 5 or label.shape[2] != 1:
        raise ValueError(f"support_label must be (B, K, 1, H, W), got {tuple(label.shape)}")
    for level, value in features.items():
        if value.ndim != 5 or value.shape[:2] != label.shape[:2]:
            raise ValueError(
                f"support features {level} {tuple(value.shape)} must be (B, K, C, h, w) with the B and K of "
                f"support_label {tuple(label.shape)}"
            )
    if text_embedding is not None and (text_embedding.ndim != 3 or text_embedding.shape[0] != label.shape[0]):
        raise ValueError(f"text_embedding must be ({label.shape[0]}, T, D), got {tuple(text_embedding.shape)}")
    empty = ~(label == 1).flatten(1).any(1)
    if empty.any():
        episode = int(empty.nonzero()[0])
        values = label[episode].unique().tolist()
        raise ValueError(
            f"the support masks of episode {episode} have no foreground (value 1; found {values}): "
            "give at least one annotated pixel of the class"
        )
