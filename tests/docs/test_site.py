# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The documentation site: every page has its place, links hold, nothing is asked of the network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "bundle" / "docs"
MADE_OF_OTHER_FILES = {"index.md", "bundle.md", "contributing.md", "security.md", "changes.md"}

_REQUEST = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|<link\b(?![^>]*rel=["']?(?:canonical|prev|next))[^>]*\bhref=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|@import\s[^;]*//[^;]*|url\(\s*["']?(?:https?:)?//[^)]*""",
    re.IGNORECASE,
)


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml without calling the function that it names."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def named_pages(entries: Any) -> Iterator[str]:
    if isinstance(entries, str):
        yield entries
    elif isinstance(entries, dict):
        yield from named_pages(list(entries.values()))
    else:
        for entry in entries:
            yield from named_pages(entry)


def test_navigation_names_every_page_once() -> None:
    named = list(named_pages(yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)["nav"]))
    pages = [file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.md") if file != DOCS / "README.md"]
    notebooks = [file.relative_to(DOCS).with_suffix(".md").as_posix() for file in DOCS.rglob("*.ipynb")]
    assert sorted(named) == sorted([*pages, *notebooks, *MADE_OF_OTHER_FILES])


def test_a_request_is_found() -> None:
    assert _REQUEST.search('<script defer src="https://cdn.example.org/a.js">')
    assert _REQUEST.search('<link rel="stylesheet" href="https://fonts.example.org/css">')
    assert _REQUEST.search("@font-face{src:url(//fonts.example.org/a.woff2)}")
    assert not _REQUEST.search('<a href="https://example.org">x</a><img src="images/a.png">')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("material", "mkdocstrings", "nbconvert", "latex2mathml"):
        pytest.importorskip(module, reason="the site needs the extra `docs`")
    folder = tmp_path_factory.mktemp("site") / "site"
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    return folder


@pytest.mark.slow
def test_site_needs_no_network(site: Path) -> None:
    files = [file for file in site.rglob("*") if file.suffix in (".html", ".css")]
    assert len(files) > 60
    found = {file.relative_to(site).as_posix(): _REQUEST.findall(file.read_text()) for file in files}
    assert {name: requests for name, requests in found.items() if requests} == {}


@pytest.mark.slow
def test_site_holds_configs_docstrings_formulas_and_notebooks(site: Path) -> None:
    assert 'href="../configs/hosts.html#qnet"' in (site / "hosts" / "qnet.html").read_text()
    assert 'id="qnet"' in (site / "configs" / "hosts.html").read_text()
    assert "mm per axis of" in (site / "python" / "inferers" / "volume.html").read_text()
    formulas = (site / "text.html").read_text()
    assert formulas.count("<math") >= 5
    assert "arithmatex" not in formulas
    assert "<img" in (site / "notebooks" / "one_slice.html").read_text()
    figures = list((site / "notebooks").rglob("*.png"))
    assert len(figures) >= 3
