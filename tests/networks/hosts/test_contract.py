# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What every host of the shipped overlays keeps to."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from scripts.losses import EpisodeLoss
from scripts.networks.hosts.base import Host
from scripts.networks.prompt import Prompt, map_tensors
from scripts.networks.segmenter import Segmenter
from scripts.networks.semantic_guidance import SemanticGuidance

OVERLAYS = sorted(path.stem for path in (Path(__file__).parents[3] / "bundle" / "configs" / "hosts").glob("*.json"))
WITHOUT_TEXT = ("matching", "aligned_matching")
UNTRAINED = ("matching", "aligned_matching", "prototype")
WIDTHS = {"c2": 6, "c3": 8, "c4": 12, "c5": 16}
STRIDES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}
TEXT_DIM = 8


class ToyBackbone(nn.Module):
    """Levels with blocks, as PATNet and DMTNet want them: averages of the image, mixed to some width."""

    name = "toy"

    def __init__(self) -> None:
        super().__init__()
        blocks = {"c2": 2, "c3": 2, "c4": 2, "c5": 2}
        self.names = [name for level, n in blocks.items() for name in [*(f"{level}.{i}" for i in range(n - 1)), level]]
        self.channels = {name: WIDTHS[name[:2]] for name in self.names}
        generator = torch.Generator().manual_seed(0)
        for index, name in enumerate(self.names):
            self.register_buffer(f"mix{index}", torch.randn(self.channels[name], 3, generator=generator))
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)

    def select(self, levels: tuple[str, ...]) -> ToyBackbone:
        self.levels = tuple(levels)
        return self

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = {}
        for name in self.levels:
            small = nn.functional.avg_pool2d(image, STRIDES[name[:2]])
            mix = getattr(self, f"mix{self.names.index(name)}")
            maps[name] = torch.einsum("oc,bchw->bohw", mix, small - 0.5).sin() * self.scale
        return maps


def make_segmenter(bundle_root: Path, overlay: str, *, text: bool = False) -> Segmenter:
    torch.manual_seed(0)
    backbone = ToyBackbone()
    config = json.loads((bundle_root / "configs" / "hosts" / f"{overlay}.json").read_text())
    parser = ConfigParser({"backbone_def": backbone, **config})
    parser["guidance_def"] = partial(SemanticGuidance, text_dim=TEXT_DIM) if text else None
    host: Host = parser.get_parsed_content("host_def")
    return Segmenter(backbone, host)


