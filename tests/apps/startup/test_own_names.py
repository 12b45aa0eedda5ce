# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Names without the package go both ways."""

from __future__ import annotations

import pytest

from scripts.apps.startup.own_names import full_name, own_name


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("scripts.networks.hosts.IFA", ".networks.hosts.IFA"),
        ("torch.optim.SGD", "torch.optim.SGD"),
        ("$scripts.engines.trainable_parameters(@network)", "$.engines.trainable_parameters(@network)"),
        ("my.scripts.host", "my.scripts.host"),
        ("scripts", "scripts"),
    ],
)
def test_own_names(text: str, own: str) -> None:
    assert own_name(text) == own


def test_back_again() -> None:
    assert full_name(".networks.hosts.IFA") == "scripts.networks.hosts.IFA"
    assert full_name("torch.optim.SGD") == "torch.optim.SGD"
