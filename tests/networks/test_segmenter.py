# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The interface: shapes, features in place of images, backbone passes, stored prompts, checkpoints, errors."""

import io
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from scripts.networks.backbones import TimmBackbone, efficientnet_lite2, timm_backbone
from scripts.networks.feature_extractor import FeatureExtractor
from scripts.networks.hosts.base import Host
from scripts.networks.segmenter import IMAGE, Segmenter


class MeanContext(NamedTuple):
    prototype: Tensor


class MeanHost(Host):
    """A host that is easy to follow: dot product with the mean foreground feature of one level."""

    def __init__(self, level: str = "c4") -> None:
        super().__init__()
        self.level = level
        self.levels = (level,)
        self.scale = nn.Parameter(torch.ones(()))

    def encode(
        self, support_features: dict[str, Tensor], support_mask: Tensor, text_embedding: Tensor | None = None
    ) -> MeanContext:
        features = support_features[self.level]
        mask = (support_mask == 1).to(features.dtype).flatten(0, 1)
        mask = torch.nn.functional.adaptive_avg_pool2d(mask, features.shape[-2:]).unflatten(0, features.shape[:2])
        return MeanContext((features * mask).mean(dim=(1, 3, 4)))

    def decode(self, features: dict[str, Tensor], context: MeanContext) -> Tensor:
        score = self.scale * (features[self.level] * context.prototype[:, :, None, None]).sum(1, keepdim=True)
        return torch.cat([-score, score], 1)


class CountingBackbone(nn.Module):
    """Counts the images that pass."""

    def __init__(self, backbone: TimmBackbone) -> None:
        super().__init__()
        self.backbone, self.images = backbone, 0

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.backbone, name)

    def select(self, levels: tuple[str, ...]) -> "CountingBackbone":
        self.backbone.select(levels)
        return self

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.images += image.shape[0]
        return self.backbone(image)


class Inverting(nn.Module):
    """A refinement that needs image and prompt: swaps the logits and adds the means of both."""

    logit_size = None

    def encode(self, support_image: Tensor, support_label: Tensor) -> Tensor:
        return support_image.flatten(1).mean(1) + (support_label == 1).flatten(1).float().mean(1)

    def forward(self, logits: Tensor, image: Tensor, prompt: Tensor) -> Tensor:
        return logits.flip(1) + (image.flatten(1).mean(1) + prompt)[:, None, None, None]


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(efficientnet_lite2(), MeanHost()).eval()


def make_episode(batch_size: int = 2, num_shots: int = 1, size: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch_size, 3, size, size, generator=generator)
    support_image = torch.rand(batch_size, num_shots, 3, size, size, generator=generator)
    support_label = torch.zeros(batch_size, num_shots, 1, size, size)
    support_label[..., 10:40, 20:50] = 1
    return image, support_image, support_label


@pytest.mark.parametrize("num_shots", [1, 5])
def test_one_call_equals_two_steps(segmenter: Segmenter, num_shots: int) -> None:
    image, support_image, support_label = make_episode(num_shots=num_shots)
    prompt = segmenter.encode_prompt(support_image, support_label)
    logits = segmenter.segment(image, prompt)
    assert logits.shape == (2, 2, 64, 64)
    assert torch.equal(logits, segmenter(image, support_image, support_label))


def test_features_stand_for_images(segmenter: Segmenter) -> None:
    image, support_image, support_label = make_episode(num_shots=2)
    features = segmenter.features(image)
    support_features = {
        level: value.unflatten(0, (2, 2)) for level, value in segmenter.features(support_image.flatten(0, 1)).items()
    }
    expected = segmenter(image, support_image, support_label)
    assert torch.allclose(segmenter(features, support_features, support_label), expected, atol=1e-5)
    prompt = segmenter.encode_prompt(support_features, support_label)
    assert segmenter.segment(features, prompt).shape == (2, 2, 4, 4)
    assert torch.allclose(segmenter.segment(features, prompt, (64, 64)), expected, atol=1e-5)


