# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Make an environment with the oldest versions that the project promises to work with.

    python tools/oldest.py .venv-oldest                        everything at its lower bound
    python tools/oldest.py .venv-oldest --torch_of .venv       PyTorch, its companions and CUDA as another has them

The lower bounds are those of ``pyproject.toml``, of the dependencies and all extras. Tools that only developers use are
installed in their newest version. PyTorch is the largest download by far; with ``--torch_of`` the
bounds of everything else are tried in minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import venv
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["development_requirements", "main", "pinned", "promised_requirements"]

PROJECT_FILE = Path(__file__).resolve().parents[1] / "pyproject.toml"
DEVELOPMENT = ("dev", "docs")
TORCH = ("torch", "torchvision")
TORCH_FOLDERS = re.compile(r"(torch(vision)?([.-].*)?|torchgen|functorch|triton([.-].*)?|nvidia.*|cuda.*|_cuda.*)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the environment.

    Raises:
        subprocess.CalledProcessError: when pip can't install the bounds together; it says which ones.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", type=Path, help="folder of the environment to make")
    parser.add_argument("--torch_of", type=Path, help="environment whose PyTorch is used as it is")
    given = parser.parse_args(arguments)
    venv.create(given.environment, clear=True, with_pip=True)
    python = given.environment / "bin" / "python"
    promised = promised_requirements(PROJECT_FILE)
    if given.torch_of:
        _share_torch(given.torch_of, given.environment)
        promised = [requirement for requirement in promised if requirement.name not in TORCH]
    pins = given.environment / "oldest.txt"
    lines = [*pinned(promised), *map(str, development_requirements(PROJECT_FILE))]
    pins.write_text("\n".join(lines) + "\n")
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(pins)], check=True
    )


def promised_requirements(project_file: Path) -> list[Requirement]:
    """What a user's installation needs, with every extra, by name."""
    project = tomllib.loads(project_file.read_text())["project"]
    extras = [lines for name, lines in project["optional-dependencies"].items() if name not in DEVELOPMENT]
    return _without_own(project["name"], [*project["dependencies"], *chain.from_iterable(extras)])


def development_requirements(project_file: Path) -> list[Requirement]:
    """Tools of the tests and of the documents."""
    project = tomllib.loads(project_file.read_text())["project"]
    extras = [project["optional-dependencies"].get(name, []) for name in DEVELOPMENT]
    return _without_own(project["name"], chain.from_iterable(extras))


def pinned(requirements: Iterable[Requirement]) -> list[str]:
    """Each requirement at its lower bound; one without a bound stays as it is.

    Raises:
        ValueError: when two places promise different lower bounds of one package.
    """
    pins: dict[str, str] = {}
    for requirement in requirements:
        bounds = [each.version for each in requirement.specifier if each.operator in (">=", "==", "~=")]
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        name = f"{canonicalize_name(requirement.name)}{extras}"
        pin = f"{name}=={bounds[0]}" if bounds else name
        if pins.setdefault(name, pin) != pin:
            raise ValueError(f"{name} has two lower bounds, {pins[name]} and {pin}: promise one in all places")
    return list(pins.values())


def _without_own(name: str, lines: Iterable[str]) -> list[Requirement]:
    """Requirements, without those that name extras of the project itself."""
    unique = {line: Requirement(line) for line in lines}
    others = [each for each in unique.values() if canonicalize_name(each.name) != canonicalize_name(name)]
    return sorted(others, key=lambda each: canonicalize_name(each.name))


def _share_torch(source: Path, target: Path) -> None:
    """Link PyTorch and what belongs to it into a folder on the new environment's path."""
    libraries = next((source / "lib").glob("python*/site-packages"))
    own = next((target / "lib").glob("python*/site-packages"))
    if libraries.parent.name != own.parent.name:
        raise ValueError(f"{source} is for {libraries.parent.name}, this is {own.parent.name}: they share no PyTorch")
    shared = target.resolve() / "torch"
    shared.mkdir()
    for path in libraries.resolve().iterdir():
        if TORCH_FOLDERS.fullmatch(path.name):
            (shared / path.name).symlink_to(path)
    (own / "torch_of.pth").write_text(f"{shared}\n")


if __name__ == "__main__":
    main()
