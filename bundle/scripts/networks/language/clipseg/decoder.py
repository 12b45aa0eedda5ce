# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIPSeg's decoder: three small transformer blocks over the image's activations, modulated by the condition.

    z = W_i a_i + b_i + z                      a_i from deep to shallow
    z = (M c + m) * z + (A c + a)              at one block: FiLM (Dumoulin et al. 2018)
    z = LN(z + attention(z)); z = LN(z + mlp(z))

Then the class token is dropped and transposed convolutions bring the grid of patches to pixels. The grid may be a
rectangle.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..blocks import PostNormBlock, as_map

__all__ = ["CLIPSegDecoder"]


class CLIPSegDecoder(nn.Module):
    """Activations and condition -> logits.

    Args:
        width: of the activations.
        condition_width: of the condition vector.
        depth: number of activations and blocks.
        reduced: width of the decoder's tokens.
        num_heads: of its attention.
        hidden: between the linear layers of its blocks.
        patch_size: pixels per cell of the grid, in the simple form.
        conditional_layer: block before which the condition acts.
        is_complex: draw the mask by a 3x3 convolution and two transposed ones, each of patch_size // 4, as the
            published weights "refined" do. Their product is the patch's size for patches of 16 only; the caller resizes
            what comes out of others.
        dropout: in training; the authors took 0.1, the library's port has none.
        eps: of the norms.
    """

    def __init__(
        self,
        width: int,
        condition_width: int,
        depth: int = 3,
        reduced: int = 64,
        num_heads: int = 4,
        hidden: int = 2048,
        patch_size: int = 16,
        conditional_layer: int = 0,
        is_complex: bool = True,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conditional_layer = conditional_layer
        self.film_mul = nn.Linear(condition_width, reduced)
        self.film_add = nn.Linear(condition_width, reduced)
        self.transposed_convolution = _drawing_layers(reduced, patch_size, is_complex)
        self.reduces = nn.ModuleList([nn.Linear(width, reduced) for _ in range(depth)])
        self.layers = nn.ModuleList([PostNormBlock(reduced, num_heads, hidden, eps, dropout) for _ in range(depth)])

    def forward(self, activations: Sequence[Tensor], condition: Tensor, grid: tuple[int, int]) -> Tensor:
        """Decode.

        Args:
            activations: (B, 1 + h * w, D) each, from shallow to deep, class token first.
            condition: (B, C).
            grid: (h, w).

        Returns:
            (B, 1, H, W) logits.
        """
        tokens = activations[0].new_zeros(())
        for index, (activation, reduce, layer) in enumerate(
            zip(reversed(activations), self.reduces, self.layers, strict=True)
        ):
            tokens = reduce(activation) + tokens
            if index == self.conditional_layer:
                tokens = self.film_mul(condition)[:, None] * tokens + self.film_add(condition)[:, None]
            tokens = layer(tokens)
        result: Tensor = self.transposed_convolution(as_map(tokens[:, 1:], grid))
        return result


def _drawing_layers(reduced: int, patch_size: int, is_complex: bool) -> nn.Module:
    if not is_complex:
        return nn.ConvTranspose2d(reduced, 1, patch_size, patch_size)
    if patch_size < 4:
        raise ValueError(f"the complex decoder needs patches of at least 4 pixels, got {patch_size}")
    step = patch_size // 4
    return nn.Sequential(
        nn.Conv2d(reduced, reduced, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(reduced, reduced // 2, step, step),
        nn.ReLU(),
        nn.ConvTranspose2d(reduced // 2, 1, step, step),
    )
