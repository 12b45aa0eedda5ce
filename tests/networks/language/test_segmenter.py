# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The segmenter for words: three calls as the few-shot one's, one image for many sentences, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scripts.inferers.episode_inferer import EpisodeInferer
from scripts.losses import SentenceLoss
from scripts.networks.blocks.logits import resize_logits
from scripts.networks.language import LSMS, ImageFeatures, LanguageSegmenter, load_biomedclipseg, load_clipseg
from scripts.networks.language.base import LanguageNetwork
from scripts.networks.language.cris.network import CRIS

TEXT_WIDTH = 32
SIZE = (64, 96)


@pytest.fixture(params=["clipseg", "cris", "biomedclipseg", "lsms", "lsms_b"])
def segmenter(
    request: pytest.FixtureRequest, clipseg_folder: Path, biomedclip_folder: Path, small_cris: CRIS
) -> LanguageSegmenter:
    torch.manual_seed(0)
    make: dict[str, Callable[[], LanguageNetwork]] = {
        "clipseg": lambda: load_clipseg(clipseg_folder),
        "cris": lambda: small_cris,
        "biomedclipseg": lambda: load_biomedclipseg(biomedclip_folder),
        "lsms": lambda: LSMS(TEXT_WIDTH, "tiny"),
        "lsms_b": lambda: LSMS(TEXT_WIDTH, "tiny", in_every_block=False, decoder="cross_scale", contrast="batch"),
    }
    return LanguageSegmenter(make[request.param]()).eval()


