# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt keys``."""

from __future__ import annotations

import re

import pytest

from scripts.cli.workflows import WORKFLOWS, keys_of

from .conftest import call


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_keys_are_those_of_the_configs(workflow: str) -> None:
    code, text = call("keys", workflow)
    assert code == 0
    for key in keys_of(workflow):
        assert re.search(rf"^{key.name}\b.*{re.escape(key.meaning[:20])}", text, re.MULTILINE), key.name


def test_keys_of_overlays_name_them() -> None:
    _, text = call("keys", "overlays")
    assert re.search(r"^position_prior +hosts/aligned_matching, hosts/matching +how much", text, re.MULTILINE)


def test_defaults_are_shown() -> None:
    assert re.search(r"^num_episodes +150 +\w", call("keys", "evaluating")[1], re.MULTILINE)


def test_an_unknown_workflow_names_the_others() -> None:
    code, text = call("keys", "nothing")
    assert code == 2
    assert all(f"'{name}'" in text for name in (*WORKFLOWS, "overlays"))
