# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""BiomedCLIPSeg (Poudel et al., MIDL 2024): CLIPSeg's decoder over the image encoder of BiomedCLIP (Zhang et al. 2023).

The released code takes the outputs of blocks 5, 8 and 11 where CLIPSeg's are those of 4, 7 and 10: its list of states
lacks the embedding that the other's begins with. It also runs the encoder in inference mode, so that it can't be
trained.
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ..base import Features, LanguageNetwork, Normalise
from ..clipseg.decoder import CLIPSegDecoder
from ..clipseg.network import Condition, mean_of_sentences, split_class, with_class
from ..cris.network import CLIP_MEAN, CLIP_STD
from ..positions import resize_positions

__all__ = ["BiomedCLIPSeg", "TimmEncoder"]


class TimmEncoder(nn.Module):
    """timm's vision transformer as open_clip holds it, without a norm before the blocks.

    Args:
        trunk: with a class token and one position per token.
    """

    def __init__(self, trunk: VisionTransformer) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, image: Tensor, depth: int) -> tuple[list[Tensor], tuple[int, int]]:
        """Compute the outputs (B, 1 + h * w, D) of the first blocks of a normalised image, and the grid (h, w)."""
        patches = self.trunk.patch_embed.proj(image)
        grid = (patches.shape[2], patches.shape[3])
        table, class_token = self.trunk.get_parameter("pos_embed")[0], self.trunk.get_parameter("cls_token")
        positions = torch.cat([table[:1], resize_positions(table[1:], grid)])
        first = class_token.expand(image.shape[0], -1, -1)
        tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1) + positions
        states = []
        for block in self.trunk.blocks[:depth]:
            tokens = block(tokens)
            states.append(tokens)
        return states, grid


class BiomedCLIPSeg(LanguageNetwork):
    """A sentence's vector in BiomedCLIP's space conditions CLIPSeg's decoder.

    Args:
        trunk: image encoder.
        text_dim: of the sentences' vectors (see the overlay ``text/biomedclip``).
        decoder: CLIPSeg's, for this encoder's width; -D starts from its published weights.
        extract_layers: blocks, counted from zero, whose outputs the decoder reads, from shallow to deep.
        released: read the outputs of the blocks one later, as the released code does.
        train_encoder: let gradients reach the image encoder.
    """

    def __init__(
        self,
        trunk: VisionTransformer,
        decoder: CLIPSegDecoder,
        text_dim: int = 512,
        *,
        extract_layers: tuple[int, ...] = (3, 6, 9),
        released: bool = False,
        train_encoder: bool = False,
    ) -> None:
        super().__init__()
        layers = tuple(layer + released for layer in extract_layers)
        if max(layers) >= len(trunk.blocks):
            raise ValueError(f"layers {layers} must name some of the {len(trunk.blocks)} blocks, from 0")
        self.name = "biomedclipseg"
        self.layers = layers
        self.block_names = tuple(f"block{layer + 1}" for layer in layers)
        self.levels = tuple(name for block in self.block_names for name in (block, block + "_class"))
        self.text_dim = text_dim
        self.normalise = Normalise(CLIP_MEAN, CLIP_STD)
        self.image = TimmEncoder(trunk).requires_grad_(train_encoder)
        self.decoder = decoder

    def encode_image(self, image: Tensor) -> Features:
        """Compute the activations of (B, 3, H, W) RGB in [0, 1], named as CLIPSeg's."""
        states, grid = self.image(self.normalise(image), max(self.layers) + 1)
        features: Features = {}
        for name, layer in zip(self.block_names, self.layers, strict=True):
            split_class(features, name, states[layer], grid)
        return features

    def encode_text(self, states: Tensor, mask: Tensor) -> Condition:
        """Make the condition of (B, T, D) sentences; several count alike."""
        return Condition(mean_of_sentences(states, mask))

    def decode(self, features: Features, context: Condition) -> Tensor:
        """Decode (B, 1, H, W) logits from the activations."""
        height, width = features[self.block_names[0]].shape[-2:]
        activations = [with_class(features, name) for name in self.block_names]
        result: Tensor = self.decoder(activations, context.vector, (height, width))
        return result

    def image_encoder(self) -> nn.Module:
        """BiomedCLIP's image encoder."""
        return nn.ModuleList([self.normalise, self.image])
