# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Site pages of the notebooks: their text, code and saved outputs as Markdown; figures become files beside the page."""

from __future__ import annotations

from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

__all__ = ["notebook_page", "on_files"]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page, and its figures, for every notebook among the files; the notebook itself stays for download."""
    for file in list(files):
        if file.src_uri.endswith(".ipynb") and file.abs_src_path is not None:
            page = file.src_uri.removesuffix(".ipynb")
            text, figures = notebook_page(Path(file.abs_src_path), figure_folder=Path(page).name)
            files.append(File.generated(config, f"{page}.md", content=text))
            for name, content in figures.items():
                files.append(File.generated(config, f"{Path(page).parent.as_posix()}/{name}", content=content))
    return files


def notebook_page(notebook: Path, *, figure_folder: str) -> tuple[str, dict[str, bytes]]:
    """Turn a notebook into Markdown.

    Args:
        notebook: an executed notebook.
        figure_folder: folder of its figures, relative to the page.

    Returns:
        The Markdown, and figures by their path relative to the page.
    """
    content = nbformat.read(notebook, as_version=4)
    resources = {"output_files_dir": figure_folder, "unique_key": "figure"}
    text, made = MarkdownExporter().from_notebook_node(content, resources=resources)
    return text, dict(made["outputs"])