def test_one_prompt_serves_many_queries(segmenter: Segmenter) -> None:
    image, support_image, support_label = make_episode()
    prompt = segmenter.encode_prompt(support_image[:1], support_label[:1])
    together = segmenter.segment(image, prompt)
    alone = torch.cat([segmenter.segment(image[i : i + 1], prompt) for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_backbone_runs_once_per_image() -> None:
    backbone = CountingBackbone(efficientnet_lite2())
    segmenter = Segmenter(backbone, MeanHost()).eval()
    image, support_image, support_label = make_episode(num_shots=3)
    support = {level: value[None] for level, value in segmenter.features(support_image[0]).items()}
    queries = segmenter.features(torch.cat([image] * 4))
    for organ in range(4):
        prompt = segmenter.encode_prompt(support, support_label[:1].roll(organ, -1))
        segmenter.segment(queries, prompt, (64, 64))
    assert backbone.images == 3 + 8


def test_image_alone_without_prompt_is_background(segmenter: Segmenter) -> None:
    logits = segmenter(torch.rand(2, 3, 64, 96))
    assert logits.shape == (2, 2, 64, 96)
    assert (logits.argmax(1) == 0).all()


def test_stored_prompt_is_part_of_the_state(segmenter: Segmenter) -> None:
    image, support_image, support_label = make_episode(num_shots=2)
    segmenter.store_prompt(support_image[0], support_label[0])
    logits = segmenter(image)
    expected = segmenter.segment(image, segmenter.encode_prompt(support_image[:1], support_label[:1]))
    assert torch.allclose(logits, expected, atol=1e-5)
    other = Segmenter(efficientnet_lite2(), MeanHost()).eval()
    other.load_state_dict(segmenter.state_dict())
    assert torch.equal(other(image), logits)


def test_scripts_with_and_without_prompt(segmenter: Segmenter) -> None:
    image, support_image, support_label = make_episode(num_shots=2)
    scripted = reloaded(torch.jit.script(segmenter))  # what can be written can't always be read again
    assert torch.allclose(
        scripted(image, support_image, support_label), segmenter(image, support_image, support_label), atol=1e-5
    )
    assert torch.equal(scripted(image), segmenter(image))
    segmenter.store_prompt(support_image[0], support_label[0])
    assert torch.allclose(reloaded(torch.jit.script(segmenter))(image), segmenter(image), atol=1e-5)
    features = segmenter.features(image)
    assert scripted(features).shape == (2, 2, *max(value.shape[2:] for value in features.values()))


def reloaded(program: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    buffer = io.BytesIO()
    torch.jit.save(program, buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


def test_training_terms_reach_what_learns(segmenter: Segmenter) -> None:
    image, support_image, support_label = make_episode()
    label = torch.zeros(2, 1, 64, 64)
    terms = segmenter(image, support_image, support_label, query_label=label)
    assert [term.weight for term in terms] == [1.0]
    assert terms[0].logits.shape == (2, 2, 64, 64)
    terms[0].logits.sum().backward()
    assert segmenter.host.scale.grad is not None
    assert all(parameter.grad is None for parameter in segmenter.backbone.parameters())


def test_refinement_follows_the_host() -> None:
    plain = Segmenter(efficientnet_lite2(), MeanHost()).eval()
    refined = Segmenter(efficientnet_lite2(), MeanHost(), Inverting()).eval()
    image, support_image, support_label = make_episode()
    shift = image.flatten(1).mean(1) + support_image.flatten(1).mean(1) + support_label.flatten(1).mean(1)
    expected = plain(image, support_image, support_label).flip(1) + shift[:, None, None, None]
    assert torch.allclose(refined(image, support_image, support_label), expected, atol=1e-4)
    extract = FeatureExtractor(refined)
    features = extract(image)
    assert set(features) == set(extract.levels) == {"c4", IMAGE}
    support = {level: value[:, None] for level, value in extract(support_image[:, 0]).items()}
    assert torch.allclose(refined(features, support, support_label), expected, atol=1e-4)
    del support[IMAGE]
    with pytest.raises(ValueError, match="refinement needs the support images"):
        refined(features, support, support_label)


def test_checkpoint_of_another_network(segmenter: Segmenter) -> None:
    class OtherHost(MeanHost):
        pass

    with pytest.raises(ValueError, match=r"checkpoint is of host OtherHost, .*the network is host MeanHost"):
        segmenter.load_state_dict(Segmenter(efficientnet_lite2(), OtherHost()).state_dict())
    with pytest.raises(ValueError, match=r"checkpoint is of .*backbone resnet18"):
        segmenter.load_state_dict(Segmenter(timm_backbone("resnet18", pretrained=False), MeanHost()).state_dict())
    with pytest.raises(ValueError, match="levels c3"):
        segmenter.load_state_dict(Segmenter(efficientnet_lite2(), MeanHost("c3")).state_dict())


def test_half_precision_state_loads(segmenter: Segmenter) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in segmenter.state_dict().items()}
    image, support_image, support_label = make_episode()
    before = segmenter(image, support_image, support_label)
    segmenter.load_state_dict(half)
    after = segmenter(image, support_image, support_label)
    assert next(segmenter.parameters()).dtype == torch.float32
    assert (after - before).abs().max() < 0.02 * before.abs().max()


def test_errors(segmenter: Segmenter) -> None:
    image, support_image, support_label = make_episode()
    with pytest.raises(ValueError, match=r"episode 0 have no foreground.*found"):
        segmenter(image, support_image, support_label * 0)
    ignored = support_label.clone()
    ignored[1] = 255
    with pytest.raises(ValueError, match="episode 1"):
        segmenter(image, support_image, ignored)
    with pytest.raises(ValueError, match=r"support_label must be \(B, K, 1, H, W\)"):
        segmenter(image, support_image, support_label[:, 0])
    with pytest.raises(ValueError, match="with the B and K of"):
        segmenter(image, support_image, support_label.repeat(1, 2, 1, 1, 1))
    with pytest.raises(ValueError, match=r"text_embedding must be \(2, T, D\)"):
        segmenter(image, support_image, support_label, torch.zeros(2, 5))
    prompt = segmenter.encode_prompt(support_image, support_label)
    with pytest.raises(ValueError, match="a prompt of 2 episodes can't serve 3 queries"):
        segmenter.segment(image[:1].expand(3, -1, -1, -1), prompt)
    with pytest.raises(ValueError, match="levels \\['c4'\\] are missing"):
        segmenter({"c3": torch.zeros(2, 1, 4, 4)}, support_image, support_label)
