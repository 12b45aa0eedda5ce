# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import hashlib
import json

import pytest
from monai.bundle import ConfigWorkflow
from PIL import Image

from scripts.apps.prepare import CATALOGUE, Archive, prepare
from scripts.data import read_datalist


@pytest.fixture
def catalogue(server, zipped, kvasir_files):
    """The catalogue's entry of Kvasir-SEG, with an archive of three pairs on loopback."""
    content = zipped(kvasir_files)
    archive = Archive(server.serve("k.zip", content), "k.zip", len(content), hashlib.sha256(content).hexdigest())
    return {"kvasir": CATALOGUE["kvasir"]._replace(archives=(archive,), counts={"images": 3})}


def with_archive(catalogue, **changes):
    entry = catalogue["kvasir"]
    return {"kvasir": entry._replace(archives=(entry.archives[0]._replace(**changes),))}


def test_from_nothing_to_a_described_set(server, catalogue, tmp_path):
    server.files["k.zip"].cut.append(700)  # the first transfer breaks
    summary = prepare("kvasir", tmp_path / "set", tmp_path / "out", catalogue=catalogue, progress=False)
    assert len(server.files["k.zip"].requests) == 2
    assert summary["classes"]["polyp"]["items"] == 3
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    assert len(read_datalist(tmp_path / "out" / "datalist.json")) == 3
    assert Image.open(tmp_path / "out" / "contact_sheet.png").width == 3 * 198 + 6
    prepare("kvasir", tmp_path / "set", tmp_path / "out", catalogue=catalogue, progress=False)
    prepare("kvasir", tmp_path / "set", tmp_path / "out", catalogue=catalogue, verify_only=True)
    assert len(server.files["k.zip"].requests) == 2  # no further one


def test_a_download_without_a_hash_is_told_and_can_be_pinned(server, catalogue, tmp_path, caplog):
    arguments = {"catalogue": with_archive(catalogue, sha256=None), "progress": False}
    summary = prepare("kvasir", tmp_path / "a", tmp_path / "out", **arguments)
    seen = hashlib.sha256(server.files["k.zip"].content).hexdigest()
    assert f"k.zip is unverified: no hash is known. It has the sha256 {seen}" in caplog.text
    assert f"--hashes \"{{'k.zip': '{seen}'}}\"" in caplog.text
    url = f"{server.address}/k.zip"
    assert summary["downloads"] == {"k.zip": {"url": url, "sha256": seen, "is_verified": False}}
    caplog.clear()
    pinned = prepare("kvasir", tmp_path / "b", tmp_path / "out_b", hashes={"k.zip": seen}, **arguments)
    assert pinned["downloads"]["k.zip"]["is_verified"]
    assert "unverified" not in caplog.text
    with pytest.raises(ValueError, match=rf"k\.zip gave a wrong file: sha256 {seen}, expected 1+"):
        prepare("kvasir", tmp_path / "c", tmp_path / "out_c", hashes={"k.zip": "1" * 64}, **arguments)


@pytest.mark.parametrize(
    ("hashes", "message"),
    [
        ({"x.zip": "0" * 64}, r"hashes names 'x\.zip', expected one of the downloads of kvasir: k\.zip"),
        ({"k.zip": "abc"}, r"hashes gives k\.zip 'abc', expected the 64 digits of a sha256"),
    ],
)
def test_hashes_are_checked(catalogue, tmp_path, hashes, message):
    with pytest.raises(ValueError, match=message):
        prepare("kvasir", tmp_path / "set", tmp_path / "out", hashes=hashes, catalogue=catalogue)


def test_a_mirror(server, catalogue, tmp_path):
    elsewhere = with_archive(catalogue, url="http://127.0.0.1:9/k.zip")
    summary = prepare(
        "kvasir", tmp_path, tmp_path / "out", mirror=f"{server.address}/", catalogue=elsewhere, progress=False
    )
    assert summary["downloads"]["k.zip"]["url"] == f"{server.address}/k.zip"


def test_what_was_fetched_can_go(catalogue, tmp_path):
    prepare("kvasir", tmp_path, tmp_path / "out", catalogue=catalogue, keep_archives=False, progress=False)
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["k.zip.unpacked"]


