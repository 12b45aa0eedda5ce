# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from scripts.apps.prepare.download import DownloadError, download

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = {"pause": 0.01}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file(server, tmp_path):
    url = server.serve("a.zip", CONTENT)
    target = download(url, tmp_path / "sub" / "a.zip", size=len(CONTENT), sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["a.zip"]
    assert download(url, target, sha256=SHA256.upper()) == target
    assert len(server.files["a.zip"].requests) == 1


def test_a_truncated_transfer_goes_on_where_it_broke(server, tmp_path):
    url = server.serve("a.zip", CONTENT, cut=[100_000, 50_000])
    assert download(url, tmp_path / "a.zip", sha256=SHA256, **QUICK).read_bytes() == CONTENT
    assert server.files["a.zip"].requests == [None, "bytes=100000-", "bytes=150000-"]
    assert names(tmp_path) == ["a.zip"]


def test_an_interrupted_download_goes_on_at_the_next_call(server, tmp_path):
    url = server.serve("a.zip", CONTENT, cut=[100_000, 10_000])
    with pytest.raises(DownloadError, match=r"could not be fetched in 2 attempts: .*; 110000 bytes are kept"):
        download(url, tmp_path / "a.zip", sha256=SHA256, attempts=2, **QUICK)
    assert "a.zip" not in names(tmp_path)
    assert download(url, tmp_path / "a.zip", sha256=SHA256).read_bytes() == CONTENT
    assert server.files["a.zip"].requests[-1] == "bytes=110000-"


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    url = server.serve("a.zip", CONTENT, cut=[100_000], has_ranges=False)
    assert download(url, tmp_path / "a.zip", sha256=SHA256, **QUICK).read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    url = server.serve("a.zip", CONTENT, cut=[100_000])
    with pytest.raises(DownloadError):
        download(url, tmp_path / "a.zip", attempts=1)
    server.serve("a.zip", CONTENT[::-1], etag='"v2"')
    assert download(url, tmp_path / "a.zip").read_bytes() == CONTENT[::-1]


def test_a_wrong_part_is_thrown_away_once(server, tmp_path):
    url = server.serve("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(b"x" * 1000)
    assert download(url, tmp_path / "a.zip", sha256=SHA256).read_bytes() == CONTENT
    assert server.files["a.zip"].requests == ["bytes=1000-", None]


def test_a_part_that_is_whole_already(server, tmp_path):
    url = server.serve("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert download(url, tmp_path / "a.zip", sha256=SHA256).read_bytes() == CONTENT
    (tmp_path / "b.zip.part").write_bytes(CONTENT + b"more")
    assert download(url, tmp_path / "b.zip", sha256=SHA256, **QUICK).read_bytes() == CONTENT


def test_busy_servers_are_asked_again(server, tmp_path):
    url = server.serve("a.zip", CONTENT, statuses=[503, 429])
    assert download(url, tmp_path / "a.zip", sha256=SHA256, **QUICK).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("options", "expected", "error", "message"),
    [
        ({}, {"sha256": "0" * 64}, ValueError, rf"gave a wrong file: sha256 {SHA256}, expected 0+; it was removed"),
        ({}, {"md5": "0" * 32}, ValueError, r"gave a wrong file: md5 [0-9a-f]{32}, expected 0+"),
        ({}, {"size": 17}, ValueError, r"a\.zip has 300000 bytes, expected 17"),
        ({"statuses": [403]}, {}, DownloadError, r"a\.zip: the server answered 403 Forbidden"),
        ({"content_type": "text/html; charset=utf-8"}, {}, DownloadError, r"a\.zip: the server sent a web page"),
    ],
)
def test_refused(server, tmp_path, options, expected, error, message):
    url = server.serve("a.zip", CONTENT, **options)
    with pytest.raises(error, match=message):
        download(url, tmp_path / "a.zip", **expected)
    assert names(tmp_path) == []
    assert len(server.files["a.zip"].requests) == 1


def test_missing_and_unreachable(server, tmp_path):
    with pytest.raises(DownloadError, match=r"none\.zip: the server answered 404 Not Found"):
        download(f"{server.address}/none.zip", tmp_path / "a.zip")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9/a could not be fetched in 2 attempts: the conn"):
        download("http://127.0.0.1:9/a", tmp_path / "a.zip", attempts=2, **QUICK)
    with pytest.raises(ValueError, match="'file:///etc/passwd' is no http or https address"):
        download("file:///etc/passwd", tmp_path / "a.zip")


def test_a_wrong_file_in_place_is_fetched_again(server, tmp_path):
    url = server.serve("a.zip", CONTENT)
    (tmp_path / "a.zip").write_bytes(b"old")
    assert download(url, tmp_path / "a.zip", sha256=SHA256).read_bytes() == CONTENT
