# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A small CLIPSeg as the library `transformers` saves it, and a small CRIS and BiomedCLIP, all randomly initialised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from scripts.networks.language.biomedclipseg.load import vision_transformer_for
from scripts.networks.language.cris.encoder import CrisEncoders
from scripts.networks.language.cris.network import CRIS
from scripts.networks.language.cris.resnet import ClipResNet

TEXT_WIDTH = 32


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and statistic that a state holds a value that matters."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            drawn = torch.randn(value.shape, generator=generator) * 0.2
            value.copy_(1 + drawn.abs() if "running_var" in name else drawn)
    return network


def clipseg_config(is_complex: bool = True, end_id: int = 49407) -> CLIPSegConfig:
    return CLIPSegConfig(
        text_config={
            "hidden_size": TEXT_WIDTH, "intermediate_size": 64, "num_hidden_layers": 5, "num_attention_heads": 4,
            "eos_token_id": end_id,
        },
        vision_config={
            "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 5, "num_attention_heads": 4,
            "patch_size": 16, "image_size": 64,
        },
        projection_dim=TEXT_WIDTH,
        extract_layers=[1, 2, 3],
        reduce_dim=16,
        decoder_num_attention_heads=4,
        decoder_intermediate_size=32,
        use_complex_transposed_convolution=is_complex,
    )  # fmt: skip


@pytest.fixture(scope="session")
def their_clipseg() -> CLIPSegForImageSegmentation:
    torch.manual_seed(0)
    network = CLIPSegForImageSegmentation(clipseg_config()).eval()
    randomise(network)
    return network


@pytest.fixture(scope="session")
def clipseg_folder(their_clipseg: CLIPSegForImageSegmentation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clipseg")
    their_clipseg.save_pretrained(folder)
    return folder


@pytest.fixture
def small_cris() -> CRIS:
    encoders = CrisEncoders(ClipResNet((1, 1, 1, 1), 8, 32, 4, 64), 32, TEXT_WIDTH, 2, 4)
    network = CRIS(encoders, fused=(8, TEXT_WIDTH, 32), num_layers=2, num_heads=4, hidden=32)
    randomise(network)
    return network.eval()


@pytest.fixture(scope="session")
def biomedclip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with the names of open_clip's BiomedCLIP, 64 wide and 12 blocks deep."""
    shapes = {
        "pos_embed": torch.zeros(1, 17, 64), "cls_token": torch.zeros(1, 1, 64),
        "patch_embed.proj.weight": torch.zeros(64, 3, 16, 16),
        **{f"blocks.{index}.x": torch.zeros(1) for index in range(12)},
    }  # fmt: skip
    trunk = randomise(vision_transformer_for(shapes, "a test"))
    state = {f"visual.trunk.{name}": value for name, value in trunk.state_dict().items()}
    state |= {"visual.head.proj.weight": torch.randn(TEXT_WIDTH, 64), "logit_scale": torch.ones(())}
    state["text.transformer.embeddings.word_embeddings.weight"] = torch.randn(4, 8)
    folder = tmp_path_factory.mktemp("biomedclip")
    save_file(state, folder / "open_clip_model.safetensors")
    return folder
