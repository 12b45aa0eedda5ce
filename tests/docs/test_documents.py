# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What the documents say is true: commands, keys and links exist, Python blocks run, and some commands are run."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest
import typer
from monai.bundle import ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver
from PIL import Image
from typer.core import TyperGroup

from scripts.apps.startup.config_check import unknown_ids
from scripts.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "bundle"
CONFIGS = BUNDLE / "configs"
OWN = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")]
DOCUMENTS = [*OWN, *sorted(BUNDLE.glob("docs/**/*.md"))]
OVERLAY_FOLDERS = ("adaptation", "backbones", "data", "hosts", "inferers", "language", "recipes", "refinement", "text")
LANGUAGES = ("bash", "json", "python", "text")
LARGEST_IMAGE = 300_000  # bytes
SHAPE = (48, 40, 5)
SMALL = {"num_images": 20, "image_size": 96, "episodes_per_epoch": 4, "val_episodes": 3, "epochs": 1}

_BLOCK = re.compile(r"^```(?P<info>[^`\n]*)\n(?P<body>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


class Block(NamedTuple):
    document: Path
    language: str
    file: str | None
    body: str


class Command(NamedTuple):
    document: Path
    words: list[str]


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def blocks(document: Path) -> list[Block]:
    found = []
    for match in _BLOCK.finditer(document.read_text()):
        language, *options = match["info"].split() or [""]
        file = next((option.removeprefix("file=") for option in options if option.startswith("file=")), None)
        found.append(Block(document, language, file, match["body"]))
    return found


def commands() -> Iterator[Command]:
    """Commands of the fenced blocks, and of indented ones that start with python or make."""
    for document in DOCUMENTS:
        for block in blocks(document):
            if block.language == "bash":
                yield from (Command(document, words) for words in split_lines(block.body))
        rest = _BLOCK.sub("", document.read_text())
        for indented in re.findall(r"(?:^ {4}.*\n)+", rest, re.MULTILINE):
            for words in split_lines(re.sub(r"^ {4}", "", indented, flags=re.MULTILINE), ("python ", "make ")):
                yield Command(document, words)


def split_lines(text: str, heads: tuple[str, ...] = ("",)) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and line.startswith(heads) and not line.startswith("#"):
            yield shlex.split(line.split(" # ")[0])


COMMANDS = [pytest.param(command, id=f"{command.document.stem}-{number}") for number, command in enumerate(commands())]


def bundle_arguments(command: Command) -> tuple[str, list[str], dict[str, str]]:
    """Verb, positional arguments and --options of a `python -m monai.bundle` command."""
    words = [word for word in command.words if not _ASSIGNMENT.fullmatch(word)]
    assert words[:3] == ["python", "-m", "monai.bundle"]
    positional, options, rest = [], {}, words[4:]
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            options[word.removeprefix("--")] = rest.pop(0)
        else:
            positional.append(word)
    return words[3], positional, options


def literal(text: str) -> Any:
    """A value as the command line reads it."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def write_files(document: Path, folder: Path) -> None:
    """Write the blocks that have a file name."""
    for block in blocks(document):
        if block.file:
            (folder / block.file).write_text(block.body)


def merged(document: Path, options: dict[str, str], folder: Path) -> tuple[ConfigParser, list[str]]:
    """The configuration of a command, and its files."""
    given = literal(options["config_file"])
    files = [given] if isinstance(given, str) else list(given)
    own = {block.file for block in blocks(document) if block.file}
    write_files(document, folder)
    parser = ConfigParser()
    parser.read_config([str(folder / file if file in own else BUNDLE / file) for file in files])
    known = ("config_file", "meta_file", "net_id", "filepath", "ckpt_file", "logging_file", "args_file")
    parser.update({key: literal(value) for key, value in options.items() if key not in known})
    parser.parse()
    return parser, files


def lost_references(parser: ConfigParser, roots: list[str]) -> set[str]:
    """References, from the roots on, to entries that don't exist."""
    lost: set[str] = set()
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        id_ = waiting.pop()
        if id_ in seen:
            continue
        seen.add(id_)
        if id_ not in parser:
            lost.add(id_)
            continue
        waiting += references(parser.get(id_))
    return lost


def references(value: Any) -> Iterator[str]:
    """Ids that the strings inside a value refer to."""
    if isinstance(value, str):
        yield from ReferenceResolver.match_refs_pattern(value)
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from references(part)


def headings(document: Path) -> set[str]:
    """Anchors that a Markdown page has."""
    text = _BLOCK.sub("", document.read_text())
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def linked_overlays(*documents: Path) -> set[str]:
    text = "".join(document.read_text() for document in documents)
    return set(re.findall(r"configs/((?:" + "|".join(OVERLAY_FOLDERS) + r")/\w+)\.json\)", text))


def shipped_overlays(*folders: str) -> set[str]:
    return {f"{folder}/{path.stem}" for folder in folders for path in (CONFIGS / folder).glob("*.json")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_blocks_name_a_language(document: Path) -> None:
    for block in blocks(document):
        assert block.language in LANGUAGES, f"{name_of(document)}: {block.body[:60]}"
        if block.language == "json":
            json.loads(block.body)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    for match in _LINK.finditer(_BLOCK.sub("", document.read_text())):
        path, _, anchor = match["target"].partition("#")
        if path.startswith(("http://", "https://")):
            continue
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{name_of(document)} links to {path}"
        assert target.is_relative_to(ROOT), f"{name_of(document)} links outside of the project: {path}"
        if anchor:
            assert anchor in headings(target), f"{name_of(document)} links to {path}#{anchor}"
        if target.suffix == ".png":
            assert target.stat().st_size < LARGEST_IMAGE


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_possible(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [word for word in command.words if not _ASSIGNMENT.fullmatch(word)]
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[0] == "cd":
        assert (ROOT / words[1]).is_dir()
    elif words[0] == "source":
        assert words[1] == ".venv/bin/activate"
    elif words[:2] == ["pip", "install"]:
        assert set(re.findall(r"\w+", "".join(re.findall(r"\[(.*?)\]", words[2])))) <= extras()
    elif words[0] == "segprompt":
        check_own_command(words[1:], tmp_path, monkeypatch)
    elif words[:3] == ["python", "-m", "monai.bundle"]:
        check_bundle_command(command, tmp_path)
    else:
        assert words[0] == "python", words
        script = next((place / words[1] for place in (ROOT, BUNDLE) if (place / words[1]).is_file()), None)
        assert script is not None, words[1]
        for option in (word for word in words if word.startswith("--")):
            assert f'"{option}"' in script.read_text() or option == "--json", f"{words[1]} has no {option}"


def extras() -> set[str]:
    """Names of what the package can be installed with."""
    text = (ROOT / "pyproject.toml").read_text()
    section = re.search(r"^\[project\.optional-dependencies\]\n(.*?)(?=^\[)", text, re.MULTILINE | re.DOTALL)
    assert section
    return set(re.findall(r"^(\w+) = \[", section[1], re.MULTILINE))


def check_own_command(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command read its words, in a folder where every file that they name is there."""
    for word in words[1:]:
        if word.endswith(".nii.gz"):
            (folder / word).touch()
    monkeypatch.chdir(folder)
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands[words[0]]
    with command.make_context(words[0], list(words[1:])) as context:
        further = context.params.get("further_keys") or ()
    assert not further, f"segprompt {words[0]} has no {further}"


def test_an_error_in_an_own_command_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="slice_axes"):
        check_own_command(["segment", "V.nii.gz", "A.nii.gz", "--slice_axes", "0"], tmp_path, monkeypatch)
    with pytest.raises(KeyError, match="segmnt"):
        check_own_command(["segmnt", "V.nii.gz"], tmp_path, monkeypatch)


def check_bundle_command(command: Command, folder: Path) -> None:
    verb, positional, options = bundle_arguments(command)
    for key in ("meta_file", "logging_file"):
        assert key not in options or (BUNDLE / options[key]).is_file()
    if "config_file" not in options:
        assert verb == "verify_metadata"
        assert (BUNDLE / options["filepath"]).is_file()
        return
    parser, files = merged(command.document, options, folder)
    if verb != "run":
        assert options["net_id"] in parser
        assert not lost_references(parser, [options["net_id"]])
        return
    run_id = positional[0] if positional else "run"
    assert run_id in parser, f"no id {run_id}"
    roots = ["initialize", run_id]
    base = re.findall(r"'(\w+\.json)'", next(line for line in parser["initialize"] if "refuse_unknown_ids" in line))
    shipped = ConfigParser.load_config_files([str(CONFIGS / name) for name in base])
    assert unknown_ids(parser.get(), shipped, roots=roots) == []
    assert files[: len(base)] == [f"configs/{name}" for name in base]
    assert lost_references(parser, roots) == set()


def test_an_error_in_a_command_is_found(tmp_path: Path) -> None:
    text = "python -m monai.bundle run training --config_file configs/train.json --epoch 1"
    with pytest.raises(AssertionError, match="did you mean 'epochs'"):
        check_bundle_command(Command(ROOT / "README.md", text.split()), tmp_path)
    text = "python -m monai.bundle run --config_file configs/inference.json --output_dir @missing"
    with pytest.raises(AssertionError, match="missing"):
        check_bundle_command(Command(ROOT / "README.md", text.split()), tmp_path)


def test_every_overlay_is_documented() -> None:
    pages = (BUNDLE / "docs" / "configuration.md", BUNDLE / "docs" / "data.md")
    assert linked_overlays(*pages) == shipped_overlays(*OVERLAY_FOLDERS)
    choices = ("backbones", "hosts", "refinement", "text")
    assert linked_overlays(ROOT / "README.md") == shipped_overlays(*choices)


def key_rows() -> list[tuple[str, list[str]]]:
    """Heading and cells of every row of the tables of keys."""
    rows, heading = [], ""
    for line in (BUNDLE / "docs" / "configuration.md").read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif heading.startswith("Keys") and line.startswith("| `"):
            rows.append((heading, [cell.strip() for cell in line.strip("|").split(" | ")]))
    return rows


@pytest.mark.parametrize(
    ("heading", "cells"), key_rows(), ids=lambda value: value[0] if isinstance(value, list) else ""
)
def test_key_and_default(heading: str, cells: list[str]) -> None:
    key = cells[0].strip("`")
    if heading.startswith("Keys that overlays"):
        files = [f"{overlay}.json" for overlay in cells[1].split(", ")]
        for file in files:
            content = ConfigParser.load_config_file(str(CONFIGS / file))
            assert key in content or f"@{key}" in json.dumps(content), f"{file} has no {key}"
        return
    names = {
        "Keys of every workflow": ["train.json", "evaluate.json", "inference.json"],
        "Keys of training": ["train.json"],
        "Keys of evaluation": ["train.json", "evaluate.json"],
        "Keys of inference": ["inference.json"],
    }[heading]
    content = {name: ConfigParser.load_config_file(str(CONFIGS / name)) for name in names}
    assert any(key in each for each in content.values()), f"no {key} in {', '.join(names)}"
    default = literal({"true": "True", "false": "False"}.get(cells[1], cells[1].split(";")[0]).strip("`"))
    if isinstance(default, int | float):
        assert next(each[key] for each in content.values() if key in each) == default


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the documents name: V and S volumes, L the labels of S, A one annotated slice of V."""
    folder = tmp_path_factory.mktemp("volumes")
    random = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    label = np.zeros(SHAPE, np.uint8)
    label[(x + 0.35) ** 2 / 0.15 + y**2 / 0.2 + z**2 / 2 < 1] = 1
    label[(x - 0.4) ** 2 / 0.08 + y**2 / 0.1 + z**2 < 1] = 2
    annotation = np.full_like(label, 255)
    annotation[..., 2] = label[..., 2]
    image = (200 + 300.0 * label + random.normal(0, 30, SHAPE)).astype(np.float32)
    affine = np.diag([2.0, 2.0, 6.0, 1.0])
    for name, array in (("V", image), ("A", annotation), ("S", image[:, ::-1]), ("L", label[:, ::-1])):
        nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array), affine), folder / f"{name}.nii.gz")
    cells = folder / "CELLS"
    cells.mkdir()
    for number in range(4):
        mask = np.zeros((60, 60), np.uint8)
        mask[10 + number : 50, 12:48] = 1
        mask[25:40, 20 + number : 36] = 2
        Image.fromarray(mask).save(cells / f"{number}_mask.png")
        Image.fromarray(np.repeat((100 * mask + 20).astype(np.uint8)[..., None], 3, 2)).save(cells / f"{number}.png")
    return folder


def given_names() -> dict[str, Any]:
    """What a block may take as given: a volume of 24 slices, labels of one slice, and their correction."""
    label = np.zeros((32, 32), np.uint8)
    label[8:20, 10:24] = 1
    image = np.random.default_rng(0).normal(0, 10, (24, 32, 32)) + 200.0 * label
    return {"image": image, "label": label, "correction": np.roll(label, 1, axis=0)}


PYTHON_DOCUMENTS = [
    pytest.param(document, id=name_of(document), marks=[pytest.mark.slow] * (document.name == "propagation.md"))
    for document in DOCUMENTS
    if any(block.language == "python" and not block.file for block in blocks(document))
]


@pytest.mark.parametrize("document", PYTHON_DOCUMENTS)
def test_python_blocks_run(document: Path, volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = [block for block in blocks(document) if block.language == "python" and not block.file]
    for file in volumes.glob("*.nii.gz"):
        (tmp_path / file.name).symlink_to(file)
    write_files(document, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    scope = given_names()
    for block in own:
        exec(compile(block.body, name_of(document), "exec"), scope)
    if document.name == "README.md" and document.parent == ROOT:
        found = np.asarray(nibabel.load("V_corrected.nii.gz").dataobj)
        assert found.shape == SHAPE
        assert set(np.unique(found)) == {0, 1, 2}


RUNS = [
    ("README.md", "inferers/propagation.json", {"save_probability": True}, ["V/V_seg.nii.gz", "V/V_slices.csv"]),
    ("README.md", "inferers/reference.json", {"image_size": 160}, ["V/V_seg.nii.gz", "V/V_slices.csv"]),
    ("bundle/docs/README.md", "run training --config_file configs/train.json --output_dir", SMALL,
     ["first/checkpoints/best.pt", "first/checkpoints/last.pt"]),
    ("bundle/docs/architecture.md", "my_host.json", {"image_size": 96},
     ["my_host/summary.json", "my_host/cases.csv", "my_host/episode_list.json"]),
    ("bundle/docs/architecture.md", "my_data.json", {"image_size": 96}, ["my_data/summary.json"]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("document", "snippet", "extra", "written"), RUNS, ids=lambda value: str(value)[:24])
def test_command_does_what_is_said(
    document: str, snippet: str, extra: dict[str, Any], written: list[str], volumes: Path, tmp_path: Path
) -> None:
    found = [each for each in commands() if each.document == ROOT / document and snippet in " ".join(each.words)]
    assert found, f"{document} has no command with {snippet}"
    write_files(ROOT / document, tmp_path)
    words = [word for word in found[0].words if not _ASSIGNMENT.fullmatch(word)]
    given = {**extra, "feature_cache_dir": tmp_path / "features"}
    if "inference.json" not in " ".join(words) and "--dataset_dir" not in words:
        given["dataset_dir"] = tmp_path / "synthetic"
    words = [substitute(word, volumes, tmp_path) for word in words]
    words += [part for key, value in given.items() if f"--{key}" not in words for part in (f"--{key}", str(value))]
    run = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=BUNDLE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    for name in written:
        assert (tmp_path / "output" / name).is_file()
    for name in written:
        if name.endswith("_seg.nii.gz"):
            source, result = nibabel.load(volumes / "V.nii.gz"), nibabel.load(tmp_path / "output" / name)
            assert result.shape == source.shape
            assert np.array_equal(result.affine, source.affine)


def substitute(word: str, volumes: Path, folder: Path) -> str:
    """Put the made files in the place of the documents' example names."""
    for name in ("V.nii.gz", "A.nii.gz", "S.nii.gz", "L.nii.gz", "CELLS"):
        word = re.sub(rf"(?<![\w/]){re.escape(name)}", str(volumes / name), word)
    for file in folder.glob("*.json"):
        word = re.sub(rf"(?<![\w/]){re.escape(file.name)}", str(file), word)
    return re.sub(r"^output/", f"{folder}/output/", word)
