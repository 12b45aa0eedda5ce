# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Site pages of the configuration files: one per folder, each file with a heading of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

__all__ = ["config_pages", "on_config", "on_files"]

CONFIGS = Path(__file__).resolve().parents[2] / "bundle" / "configs"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages in the navigation, at the end of the reference."""
    reference = next(entry["Reference"] for entry in config.nav or [] if "Reference" in entry)
    reference.append({"Configuration files": [f"configs/{name}.md" for name, _ in config_pages(CONFIGS)]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for name, content in config_pages(CONFIGS):
        files.append(File.generated(config, f"configs/{name}.md", content=content))
    return files


def config_pages(configs: Path) -> Iterator[tuple[str, str]]:
    """Name and Markdown of every page, the workflows first."""
    folders = {"workflows": configs, **{each.name: each for each in sorted(configs.iterdir()) if each.is_dir()}}
    for name, folder in folders.items():
        place = folder.relative_to(configs.parent).as_posix()
        lines = [f"# {name.capitalize()}", f"The files of `{place}`."]
        for file in sorted(folder.glob("*.json")):
            lines += [f"## {file.stem}", f'```json title="{place}/{file.name}"\n{file.read_text().rstrip()}\n```']
        yield name, "\n\n".join(lines) + "\n"
