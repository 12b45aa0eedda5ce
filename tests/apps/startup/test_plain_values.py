# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What of a configuration can be kept as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scripts.apps.startup.plain_values import is_plain


@pytest.mark.parametrize("value", [None, True, 1, 0.5, "a", [], (1, [2.0]), {"a": {"b": [None]}}])
def test_plain(value: Any) -> None:
    assert is_plain(value)


@pytest.mark.parametrize("value", [torch.zeros(1), {1: "a"}, {"a": [object()]}, {1, 2}, b"a"])
def test_what_json_cannot_hold(value: Any) -> None:
    assert not is_plain(value)
