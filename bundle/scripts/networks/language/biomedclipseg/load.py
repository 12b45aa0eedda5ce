# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A BiomedCLIPSeg on published weights: open_clip's BiomedCLIP, and for -D the decoder of a CLIPSeg."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from ..clipseg.decoder import CLIPSegDecoder
from ..clipseg.load import clipseg_state
from ..clipseg.shape import shape_of
from ..loading import load_named, model_folder, read_config, read_state, strip_prefix
from .network import BiomedCLIPSeg

__all__ = ["BIOMEDCLIP", "load_biomedclipseg", "vision_transformer_for"]

BIOMEDCLIP = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"

_OTHER_PARTS = ("visual.head.", "text.", "logit_scale")
_HEAD_WIDTH = 64


def load_biomedclipseg(
    model: str | Path = BIOMEDCLIP,
    *,
    decoder_of: str | Path | None = None,
    checkpoint: str | Path | None = None,
    released: bool = False,
    train_encoder: bool = False,
) -> BiomedCLIPSeg:
    """Load a BiomedCLIPSeg.

    Args:
        model: folder with open_clip's state of BiomedCLIP, or a name on the hub.
        decoder_of: folder or hub name of a CLIPSeg whose decoder is taken (-D); None starts from a random one.
        checkpoint: a fine-tuned state: a Lightning checkpoint of medvlsm (for which `released` is then to be set).
        released: see ``BiomedCLIPSeg``.
        train_encoder: see ``BiomedCLIPSeg``.
    """
    source = model if Path(model).is_file() else model_folder(model, "BiomedCLIP")
    state = read_state(source)
    trunk_state = strip_prefix(state, "visual.trunk.")
    trunk = vision_transformer_for(trunk_state, source)
    load_named(trunk, trunk_state, source)
    head = state.get("visual.head.proj.weight")
    text_dim = 512 if head is None else head.shape[0]
    decoder = CLIPSegDecoder(trunk.embed_dim, text_dim, patch_size=trunk.patch_embed.patch_size[0])
    if decoder_of is not None:
        folder = model_folder(decoder_of, "CLIPSeg")
        shape = shape_of(read_config(folder), str(folder / "config.json"))
        decoder = CLIPSegDecoder(
            shape.vision.width,
            shape.projection,
            len(shape.extract_layers),
            shape.reduced,
            shape.decoder_heads,
            shape.decoder_hidden,
            shape.vision.patch_size,
            shape.conditional_layer,
            shape.is_complex,
        )
        load_named(decoder, strip_prefix(clipseg_state(read_state(folder)), "decoder."), folder)
        if (shape.vision.width, shape.projection) != (trunk.embed_dim, text_dim):
            raise ValueError(
                f"the decoder of {folder} is for activations of {shape.vision.width} and conditions of "
                f"{shape.projection}, {source} has {trunk.embed_dim} and {text_dim}"
            )
    network = BiomedCLIPSeg(trunk, decoder, text_dim, released=released, train_encoder=train_encoder)
    if checkpoint is not None:
        trained = strip_prefix(read_state(checkpoint), "net.")
        renamed = {name.replace("biomedclip.visual.trunk.", "image.trunk."): value for name, value in trained.items()}
        load_named(network, renamed, checkpoint, ignored=[f"biomedclip.{part}" for part in _OTHER_PARTS])
    return network


def vision_transformer_for(state: Mapping[str, Tensor], source: str | Path) -> VisionTransformer:
    """Make the vision transformer of the shape that a state has.

    Args:
        state: under timm's names.
        source: named in errors.

    Raises:
        ValueError: when the state isn't of a vision transformer with a class token.
    """
    needed = ("pos_embed", "cls_token", "patch_embed.proj.weight")
    lacking = [name for name in needed if name not in state]
    if lacking:
        raise ValueError(
            f"{source} holds no vision transformer as open_clip saves BiomedCLIP's: it lacks visual.trunk."
            f"{', visual.trunk.'.join(lacking)}"
        )
    positions, width = state["pos_embed"].shape[1:]
    patch_size = state["patch_embed.proj.weight"].shape[-1]
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    return VisionTransformer(
        img_size=round((positions - 1) ** 0.5) * patch_size,
        patch_size=patch_size,
        embed_dim=width,
        depth=depth,
        num_heads=max(width // _HEAD_WIDTH, 1),
        num_classes=0,
    )
