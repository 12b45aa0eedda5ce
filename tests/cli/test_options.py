# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Keys of a workflow as options of a command."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from scripts.cli.options import KeyCommand, with_keys
from scripts.cli.workflows import keys_of

Given = tuple[str, dict[str, Any]]


@pytest.fixture
def call() -> Any:
    """Run a command that takes the keys of evaluation and give back what reached it."""
    seen: list[Given] = []

    @with_keys("evaluating", without=("dataset_dir",))
    def evaluate(
        keys: dict[str, Any], folder: Annotated[str, typer.Argument()], host: Annotated[str, typer.Option()] = "ifa"
    ) -> None:
        """Evaluate."""
        seen.append((folder, {"host": host, **keys}))

    app = typer.Typer()
    app.command(cls=KeyCommand)(evaluate)

    def run(*words: str) -> Given:
        result = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return seen[-1]

    run.app = app  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["DATA"], {"host": "ifa"}),
        (["DATA", "--image_size", "96"], {"host": "ifa", "image_size": 96}),
        (["--image-size=96", "DATA", "--host", "matching"], {"host": "matching", "image_size": 96}),
        (["DATA", "-o", "out"], {"host": "ifa", "output_dir": "out"}),
        (["DATA", "--learn_alpha"], {"host": "ifa", "learn_alpha": True}),
        (["--learn_alpha", "DATA"], {"host": "ifa", "learn_alpha": True}),
        (["--learn-alpha", "false", "DATA"], {"host": "ifa", "learn_alpha": False}),
        (["--fold", "none", "DATA"], {"host": "ifa", "fold": None}),
        (["--seed", "-1", "DATA"], {"host": "ifa", "seed": -1}),
        (["--validate#dataset#cache_rate", "0.5", "DATA"], {"host": "ifa", "validate#dataset#cache_rate": 0.5}),
        (["DATA", "--position_prior=2"], {"host": "ifa", "position_prior": 2}),
        (["DATA", "--set", "position_prior=2", "--set", "a=b=c"], {"host": "ifa", "position_prior": 2, "a": "b=c"}),
    ],
)
def test_keys_reach_the_command(call: Any, words: list[str], keys: dict[str, Any]) -> None:
    assert call(*words) == ("DATA", keys)


def test_a_key_without_its_value_is_refused(call: Any) -> None:
    for words in (["DATA", "--image_size"], ["DATA", "--nothing"], ["DATA", "--set", "nothing"]):
        assert CliRunner().invoke(call.app, words).exit_code == 2


def test_help_names_every_key_with_its_default(call: Any) -> None:
    shown = CliRunner().invoke(call.app, ["--help"], env={"COLUMNS": "200"}, terminal_width=200).output
    for key in keys_of("evaluating"):
        if key.name != "dataset_dir":
            assert f"--{key.name}" in shown
    assert "[default: 150]" in shown
