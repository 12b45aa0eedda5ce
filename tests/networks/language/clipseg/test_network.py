# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""CLIPSeg as a network: activations as features, sentences and examples as a condition, and what learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scripts.networks.language.adapters.placement import DenseAdapters
from scripts.networks.language.clip_tokens import ClipTokens
from scripts.networks.language.clipseg.example import masked_example
from scripts.networks.language.clipseg.load import load_clipseg
from scripts.networks.language.clipseg.network import CLIPSeg, mean_of_sentences, split_class, with_class
from scripts.networks.language.clipseg.shape import CLIPSegShape, TextShape, VisionShape

SHAPE = CLIPSegShape(
    VisionShape(16, 16, 3, 2, 8, 16), TextShape(16, 16, 3, 2, context_length=8), 16, 8, 2, 16, extract_layers=(0, 1, 2)
)


@torch.no_grad()
def test_features_are_the_blocks_outputs(clipseg_folder: Path) -> None:
    network, image = load_clipseg(clipseg_folder).eval(), torch.rand(2, 3, 64, 96)
    features = network.encode_image(image)
    assert tuple(features) == network.levels
    states = network.clip.vision_model(network.normalise(image))
    for level, layer in zip(("block2", "block3", "block4"), (1, 2, 3), strict=True):
        assert features[level].shape == (2, 48, 4, 6)
        torch.testing.assert_close(with_class(features, level), states[layer + 1])


def test_the_class_token_is_kept_apart() -> None:
    features: dict[str, torch.Tensor] = {}
    tokens = torch.randn(2, 7, 3)
    split_class(features, "a", tokens, (2, 3))
    assert torch.equal(features["a_class"], tokens[:, 0])
    assert torch.equal(features["a"][:, :, 1, 0], tokens[:, 4])
    assert torch.equal(with_class(features, "a"), tokens)


def test_mean_of_sentences_by_hand() -> None:
    vectors = torch.tensor([[[2.0], [4.0], [9.0]], [[1.0], [1.0], [1.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert mean_of_sentences(vectors, mask).tolist() == [[3.0], [0.0]]


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_an_example_beside_words(clipseg_folder: Path, weight: float) -> None:
    network = load_clipseg(clipseg_folder, example_weight=weight).eval()
    image, label = torch.rand(1, 2, 3, 64, 64), torch.zeros(1, 2, 1, 64, 64)
    label[..., 20:40, 10:50] = 1
    states, mask = torch.randn(1, 1, 32), torch.ones(1, 1, dtype=torch.bool)
    shown = torch.stack([network.encode_prompt_image(masked_example(image[:, k], label[:, k])) for k in range(2)]).mean(
        0
    )
    torch.testing.assert_close(network.encode_examples(image, label, None, None).vector, shown)
    both = network.encode_examples(image, label, states, mask).vector
    torch.testing.assert_close(both, weight * shown + (1 - weight) * states[:, 0])


@torch.no_grad()
def test_ids_of_several_sentences() -> None:
    torch.manual_seed(0)
    network = CLIPSeg(SHAPE, reads_token_ids=True).eval()
    assert network.text_dim == 8
    ids = ClipTokens(8).token_ids(["a polyp", "ulcer", "skin"])
    vectors = network.encode_token_ids(ids)
    torch.testing.assert_close(vectors, network.sentence_states(ids))
    found = network.encode_text(ids.float()[None], torch.tensor([[True, False, True]])).vector
    torch.testing.assert_close(found[0], (vectors[0] + vectors[2]) / 2)


@pytest.mark.parametrize(("adapted", "trains"), [(False, False), (False, True), (True, True)])
def test_what_learns(adapted: bool, trains: bool) -> None:
    network = CLIPSeg(SHAPE, adapters=DenseAdapters(SHAPE, 4, "V") if adapted else None, train_encoders=trains)
    learned = {name.split(".")[0] for name, value in network.named_parameters() if value.requires_grad}
    assert learned == ({"adapters"} if adapted else {"clip", "decoder"} if trains else {"decoder"})
    context = network.train().encode_text(torch.randn(1, 1, 16), torch.ones(1, 1, dtype=torch.bool))
    network.decode(network.encode_image(torch.rand(1, 3, 16, 24)), context).square().mean().backward()
    assert all(value.grad is None for value in network.parameters() if not value.requires_grad)
    assert {name.split(".")[0] for name, value in network.named_parameters() if value.grad is not None} == learned


def test_features_with_adapters_have_another_fingerprint() -> None:
    network = CLIPSeg(SHAPE, adapters=DenseAdapters(SHAPE, 4, "VC"))
    before = network.fingerprint()
    with torch.no_grad():
        network.adapters.v_attn_adapters[0].fc2.bias.add_(1)  # type: ignore[union-attr, index]
    assert network.fingerprint() != before


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"example_weight must lie between 0 and 1, got 1\.5"):
        CLIPSeg(SHAPE, example_weight=1.5)
    with pytest.raises(ValueError, match="set reads_token_ids, or leave L out of the adapters' parts"):
        CLIPSeg(SHAPE, adapters=DenseAdapters(SHAPE, 4, "L"))
