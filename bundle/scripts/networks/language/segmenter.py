# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The segmenter of networks that words prompt, with the three calls of the few-shot one, and no support set.

    prompt = segmenter.encode_prompt(text_embedding=...)
    features = segmenter.features(image)
    logits = segmenter.segment(features, prompt)

An image is encoded once, whatever the number of sentences; a sentence once, whatever the number of images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..adaptation import Adaptation
from ..hosts.base import TrainingTerm
from ..segmenter import Prompt, described_network, map_tensors
from .base import AuxiliaryTerm, Features, LanguageNetwork, binary_logits

__all__ = ["ImageFeatures", "LanguageSegmenter"]

_SIGNATURE_BYTES = 256


class LanguageSegmenter(nn.Module):
    """A language network behind the interface of ``Segmenter``.

    Args:
        network: CLIPSeg, CRIS, BiomedCLIPSeg or LSMS.
        text_dim: width of the text that it will get, to be checked beforehand; None checks it when it comes.
        threshold: probability from which a pixel is foreground; the background's logit is set to it.
        use_examples: make annotated images part of the prompt, where the network takes them and they are given as
            images; otherwise a support set is not looked at.
        refinement: must be None; refused by name rather than left out without a word.
        adaptation: must be None.

    Raises:
        ValueError: for text of another width than the network reads, a threshold outside (0, 1), examples for a network
            that takes none, a refinement or adaptation.
    """

    def __init__(
        self,
        network: LanguageNetwork,
        text_dim: int | None = None,
        threshold: float = 0.5,
        use_examples: bool = False,
        refinement: nn.Module | None = None,
        adaptation: Adaptation | None = None,
    ) -> None:
        super().__init__()
        for what, value in (("refinement", refinement), ("adaptation", adaptation)):
            if value is not None:
                raise ValueError(
                    f"the {what} {type(value).__name__} learns from a support set, which words don't bring: leave "
                    f"its overlay out with network {network.name}"
                )
        if text_dim is not None and text_dim != network.text_dim:
            raise ValueError(_wrong_width(network, f"(B, T, {text_dim})"))
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {threshold}")
        if use_examples and not network.takes_examples:
            raise ValueError(f"network {network.name} takes no annotated images as prompt; set use_examples to false")
        self.host = network
        self.threshold = threshold
        self.use_examples = use_examples
        self.signature: Tensor
        self.register_buffer("signature", _as_bytes(self.description()), persistent=True)

    def description(self) -> str:
        """Name the network and its levels: what a checkpoint must agree with."""
        return f"language network {self.host.name}, words of {self.host.text_dim}"

    def features(self, image: Tensor) -> Features:
        """Compute all that doesn't depend on the prompt.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].

        Returns:
            {level: (B, ...)}.
        """
        return self.host.encode_image(image)

    def encode_prompt(
        self,
        support_image: Tensor | Features | None = None,
        support_label: Tensor | None = None,
        text_embedding: Tensor | None = None,
        *,
        token_states: Tensor | None = None,
        token_mask: Tensor | None = None,
    ) -> Prompt:
        """Do all work that depends on the prompt alone.

        Args:
            support_image: (B, K, 3, H, W) RGB in [0, 1] with ``use_examples``; not looked at otherwise.
            support_label: (B, K, 1, H, W) in {0, 1, 255}.
            text_embedding: (B, T, D) sentences, or states of words; rows of zeros are padding.
            token_states: (B, T, D) states of words, with their own mask.
            token_mask: (B, T), true for words.

        Returns:
            The prompt, for ``segment``.

        Raises:
            ValueError: when there is neither text nor example, or the text is of another width than the network reads.
        """
        states, mask = self._words(text_embedding, token_states, token_mask)
        if self.use_examples and isinstance(support_image, Tensor) and support_label is not None:
            return Prompt(self.host.encode_examples(support_image, support_label, states, mask))
        if states is None or mask is None:
            raise ValueError(
                f"network {self.host.name} is prompted by words: give text_embedding, or token_states and token_mask"
                + (" (or annotated images)" if self.use_examples else "")
                + ". In a configuration, set text_table; text/off has none"
            )
        return Prompt(self.host.encode_text(states, mask))

    def segment(
        self,
        image: Tensor | Features,
        prompt: Prompt,
        output_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Segment.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], or its features.
            prompt: from ``encode_prompt``: one for each image, one for all, or many for one image.
            output_size: height and width of the logits; None means those of the image or, where only features are
                given, of the network's grid.

        Returns:
            (B, 2, H, W) logits, background first; B is the number of prompts where there is one image.

        Raises:
            ValueError: when the numbers of images and prompts don't fit.
        """
        features = self.features(image) if isinstance(image, Tensor) else image
        images, prompts = _length(features), _length(prompt)
        if images != prompts:
            if 1 not in (images, prompts):
                raise ValueError(f"{prompts} prompts can't serve {images} images: one of both must be 1, or both equal")
            features = {
                level: value.expand(max(images, prompts), *value.shape[1:]) for level, value in features.items()
            }
            prompt = prompt.expand(max(images, prompts))
        logits = self.host.decode(features, prompt.host)
        if output_size is None and isinstance(image, Tensor):
            output_size = (image.shape[2], image.shape[3])
        if output_size is not None:
            logits = self.host.upsample(logits, output_size)
        # Probability p at logit x means p > threshold at x > log(t / (1 - t)).
        return binary_logits(logits - math.log(self.threshold / (1 - self.threshold)))

    def forward(
        self,
        image: Tensor | Features,
        support_image: Tensor | Features | None = None,
        support_label: Tensor | None = None,
        text_embedding: Tensor | None = None,
        query_label: Tensor | None = None,
    ) -> Tensor | list[TrainingTerm | AuxiliaryTerm]:
        """Encode the prompt and segment, in one call: for training and MONAI's inferers.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], or features.
            support_image: see ``encode_prompt``.
            support_label: see ``encode_prompt``; where only features of the image are given, the logits have its size.
            text_embedding: (B, T, D).
            query_label: (B, 1, H, W) in {0, 1, 255}; given, the result is the list of the network's training terms.

        Returns:
            (B, 2, H, W) logits, or training terms.
        """
        prompt = self.encode_prompt(support_image, support_label, text_embedding)
        features = self.features(image) if isinstance(image, Tensor) else image
        if query_label is not None:
            return self.host.training_terms(features, prompt.host, query_label)
        sized = image if isinstance(image, Tensor) else support_label
        return self.segment(features, prompt, None if sized is None else (sized.shape[-2], sized.shape[-1]))

    def _words(
        self, text_embedding: Tensor | None, states: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        if text_embedding is not None and states is not None:
            raise ValueError("give either text_embedding, or token_states and token_mask, not both")
        if states is None and text_embedding is not None:
            states, mask = text_embedding, text_embedding.flatten(2).any(2)
        if states is None:
            return None, None
        if states.ndim != 3 or states.shape[2] != self.host.text_dim:
            raise ValueError(_wrong_width(self.host, str(tuple(states.shape))))
        if mask is None or mask.shape != states.shape[:2]:
            found = None if mask is None else tuple(mask.shape)
            raise ValueError(f"token_mask must be {tuple(states.shape[:2])} as token_states, got {found}")
        return states, mask.bool()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: object) -> None:
        found = described_network(state_dict, prefix)
        if found is not None and found != self.description():
            raise ValueError(f"the checkpoint is of {found}; the network is {self.description()}")
        super()._load_from_state_dict(state_dict, prefix, *arguments)


class ImageFeatures:
    """The segmenter's first step by itself, for transforms that cache features.

    Args:
        segmenter: whose features are computed.

    Raises:
        ValueError: when what computes them learns: they would change.
    """

    def __init__(self, segmenter: LanguageSegmenter) -> None:
        encoder = segmenter.host.image_encoder()
        if any(parameter.requires_grad for parameter in encoder.parameters()):
            raise ValueError(
                f"features of {segmenter.host.name} can't be cached, since its image encoder learns: set "
                "encode_transforms to [], or freeze the encoder"
            )
        self.segmenter = segmenter
        self.levels = segmenter.host.levels

    def __call__(self, image: Tensor) -> Features:
        """Compute {level: (B, ...)} of images (B, 3, H, W)."""
        return self.segmenter.features(image)

    def modules(self) -> Iterator[nn.Module]:
        """Iterate over what computes the features."""
        return self.segmenter.host.image_encoder().modules()

    def fingerprint(self) -> str:
        """Identify weights, layers and preprocessing."""
        return self.segmenter.host.fingerprint()


def _wrong_width(network: LanguageNetwork, found: str) -> str:
    return (
        f"text for network {network.name} must be (B, T, {network.text_dim}), got {found}; it must come from the text "
        "encoder that the network's overlay names"
    )


def _length(tree: Features | Prompt) -> int:
    """Batch size of the first tensor."""
    lengths: list[int] = []

    def collect(tensor: Tensor) -> Tensor:
        lengths.append(tensor.shape[0])
        return tensor

    map_tensors(collect, tree)
    return lengths[0]


def _as_bytes(text: str) -> Tensor:
    return torch.tensor(list(text.encode()[:_SIGNATURE_BYTES].ljust(_SIGNATURE_BYTES, b"\0")), dtype=torch.uint8)
