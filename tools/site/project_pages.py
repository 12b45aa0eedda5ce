# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Site pages of the project's own documents, and links between them that hold on the site.

In the repository a link names a file (``../configs/hosts/ifa.json``, ``../../README.md``). On the site the same file is
a page of its own, a section of the page of its folder, or a copy.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

__all__ = ["on_files", "on_page_markdown", "site_address"]

ROOT = Path(__file__).resolve().parents[2]
DOCS = "bundle/docs"
CONFIGS = "bundle/configs"
PAGES = {
    "README.md": "index.md",
    f"{DOCS}/README.md": "bundle.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changes.md",
}
WITHOUT_SIDEBAR = "---\nhide:\n  - navigation\n---\n"
COPIES = {"LICENSE": "LICENSE.txt", "bundle/LICENSE": "LICENSE.txt"}

_FENCE = re.compile(r"(^```.*?^```[ ]*$)", re.MULTILINE | re.DOTALL)
_FILE_OF_BLOCK = re.compile(r"^```(\w+) file=(\S+)", re.MULTILINE)
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents that lie outside of the folder of pages, and copies of the licence."""
    bundle_page = files.get_file_from_path("README.md")
    if bundle_page is not None:
        files.remove(bundle_page)
    for source, page in PAGES.items():
        head = WITHOUT_SIDEBAR if page == "index.md" else ""
        files.append(File.generated(config, page, content=head + (ROOT / source).read_text()))
    for source, copy in COPIES.items():
        if files.get_file_from_path(copy) is None:
            files.append(File.generated(config, copy, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links outside of code, and give blocks that are files their name as a title."""
    here = page.file.src_uri
    source = next((source for source, name in PAGES.items() if name == here), f"{DOCS}/{here}")
    parts = _FENCE.split(markdown)
    for number, part in enumerate(parts):
        if number % 2:
            parts[number] = _FILE_OF_BLOCK.sub(r'```\1 title="\2"', part)
        else:
            parts[number] = _LINK.sub(lambda link: link[1] + site_link(link[2], source, here) + link[3], part)
    return "".join(parts)


def site_link(target: str, source: str, page: str) -> str:
    """A link of a repository file, as it must stand on its page.

    Args:
        target: as written, relative to ``source``; web addresses and anchors of the same page stay.
        source: the file's path in the repository.
        page: its page.

    Raises:
        PluginError: for a file of the repository that is not on the site.
    """
    path, _, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return target
    address = site_address(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
    if address is None:
        raise PluginError(f"{source} links to {path}, which is not on the site: add it to tools/site/project_pages.py")
    name, _, section = address.partition("#")
    relative = posixpath.relpath(name, posixpath.dirname(page) or ".")
    return f"{relative}#{section or anchor}" if section or anchor else relative


def site_address(path: str) -> str | None:
    """Page, with section, or copy that holds a file of the repository; None if the site doesn't hold it."""
    if path in PAGES:
        return PAGES[path]
    if path in COPIES:
        return COPIES[path]
    if path.startswith(f"{CONFIGS}/") and path.endswith(".json"):
        folder, name = posixpath.split(path.removeprefix(f"{CONFIGS}/"))
        return f"configs/{folder or 'workflows'}.md#{posixpath.splitext(name)[0]}"
    if path.startswith(f"{DOCS}/"):
        own = path.removeprefix(f"{DOCS}/")
        return f"{own.removesuffix('.ipynb')}.md" if own.endswith(".ipynb") else own
    return None