def sentences(count: int, length: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(count, length, TEXT_WIDTH, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_features_first_is_the_same(segmenter: LanguageSegmenter) -> None:
    images, text = torch.rand(2, 3, *SIZE), sentences(2)
    prompt = segmenter.encode_prompt(text_embedding=text)
    logits = segmenter.segment(images, prompt)
    assert logits.shape == (2, 2, *SIZE)
    features = segmenter.features(images)
    assert set(features) == set(segmenter.host.levels)
    torch.testing.assert_close(segmenter.segment(features, prompt, SIZE), logits)
    torch.testing.assert_close(segmenter(images, text_embedding=text), logits)
    alone = segmenter.segment(images[1:], segmenter.encode_prompt(text_embedding=text[1:]))
    torch.testing.assert_close(alone, logits[1:], rtol=1e-3, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("output_size", [(50, 70), (128, 192)])
def test_logits_of_any_size(segmenter: LanguageSegmenter, output_size: tuple[int, int]) -> None:
    """One resizing from the network's grid, whether images or features are given; without a size, that of the image."""
    images, prompt = torch.rand(2, 3, *SIZE), segmenter.encode_prompt(text_embedding=sentences(2))
    features, host = segmenter.features(images), segmenter.host
    grid = segmenter.segment(features, prompt)
    expected = resize_logits(grid, output_size, host.align_corners, host.resize_mode)
    torch.testing.assert_close(segmenter.segment(features, prompt, output_size), expected)
    torch.testing.assert_close(segmenter.segment(images, prompt, output_size), expected)
    assert segmenter.segment(images, prompt).shape[2:] == SIZE


@torch.no_grad()
def test_many_sentences_on_one_image(segmenter: LanguageSegmenter) -> None:
    image, text = torch.rand(1, 3, *SIZE), sentences(3)
    together = segmenter.segment(segmenter.features(image), segmenter.encode_prompt(text_embedding=text), SIZE)
    assert together.shape == (3, 2, *SIZE)
    for index in range(3):
        alone = segmenter.segment(image, segmenter.encode_prompt(text_embedding=text[index : index + 1]))
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(together[0], together[1], rtol=1e-3)  # the words matter


@torch.no_grad()
def test_padding_changes_nothing(segmenter: LanguageSegmenter) -> None:
    image, text = torch.rand(1, 3, *SIZE), sentences(1)
    padded = torch.cat([text, torch.zeros(1, 4, TEXT_WIDTH)], dim=1)
    noise = torch.cat([text, sentences(1, 4, seed=9)], dim=1)
    mask = torch.arange(9)[None] < 5
    logits = segmenter(image, text_embedding=text)
    torch.testing.assert_close(segmenter(image, text_embedding=padded), logits, rtol=1e-4, atol=1e-5)
    if segmenter.host.name != "cris":  # whose attention sees what it is masked from only as zero weights
        prompt = segmenter.encode_prompt(token_states=noise, token_mask=mask)
        torch.testing.assert_close(segmenter.segment(image, prompt), logits, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_no_words_at_all_is_finite(segmenter: LanguageSegmenter) -> None:
    logits = segmenter(torch.rand(1, 3, *SIZE), text_embedding=torch.zeros(1, 3, TEXT_WIDTH))
    assert logits.isfinite().all()


@torch.no_grad()
def test_a_threshold_moves_the_decision(segmenter: LanguageSegmenter) -> None:
    image, text = torch.rand(1, 3, *SIZE), sentences(1)
    probability = segmenter(image, text_embedding=text).softmax(1)[:, 1]
    cut = float(probability.quantile(0.3))
    moved = LanguageSegmenter(segmenter.host, threshold=cut).eval()(image, text_embedding=text)
    assert ((moved.argmax(1) == 1) != (probability > cut)).float().mean() < 1e-3


def test_it_learns(segmenter: LanguageSegmenter) -> None:
    segmenter.train()
    images, text = torch.rand(2, 3, 64, 64), sentences(2)
    label = torch.zeros(2, 1, 64, 64)
    label[:, :, :30], label[:, :, 50:] = 1, 255
    loss = SentenceLoss()(segmenter(images, text_embedding=text, query_label=label), label)
    loss.backward()
    without = [name for name, value in segmenter.named_parameters() if value.requires_grad and value.grad is None]
    assert not without, f"parameters that nothing trains: {without[:5]}"
    frozen = [
        name for name, value in segmenter.named_parameters() if not value.requires_grad and value.grad is not None
    ]
    assert not frozen


@torch.no_grad()
def test_it_serves_the_episode_inferer(segmenter: LanguageSegmenter) -> None:
    images, text = torch.rand(3, 3, *SIZE), sentences(1)
    support = torch.rand(1, 1, 3, *SIZE)
    logits = EpisodeInferer(batch_size=2)(images, segmenter, support, torch.ones(1, 1, 1, *SIZE), text)
    torch.testing.assert_close(logits[2:], segmenter(images[2:], text_embedding=text), rtol=1e-3, atol=1e-4)


def test_cached_features_know_their_encoder(segmenter: LanguageSegmenter) -> None:
    for parameter in segmenter.host.image_encoder().parameters():
        parameter.requires_grad_(False)
    cached = ImageFeatures(segmenter)
    before = cached.fingerprint()
    assert set(cached(torch.rand(1, 3, *SIZE))) == set(cached.levels)
    segmenter.train()
    assert not any(module.training for module in cached.modules() if not isinstance(module, nn.ModuleList))
    next(segmenter.host.image_encoder().parameters()).data.add_(1)
    assert cached.fingerprint() != before
    next(segmenter.host.image_encoder().parameters()).requires_grad_(True)
    with pytest.raises(ValueError, match="its image encoder learns: set encode_transforms"):
        ImageFeatures(segmenter)


def test_what_it_refuses(clipseg_folder: Path) -> None:
    segmenter = LanguageSegmenter(load_clipseg(clipseg_folder))
    with pytest.raises(ValueError, match="is prompted by words: give text_embedding"):
        segmenter.encode_prompt(torch.rand(1, 1, 3, 64, 64), torch.ones(1, 1, 1, 64, 64))
    with pytest.raises(ValueError, match=r"must be \(B, T, 32\), got \(1, 1, 384\)"):
        segmenter.encode_prompt(text_embedding=torch.zeros(1, 1, 384))
    with pytest.raises(ValueError, match="either text_embedding, or token_states"):
        segmenter.encode_prompt(text_embedding=sentences(1), token_states=sentences(1))
    with pytest.raises(ValueError, match=r"token_mask must be \(1, 5\) as token_states, got None"):
        segmenter.encode_prompt(token_states=sentences(1))
    with pytest.raises(ValueError, match="2 prompts can't serve 3 images"):
        segmenter.segment(torch.rand(3, 3, 64, 64), segmenter.encode_prompt(text_embedding=sentences(2)))
    with pytest.raises(ValueError, match="threshold"):
        LanguageSegmenter(segmenter.host, threshold=1.0)
    with pytest.raises(ValueError, match="takes no annotated images"):
        LanguageSegmenter(LSMS(8, "tiny"), use_examples=True)


def test_a_checkpoint_of_another_network(clipseg_folder: Path) -> None:
    state = LanguageSegmenter(LSMS(TEXT_WIDTH, "tiny")).state_dict()
    with pytest.raises(ValueError, match=r"is of language network lsms tiny.*; the network is .*clipseg"):
        LanguageSegmenter(load_clipseg(clipseg_folder)).load_state_dict(state)


@torch.no_grad()
def test_an_example_beside_words(clipseg_folder: Path) -> None:
    image, text = torch.rand(1, 3, 64, 64), sentences(1)
    example, label = torch.rand(1, 2, 3, 64, 64), torch.zeros(1, 2, 1, 64, 64)
    label[..., 20:40, 10:50] = 1

    def logits(weight: float, text: Tensor | None, label: Tensor = label) -> Tensor:
        network = load_clipseg(clipseg_folder, example_weight=weight)
        return LanguageSegmenter(network, use_examples=True).eval()(image, example, label, text)

    words = LanguageSegmenter(load_clipseg(clipseg_folder)).eval()(image, text_embedding=text)
    torch.testing.assert_close(logits(0.0, text), words)
    torch.testing.assert_close(logits(1.0, text), logits(0.3, None))
    assert not torch.allclose(logits(0.5, text), words, rtol=1e-3)
    assert not torch.allclose(logits(1.0, text), logits(1.0, text, label.flip(3)), rtol=1e-3)
    with pytest.raises(ValueError, match="at least one annotated pixel"):
        logits(1.0, None, torch.zeros_like(label))
