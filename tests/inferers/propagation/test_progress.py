# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Progress of one stage."""

from __future__ import annotations

from scripts.inferers.propagation.progress import stage_progress


def test_a_stage_tells_under_its_name() -> None:
    told: list[tuple[str, int, int]] = []
    features = stage_progress(lambda *call: told.append(call), "features")
    output = stage_progress(lambda *call: told.append(call), "output")
    assert features is not None
    assert output is not None
    features(1, 3)
    output(2, 3)
    assert told == [("features", 1, 3), ("output", 2, 3)]


def test_nobody_wants_to_know() -> None:
    assert stage_progress(None, "features") is None
