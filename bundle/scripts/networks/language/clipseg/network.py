# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIPSeg (Lüddecke & Ecker 2022): a sentence, an annotated image, or both, condition a decoder over CLIP's image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..adapters.placement import DenseAdapters, ShallowAdapters
from ..base import Features, LanguageNetwork, Normalise
from ..blocks import as_map
from .decoder import CLIPSegDecoder
from .encoder import ClipEncoders
from .example import masked_example
from .shape import CLIPSegShape

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "CLIPSeg", "Condition", "mean_of_sentences", "split_class", "with_class"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_CLASS = "_class"


class Condition(NamedTuple):
    """What the decoder is asked for."""

    vector: Tensor
    """(B, C), not normalised"""


class CLIPSeg(LanguageNetwork):
    """CLIPSeg with any input size, gradients where they are asked for, and adapters where wanted.

    Its features are the activations that the decoder reads: per level the patches (B, D, h, w), and the class token
    (B, D) under the level's name followed by ``_class``.

    Args:
        shape: widths and layers; see ``load_clipseg`` for a published or trained network.
        adapters: of VLSM-Adapter; all but them is then frozen.
        train_encoders: let gradients reach CLIP's encoders; the decoder always learns unless there are adapters.
        reads_token_ids: sentences come as token ids, one a row, and are encoded here: needed to train the text encoder
            or adapters in it. Otherwise they come as condition vectors (see ``CLIPSegSentences``).
        example_weight: share of an annotated image in the condition where both are given, 0 to 1.
    """

    takes_examples = True

    def __init__(
        self,
        shape: CLIPSegShape | None = None,
        *,
        adapters: DenseAdapters | ShallowAdapters | None = None,
        train_encoders: bool = False,
        reads_token_ids: bool = False,
        example_weight: float = 0.5,
    ) -> None:
        super().__init__()
        if not 0 <= example_weight <= 1:
            raise ValueError(f"example_weight must lie between 0 and 1, got {example_weight}")
        if adapters is not None and "L" in adapters.parts and not reads_token_ids:
            raise ValueError(
                "adapters of the text encoder need sentences as token ids, not as embeddings: set reads_token_ids, or "
                "leave L out of the adapters' parts"
            )
        shape = shape or CLIPSegShape()
        self.shape = shape
        self.name = "clipseg" + ("" if adapters is None else f" with {type(adapters).__name__} {adapters.parts}")
        self.levels = tuple(name for level in shape.levels for name in (level, level + _CLASS))
        self.reads_token_ids = reads_token_ids
        self.context_length = shape.text.context_length
        self.state_dim = shape.projection
        self.text_dim = self.context_length if reads_token_ids else self.state_dim
        self.example_weight = example_weight
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.clip = ClipEncoders(shape).requires_grad_(train_encoders and adapters is None)
        self.decoder = CLIPSegDecoder(
            shape.vision.width,
            shape.projection,
            depth=len(shape.extract_layers),
            reduced=shape.reduced,
            num_heads=shape.decoder_heads,
            hidden=shape.decoder_hidden,
            patch_size=shape.vision.patch_size,
            conditional_layer=shape.conditional_layer,
            is_complex=shape.is_complex,
            eps=shape.vision.eps,
        ).requires_grad_(adapters is None)
        self.adapters = adapters

    def encode_image(self, image: Tensor) -> Features:
        """Compute the activations of (B, 3, H, W) RGB in [0, 1]."""
        encoder = self.clip.vision_model
        deepest = max(self.shape.extract_layers) + 1
        states = encoder(self.normalise(image), deepest, None if self.adapters is None else self.adapters.vision)
        features: Features = {}
        for level, layer in zip(self.shape.levels, self.shape.extract_layers, strict=True):
            split_class(features, level, states[layer + 1], encoder.grid(image))
        return features

    def encode_text(self, states: Tensor, mask: Tensor) -> Condition:
        """Make the condition; several sentences count alike.

        Args:
            states: (B, T, C) condition vectors, or (B, T, context) token ids where the network reads those.
            mask: (B, T), true for sentences.
        """
        if self.reads_token_ids:
            vectors = self.encode_token_ids(states.flatten(0, 1).round().long()).reshape(*states.shape[:2], -1)
        else:
            vectors = states
        vector = mean_of_sentences(vectors, mask)
        if self.adapters is not None and not self.reads_token_ids:
            vector = self.adapters.condition(vector)
        return Condition(vector)

    def encode_token_ids(self, token_ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute condition vectors of sentences.

        Args:
            token_ids: (N, T) with start and end.
            mask: (N, T), true for what is no padding; None: what follows the end is not seen by it anyway.

        Returns:
            (N, C).
        """
        encoder = self.clip.text_model
        last, states = encoder(token_ids, mask, None if self.adapters is None else self.adapters.text)
        vectors = self.clip.text_projection(encoder.at_end(last, token_ids))
        if self.adapters is None:
            result: Tensor = vectors
            return result
        ends = None
        if isinstance(self.adapters, ShallowAdapters) and "L" in self.adapters.parts:
            ends = [encoder.at_end(states[layer + 1], token_ids) for layer in self.shape.extract_layers]
        return self.adapters.condition(vectors, ends)

    @torch.no_grad()
    def sentence_states(self, token_ids: Tensor) -> Tensor:
        """Compute condition vectors (N, C) of token ids (N, T) by the frozen network, without adapters."""
        encoder = self.clip.text_model
        result: Tensor = self.clip.text_projection(encoder.at_end(encoder(token_ids)[0], token_ids))
        return result

    def text_encoder(self) -> nn.Module:
        """The part that computes ``sentence_states``."""
        return nn.ModuleList([self.clip.text_model, self.clip.text_projection])

    def encode_examples(self, image: Tensor, label: Tensor, states: Tensor | None, mask: Tensor | None) -> Condition:
        """Make the condition of annotated images, mixed with that of sentences where there are any; see the class."""
        shots = image.shape[1]
        prompts = masked_example(image.flatten(0, 1), label.flatten(0, 1))
        vector = self.encode_prompt_image(prompts).reshape(image.shape[0], shots, -1).mean(1)
        if states is None or mask is None:
            return Condition(vector)
        return Condition(torch.lerp(self.encode_text(states, mask).vector, vector, self.example_weight))

    def encode_prompt_image(self, image: Tensor) -> Tensor:
        """Compute condition vectors (N, C) of images (N, 3, H, W), RGB in [0, 1]."""
        encoder = self.clip.vision_model
        result: Tensor = self.clip.visual_projection(encoder.post_layernorm(encoder(self.normalise(image))[-1][:, 0]))
        return result

    def decode(self, features: Features, context: Condition) -> Tensor:
        """Decode (B, 1, H, W) logits from the activations."""
        activations = [with_class(features, level) for level in self.shape.levels]
        if self.adapters is not None:
            activations = self.adapters.activations(activations)
        height, width = features[self.shape.levels[0]].shape[-2:]
        result: Tensor = self.decoder(activations, context.vector, (height, width))
        return result

    def image_encoder(self) -> nn.Module:
        """CLIP's image encoder, with the adapters where they change the features."""
        parts: list[nn.Module] = [self.clip.vision_model, self.normalise]
        if self.adapters is not None and self.adapters.vision is not None:
            parts.append(self.adapters)
        return nn.ModuleList(parts)


def mean_of_sentences(vectors: Tensor, mask: Tensor) -> Tensor:
    """Average (B, T, C) over what is no padding (B, T); zero where nothing is."""
    weight = mask.to(vectors.dtype)[..., None]
    return (vectors * weight).sum(1) / weight.sum(1).clamp_min(1)


def split_class(features: Features, level: str, tokens: Tensor, grid: tuple[int, int]) -> None:
    """Keep tokens (B, 1 + h * w, D) as a map and a class token."""
    features[level] = as_map(tokens[:, 1:], grid)
    features[level + _CLASS] = tokens[:, 0]


def with_class(features: Features, level: str) -> Tensor:
    """Undo ``split_class``."""
    return torch.cat([features[level + _CLASS][:, None], features[level].flatten(2).transpose(1, 2)], dim=1)
