# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Formulas as MathML, which browsers draw themselves: no script, nothing to download."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

__all__ = ["on_page_content"]

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace what the Markdown extension marked as LaTeX, inline or displayed."""
    return _FORMULA.sub(_as_mathml, content)


def _as_mathml(match: re.Match[str]) -> str:
    tag, formula = match.groups()
    mathml = convert(html.unescape(formula), display="block" if tag == "div" else "inline")
    return f'<{tag} class="formula">{mathml}</{tag}>'
