# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What a volume inferer gets of a batch."""

from __future__ import annotations

import pytest
import torch

from scripts.engines.prepare_volume import PrepareVolume


def test_the_image_and_its_annotation() -> None:
    image, annotation = torch.rand(1, 1, 4, 3, 2), {"label": torch.ones(1)}
    found, label, arguments, keywords = PrepareVolume()({"image": image, "annotation": annotation, "case_id": ["a"]})
    assert torch.equal(found, image)
    assert label is None
    assert arguments == ()
    assert keywords == {"annotation": annotation}
    assert keywords["annotation"] is annotation


def test_without_an_annotation_there_are_no_arguments() -> None:
    assert PrepareVolume()({"image": torch.zeros(1, 1, 1, 1, 1)})[1:] == (None, (), {})


def test_the_image_goes_to_the_device() -> None:
    image, *_ = PrepareVolume()({"image": torch.zeros(1, 1, 2, 2, 2)}, device="meta", non_blocking=True)
    assert image.device.type == "meta"


def test_a_batch_without_an_image_is_an_error() -> None:
    with pytest.raises(KeyError, match="image"):
        PrepareVolume()({"annotation": torch.zeros(1)})