def test_later_damage_is_found(catalogue, tmp_path):
    arguments = {"catalogue": catalogue, "progress": False}
    prepare("kvasir", tmp_path / "set", tmp_path / "out", **arguments)
    image = next((tmp_path / "set" / "Kvasir-SEG" / "images").iterdir())
    content = bytearray(image.read_bytes())
    content[-5] ^= 1
    image.write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s)kvasir in .* has \d problem.*{image.name} was changed: sha256"):
        prepare("kvasir", tmp_path / "set", tmp_path / "out", verify_only=True, **arguments)


def test_an_incomplete_set(catalogue, kvasir_folder, tmp_path):
    catalogue["kvasir"] = catalogue["kvasir"]._replace(counts={"images": 1000})
    arguments = {"catalogue": catalogue, "verify_only": True}
    with pytest.raises(ValueError, match=r"(?s)1 problem.*3 images, the complete set has 1000.*--allow_subset True"):
        prepare("kvasir", kvasir_folder, tmp_path / "out", **arguments)
    summary = prepare("kvasir", kvasir_folder, tmp_path / "out", allow_subset=True, **arguments)
    assert (summary["is_complete"], summary["missing"]) == (False, ["3 images, the complete set has 1000"])


def test_downloads_that_fail(server, zipped, kvasir_files, catalogue, tmp_path):
    def run(changed):
        prepare("kvasir", tmp_path / "set", tmp_path / "out", catalogue=changed, progress=False)

    with pytest.raises(OSError, match=r"none\.zip: the server answered 404"):
        run(with_archive(catalogue, url=f"{server.address}/none.zip"))
    with pytest.raises(ValueError, match=r"k\.zip gave a wrong file: sha256 .*, expected 0+"):
        run(with_archive(catalogue, sha256="0" * 64))
    evil = server.serve("evil.zip", zipped({**kvasir_files, "../../evil.txt": b"x"}))
    with pytest.raises(ValueError, match=r"the entry '\.\./\.\./evil\.txt' leads outside the folder"):
        run(with_archive(catalogue, url=evil, size=None, sha256=None))
    assert not list(tmp_path.rglob("evil.txt"))
    assert not list(tmp_path.rglob("*.png"))


def test_sets_that_need_a_login(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"(?s)can't be fetched by a command. With a Kaggle login: kaggle\.com"):
        prepare("chest_xray", tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        prepare("chest_xray", tmp_path / "none", tmp_path / "out", verify_only=True)


def test_the_catalogue_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"(?s)no data set is named .*voc2012 .*\(fetched\).*chest_xray .*\(by hand\)"):
        prepare(None, tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="there is no data set 'voc'; the catalogue has"):
        prepare("voc", tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="dataset_dir is not given: the folder of wbc"):
        prepare("wbc", None, tmp_path / "out")


def test_entries_are_well_formed():
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert entry.title
        assert entry.terms
        assert entry.citation
        assert bool(entry.counts) == bool(entry.counts_from)
        for archive in entry.archives:
            assert archive.url.startswith(("http://", "https://"))
            assert archive.sha256 is None or len(archive.sha256) == 64
            assert archive.md5 is None or len(archive.md5) == 32


def test_the_workflow(bundle_root, kvasir_folder, tmp_path):
    workflow = ConfigWorkflow(
        config_file=str(bundle_root / "configs" / "prepare.json"),
        workflow_type="train",
        logging_file=False,
        dataset="kvasir",
        dataset_dir=str(kvasir_folder),
        output_dir=str(tmp_path / "out"),
        verify_only=True,
        allow_subset=True,
    )
    workflow.initialize()
    workflow.run()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["checksums.sha256", "contact_sheet.png", "datalist.json", "summary.json"]


@pytest.mark.parametrize(
    ("dataset", "folder", "count"), [("busi", "BUSI", 25), ("kvasir", "KVASIR", 5), ("monuseg", "MONUSEG", 9)]
)
def test_samples(shared_data, tmp_path, dataset, folder, count):
    summary = prepare(dataset, shared_data / folder, tmp_path, verify_only=True, allow_subset=True)
    assert summary["num_items"] == count
