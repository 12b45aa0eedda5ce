# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From the name of a data set to files that are there, verified and described."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data.items import Item
from ...files.atomic import write_bytes, write_json
from ...files.digest import file_digest
from ...files.read_json import read_json
from .catalogue import CATALOGUE, Archive, DatasetEntry
from .contact_sheet import draw_contact_sheet
from .download import download
from .summary import summarise
from .unpack import unpack
from .verify import CHECKSUM_FILE, check_checksums, check_counts, check_pictures, write_checksums

__all__ = ["list_datasets", "prepare"]

_ARCHIVES = "downloads"
_MOST_SHOWN = 10

logger = logging.getLogger(__name__)


def prepare(
    dataset: str | None,
    dataset_dir: str | Path | None,
    output_dir: str | Path,
    *,
    verify_only: bool = False,
    allow_subset: bool = False,
    keep_archives: bool = True,
    num_shown: int = 24,
    reader_options: Mapping[str, Any] | None = None,
    mirror: str | None = None,
    hashes: Mapping[str, str] | None = None,
    catalogue: Mapping[str, DatasetEntry] = CATALOGUE,
    progress: bool = True,
) -> dict[str, Any]:
    """Fetch what is missing, unpack it, verify it, and describe it.

    ``datalist.json``, ``summary.json``, ``contact_sheet.png`` and ``checksums.sha256`` are written. A complete set that
    lies in the folder already is not fetched again. Later calls compare with the checksums of the first.

    Args:
        dataset: name in the catalogue; None is an error that lists the names.
        dataset_dir: folder of the set, made if missing.
        output_dir: folder of what is written.
        verify_only: touch no network.
        allow_subset: other counts than those of the complete set are told, but are no error.
        keep_archives: keep the downloads (in ``downloads`` in `dataset_dir`) after unpacking.
        num_shown: images on the contact sheet.
        reader_options: further arguments of the reader (``class_names`` of ``image_folder``).
        mirror: address of a folder that holds the same files, to fetch them from there.
        hashes: file name -> sha256 of downloads, in place of what the catalogue states.
        catalogue: name -> entry.
        progress: show bars.

    Returns:
        What ``summary.json`` holds.

    Raises:
        ValueError: when the name is unknown, or the data are incomplete or harmed; all problems in one.
        FileNotFoundError: when the data aren't there and can't be fetched; the message says how to get them.
    """
    entry = _find(dataset, catalogue)
    if dataset_dir is None:
        raise ValueError(f"dataset_dir is not given: the folder of {entry.name} (--dataset_dir FOLDER)")
    root, output = Path(dataset_dir).expanduser().resolve(), Path(output_dir).expanduser()
    options = dict(reader_options or {})
    logger.info("%s. Terms: %s Cite: %s", entry.title, entry.terms, entry.citation)
    if not verify_only and (lack := _lack(entry, root, options)):
        archives = _addressed(entry, mirror, hashes or {})
        _fetch(entry, archives, root, lack, keep_archives=keep_archives, progress=progress)
    items = entry.read(root, **options)
    incomplete = check_counts(items, entry.counts)
    problems = check_pictures(items) + _checksum_problems(items, root, output)
    if not allow_subset:
        problems += incomplete
    content = {
        "dataset": entry.name,
        "title": entry.title,
        "dataset_dir": str(root),
        "terms": entry.terms,
        "citation": entry.citation,
        "downloads": _downloads(entry, root),
        "counts_from": entry.counts_from,
        "is_complete": not incomplete,
        "missing": incomplete,
        "problems": problems,
        **summarise(items),
    }
    write_json(output / "summary.json", content)
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:_MOST_SHOWN])
        rest = len(problems) - _MOST_SHOWN
        more = f"\n  and {rest} more, see {output / 'summary.json'}" if rest > 0 else ""
        hint = "" if allow_subset or not incomplete else "\n(a part of the set is enough? --allow_subset True)"
        raise ValueError(f"{entry.name} in {root} has {len(problems)} problem(s):\n{shown}{more}{hint}")
    write_json(output / "datalist.json", {"name": entry.name, "training": items})
    draw_contact_sheet(output / "contact_sheet.png", items, num_shown=num_shown)
    logger.info("%s: %d images; see %s", entry.name, len(items), output)
    return content


