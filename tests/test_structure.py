# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The house as ``docs/architecture.md`` draws it: arrows point down, no circles, one idea a file, a test for each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import scripts

ROOT = Path(scripts.__file__).resolve().parent
TESTS = Path(__file__).resolve().parent

ROOMS = (
    ("__main__",),
    ("cli",),
    ("studies",),
    ("apps",),
    ("inferers", "handlers", "engines"),
    ("transforms",),
    ("data",),
    ("text", "metrics", "losses"),
    ("networks",),
    ("version",),
    ("files", "labels", "public_face"),
    ("own_name",),
)
"""From the top down. A room may import from those below it, not from its neighbours."""

INNER_ROOMS = {
    "networks": ("hosts", "semantic_guidance", "blocks"),
    "data": ("episodes", "readers"),
}
"""Within a room, from the top down."""

UPWARD: set[tuple[str, str]] = set()
"""Arrows, from module to module, that are still to be mended."""

CIRCLES: list[set[str]] = []
"""Circles that are still to be mended."""

MOST_LINES = 300
LONG: dict[str, str] = {}
"""Modules of more lines than `MOST_LINES`, and why."""

UNTESTED = {
    "__main__",
    "apps.startup.running_config",
    "cli.app",
    "cli.choices",
    "cli.describe",
    "cli.doctor",
    "cli.evaluate",
    "cli.keys",
    "cli.list_command",
    "cli.prepare",
    "cli.run",
    "cli.segment",
    "cli.self_test",
    "cli.studies",
    "cli.train",
    "data.dicom.geometry",
    "data.dicom.header",
    "data.dicom.jpeg",
    "data.dicom.pixels",
    "data.readers.chaos_ct",
    "data.readers.derived_masks",
    "data.readers.folders",
    "data.readers.sentences",
    "engines.prepare_volume",
    "files.cache_root",
    "handlers.random_state",
    "handlers.weights",
    "networks.adaptation.augmented_support",
    "networks.adaptation.base",
    "networks.adaptation.self_matching",
    "networks.blocks.levels",
    "networks.hosts.anchor_host",
    "networks.hosts.convert.hypercorrelation",
    "networks.hosts.released.dmtnet",
    "networks.hosts.released.ifa",
    "networks.hosts.released.patnet",
    "networks.hosts.released.pmms",
    "networks.hosts.released.qnet",
    "networks.hosts.rpmms",
    "networks.semantic_guidance.released",
    "networks.stored_prompt",
    "own_name",
    "transforms.save_dicom_segmentation",
    "version",
}
"""Modules without a test file of their name; what they do is tested from outside."""


