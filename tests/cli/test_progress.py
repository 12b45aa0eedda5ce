# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Progress in a log: a line per stage and per 10 %."""

from __future__ import annotations

import io
import sys

import pytest
from ignite.engine import Engine
from ignite.handlers import ProgressBar
from tqdm import tqdm

from scripts.cli.progress import StageProgress, bars_as_lines


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_stages_come_as_lines() -> None:
    log = io.StringIO()
    with StageProgress(log) as tell:
        for done in range(1, 41):
            tell("features", done, 40)
        tell("propagation", 1, 2)
        tell("propagation", 2, 2)
    lines = log.getvalue().splitlines()
    assert lines[0] == "features: 0 % (1/40)"
    assert lines[1:11] == [f"features: {10 * step} % ({4 * step}/40)" for step in range(1, 11)]
    assert lines[11:] == ["propagation: 50 % (1/2)", "propagation: 100 % (2/2)"]


def test_a_terminal_gets_a_bar() -> None:
    terminal = Terminal()
    with StageProgress(terminal) as tell:
        tell("features", 3, 4)
    assert "features:  75%|" in terminal.getvalue()


def test_bars_of_libraries_come_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    bars_as_lines()
    for _ in tqdm(range(100), desc="loading", mininterval=0):
        pass
    print("a warning", file=sys.stderr)
    engine = Engine(lambda engine, batch: None)
    ProgressBar(desc="training", mininterval=0).attach(engine)
    engine.run(range(40), max_epochs=2)
    lines = log.getvalue().splitlines()
    assert "\r" not in log.getvalue()
    assert [line for line in lines if line.startswith("loading")] == [
        f"loading: {step} % ({step}/100)" for step in range(0, 101, 10)
    ]
    assert lines.count("a warning") == 1
    training = [line for line in lines if line.startswith("training")]
    assert any(line.startswith("training [1/2]: 50 % (20/40)") for line in training)
    assert any(line.startswith("training [2/2]: 50 % (20/40)") for line in training)
    assert len(training) <= 24
