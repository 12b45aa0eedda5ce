# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Every shipped overlay passes the start-up check of the workflows that it is made for."""

from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from scripts.apps.startup.config_check import unknown_ids

CONFIGS = Path(__file__).resolve().parents[2] / "bundle" / "configs"
WORKFLOWS = {
    "training": (
        ["train.json"],
        ["hosts", "backbones", "language", "text", "data", "refinement", "adaptation", "recipes"],
    ),
    "evaluating": (
        ["train.json", "evaluate.json"],
        ["hosts", "backbones", "language", "text", "data", "refinement", "adaptation"],
    ),
    "inference": (["inference.json"], ["hosts", "backbones", "text", "inferers", "refinement", "adaptation"]),
}


def combinations():
    for workflow, (files, folders) in WORKFLOWS.items():
        yield workflow, files, None
        for folder in folders:
            for overlay in sorted((CONFIGS / folder).glob("*.json")):
                yield workflow, files, overlay


@pytest.mark.parametrize(
    ("workflow", "files", "overlay"),
    [pytest.param(*each, id=f"{each[0]}-{each[2].stem if each[2] else 'alone'}") for each in combinations()],
)
def test_overlay_is_known(workflow, files, overlay):
    paths = [str(CONFIGS / name) for name in files]
    parser = ConfigParser()
    parser.read_config(paths + ([str(overlay)] if overlay else []))
    parser.parse()
    base = ConfigParser.load_config_files(paths)
    roots = ("initialize", "run", "training", "evaluating")
    assert unknown_ids(parser.get(), base, roots=roots, locate=lambda target: _full_path(parser, target)) == []


def _full_path(parser: ConfigParser, target: str) -> str:
    module = parser.locator.get_component_module_name(target)
    return target if module is None else f"{module if isinstance(module, str) else module[0]}.{target}"
