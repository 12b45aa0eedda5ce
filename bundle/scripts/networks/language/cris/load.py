# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A CRIS from published or trained weights, or on CLIP's own encoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..loading import load_named, read_state, strip_prefix
from .encoder import CrisEncoders
from .network import CRIS
from .resnet import ClipResNet

__all__ = ["cris_for", "cris_state", "load_cris"]

UNUSED = ("backbone.logit_scale", "backbone.input_resolution", "backbone.context_length", "backbone.vocab_size")
_HEAD = ("neck.", "decoder.", "proj.")
_CONNECT = "backbone.visual.attnpool.connect."


def load_cris(
    weights: str | Path | None,
    *,
    train_encoders: bool = False,
    reads_token_ids: bool = False,
    num_heads: int = 8,
    dropout: float = 0.2,
) -> CRIS:
    """Load a CRIS.

    Args:
        weights: a state of CRIS (its authors' repository, or a Lightning checkpoint of medvlsm), or of CLIP's RN50
            alone, as open_clip saves it: then neck, decoder and projector, and the residual of the attention pool,
            which CLIP lacks, are at their start.
        train_encoders: see ``CRIS``.
        reads_token_ids: see ``CRIS``.
        num_heads: of the decoder, which a state doesn't tell.
        dropout: see ``CRIS``.

    Raises:
        FileNotFoundError: without weights; the message tells which command fetches those of CLIP.
    """
    if weights is None:
        raise FileNotFoundError(
            "CRIS needs weights: its authors publish none, so give those that you trained, or start from CLIP's RN50: "
            "hf download timm/resnet50_clip.openai open_clip_model.safetensors --local-dir FOLDER; then --cris_weights "
            "FOLDER"
        )
    state = cris_state(read_state(weights))
    network = cris_for(
        state,
        weights,
        train_encoders=train_encoders,
        reads_token_ids=reads_token_ids,
        num_heads=num_heads,
        dropout=dropout,
    )
    of_clip = not any(name.startswith(_HEAD) for name in state)
    load_named(network, state, weights, ignored=UNUSED, absent=(*_HEAD, _CONNECT) if of_clip else ())
    return network


def cris_for(
    state: Mapping[str, Tensor],
    source: str | Path,
    *,
    train_encoders: bool = False,
    reads_token_ids: bool = False,
    num_heads: int = 8,
    dropout: float = 0.2,
) -> CRIS:
    """Make a CRIS of the shape that a state has.

    Args:
        state: under this network's names.
        source: named in errors.
        train_encoders: see ``CRIS``.
        reads_token_ids: see ``CRIS``.
        num_heads: of the decoder.
        dropout: see ``CRIS``.

    Raises:
        ValueError: when the state isn't of CRIS or of CLIP's ResNet.
    """
    needed = (
        "backbone.visual.conv3.weight",
        "backbone.visual.attnpool.positional_embedding",
        "backbone.text_projection",
    )
    lacking = [name for name in needed if name not in state]
    if lacking:
        raise ValueError(f"{source} is no state of CRIS or of CLIP's ResNet: it lacks {', '.join(lacking)}")
    table = state["backbone.visual.attnpool.positional_embedding"]
    width, embed_dim = state["backbone.text_projection"].shape
    visual = ClipResNet(
        [_count(state, f"backbone.visual.layer{stage}.") for stage in range(1, 5)],
        state["backbone.visual.conv3.weight"].shape[0],
        embed_dim,
        max(table.shape[1] // 64, 1),
        round((table.shape[0] - 1) ** 0.5) * 32,
    )
    vocabulary = state["backbone.token_embedding.weight"].shape[0]
    context_length = state["backbone.positional_embedding"].shape[0]
    layers = _count(state, "backbone.transformer.resblocks.")
    encoders = CrisEncoders(visual, embed_dim, width, layers, max(width // 64, 1), context_length, vocabulary)
    fused = tuple(
        state[f"neck.{name}.0.weight"].shape[0] if f"neck.{name}.0.weight" in state else published
        for name, published in (("f3_v_proj", 256), ("f2_v_proj", 512), ("f1_v_proj", 1024))
    )
    hidden = state.get("decoder.layers.0.ffn.0.weight")
    return CRIS(
        encoders,
        fused=(fused[0], fused[1], fused[2]),
        num_layers=_count(state, "decoder.layers.") or 3,
        num_heads=num_heads,
        hidden=2048 if hidden is None else hidden.shape[0],
        dropout=dropout,
        train_encoders=train_encoders,
        reads_token_ids=reads_token_ids,
    )


def cris_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring a state to this network's names: of CRIS, of medvlsm's checkpoints (under ``net.``), or of CLIP alone."""
    if any(name.startswith("net.") for name in state):
        return strip_prefix(state, "net.")
    if any(name.startswith("backbone.") for name in state):
        return dict(state)
    return {f"backbone.{name}": value for name, value in state.items()}


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).partition(".")[0] for name in state if name.startswith(prefix)})
