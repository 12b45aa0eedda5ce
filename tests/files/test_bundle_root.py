# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import scripts
from scripts.files.bundle_root import BUNDLE_ROOT, CONFIGS, PROMPTS


def test_the_bundle_holds_configurations_prompts_and_the_package() -> None:
    assert (CONFIGS / "metadata.json").is_file()
    assert (CONFIGS / "train.json").is_file()
    assert (PROMPTS / "voc2012.json").is_file()
    assert CONFIGS.parent == PROMPTS.parent == BUNDLE_ROOT
    assert str(scripts.__file__).startswith(str(BUNDLE_ROOT))
