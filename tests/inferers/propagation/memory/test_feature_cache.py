# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Features on disk: names by content, files that are whole or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from scripts.inferers.propagation.memory.feature_cache import (
    feature_key,
    fingerprint_of,
    load_features,
    save_features,
    volume_digest,
)


def test_a_volume_s_digest_is_that_of_its_values() -> None:
    volume = np.arange(24).reshape(2, 3, 4)
    content = b"".join(b"(3, 4)" + image.astype("<f4").tobytes() for image in volume)
    assert volume_digest(volume) == hashlib.sha256(content).hexdigest()
    assert volume_digest(volume.astype(np.float64)) == volume_digest(volume.astype(np.int16))
    assert volume_digest(np.asfortranarray(volume)) == volume_digest(volume)
    others = (volume[::-1], volume.reshape(2, 4, 3), volume + (volume == 7))
    assert volume_digest(volume) not in {volume_digest(other) for other in others}


def test_a_key_depends_on_everything() -> None:
    assert feature_key("v", "f", ("c4",), 400) == hashlib.sha256(b"('v', 'f', (('c4',), 400))").hexdigest()[:40]
    keys = {feature_key(*each) for each in (("v", "f", 1), ("w", "f", 1), ("v", "g", 1), ("v", "f", 2))}
    assert len(keys) == 4


def test_fingerprint_of_the_source_or_its_backbone() -> None:
    own = SimpleNamespace(fingerprint=lambda: "own")
    assert fingerprint_of(own) == "own"
    assert fingerprint_of(SimpleNamespace(backbone=own)) == "own"
    with pytest.raises(ValueError, match=r"SimpleNamespace has no fingerprint\(\), so its features can't be cached"):
        fingerprint_of(SimpleNamespace(fingerprint="text"))


def test_what_is_saved_comes_back_in_half_precision(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    features = {"c3": torch.rand(2, 3, 4, 5).transpose(2, 3), "c4": torch.tensor([[[[1 / 3]]]])}
    assert load_features(folder, "k") is None
    save_features(folder, "k", features)
    found = load_features(folder, "k")
    assert found is not None
    assert {level: maps.dtype for level, maps in found.items()} == dict.fromkeys(features, torch.float16)
    assert torch.equal(found["c3"], features["c3"].half())
    assert found["c4"].item() == 0.333251953125  # the nearest number with eleven bits
    assert [path.name for path in folder.iterdir()] == ["features_k.safetensors"]


def test_a_damaged_file_counts_as_missing(tmp_path: Path) -> None:
    save_features(tmp_path, "k", {"c4": torch.ones(1, 1, 8, 8)})
    path = tmp_path / "features_k.safetensors"
    path.write_bytes(path.read_bytes()[:-20])
    assert load_features(tmp_path, "k") is None