def list_datasets(catalogue: Mapping[str, DatasetEntry] = CATALOGUE) -> str:
    """A line per set: how to get it."""
    lines = [f"  {name:13} {entry.title} ({entry.access})" for name, entry in catalogue.items()]
    return "\n".join(lines)


def _find(dataset: str | None, catalogue: Mapping[str, DatasetEntry]) -> DatasetEntry:
    if dataset in catalogue:
        return catalogue[str(dataset)]
    problem = "no data set is named (--dataset NAME)" if dataset is None else f"there is no data set {dataset!r}"
    raise ValueError(f"{problem}; the catalogue has:\n{list_datasets(catalogue)}")


def _lack(entry: DatasetEntry, root: Path, options: dict[str, Any]) -> str:
    """What a download could help against; empty where nothing is missing."""
    try:
        items = entry.read(root, **options)
    except FileNotFoundError as error:
        return str(error)
    return "; ".join(check_counts(items, entry.counts)) if entry.archives else ""


def _addressed(entry: DatasetEntry, mirror: str | None, hashes: Mapping[str, str]) -> list[Archive]:
    """The archives with the addresses and the hashes that the user wants."""
    names = [archive.file_name for archive in entry.archives]
    for name, value in hashes.items():
        if name not in names:
            raise ValueError(
                f"hashes names {name!r}, expected one of the downloads of {entry.name}: {', '.join(names)}"
            )
        if not re.fullmatch(r"[0-9a-fA-F]{64}", str(value)):
            raise ValueError(f"hashes gives {name} {value!r}, expected the 64 digits of a sha256")
    archives = []
    for archive in entry.archives:
        if mirror is not None:
            archive = archive._replace(url=f"{mirror.rstrip('/')}/{archive.file_name}")
        if archive.file_name in hashes:
            archive = archive._replace(sha256=hashes[archive.file_name], md5=None, size=None)
        archives.append(archive)
    return archives


def _fetch(
    entry: DatasetEntry, archives: Sequence[Archive], root: Path, lack: str, *, keep_archives: bool, progress: bool
) -> None:
    if not archives:
        raise FileNotFoundError(
            f"{lack}\n{entry.name} can't be fetched by a command. {entry.instructions or 'Check the folder.'} "
            f"Unpack it into {root} and call again."
        )
    for archive in archives:
        file = root / _ARCHIVES / archive.file_name
        mark = _mark(archive, root)
        if mark.is_file():
            continue
        logger.info("%s", archive.url)
        download(archive.url, file, size=archive.size, sha256=archive.sha256, md5=archive.md5, progress=progress)
        seen, is_verified = file_digest(file), bool(archive.sha256 or archive.md5)
        if not is_verified:
            logger.warning(
                "%s is unverified: no hash is known. It has the sha256 %s; to have it compared next time: "
                "--hashes \"{'%s': '%s'}\"",
                *(file, seen, archive.file_name, seen),
            )
        _unpack(archive, file, root)
        write_json(mark, {"url": archive.url, "sha256": seen, "is_verified": is_verified})
        if not keep_archives:
            file.unlink()
    if entry.finish is not None:
        entry.finish(root)


def _mark(archive: Archive, root: Path) -> Path:
    """Says that an archive has been unpacked, and what it was."""
    return root / _ARCHIVES / f"{archive.file_name}.unpacked"


def _downloads(entry: DatasetEntry, root: Path) -> dict[str, Any]:
    """File name -> address, sha256 and whether that was expected, of what was fetched by this command."""
    marks = {archive.file_name: _mark(archive, root) for archive in entry.archives}
    return {name: read_json(mark) for name, mark in marks.items() if mark.is_file()}


def _unpack(archive: Archive, file: Path, root: Path) -> None:
    if archive.place is not None:  # a single file
        write_bytes(root / archive.place, file.read_bytes())
    else:
        unpack(file, root)


def _checksum_problems(items: list[Item], root: Path, output: Path) -> list[str]:
    """Compare with the list of an earlier call or of the publisher; write one where there is none."""
    lists = [folder / CHECKSUM_FILE for folder in (output, root) if (folder / CHECKSUM_FILE).is_file()]
    problems = [problem for path in lists for problem in check_checksums(path, root)]
    if not lists:
        write_checksums(items, root, output / CHECKSUM_FILE)
    return problems
