# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIP's encoders: states of every block, any grid, causal words, and where a sentence ends."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scripts.networks.language.adapters.placement import BlockAdapters
from scripts.networks.language.clipseg.encoder import ClipEncoders, TextEncoder, VisionEncoder
from scripts.networks.language.clipseg.shape import CLIPSegShape, TextShape, VisionShape
from scripts.networks.language.positions import resize_positions

VISION = VisionShape(8, 16, 3, 2, 4, 8)
TEXT = TextShape(8, 16, 3, 2, vocabulary=10, context_length=6, end_id=9)


class Nothing(nn.Module):
    """Leave an update out."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 8), (12, 20), (15, 7), (4, 4)])
def test_an_image_of_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    encoder, image = VisionEncoder(VISION).eval(), torch.randn(2, 3, *size)
    grid = (size[0] // 4, size[1] // 4)
    assert encoder.grid(image) == grid
    states = encoder(image)
    assert [state.shape for state in states] == [(2, 1 + grid[0] * grid[1], 8)] * 4
    embeddings = encoder.embeddings
    table = embeddings.position_embedding.weight
    first = encoder.pre_layrnorm(embeddings.class_embedding + table[0])
    torch.testing.assert_close(states[0][1, 0], first)
    corner = embeddings.patch_embedding.weight.flatten(1) @ image[1, :, :4, :4].flatten()
    torch.testing.assert_close(states[0][1, 1], encoder.pre_layrnorm(corner + resize_positions(table[1:], grid)[0]))
    torch.testing.assert_close(states[2], encoder.encoder.layers[1](states[1]))


@torch.no_grad()
def test_depth_and_adapters() -> None:
    encoder, image = VisionEncoder(VISION).eval(), torch.randn(1, 3, 8, 8)
    states = encoder(image)
    shallow = encoder(image, 2)
    assert len(shallow) == 3
    assert all(torch.equal(one, other) for one, other in zip(shallow, states, strict=False))
    silent = BlockAdapters([Nothing()] * 2, [Nothing()] * 2)
    adapted = encoder(image, None, silent)
    assert torch.equal(adapted[2], adapted[0])
    assert not torch.equal(adapted[3], adapted[2])  # the third block has none


def test_an_image_smaller_than_a_patch() -> None:
    with pytest.raises(ValueError, match=r"an image of \(3, 8\) pixels is smaller than a patch of 4"):
        VisionEncoder(VISION)(torch.zeros(1, 3, 3, 8))


@torch.no_grad()
def test_words_see_what_stands_before_them() -> None:
    encoder = TextEncoder(TEXT).eval()
    ids = torch.tensor([[1, 2, 3, 9], [1, 2, 4, 9]])
    last, states = encoder(ids)
    assert len(states) == 4
    torch.testing.assert_close(last, encoder.final_layer_norm(states[-1]))
    torch.testing.assert_close(last[0, :2], last[1, :2])
    assert not torch.allclose(last[0, 3], last[1, 3])
    masked, _ = encoder(ids, torch.tensor([[True, True, False, True]] * 2))
    torch.testing.assert_close(masked[0, 3], masked[1, 3])
    torch.testing.assert_close(masked[:, :2], last[:, :2])


@pytest.mark.parametrize(
    ("end_id", "ids", "place"), [(9, [1, 9, 9, 0], 1), (7, [1, 9, 7, 0], 2), (2, [1, 2, 9, 0], 2), (2, [1, 9, 9, 0], 1)]
)
def test_where_a_sentence_ends(end_id: int, ids: list[int], place: int) -> None:
    encoder = TextEncoder(TextShape(8, 16, 1, 2, vocabulary=10, context_length=6, end_id=end_id))
    states = torch.randn(2, 4, 8)
    both = torch.tensor([ids, [9 if end_id == 2 else end_id, 0, 0, 0]])
    assert torch.equal(encoder.at_end(states, both), torch.stack([states[0, place], states[1, 0]]))


def test_too_many_words() -> None:
    with pytest.raises(ValueError, match="a sentence has 7 tokens, the text encoder takes 6"):
        TextEncoder(TEXT)(torch.zeros(1, 7, dtype=torch.long))


def test_gradients_reach_both() -> None:
    encoders = ClipEncoders(CLIPSegShape(VISION, TEXT, projection=5, extract_layers=(0, 1)))
    ids = torch.tensor([[1, 2, 9]])
    sentence = encoders.text_projection(encoders.text_model.at_end(encoders.text_model(ids)[0], ids))
    seen = encoders.vision_model.post_layernorm(encoders.vision_model(torch.randn(1, 3, 8, 8))[-1][:, 0])
    shown = encoders.visual_projection(seen)
    assert sentence.shape == shown.shape == (1, 5)
    (sentence * shown).sum().backward()
    assert all(value.grad is not None for value in encoders.parameters())