def module_name(path: Path) -> str:
    """``data/items.py`` -> ``data.items``; a package goes by its folder, the whole by an empty name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def sources(name: str) -> Iterator[tuple[Path, ast.Module]]:
    """The module, and the stub that lists what a package offers."""
    for path in (MODULES[name], MODULES[name].with_suffix(".pyi")):
        if path.is_file():
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def imported(name: str) -> set[str]:
    """Modules of this package that a module imports anywhere, also within functions and for type checking alone."""
    package = name.split(".") if name else []
    if MODULES[name].name != "__init__.py":
        package = package[:-1]
    found = set()
    for _, tree in sources(name):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
                for alias in node.names:
                    whole = ".".join([*base, alias.name])
                    found.add(whole if whole in MODULES else ".".join(base))
    return found - {name}


ARROWS = {name: imported(name) for name in MODULES}


def room(name: str) -> str:
    return name.partition(".")[0]


def level(name: str) -> int:
    return next(number for number, rooms in enumerate(ROOMS) if room(name) in rooms)


def test_every_room_has_a_place() -> None:
    known = {each for rooms in ROOMS for each in rooms}
    assert {room(name) for name in MODULES if name} <= known, "give the new room its place in ROOMS"


def test_arrows_between_rooms_point_down() -> None:
    upward = {
        (name, target)
        for name, targets in ARROWS.items()
        for target in targets
        if name and target and room(name) != room(target) and level(target) <= level(name)
    }
    assert upward - UPWARD == set(), "import from rooms below only"
    assert UPWARD - upward == set(), "mended: take these out of UPWARD"


@pytest.mark.parametrize("outer", INNER_ROOMS)
def test_arrows_within_a_room_point_down(outer: str) -> None:
    for number, lower in enumerate(INNER_ROOMS[outer]):
        above = tuple(f"{outer}.{upper}" for upper in INNER_ROOMS[outer][:number])
        for name in MODULES:
            if name.startswith(f"{outer}.{lower}"):
                assert not {target for target in ARROWS[name] if target.startswith(above)}, f"{name} looks up"


def test_no_module_is_in_a_circle() -> None:
    circles = [circle for circle in strongly_connected(with_packages(ARROWS)) if len(circle) > 1]
    assert [circle for circle in circles if circle not in CIRCLES] == []
    assert [circle for circle in CIRCLES if circle not in circles] == [], "mended: take these out of CIRCLES"


def test_a_circle_would_be_found() -> None:
    arrows = {"a": {"b"}, "b": {"c.d"}, "c": set(), "c.d": {"a"}, "e": {"a"}}
    assert [circle for circle in strongly_connected(arrows) if len(circle) > 1] == [{"a", "b", "c.d"}]
    through_the_package = with_packages({"a": {"p.one"}, "p": {"p.two"}, "p.one": set(), "p.two": {"a"}})
    assert {"a", "p", "p.two"} in strongly_connected(through_the_package)


def test_the_package_goes_by_any_name() -> None:
    """Imports are relative, as the same files are also installed under another name."""
    absolute = []
    for name in MODULES:
        for path, tree in sources(name):
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    targets = [alias.name for alias in node.names]
                else:
                    targets = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                own = {"scripts", "segprompt"}.intersection(room(target) for target in targets)
                absolute += [f"{path}: {each}" for each in own]
    assert absolute == []


def test_no_module_is_too_long() -> None:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    long = {name for name, number in lines.items() if number > MOST_LINES}
    assert long - LONG.keys() == set(), f"more than {MOST_LINES} lines: which of their ideas wants a file of its own?"
    assert LONG.keys() - long == set(), "short by now: take these out of LONG"


def test_every_module_has_a_test_of_its_name() -> None:
    without = {name for name in MODULES if not only_imports(MODULES[name]) and not has_test(name)}
    assert without - UNTESTED == set(), "write tests/<room>/test_<module>.py"
    assert UNTESTED - without == set(), "tested by now: take these out of UNTESTED"


def has_test(name: str) -> bool:
    """Whether ``a.b.c`` has ``tests/a/b/test_c.py``, or ``test_b_c.py`` there."""
    *rooms, module = name.split(".")
    folder = TESTS.joinpath(*rooms)
    return any((folder / f"test_{stem}.py").is_file() for stem in (module, "_".join([*rooms[-1:], module])))


def only_imports(path: Path) -> bool:
    """Whether a module gathers names of others, or is a docstring alone."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return path.name == "__init__.py" or all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
        for node in body
    )


def with_packages(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same arrows, and those to the packages around a target: Python imports them first."""
    return {
        name: targets
        | {
            package
            for target in targets
            for package in packages_of(target)
            if package in arrows and package != name and package not in packages_of(name)
        }
        for name, targets in arrows.items()
    }


def packages_of(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:number]) for number in range(1, len(parts))]


def strongly_connected(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules each of which reaches every other of its group (Kosaraju)."""
    order: list[str] = []
    seen: set[str] = set()
    for start in arrows:
        order += _reached(start, arrows, seen)
    backward: dict[str, set[str]] = {name: set() for name in arrows}
    for name, targets in arrows.items():
        for target in targets & arrows.keys():
            backward[target].add(name)
    seen = set()
    groups = [set(_reached(start, backward, seen)) for start in reversed(order)]
    return [group for group in groups if group]


def _reached(start: str, arrows: dict[str, set[str]], seen: set[str]) -> list[str]:
    """What is reached from a module and wasn't seen before, in the order in which it is left."""
    left: list[str] = []
    if start in seen:
        return left
    seen.add(start)
    stack = [(start, iter(sorted(arrows[start] & arrows.keys())))]
    while stack:
        name, targets = stack[-1]
        target = next((each for each in targets if each not in seen), None)
        if target is None:
            left.append(name)
            stack.pop()
        else:
            seen.add(target)
            stack.append((target, iter(sorted(arrows[target] & arrows.keys()))))
    return left
