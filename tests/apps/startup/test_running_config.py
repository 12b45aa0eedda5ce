# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A function that a configuration calls finds that configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser, ConfigWorkflow

from scripts.apps.startup.running_config import running_config

CALL = "$scripts.apps.startup.running_config.running_config('me')"
CONFIG = {
    "imports": ["$import scripts", "$import scripts.apps.startup.running_config"],
    "found": CALL,
    "start": ["$@found"],
}


def test_a_workflow_with_its_folder_and_ids(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(json.dumps(CONFIG))
    workflow = ConfigWorkflow(
        str(tmp_path / "own.json"), meta_file=[], logging_file=False, workflow_type=None, init_id="start", run_id="go"
    )
    workflow.initialize()
    found = workflow.parser.get_parsed_content("found")
    assert found.parser is workflow.parser
    assert (found.folder, found.roots) == (tmp_path, ("start", "go", "finalize"))


def test_a_bare_parser() -> None:
    parser = ConfigParser(json.loads(json.dumps(CONFIG)))
    found = parser.get_parsed_content("found")
    assert (found.parser, found.folder) == (parser, None)


def test_none() -> None:
    with pytest.raises(RuntimeError, match="describe_network reads the configuration that calls it: put it into"):
        running_config("describe_network")
