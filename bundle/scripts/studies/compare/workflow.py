# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Hosts side by side: every host, with and without text and refinement, on every target, on the same episodes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from monai.bundle.config_parser import ConfigParser
from tqdm import tqdm

from ...apps.startup.assembly import CONFIGS, evaluation_files, find_overlay, find_target, has_guidance
from ...apps.startup.own_config import settle
from ...handlers import read_checkpoint
from .cell import Cell, Labels, identities, run_cell
from .entries import label_overlays, label_targets, refuse_bad_numbers, refuse_bad_strings
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
        output_dir: gets a folder per cell under ``cells``, ``table.csv``, ``table.json``, ``table.md``,
            ``overview.md`` and ``figures``.
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
        ValueError: for names that don't exist or are given twice, an entry that isn't one, a damaged overlay or
            checkpoint; nothing has been run then. Also when another run wrote into ``output_dir`` meanwhile.
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
    planned = identities(cells)
    done = 0
    with tqdm(list(zip(cells, folders, planned, strict=True)), desc="comparing", unit="cell") as bar:
        for cell, folder, identity in bar:
            bar.set_postfix_str(cell.name)
            done += run_cell(cell, folder, identity, feature_cache_dir=Path(feature_cache_dir), device=device)
    logger.info("%d of %d cells evaluated now, the others were finished", done, len(cells))
    table = write_tables(dict(zip(folders, planned, strict=True)), output)
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
    for key, names in (("hosts", hosts), ("targets", targets), ("text", text), ("refinement", refinement)):
        refuse_bad_strings(key, names)
    refuse_bad_numbers("num_shots", num_shots, smallest=1)
    refuse_bad_numbers("seeds", seeds, smallest=0)
    if backbone is not None:
        refuse_bad_strings("backbone", [backbone])
        find_overlay("backbones", backbone)
    places = {name: find_target(name, data_root) for name in targets}
    target_labels = label_targets(places)
    host_labels, text_labels, refinement_labels = (
        label_overlays(kind, names) for kind, names in (("hosts", hosts), ("text", text), ("refinement", refinement))
    )
    checkpoints = {}
    for host in hosts:
        texts = [name for name in text if text_labels[name] == "off" or has_guidance(host)]
        if not texts:
            raise ValueError(f"host {host!r} can't hold a text: add 'off' to text, or leave the host out")
        for name in texts:
            checkpoints[host, name] = checkpoint_of(
                host,
                name,
                ckpt_root,
                allow_untrained=allow_untrained,
                backbone=backbone,
                folder=f"{host_labels[host]}-{text_labels[name]}",
            )
    for path in dict.fromkeys(checkpoints.values()):
        if path is not None:
            read_checkpoint(path)
    cells = [
        Cell(
            host,
            name,
            refined,
            places[target],
            shots,
            seed,
            checkpoint,
            backbone,
            options,
            Labels(target_labels[target], host_labels[host], text_labels[name], refinement_labels[refined]),
        )
        for (host, name), checkpoint in checkpoints.items()
        for refined, target, shots, seed in product(refinement, targets, num_shots, seeds)
    ]
    _refuse_one_folder_for_two(cells)
    return cells


def checkpoint_of(
    host: str,
    text: str,
    ckpt_root: str | Path | None,
    *,
    allow_untrained: bool = False,
    backbone: str | None = None,
    folder: str | None = None,
) -> Path | None:
    """Find the weights of a host; None for one that has nothing to train.

    Args:
        host: host overlay.
        text: text overlay.
        ckpt_root: folder with the trainings.
        allow_untrained: None instead of an error for a host without weights.
        backbone: backbone overlay.
        folder: of the training, in ``ckpt_root``; None for ``<host>-<text>``.

    Raises:
        FileNotFoundError: when it needs weights and there are none; the message has the command that trains it.
    """
    folder = folder or f"{Path(host).stem}-{Path(text).stem}"
    path = None if ckpt_root is None else Path(ckpt_root).expanduser() / folder / "checkpoints" / "best.pt"
    if path is not None and path.is_file():
        return path
    if allow_untrained or not _is_trainable(host, text, backbone):
        return None
    overlays = [("hosts", host), ("data", "voc2012"), ("backbones", backbone), ("text", text)]
    files = [_for_command(find_overlay(kind, name)) for kind, name in overlays if name is not None]
    raise FileNotFoundError(
        f"host {host!r} with text {text!r} has weights to train, but there is no "
        f"{path or f'<ckpt_root>/{folder}/checkpoints/best.pt'}; train it first (or set allow_untrained): "
        f'python -m monai.bundle run training --config_file "{["configs/train.json", *files]}" '
        f"--dataset_dir VOC2012 --output_dir {Path(ckpt_root or '<ckpt_root>') / folder}"
    )


def _for_command(file: Path) -> str:
    """Path of an overlay as a command in the bundle's folder takes it: one's own in full."""
    file = file.resolve()
    return str(file.relative_to(CONFIGS.parent) if file.is_relative_to(CONFIGS) else file)


def _refuse_one_folder_for_two(cells: Sequence[Cell]) -> None:
    seen: dict[str, Cell] = {}
    for cell in cells:
        other = seen.setdefault(cell.name, cell)
        if other is not cell:
            raise ValueError(
                f"{tuple(other.labels)} and {tuple(cell.labels)} would both be the cell {cell.name}; rename an overlay"
            )


def _is_trainable(host: str, text: str, backbone: str | None) -> bool:
    config = ConfigParser()
    config.read_config(evaluation_files(host, "synthetic", text=text, backbone=backbone))
    config.update({"bundle_root": str(CONFIGS.parent)})
    settle(config)
    config.get_parsed_content("imports", eval_expr=True)
    return any(parameter.requires_grad for parameter in config.get_parsed_content("host_def").parameters())
