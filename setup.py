# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What pyproject.toml can't say: ``bundle/scripts`` is the package ``segprompt``, its version is the bundle's."""

import json
from pathlib import Path

from setuptools import find_packages, setup

BUNDLE = Path("bundle")
NAME = "segprompt"

packages = [NAME, *(f"{NAME}.{name}" for name in find_packages(str(BUNDLE / "scripts")))]
version = json.loads((BUNDLE / "configs" / "metadata.json").read_text(encoding="utf-8"))["version"]

setup(
    version=version,
    packages=[*packages, f"{NAME}.configs", f"{NAME}.prompts"],
    package_dir={
        NAME: "bundle/scripts",
        f"{NAME}.configs": "bundle/configs",
        f"{NAME}.prompts": "bundle/prompts",
    },
    package_data={
        NAME: ["py.typed", "**/*.pyi", "**/*.json", "**/*.html", "**/*.css", "**/*.js"],
        f"{NAME}.configs": ["**/*.json", "*.conf"],
        f"{NAME}.prompts": ["*.json"],
    },
)
