# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the commands say of configurations is what the configurations hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from scripts.apps.startup.assembly import evaluation_files, has_guidance
from scripts.cli.workflows import OVERLAYS, WORKFLOWS, Key, keys_of, overlay_keys, overlays_of, workflow_files

DESCRIPTIONS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "bundle/scripts/cli/descriptions.json").read_text(encoding="utf-8")
)


def is_plain(value: Any) -> bool:
    """A value that a user may give: no component, section, macro or list of such."""
    if isinstance(value, list):
        return all(is_plain(part) and not str(part).startswith("$") for part in value)
    return not isinstance(value, dict) and not str(value).startswith("%")


def contents(*files: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for file in files:
        merged.update(json.loads(file.read_text(encoding="utf-8")))
    return merged


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_key_is_described(workflow: str) -> None:
    own = {name for name in contents(*workflow_files(workflow)) if "#" not in name}
    plain = {name for name, value in contents(*workflow_files(workflow)).items() if is_plain(value) and name in own}
    described = {key.name for key in keys_of(workflow)}
    silent = {key.name for key in keys_of("training")} if workflow == "evaluating" else set()
    assert plain - described - set(DESCRIPTIONS["internal"]) - silent == set(), "describe it in cli/descriptions.json"
    assert set(DESCRIPTIONS["keys"][workflow]) <= own, "descriptions.json describes a key that is gone"


def test_every_key_of_an_overlay_is_described() -> None:
    known = {*DESCRIPTIONS["overlay_keys"], *DESCRIPTIONS["internal"]}
    for described in DESCRIPTIONS["keys"].values():
        known |= set(described)
    for folder in OVERLAYS.values():
        for file in sorted((workflow_files("training")[0].parent / folder).glob("*.json")):
            for name, value in contents(file).items():
                if is_plain(value) and "#" not in name and not name.startswith("+") and name not in ("imports", "run"):
                    assert name in known, f"{folder}/{file.name}: describe {name} in cli/descriptions.json"
    assert set(overlay_keys()) == set(DESCRIPTIONS["overlay_keys"])


@pytest.mark.parametrize("kind", OVERLAYS)
def test_every_overlay_is_described(kind: str) -> None:
    found = overlays_of(kind)
    assert all(overlay.about for overlay in found), [each.name for each in found if not each.about]
    assert set(DESCRIPTIONS["overlays"][OVERLAYS[kind]]) == {overlay.name for overlay in found}


@pytest.mark.parametrize("host", overlays_of("hosts"), ids=lambda host: host.name)
def test_hosts_do_what_is_said(host: Any) -> None:
    assert has_guidance(host.name) == host.takes_text
    config = ConfigParser()
    config.read_config(evaluation_files(host.name, "synthetic"))
    config.get_parsed_content("imports", eval_expr=True)
    parameters = config.get_parsed_content("host_def").parameters()
    assert any(parameter.requires_grad for parameter in parameters) == host.trains


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (None, "none"),
        (True, "true"),
        (0.01, "0.01"),
        (["a", "b"], "a,b"),
        ([], "none"),
        ("$@bundle_root + '/output/' + @dataset_name + '_' + @host_name", "output/<dataset_name>_<host_name>"),
        ("$@bundle_root + '/prompts/' + str(@dataset_name) + '.json'", "prompts/<dataset_name>.json"),
        ("$8 if @device.type == 'cuda' else 1", ""),
    ],
)
def test_defaults_in_words(default: Any, shown: str) -> None:
    assert Key("key", default, "").shown_default == shown


def test_the_documents_say_the_same(bundle_root: Path) -> None:
    """The tables of configuration.md name no key that the commands don't describe."""
    described = set(DESCRIPTIONS["overlay_keys"]) | {"bundle_root"}
    for keys in DESCRIPTIONS["keys"].values():
        described |= set(keys)
    text = (bundle_root / "docs" / "configuration.md").read_text(encoding="utf-8")
    tables = re.findall(r"^## Keys.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    named = {name for table in tables for name in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)}
    assert named, "configuration.md has no tables of keys"
    assert named <= described
