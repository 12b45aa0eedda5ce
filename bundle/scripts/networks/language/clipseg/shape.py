# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Widths, depths and layers of a CLIPSeg, and how they are read from a model folder's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CLIPSegShape", "TextShape", "VisionShape", "shape_of"]


@dataclass(frozen=True)
class VisionShape:
    """CLIP's image encoder; the defaults are ViT-B/16."""

    width: int = 768
    hidden: int = 3072
    num_layers: int = 12
    num_heads: int = 12
    patch_size: int = 16
    image_size: int = 224
    eps: float = 1e-5


@dataclass(frozen=True)
class TextShape:
    """CLIP's text encoder.

    Args:
        end_id: id of the end token. With 2, which old checkpoints have, the largest id ends a sentence.
    """

    width: int = 512
    hidden: int = 2048
    num_layers: int = 12
    num_heads: int = 8
    vocabulary: int = 49408
    context_length: int = 77
    end_id: int = 49407
    eps: float = 1e-5


@dataclass(frozen=True)
class CLIPSegShape:
    """The whole network; the defaults are the published ``clipseg-rd64-refined``.

    Args:
        vision: image encoder.
        text: text encoder.
        projection: width of the condition vector.
        reduced: width of the decoder's tokens.
        decoder_heads: heads of the decoder's attention.
        decoder_hidden: width between the linear layers of the decoder's blocks.
        extract_layers: blocks, counted from zero, whose outputs the decoder reads, from shallow to deep.
        conditional_layer: decoder block before which the condition acts.
        is_complex: three convolutions instead of one draw the mask.
    """

    vision: VisionShape = field(default_factory=VisionShape)
    text: TextShape = field(default_factory=TextShape)
    projection: int = 512
    reduced: int = 64
    decoder_heads: int = 4
    decoder_hidden: int = 2048
    extract_layers: tuple[int, ...] = (3, 6, 9)
    conditional_layer: int = 0
    is_complex: bool = True

    def __post_init__(self) -> None:
        if not self.extract_layers or max(self.extract_layers) >= self.vision.num_layers:
            raise ValueError(
                f"extract_layers {self.extract_layers} must name some of the {self.vision.num_layers} blocks, from 0"
            )
        if not 0 <= self.conditional_layer < len(self.extract_layers):
            raise ValueError(
                f"conditional_layer {self.conditional_layer} must be one of the {len(self.extract_layers)} blocks of "
                "the decoder, from 0"
            )

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the activations that the decoder reads, from shallow to deep."""
        return tuple(f"block{layer + 1}" for layer in self.extract_layers)


def shape_of(config: Mapping[str, Any], source: str) -> CLIPSegShape:
    """Read a shape from the content of config.json, as the library `transformers` writes it.

    Entries that a file leaves out have that library's defaults.

    Args:
        config: the content.
        source: named in errors.

    Raises:
        ValueError: when the file is of another kind of network, or of an activation that isn't CLIP's.
    """
    if config.get("model_type") != "clipseg":
        raise ValueError(f"{source} is of a model of type {config.get('model_type')!r}, expected 'clipseg'")
    vision, text = config.get("vision_config") or {}, config.get("text_config") or {}
    for name, part in (("vision_config", vision), ("text_config", text)):
        activation = part.get("hidden_act", "quick_gelu")
        if activation != "quick_gelu":
            raise ValueError(f"{source}: {name} has the activation {activation!r}, only quick_gelu is known")
    return CLIPSegShape(
        vision=VisionShape(
            width=vision.get("hidden_size", 768),
            hidden=vision.get("intermediate_size", 3072),
            num_layers=vision.get("num_hidden_layers", 12),
            num_heads=vision.get("num_attention_heads", 12),
            patch_size=vision.get("patch_size", 32),
            image_size=vision.get("image_size", 224),
            eps=vision.get("layer_norm_eps", 1e-5),
        ),
        text=TextShape(
            width=text.get("hidden_size", 512),
            hidden=text.get("intermediate_size", 2048),
            num_layers=text.get("num_hidden_layers", 12),
            num_heads=text.get("num_attention_heads", 8),
            vocabulary=text.get("vocab_size", 49408),
            context_length=text.get("max_position_embeddings", 77),
            end_id=text.get("eos_token_id", 49407),
            eps=text.get("layer_norm_eps", 1e-5),
        ),
        projection=config.get("projection_dim", 512),
        reduced=config.get("reduce_dim", 64),
        decoder_heads=config.get("decoder_num_attention_heads", 4),
        decoder_hidden=config.get("decoder_intermediate_size", 2048),
        extract_layers=tuple(config.get("extract_layers", (3, 6, 9))),
        conditional_layer=config.get("conditional_layer", 0),
        is_complex=config.get("use_complex_transposed_convolution", False),
    )
