# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIP's image and text encoders as CLIPSeg uses them (Lüddecke & Ecker 2022), by a forward of our own.

The class of the library `transformers` runs both under no-grad, so that "end-to-end" trainings with it never changed
them. Here gradients reach whatever asks for them. Module names are those of the hub's checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..adapters.placement import BlockAdapters
from ..blocks import PreNormBlock
from ..positions import resize_positions
from .shape import CLIPSegShape, TextShape, VisionShape

__all__ = ["ClipEncoders", "TextEncoder", "VisionEncoder"]


class ClipEncoders(nn.Module):
    """Both encoders with their projections to the space that they share.

    Args:
        shape: of the network.
    """

    def __init__(self, shape: CLIPSegShape) -> None:
        super().__init__()
        self.text_model = TextEncoder(shape.text)
        self.vision_model = VisionEncoder(shape.vision)
        self.visual_projection = nn.Linear(shape.vision.width, shape.projection, bias=False)
        self.text_projection = nn.Linear(shape.text.width, shape.projection, bias=False)


class VisionEncoder(nn.Module):
    """Vision transformer: LN([class; patches] + positions), then pre-norm blocks.

    Args:
        shape: of the encoder.
    """

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.patch_size = shape.patch_size
        self.embeddings = _ImageEmbeddings(shape)
        self.pre_layrnorm = nn.LayerNorm(shape.width, eps=shape.eps)
        self.encoder = _Blocks(shape)
        self.post_layernorm = nn.LayerNorm(shape.width, eps=shape.eps)

    def forward(self, image: Tensor, depth: int | None = None, adapters: BlockAdapters | None = None) -> list[Tensor]:
        """Compute the states.

        Args:
            image: (B, 3, H, W), normalised; rows and columns beyond a whole number of patches are not seen.
            depth: number of blocks to run; None runs all.
            adapters: in the first blocks.

        Returns:
            The embedding and the output of every block that was run, each (B, 1 + h * w, D).

        Raises:
            ValueError: for an image smaller than a patch.
        """
        states = [self.pre_layrnorm(self.embeddings(image))]
        for index, block in enumerate(self.encoder.layers[:depth]):
            states.append(block(states[-1], None, *((None, None) if adapters is None else adapters.of(index))))
        return states

    def grid(self, image: Tensor) -> tuple[int, int]:
        """Rows and columns of patches of an image."""
        return image.shape[-2] // self.patch_size, image.shape[-1] // self.patch_size


class TextEncoder(nn.Module):
    """Causal transformer over the tokens of a sentence.

    Args:
        shape: of the encoder.
    """

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.end_id = shape.end_id
        self.context_length = shape.context_length
        self.embeddings = _TokenEmbeddings(shape)
        self.encoder = _Blocks(shape)
        self.final_layer_norm = nn.LayerNorm(shape.width, eps=shape.eps)

    def forward(
        self, token_ids: Tensor, mask: Tensor | None = None, adapters: BlockAdapters | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute the states.

        Args:
            token_ids: (B, T).
            mask: (B, T), true where a token is no padding; None for all.
            adapters: in the first blocks.

        Returns:
            The last states after their norm (B, T, D), and the embedding and the output of every block.

        Raises:
            ValueError: for more tokens than the context takes.
        """
        length = token_ids.shape[1]
        if length > self.context_length:
            raise ValueError(f"a sentence has {length} tokens, the text encoder takes {self.context_length}")
        states = [self.embeddings(token_ids)]
        sees = torch.ones(length, length, dtype=torch.bool, device=token_ids.device).tril()[None, None]
        if mask is not None:
            sees = sees & mask.bool()[:, None, None]
        for index, block in enumerate(self.encoder.layers):
            states.append(block(states[-1], sees, *((None, None) if adapters is None else adapters.of(index))))
        return self.final_layer_norm(states[-1]), states

    def at_end(self, states: Tensor, token_ids: Tensor) -> Tensor:
        """Pick the state at each sentence's end token.

        The end is the first token with the end's id. Checkpoints whose configuration gives 2 as that id, which no CLIP
        tokenizer writes, end a sentence at its largest id.

        Args:
            states: (B, T, D).
            token_ids: (B, T).

        Returns:
            (B, D).
        """
        score = token_ids if self.end_id == 2 else (token_ids == self.end_id).int()
        return states[torch.arange(states.shape[0], device=states.device), score.argmax(dim=1)]


class _ImageEmbeddings(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        side = shape.image_size // shape.patch_size
        self.class_embedding = nn.Parameter(torch.randn(shape.width) * shape.width**-0.5)
        self.patch_embedding = nn.Conv2d(3, shape.width, shape.patch_size, shape.patch_size, bias=False)
        self.position_embedding = nn.Embedding(side * side + 1, shape.width)
        nn.init.normal_(self.position_embedding.weight, std=0.02)

    def forward(self, image: Tensor) -> Tensor:
        if min(image.shape[-2:]) < self.patch_embedding.kernel_size[0]:
            raise ValueError(
                f"an image of {tuple(image.shape[-2:])} pixels is smaller than a patch of "
                f"{self.patch_embedding.kernel_size[0]}"
            )
        patches = self.patch_embedding(image)
        table = self.position_embedding.weight
        positions = torch.cat([table[:1], resize_positions(table[1:], (patches.shape[2], patches.shape[3]))])
        first = self.class_embedding.expand(image.shape[0], 1, -1)
        return torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1) + positions


class _TokenEmbeddings(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.position_embedding = nn.Embedding(shape.context_length, shape.width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position_embedding.weight, std=0.02)

    def forward(self, token_ids: Tensor) -> Tensor:
        result: Tensor = self.token_embedding(token_ids) + self.position_embedding.weight[: token_ids.shape[1]]
        return result


class _Blocks(nn.Module):
    def __init__(self, shape: VisionShape | TextShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [PreNormBlock(shape.width, shape.num_heads, shape.hidden, shape.eps) for _ in range(shape.num_layers)]
        )
