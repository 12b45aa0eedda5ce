# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Shapes from a model folder's config.json, with the library's defaults, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import CLIPSegConfig

from scripts.networks.language.clipseg.shape import CLIPSegShape, TextShape, VisionShape, shape_of

from ..conftest import clipseg_config


def test_what_the_library_writes() -> None:
    shape = shape_of(clipseg_config(is_complex=False, end_id=2).to_dict(), "config.json")
    assert shape == CLIPSegShape(
        vision=VisionShape(48, 96, 5, 4, 16, 64),
        text=TextShape(32, 64, 5, 4, end_id=2),
        projection=32,
        reduced=16,
        decoder_heads=4,
        decoder_hidden=32,
        extract_layers=(1, 2, 3),
        is_complex=False,
    )


def test_defaults_are_the_librarys() -> None:
    whole = shape_of(CLIPSegConfig().to_dict(), "config.json")
    assert shape_of({"model_type": "clipseg"}, "config.json") == whole
    assert shape_of({"model_type": "clipseg", "vision_config": None, "text_config": None}, "config.json") == whole
    assert whole.vision.patch_size == 32


def test_names_of_the_activations() -> None:
    assert CLIPSegShape().levels == ("block4", "block7", "block10")
    assert CLIPSegShape(extract_layers=(11,)).levels == ("block12",)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"extract_layers": (3, 12)}, r"extract_layers \(3, 12\) must name some of the 12 blocks, from 0"),
        ({"extract_layers": ()}, r"extract_layers \(\) must name some"),
        ({"conditional_layer": 3}, "conditional_layer 3 must be one of the 3 blocks of the decoder, from 0"),
        ({"conditional_layer": -1}, "conditional_layer -1 must be one of"),
    ],
)
def test_layers_that_are_not_there(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        CLIPSegShape(**options)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "here is of a model of type None, expected 'clipseg'"),
        ({"model_type": "clip"}, "here is of a model of type 'clip', expected 'clipseg'"),
        (
            {"model_type": "clipseg", "text_config": {"hidden_act": "gelu"}},
            "here: text_config has the activation 'gelu', only quick_gelu is known",
        ),
    ],
)
def test_another_network(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        shape_of(config, "here")
