# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Hosts side by side: every host, with and without text and refinement, on every target, on the same episodes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from tqdm import tqdm

from scripts.apps.assembly import CONFIGS, evaluation_files, find_overlay, find_target, has_guidance

from .cell import Cell, run_cell
from .figure import draw_examples
from .table import write_tables

__all__ = ["checkpoint_of", "compare", "plan"]

logger = logging.getLogger(__name__)


def compare(
    output_dir: str | Path,
    *,
    data_root: str | Path,
    hosts: Sequence[str],
    targets: Sequence[str],
    text: Sequence[str] = ("off",),
    refinement: Sequence[str] = ("off",),
    num_shots: Sequence[int] = (1,),
    seeds: Sequence[int] = (0,),
    ckpt_root: str | Path | None = None,
    allow_untrained: bool = False,
    backbone: str | None = None,
    feature_cache_dir: str | Path,
    device: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Evaluate all combinations that are not done yet, and write the tables and figures.

    Args:
        output_dir: gets a folder per cell under ``cells``, ``table.csv``, ``table.json``, ``table.md`` and ``figures``.
        data_root: folder with a sub-folder per data set.
        hosts: host overlays (names or paths).
        targets: data sets, by overlay or folder.
        text: text overlays; hosts that can't hold a text are evaluated without only.
        refinement: refinement overlays.
        num_shots: numbers of supports.
        seeds: of the drawn episodes.
        ckpt_root: folder with the trainings, ``<host>-<text>/checkpoints/best.pt``.
        allow_untrained: evaluate hosts with untrained weights instead of refusing them.
        backbone: backbone overlay; None for the default.
        feature_cache_dir: where backbone features are kept and shared.
        device: such as ``cpu``; None takes a GPU where there is one.
        options: further values of every evaluation, such as ``image_size``.

    Returns:
        The Markdown table.

    Raises:
        ValueError: for names that don't exist, or an empty list.
        FileNotFoundError: for a folder, or the weights of a host that needs training; nothing has been run then.
    """
    cells = plan(
        data_root=data_root,
        hosts=hosts,
        targets=targets,
        text=text,
        refinement=refinement,
        num_shots=num_shots,
        seeds=seeds,
        ckpt_root=ckpt_root,
        allow_untrained=allow_untrained,
        backbone=backbone,
        options={key: value for key, value in (options or {}).items() if value is not None},
    )
    output = Path(output_dir)
    folders = [output / "cells" / cell.name for cell in cells]
    done = 0
    with tqdm(list(zip(cells, folders, strict=True)), desc="comparing", unit="cell") as bar:
        for cell, folder in bar:
            bar.set_postfix_str(cell.name)
            done += run_cell(cell, folder, feature_cache_dir=Path(feature_cache_dir), device=device)
    logger.info("%d of %d cells evaluated now, the others were finished", done, len(cells))
    table = write_tables(folders, output)
    draw_examples(folders, output / "figures")
    return table


def plan(
    *,
    data_root: str | Path,
    hosts: Sequence[str],
    targets: Sequence[str],
    text: Sequence[str],
    refinement: Sequence[str],
    num_shots: Sequence[int],
    seeds: Sequence[int],
    ckpt_root: str | Path | None,
    allow_untrained: bool,
    backbone: str | None,
    options: Mapping[str, Any],
) -> list[Cell]:
    """List the cells of a comparison; see :func:`compare` for the arguments."""
    lists = {
        "hosts": hosts, "targets": targets, "text": text, "refinement": refinement, "num_shots": num_shots,
        "seeds": seeds,
    }  # fmt: skip
    for name, values in lists.items():
        if isinstance(values, str) or not values:
            raise ValueError(f"{name} must be a list with at least one entry, got {values!r}")
    places = [find_target(name, data_root) for name in targets]
    for kind, names in (("hosts", hosts), ("text", text), ("refinement", refinement)):
        for name in names:
            find_overlay(kind, name)
    checkpoints = {}
    for host in hosts:
        texts = [name for name in text if name == "off" or has_guidance(host)]
        for name in texts:
            checkpoints[host, name] = checkpoint_of(
                host, name, ckpt_root, allow_untrained=allow_untrained, backbone=backbone
            )
        if not texts:
            raise ValueError(f"host {host!r} can't hold a text: add 'off' to text, or leave the host out")
    return [
        Cell(host, name, refined, target, shots, seed, checkpoint, backbone, options)
        for (host, name), checkpoint in checkpoints.items()
        for refined, target, shots, seed in product(refinement, places, num_shots, seeds)
    ]


def checkpoint_of(
    host: str, text: str, ckpt_root: str | Path | None, *, allow_untrained: bool = False, backbone: str | None = None
) -> Path | None:
    """Find the weights of a host; None for one that has nothing to train.

    Args:
        host: host overlay.
        text: text overlay.
        ckpt_root: folder with the trainings.
        allow_untrained: None instead of an error for a host without weights.
        backbone: backbone overlay.

    Raises:
        FileNotFoundError: when it needs weights and there are none; the message has the command that trains it.
    """
    folder = f"{Path(host).stem}-{Path(text).stem}"
    path = None if ckpt_root is None else Path(ckpt_root).expanduser() / folder / "checkpoints" / "best.pt"
    if path is not None and path.is_file():
        return path
    if allow_untrained or not _is_trainable(host, text, backbone):
        return None
    files = [f"configs/{kind}/{name}.json" for kind, name in (("hosts", host), ("data", "voc2012"), ("text", text))]
    raise FileNotFoundError(
        f"host {host!r} with text {text!r} has weights to train, but there is no "
        f"{path or f'<ckpt_root>/{folder}/checkpoints/best.pt'}; train it first (or set allow_untrained): "
        f'python -m monai.bundle run training --config_file "{["configs/train.json", *files]}" '
        f"--dataset_dir VOC2012 --output_dir {Path(ckpt_root or '<ckpt_root>') / folder}"
    )


def _is_trainable(host: str, text: str, backbone: str | None) -> bool:
    config = ConfigParser()
    config.read_config(evaluation_files(host, "synthetic", text=text, backbone=backbone))
    config.update({"bundle_root": str(CONFIGS.parent)})
    config.get_parsed_content("imports", eval_expr=True)
    return any(parameter.requires_grad for parameter in config.get_parsed_content("host_def").parameters())
