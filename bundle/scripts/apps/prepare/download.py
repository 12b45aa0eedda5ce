# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Downloads that go on where they broke off, and are in place only when their hash is right."""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import requests
from tqdm import tqdm

from ...files.atomic import write_json
from ...files.digest import file_digest
from ...files.read_json import read_json_object

__all__ = ["DownloadError", "check_file", "download"]

_CHUNK = 2**18
_TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two pieces
_LONGEST_PAUSE = 30.0
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_MARGIN = 2**20  # bytes that stay free on the disk

logger = logging.getLogger(__name__)


class DownloadError(OSError):
    """A file could not be fetched; the message names its address."""


class _BrokenError(Exception):
    """The transfer ended early; another attempt may go on from there."""


class _Answer(NamedTuple):
    offset: int  # where the server starts
    total: int | None  # size of the whole file, if it tells


def download(
    url: str,
    target: str | os.PathLike[str],
    *,
    size: int | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    attempts: int = 6,
    pause: float = 1.0,
    progress: bool = False,
) -> Path:
    """Fetch a file; what is there already and right is kept.

    The bytes go to ``<target>.part``. A broken transfer goes on there with a range request, at the next attempt or the
    next call; a server that can't do that, or whose file has changed meanwhile, sends everything again.

    Args:
        url: http or https address.
        target: file to write.
        size: expected bytes; None if unknown.
        sha256: expected hash; None if unknown.
        md5: expected hash where the publisher gives no better one.
        attempts: transfers in all before giving up.
        pause: seconds before the second attempt; doubled each time.
        progress: show a bar.

    Raises:
        DownloadError: when the server refuses, or the transfers keep breaking.
        ValueError: when the file has another size or hash than expected; nothing is left in its place.
    """
    target = Path(target)
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no http or https address")
    if target.is_file():
        problem = check_file(target, size=size, sha256=sha256, md5=md5)
        if problem is None:
            return target
        logger.warning("%s is fetched again: %s", target, problem)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    was_resumed = _fetch(url, partial, size, attempts, pause, progress)
    problem = check_file(partial, size=size, sha256=sha256, md5=md5)
    if problem is not None and was_resumed:
        logger.warning("the file put together from several transfers is wrong (%s); %s is fetched anew", problem, url)
        _forget(partial)
        _fetch(url, partial, size, attempts, pause, progress)
        problem = check_file(partial, size=size, sha256=sha256, md5=md5)
    if problem is not None:
        _forget(partial)
        raise ValueError(f"{url} gave a wrong file: {problem}; it was removed")
    os.replace(partial, target)
    _forget(partial)
    return target


def check_file(path: Path, *, size: int | None = None, sha256: str | None = None, md5: str | None = None) -> str | None:
    """Say what is wrong with a file; None when size and hashes are as expected (or unknown)."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"{found} bytes, expected {size}"
    for name, expected in (("sha256", sha256), ("md5", md5)):
        if expected is not None and (actual := file_digest(path, name)) != expected.lower():
            return f"{name} {actual}, expected {expected}"
    return None


def _fetch(url: str, partial: Path, size: int | None, attempts: int, pause: float, progress: bool) -> bool:
    """Complete the partial file; returns whether it was put together from several transfers."""
    was_resumed = partial.is_file() and partial.stat().st_size > 0
    reason = ""
    for attempt in range(attempts):
        if attempt:
            wait = min(pause * 2 ** (attempt - 1), _LONGEST_PAUSE)
            logger.info("%s: %s; attempt %d of %d in %.1f s", url, reason, attempt + 1, attempts, wait)
            time.sleep(wait)
        try:
            _transfer(url, partial, size, progress)
        except _BrokenError as broken:
            reason = str(broken)
            was_resumed = was_resumed or partial.is_file()
        else:
            return was_resumed
    had = partial.stat().st_size if partial.is_file() else 0
    raise DownloadError(
        f"{url} could not be fetched in {attempts} attempts: {reason}; "
        f"{had} bytes are kept in {partial}, call again to go on"
    )


def _transfer(url: str, partial: Path, size: int | None, progress: bool) -> None:
    """One request, appended to what is there."""
    offset = partial.stat().st_size if partial.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        validator = _read_validator(partial)
        if validator:
            headers["If-Range"] = validator
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            answer = _check_answer(response, url, partial, offset)
            if answer is None:
                return
            if size is not None and answer.total not in (None, size):
                _forget(partial)
                raise ValueError(f"{url} has {answer.total} bytes, expected {size}")
            _check_space(partial, answer)
            _write_validator(partial, response)
            _append(response, partial, answer, progress)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _BrokenError(f"the connection broke ({type(error).__name__})") from error
    except requests.RequestException as error:
        raise DownloadError(f"{url} could not be fetched: {error}") from error
    had = partial.stat().st_size
    if answer.total is not None and had < answer.total:
        raise _BrokenError(f"the transfer ended after {had} of {answer.total} bytes")


def _check_answer(response: requests.Response, url: str, partial: Path, offset: int) -> _Answer | None:
    """Where the body belongs; None when the partial file is whole already."""
    if response.status_code in _AGAIN:
        raise _BrokenError(f"the server answered {response.status_code} {response.reason}")
    if response.status_code == 416 and offset:
        total = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        if total and int(total[1]) == offset:
            return None
        _forget(partial)
        raise _BrokenError("the server's file is shorter than what was kept of it")
    if response.status_code not in (200, 206):
        raise DownloadError(f"{url}: the server answered {response.status_code} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise DownloadError(f"{url}: the server sent a web page in place of a file (a login, or a moved address)")
    length = response.headers.get("Content-Length")
    if response.status_code == 200:
        return _Answer(0, int(length) if length else None)
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if span is None or int(span[1]) != offset:
        _forget(partial)
        raise _BrokenError(f"the server sent the range {response.headers.get('Content-Range')!r}, asked from {offset}")
    return _Answer(offset, None if span[2] == "*" else int(span[2]))


def _append(response: requests.Response, partial: Path, answer: _Answer, progress: bool) -> None:
    bar = tqdm(
        total=answer.total, initial=answer.offset, unit="B", unit_scale=True, disable=not progress, desc=partial.stem
    )
    response.raw.enforce_content_length = (
        False  # would throw the last piece of a broken transfer away; told by _transfer
    )
    with bar, partial.open("r+b" if answer.offset else "wb") as file:
        file.seek(answer.offset)
        for piece in response.iter_content(_CHUNK):
            file.write(piece)
            bar.update(len(piece))


def _check_space(partial: Path, answer: _Answer) -> None:
    needed = (answer.total or 0) - answer.offset
    free = shutil.disk_usage(partial.parent).free
    if needed + _MARGIN > free:
        raise DownloadError(f"no space for {partial}: {needed} bytes are needed, {free} are free")


def _validator_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _read_validator(partial: Path) -> str | None:
    try:
        validator = read_json_object(_validator_file(partial)).get("validator")
    except (OSError, ValueError):
        return None
    return validator if isinstance(validator, str) else None


def _write_validator(partial: Path, response: requests.Response) -> None:
    """Keep what tells one version of the server's file from another; weak tags don't promise equal bytes."""
    tag = response.headers.get("ETag", "")
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    write_json(_validator_file(partial), {"validator": validator})


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _validator_file(partial).unlink(missing_ok=True)
