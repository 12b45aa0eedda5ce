# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Volumes from supports of other cases: parts by height, competing labels, probability and report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from scripts.data.reference_support import ReferenceSupport, SupportPart
from scripts.inferers import ReferenceInferer


class Thresholds:
    """Segments what is nearest in brightness to the support's foreground, within 0.1; remembers what it saw."""

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.segmented: list[tuple[float, int]] = []
        self.texts: list[Tensor | None] = []

    def features(self, image: Tensor) -> dict[str, Tensor]:
        self.passes.append(len(image))
        return {"c4": image[:, :1]}

    def encode_prompt(self, features: dict[str, Tensor], label: Tensor, text: Tensor | None = None) -> float:
        self.texts.append(text)
        return float(features["c4"][label == 1].mean())

    def segment(self, features: dict[str, Tensor], prompt: float, size: tuple[int, int]) -> Tensor:
        self.segmented.append((round(prompt, 2), len(features["c4"])))
        maps = torch.nn.functional.interpolate(features["c4"], size, mode="nearest")
        margin = 10 * (0.1 - (maps - prompt).abs())
        return torch.cat([-margin / 2, margin / 2], dim=1)


def support(parts: dict[int, list[tuple[float, float | None]]]) -> ReferenceSupport:
    """Label -> (brightness of the support, position)."""
    values = [brightness for own in parts.values() for brightness, _ in own]
    images = torch.tensor(values)[:, None, None, None].expand(-1, 3, 16, 16)
    label = torch.ones(1, 1, 16, 16)
    numbers = iter(range(len(values)))
    return ReferenceSupport(
        images,
        {
            value: [SupportPart((next(numbers),), label, position) for _, position in own]
            for value, own in parts.items()
        },
        {value: f"label {value}" for value in parts},
    )


def volume(brightness: list[float]) -> Tensor:
    """(1, 1, 6, 4, Z): every slice has a brightness of its own."""
    return torch.tensor(brightness).expand(1, 1, 6, 4, -1)


def infer(image: Tensor, parts: dict[int, list[tuple[float, float | None]]], **options: Any) -> tuple[Any, Thresholds]:
    network = Thresholds()
    return ReferenceInferer(support(parts), image_size=16, **options)(image, network), network


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_each_slice_takes_the_part_of_its_height(batch_size: int) -> None:
    image = volume([0.2, 0.2, 0.5, 0.8, 0.8])
    result, network = infer(image, {7: [(0.2, 0.1), (0.5, 0.5), (0.8, 0.9)]}, batch_size=batch_size)
    assert torch.equal(result.label, torch.full((1, 1, 6, 4, 5), 7, dtype=torch.int32))
    upside_down, _ = infer(image.flip(-1), {7: [(0.2, 0.1), (0.5, 0.5), (0.8, 0.9)]}, batch_size=batch_size)
    assert upside_down.label[0, 0, 0, 0].tolist() == [0, 0, 7, 0, 0]
    assert network.passes[0] == 3
    assert sum(network.passes[1:]) == 5
    assert {prompt for prompt, _ in network.segmented} == {0.2, 0.5, 0.8}


def test_labels_compete_by_their_logits() -> None:
    result, network = infer(volume([0.33, 0.37]), {3: [(0.3, None)], 9: [(0.4, None)]}, probability=True)
    assert result.label[0, 0, 0, 0].tolist() == [3, 9]
    assert sum(network.passes) == 2 + 2  # two labels, no further pass
    wanted = torch.sigmoid(torch.tensor(10 * (0.1 - 0.03)))
    assert torch.allclose(result.probability[0, 0, 0, 0], wanted, atol=1e-4)


def test_report_per_slice_and_label() -> None:
    result, _ = infer(volume([0.3, 0.9]), {3: [(0.3, None)], 9: [(0.5, None)]})
    assert result.probability is None
    assert result.slice_axis == 2
    assert [(report.slice, report.label, report.area) for report in result.slices] == [
        (0, 3, 24), (0, 9, 0), (1, 3, 0), (1, 9, 0),
    ]  # fmt: skip
    sure = 2 * float(torch.sigmoid(torch.tensor(1.0))) - 1
    assert result.slices[0].confidence == pytest.approx(sure, abs=1e-3)
    # Label 9 lost with its highest logit, -1: absent with as much certainty as label 3 is present with +1.
    assert result.slices[1].confidence == pytest.approx(sure, abs=1e-3)
    assert [report.state for report in result.slices] == ["predicted", "absent", "absent", "absent"]


def test_each_label_has_its_text() -> None:
    table = {"label 3": torch.full((1, 5), 3.0), "label 9": torch.full((1, 5), 9.0)}
    _, network = infer(volume([0.3]), {3: [(0.3, 0.0), (0.4, 1.0)], 9: [(0.5, None)]}, text_table=table)
    assert [text.shape for text in network.texts] == [(1, 1, 5)] * 3
    assert [float(text.mean()) for text in network.texts] == [3, 3, 9]


def test_a_network_of_several_processes_is_unwrapped() -> None:
    inferer = ReferenceInferer(support({1: [(0.3, None)]}), image_size=16)
    wrapped = SimpleNamespace(module=Thresholds())
    assert inferer(volume([0.3]), wrapped).label.max() == 1


def test_shape_is_checked() -> None:
    inferer = ReferenceInferer(support({1: [(0.3, None)]}))
    with pytest.raises(ValueError, match=r"inputs must be \(1, 1, X, Y, Z\), got \(2, 1, 4, 4, 4\)"):
        inferer(torch.zeros(2, 1, 4, 4, 4), Thresholds())
