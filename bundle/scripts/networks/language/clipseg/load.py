# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A CLIPSeg from published or trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torch import Tensor

from ..adapters.placement import DenseAdapters, ShallowAdapters
from ..loading import load_named, model_folder, read_config, read_state, strip_prefix
from .network import CLIPSeg
from .shape import CLIPSegShape, shape_of

__all__ = ["REFINED", "adapters_of", "clipseg_state", "load_adapted_clipseg", "load_clipseg"]

REFINED = "CIDAS/clipseg-rd64-refined"
"""The weights that medvlsm and VLSM-Adapter start from. Their licence is not that of the code: see docs/language.md."""

UNUSED = ("clip.logit_scale", "position_ids")
_ADAPTERS = "adapters."
_KINDS = ("dense", "shallow")


def load_clipseg(
    model: str | Path = REFINED,
    *,
    checkpoint: str | Path | None = None,
    train_encoders: bool = False,
    reads_token_ids: bool = False,
    example_weight: float = 0.5,
) -> CLIPSeg:
    """Load a CLIPSeg.

    Args:
        model: folder as `transformers` saves it (config.json and weights), or a name on the hub.
        checkpoint: a fine-tuned state instead of the folder's: a state dict, or a Lightning checkpoint of medvlsm.
        train_encoders: see ``CLIPSeg``.
        reads_token_ids: see ``CLIPSeg``.
        example_weight: see ``CLIPSeg``.
    """
    folder = model_folder(model, "CLIPSeg")
    network = CLIPSeg(
        shape_of(read_config(folder), str(folder / "config.json")),
        train_encoders=train_encoders,
        reads_token_ids=reads_token_ids,
        example_weight=example_weight,
    )
    source = folder if checkpoint is None else checkpoint
    load_named(network, clipseg_state(read_state(source)), source, ignored=UNUSED)
    return network


def load_adapted_clipseg(
    model: str | Path = REFINED,
    *,
    kind: Literal["dense", "shallow"] = "dense",
    parts: str = "VLC",
    hidden: int | None = None,
    released: bool = False,
    checkpoint: str | Path | None = None,
    reads_token_ids: bool = True,
) -> CLIPSeg:
    """Load a frozen CLIPSeg with the adapters of VLSM-Adapter.

    Args:
        model: see ``load_clipseg``.
        kind: where the adapters are.
        parts: which encoders have them; see ``DenseAdapters``.
        hidden: width of the bottlenecks; None takes the published 64 (dense) or 512 (shallow).
        released: as in the released code; see ``Bottleneck``.
        checkpoint: trained adapters: a Lightning checkpoint of VLSM-Adapter (of which `released` is then to be set).
        reads_token_ids: see ``CLIPSeg``; adapters in the text encoder need it.
    """
    if kind not in _KINDS:
        raise ValueError(f"adapters are one of {', '.join(_KINDS)}, got {kind!r}")
    folder = model_folder(model, "CLIPSeg")
    shape = shape_of(read_config(folder), str(folder / "config.json"))
    network = CLIPSeg(
        shape, adapters=adapters_of(shape, kind, parts, hidden, released), reads_token_ids=reads_token_ids
    )
    state = clipseg_state(read_state(folder))
    load_named(network, state, folder, ignored=UNUSED, absent=[_ADAPTERS])
    if checkpoint is not None:
        load_named(network, clipseg_state(read_state(checkpoint)), checkpoint, ignored=UNUSED)
    return network


def adapters_of(
    shape: CLIPSegShape, kind: str, parts: str, hidden: int | None, released: bool
) -> DenseAdapters | ShallowAdapters:
    """Make adapters of a kind with its published width unless another is given."""
    if kind == "dense":
        return DenseAdapters(shape, hidden or 64, parts, released)
    return ShallowAdapters(shape, hidden or 512, parts, released)


def clipseg_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bring a state to this network's names.

    Known are the hub's own names, those of medvlsm's checkpoints (the network under ``net.clipseg.``) and those of
    VLSM-Adapter's (adapters under ``net.``, and the encoders twice, as ``net.clip.`` too).
    """
    if not any(name.startswith("net.") for name in state):
        return dict(state)
    inner = strip_prefix(state, "net.")
    renamed = strip_prefix(inner, "clipseg.")
    for name, value in inner.items():
        if not name.startswith(("clipseg.", "clip.")):
            renamed[_ADAPTERS + name] = value
    return renamed
