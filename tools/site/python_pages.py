# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Site pages of the Python reference: one per package, made of the docstrings of what its modules offer.

Sources are read, never imported. What a module offers is its ``__all__``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

__all__ = ["on_config", "on_files", "packages", "public_names"]

SOURCES = Path(__file__).resolve().parents[2] / "bundle" / "scripts"
OPTIONS = "    options:\n      heading_level: 2\n      show_root_full_path: true\n      members: {members}"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages in the navigation, a section per room."""
    reference = next(entry["Reference"] for entry in config.nav or [] if "Reference" in entry)
    rooms: dict[str, list[dict[str, str]]] = {}
    for package in packages(SOURCES):
        room, _, name = _dotted(package).removeprefix("scripts.").partition(".")
        rooms.setdefault(room, []).append({name or room: _page(package)})
    entries: list[Any] = [pages[0] if len(pages) == 1 else {room: pages} for room, pages in rooms.items()]
    reference.append({"Python": entries})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for package in packages(SOURCES):
        files.append(File.generated(config, _page(package), content=package_page(package)))
    return files


def packages(sources: Path) -> list[Path]:
    """Folders that hold a module that offers something, a room before what lies inside it."""
    folders = sorted({sources, *(file.parent for file in sources.rglob("*.py"))})
    return [folder for folder in folders if any(names for _, names in _modules(folder))]


def public_names(file: Path) -> list[str]:
    """The names in ``__all__``, in the order in which the module defines them; none without such a list."""
    tree = ast.parse(file.read_text())
    offered: list[str] = []
    defined: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if names == ["__all__"] and isinstance(node.value, ast.List):
                offered = ast.literal_eval(node.value)
            defined += names
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.append(node.target.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.append(node.name)
    return [name for name in dict.fromkeys(defined) if name in offered]


def package_page(package: Path) -> str:
    """Markdown of a package's page: what it is for, what it offers under its own name, then module after module."""
    name = _dotted(package)
    lines = [f"# {name}"]
    stub = package / "__init__.pyi"
    init = stub if stub.is_file() else package / "__init__.py"
    tree = ast.parse(init.read_text()) if init.is_file() else ast.Module([], [])
    lines.append(ast.get_docstring(tree) or "")
    if stub.is_file():
        offered = [f"`{alias.name}`" for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
        lines.append(f"`from {name} import` gives " + ", ".join(offered) + ".")
    for file, names in _modules(package):
        if names:
            lines.append(f"::: {name}.{file.stem}\n{OPTIONS.format(members=names)}")
    return "\n\n".join(lines) + "\n"


def _modules(package: Path) -> Iterator[tuple[Path, list[str]]]:
    """Modules of a folder, with what they offer."""
    for file in sorted(package.glob("*.py")):
        if not file.stem.startswith("_"):
            yield file, public_names(file)


def _dotted(package: Path) -> str:
    return ".".join(package.relative_to(SOURCES.parent).parts)


def _page(package: Path) -> str:
    return f"python/{_dotted(package).removeprefix('scripts').removeprefix('.').replace('.', '/') or 'scripts'}.md"