def episode(batch: int, shots: int, size: tuple[int, int] = (128, 128)) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries, support images and labels (a square of another colour), query labels."""
    generator = torch.Generator().manual_seed(batch * 10 + shots)
    height, width = size
    label = torch.zeros(batch, shots + 1, 1, height, width)
    for b in range(batch):
        for k in range(shots + 1):
            row, column = 16 * (b + k % 2), 16 * (k % 2)  # one in the corner: coarse hosts read few other places
            label[b, k, :, row : row + height // 2, column : column + width // 2] = 1
    image = 0.2 * torch.rand(batch, shots + 1, 3, height, width, generator=generator)
    image = image + label * torch.tensor([0.7, 0.2, 0.4]).view(3, 1, 1) + 0.1
    return image[:, shots], image[:, :shots], label[:, :shots], label[:, shots]


def texts(overlay: str) -> list[bool]:
    return [False] if overlay in WITHOUT_TEXT else [False, True]


CASES = [(overlay, text) for overlay in OVERLAYS for text in texts(overlay)]
Make = Callable[..., Segmenter]


@pytest.fixture(params=CASES, ids=lambda case: case[0] + (" with text" if case[1] else ""))
def case(request: pytest.FixtureRequest, bundle_root: Path) -> tuple[Segmenter, bool, str]:
    overlay, text = request.param
    return make_segmenter(bundle_root, overlay, text=text), text, overlay


def embedding(text: bool, batch: int) -> Tensor | None:
    return torch.randn(batch, 1, TEXT_DIM, generator=torch.Generator().manual_seed(1)) if text else None


@pytest.mark.parametrize("shots", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_a_batch_of_two_is_two_of_one(case: Any, shots: int) -> None:
    segmenter, text, _ = case
    segmenter.eval()
    query, support, label, _ = episode(2, shots)
    words = embedding(text, 2)
    with torch.no_grad():
        together = segmenter(query, support, label, words)
        alone = [
            segmenter(
                query[b : b + 1], support[b : b + 1], label[b : b + 1], None if words is None else words[b : b + 1]
            )
            for b in range(2)
        ]
        again = segmenter(query, support, label, words)
    assert together.shape == (2, 2, 128, 128)
    assert together.isfinite().all()
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-3)
    assert torch.equal(together, again)


@pytest.mark.parametrize("size", [(96, 96), (160, 128)])
def test_every_size(case: Any, size: tuple[int, int]) -> None:
    segmenter, text, overlay = case
    if size[0] != size[1] and overlay in ("patnet", "dmtnet"):
        pytest.skip("these hosts work on square images")
    segmenter.eval()
    query, support, label, _ = episode(1, 1, size)
    with torch.no_grad():
        logits = segmenter(query, support, label, embedding(text, 1))
    assert logits.shape == (1, 2, *size)
    assert logits.isfinite().all()


def test_the_context_is_tensors_that_move_and_repeat(case: Any) -> None:
    segmenter, text, _ = case
    segmenter.eval()
    query, support, label, _ = episode(1, 1)
    with torch.no_grad():
        prompt = segmenter.encode_prompt(support, label, embedding(text, 1))
        assert hasattr(prompt.host, "_fields")
        found: list[Tensor] = []
        map_tensors(lambda tensor: found.append(tensor) or tensor, prompt.host)
        assert found
        assert all(tensor.shape[0] == 1 for tensor in found)
        repeated = prompt.expand(3)
        assert isinstance(repeated, Prompt)
        assert type(repeated.host) is type(prompt.host)
        queries = torch.cat([query, query.flip(3), query.flip(2)])
        logits = segmenter.segment(queries, repeated)
        torch.testing.assert_close(logits, segmenter.segment(queries, prompt), rtol=1e-4, atol=1e-4)
        moved = prompt.to("cpu", torch.float64)
        floats: list[torch.dtype] = []
        map_tensors(lambda tensor: floats.append(tensor.dtype) or tensor, moved.host)
        assert set(floats) == {torch.float64}


def test_an_empty_support_is_refused(case: Any) -> None:
    segmenter, text, _ = case
    query, support, label, _ = episode(1, 1)
    with pytest.raises(ValueError, match="support masks of episode 0 have no foreground"):
        segmenter(query, support, torch.zeros_like(label), embedding(text, 1))


def test_gradients_reach_what_learns_and_nothing_frozen(case: Any) -> None:
    segmenter, text, overlay = case
    segmenter.train()
    query, support, label, query_label = episode(2, 1)
    terms = segmenter(query, support, label, embedding(text, 2), query_label)
    learning = {name: value for name, value in segmenter.named_parameters() if value.requires_grad}
    assert not any(name.startswith("backbone.") for name in learning)
    if not learning:
        assert overlay in UNTRAINED
        return
    EpisodeLoss()(terms, query_label).backward()
    reached = {name for name, value in learning.items() if value.grad is not None and bool((value.grad != 0).any())}
    assert all(bool(value.grad.isfinite().all()) for value in learning.values() if value.grad is not None)
    assert set(learning) - reached == set()
    assert all(value.grad is None for name, value in segmenter.named_parameters() if name not in learning)


@pytest.mark.slow  # every host's own test has it too, on smaller maps
def test_torchscript(case: Any) -> None:
    segmenter, text, _ = case
    host = segmenter.eval().host
    query, support, label, _ = episode(2, 1)
    words = embedding(text, 2)
    levels = segmenter.features(query)
    supports = {name: maps.unflatten(0, (2, 1)) for name, maps in segmenter.features(support.flatten(0, 1)).items()}

    class Both(nn.Module):
        def __init__(self, host: nn.Module) -> None:
            super().__init__()
            self.host = host

        def forward(
            self,
            features: dict[str, Tensor],
            support_features: dict[str, Tensor],
            mask: Tensor,
            text_embedding: Tensor | None = None,
        ) -> Tensor:
            return self.host.decode(features, self.host.encode(support_features, mask, text_embedding))

    with torch.no_grad():
        plain = Both(host)(levels, supports, label, words)
        scripted = torch.jit.script(Both(host))(levels, supports, label, words)
    torch.testing.assert_close(scripted, plain, rtol=1e-4, atol=1e-4)
