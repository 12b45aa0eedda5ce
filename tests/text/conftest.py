# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A CLIP that is small enough for a test."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

_ARCHITECTURE = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture
def architecture() -> dict[str, Any]:
    """The tiny CLIP's configuration for open_clip."""
    return copy.deepcopy(_ARCHITECTURE)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, torch.nn.Module]:
    """Name, weight file and network."""
    open_clip = pytest.importorskip("open_clip")
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-test-clip.json").write_text(json.dumps(_ARCHITECTURE))
    open_clip.add_model_config(folder / "tiny-test-clip.json")
    torch.manual_seed(0)
    network = open_clip.create_model("tiny-test-clip").eval()
    save_file({key: value.clone() for key, value in network.state_dict().items()}, folder / "tiny.safetensors")
    return "tiny-test-clip", str(folder / "tiny.safetensors"), network
