# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the catalogue promises: names that the commands know, whole addresses, hashes of the right form."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.apps.prepare.catalogue import CATALOGUE, Archive, DatasetEntry

ENTRIES = list(CATALOGUE.values())
ARCHIVES = [archive for entry in ENTRIES for archive in entry.archives]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_says_who_made_it_and_how_to_get_it(entry: DatasetEntry) -> None:
    assert CATALOGUE[entry.name] is entry
    assert entry.title
    assert entry.terms
    assert entry.citation
    assert entry.access == ("fetched" if entry.archives else "by hand" if entry.instructions else "made or your own")
    assert bool(entry.counts) == bool(entry.counts_from)
    assert all(number > 0 for number in entry.counts.values())
    assert len({archive.file_name for archive in entry.archives}) == len(entry.archives)


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.file_name)
def test_an_archive_has_an_address_and_hashes_of_the_right_form(archive: Archive) -> None:
    parts = urlsplit(archive.url)
    assert parts.scheme in ("http", "https")
    assert parts.netloc
    assert archive.sha256 is None or re.fullmatch("[0-9a-f]{64}", archive.sha256)
    assert archive.md5 is None or re.fullmatch("[0-9a-f]{32}", archive.md5)
    assert archive.size is None or archive.size > 0
    assert "/" not in archive.file_name


def test_every_data_overlay_of_a_public_set_is_there(bundle_root: Path) -> None:
    overlays = {path.stem for path in (bundle_root / "configs" / "data").glob("*.json")}
    own = {"datalist", "image_folder", "synthetic", "mni152"}
    assert overlays - own - {"image_text"} <= CATALOGUE.keys()
    assert {"kvasir", "busi", "monuseg"} <= CATALOGUE.keys()  # read by image_text


def test_readers_take_a_folder_that_is_missing(tmp_path: Path) -> None:
    for entry in ENTRIES:
        if entry.archives:
            with pytest.raises(FileNotFoundError, match="nowhere"):
                entry.read(tmp_path / "nowhere")
