# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import subprocess

import pytest

from scripts.apps.prepare.verify import check_checksums, check_counts, check_pictures, write_checksums
from scripts.data import read_image_text


def test_counts(kvasir_folder):
    items = read_image_text(kvasir_folder)
    assert check_counts(items, {"images": 3, "polyp": 3}) == []
    assert check_counts(items, {"images": 4, "tumour": 2}) == [
        "3 images, the complete set has 4", "0 images of tumour, the complete set has 2",
    ]  # fmt: skip


def test_checksums(kvasir_folder, tmp_path):
    items = read_image_text(kvasir_folder)
    path = write_checksums(items, kvasir_folder, tmp_path / "out" / "checksums.sha256")
    assert len(path.read_text().splitlines()) == 6
    assert subprocess.run(["sha256sum", "-c", "--quiet", path], cwd=kvasir_folder).returncode == 0
    assert check_checksums(path, kvasir_folder) == []
    changed, missing = items[0]["image"], items[1]["label"]
    with open(changed, "ab") as file:
        file.write(b"more")
    (kvasir_folder / missing).unlink()
    problems = check_checksums(path, kvasir_folder)
    assert sorted(problem.split(" ")[0] for problem in problems) == sorted([changed, missing])
    assert any("was changed: sha256" in problem for problem in problems)
    assert any(f"is missing, {path} lists it" in problem for problem in problems)
    path.write_text("abc  file\n")
    with pytest.raises(ValueError, match=r"checksums\.sha256, line 1: expected a sha256"):
        check_checksums(path, kvasir_folder)


def test_pictures_are_decoded(kvasir_folder):
    items = read_image_text(kvasir_folder)
    assert check_pictures(items) == []
    image = kvasir_folder / items[2]["image"]
    image.write_bytes(image.read_bytes()[:-200])
    assert read_image_text(kvasir_folder) == items  # the header is whole
    (problem,) = check_pictures(items)
    assert problem.startswith(f"{image} is not a readable picture")
