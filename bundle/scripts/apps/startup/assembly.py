# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Workflows put together by the names of their overlays, for apps that run many of them.

files = evaluation_files("matching", find_target("ISIC", "data").overlay)
workflow = start(files, dataset_dir="data/ISIC", output_dir="output/a")
workflow.run()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pydoc import locate
from typing import Any, NamedTuple

from monai.bundle import ConfigParser, ConfigWorkflow

from ...files.bundle_root import CONFIGS
from ...files.read_json import read_json_object
from .own_config import own_path, settle

__all__ = ["CONFIGS", "TARGETS", "Target", "evaluation_files", "find_overlay", "find_target", "has_guidance", "start"]


TARGETS = {
    "isic2018": ("ISIC", "ISIC2018", "isic2018"),
    "chest_xray": ("CHEST", "chest_xray"),
    "wbc": ("WBC", "wbc"),
    "chaos_mr": ("CHAOS", "chaos_mr"),
    "chaos_ct": ("CHAOS_CT_sample", "CHAOS_CT", "chaos_ct"),
    "voc2012": ("VOC2012", "voc2012"),
    "coco": ("COCO", "COCO128", "coco"),
    "fss1000": ("FSS1000", "fss1000"),
    "image_text": ("KVASIR", "BUSI", "MONUSEG", "image_text"),
}
"""Data overlay -> names that its folder may have in a folder of data sets."""


class Target(NamedTuple):
    """A data set to evaluate on."""

    overlay: str
    """name of its data overlay."""
    dataset_dir: Path
    """its folder."""


def find_target(name: str, data_root: str | Path) -> Target:
    """Find a data set in a folder that holds several, one sub-folder each.

    Args:
        name: of the data overlay, which takes the first of its folders that is there; or of a folder, in upper or
            lower case, which takes that one only.
        data_root: the folder.

    Raises:
        ValueError: for a name that no target has, or without ``data_root``.
        FileNotFoundError: when the folder, or the sub-folder, is missing.
    """
    if not isinstance(data_root, str | Path) or not str(data_root):
        raise ValueError(
            f"data_root is {data_root!r}, expected a folder with a sub-folder per data set; set it by --data_root DATA"
        )
    root = Path(data_root).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"data_root: no folder {root}; expected one with a sub-folder per data set")
    for overlay, folders in TARGETS.items():
        own = [folder for folder in folders if folder.lower() == name.lower()]
        if name.lower() != overlay and not own:
            continue
        accepted = own if own and name != overlay else folders
        there = sorted(path.name for path in root.iterdir() if path.is_dir())
        for folder in (name, *accepted):
            found = _same_name(folder, there)
            if found is not None:
                return Target(overlay, root / found)
        raise FileNotFoundError(
            f"target {name!r}: none of {', '.join(dict.fromkeys(accepted))} in {root}, which holds "
            f"{', '.join(there) or 'no folder'}"
        )
    raise ValueError(f"unknown target {name!r}; there are {', '.join(TARGETS)} (or the names of their folders)")


def find_overlay(kind: str, name: str) -> Path:
    """File of an overlay: a name in ``configs/<kind>/``, or the path of a JSON file of one's own.

    Raises:
        ValueError: for an unknown name; it lists those there are. Also for a file that isn't JSON.
        FileNotFoundError: for a path without a file.
    """
    if name.endswith(".json"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"no {kind} overlay {name}")
    else:
        path = CONFIGS / kind / f"{name}.json"
        if not path.is_file():
            there = ", ".join(sorted(file.stem for file in (CONFIGS / kind).glob("*.json")))
            raise ValueError(f"no {kind} overlay {name!r}; there are {there} (or give the path of a .json file)")
    _refuse_broken_json(path, kind)
    return path


def evaluation_files(
    host: str, data: str, *, text: str = "off", refinement: str = "off", backbone: str | None = None
) -> list[str]:
    """Configuration files of an evaluation, in the order in which they override each other.

    Args:
        host: overlay of ``hosts/``, like the next ones of their folders.
        data: see there.
        text: see there.
        refinement: see there.
        backbone: see there; None for the default.
    """
    overlays = [find_overlay("hosts", host), find_overlay("data", data)]
    if backbone is not None:
        overlays.append(find_overlay("backbones", backbone))
    overlays += [find_overlay("text", text), find_overlay("refinement", refinement)]
    return [str(path) for path in (CONFIGS / "train.json", CONFIGS / "evaluate.json", *overlays)]


def has_guidance(host: str) -> bool:
    """Whether a host can hold CD-TG's text guidance, as its class says."""
    config = ConfigParser.load_config_files([str(CONFIGS / "train.json"), str(find_overlay("hosts", host))])
    host_class = locate(own_path(config["host_def"]["_target_"]))
    return bool(getattr(host_class, "takes_text", True))


def start(files: Sequence[str], *, run_id: str = "evaluating", **overrides: Any) -> ConfigWorkflow:
    """Make a workflow of the bundle's and initialise it; ``run()`` and ``finalize()`` are left to do.

    Args:
        files: configuration files.
        run_id: what ``run()`` does.
        overrides: as on the command line; those that are None stay as the files say. ``device`` may be its name, as
            ``cpu``.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if isinstance(device := given.get("device"), str) and not device.startswith("$"):
        given["device"] = f"$torch.device({device!r})"
    workflow = ConfigWorkflow(
        list(files),
        logging_file=False,
        run_id=run_id,
        workflow_type=None,
        bundle_root=str(CONFIGS.parent),
        **given,
    )
    settle(workflow.parser)
    workflow.initialize()
    return workflow


def _same_name(name: str, there: Sequence[str]) -> str | None:
    """The name itself if it is there, or else one that differs in case only."""
    if name in there:
        return name
    return next((each for each in there if each.lower() == name.lower()), None)


def _refuse_broken_json(path: Path, kind: str) -> None:
    try:
        read_json_object(path)
    except ValueError as error:
        raise ValueError(f"{kind} overlay {error}") from error
