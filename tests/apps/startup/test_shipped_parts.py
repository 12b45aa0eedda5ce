# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the shipped configurations name for networks may come from a checkpoint, and nothing else."""

from __future__ import annotations

import pytest

from scripts.apps.startup.shipped_parts import refuse_foreign, shipped_parts


def test_parts_of_networks_only() -> None:
    parts = shipped_parts()
    assert {".networks.hosts.IFA", ".networks.backbones.timm_backbone", ".text.embedding_table"} <= parts.targets
    assert not any(target.startswith((".apps", ".engines", ".data", "torch", "os")) for target in parts.targets)
    assert "$@text_table and @text_table.background" in parts.expressions
    assert not {"run", "initialize", "train", "checkpointing", "dataset_dir"} & parts.ids


def test_what_is_refused() -> None:
    refuse_foreign({"_target_": ".networks.hosts.IFA", "levels": ["c4"], "guidance": "@guidance_def"}, "host_def", "x")
    refuse_foreign(None, "text_table", "x.pt")
    with pytest.raises(ValueError, match=r"x\.pt: host_def is built by builtins\.eval, which isn't a part"):
        refuse_foreign({"_target_": "builtins.eval", "source": "1"}, "host_def", "x.pt")
    with pytest.raises(ValueError, match=r"x\.pt brings a section initialize"):
        refuse_foreign([], "initialize", "x.pt")
