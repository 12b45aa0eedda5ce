# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Finding, reading and comparing golden cases."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

PUBLIC = Path(__file__).resolve().parents[1]
"""Golden cases that come with the repository."""


def golden_root() -> Path:
    """Folder with one folder of cases per method."""
    return Path(os.environ.get("CDTG_GOLDEN_DIR", PUBLIC))


def method_folders() -> list[Path]:
    """Folders that hold golden cases."""
    root = golden_root()
    return sorted({path.parent for path in root.glob("*/case_*.safetensors")})


def discover() -> list[Case]:
    """All cases of the methods that are built."""
    from golden_checks import BUILT

    folders = [folder for folder in method_folders() if folder.name in BUILT]
    return [Case(path) for folder in folders for path in sorted(folder.glob("case_*.safetensors"))]


@dataclass
class Case:
    """One golden file. ``checked`` collects the names of the tensors that were compared or used as input."""

    path: Path
    checked: set[str] = field(default_factory=set)

    @property
    def method(self) -> str:
        return self.path.parent.name

    @cached_property
    def header(self) -> dict[str, str]:
        with safe_open(self.path, framework="pt") as file:
            return dict(file.metadata() or {})

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors; float16 ones are exact float32 values, stored short."""
        with safe_open(self.path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return {name: value.float() if value.dtype == torch.float16 else value for name, value in tensors.items()}

    def take(self, name: str) -> Tensor:
        """An input tensor."""
        self.checked.add(name)
        return self.tensors[name]

    def flag(self, name: str) -> bool:
        """A header field that is True or False."""
        value = self.header.get(name)
        if value not in ("True", "False"):
            raise AssertionError(f"{self.path}: header field {name!r} must be True or False, found {value!r}")
        return value == "True"

    def find(self, name: str) -> Path:
        """A file that the header names: beside the case, else among the public ones of the same method."""
        shared = Path(os.environ.get("CDTG_SHARED", PUBLIC.parents[2] / "shared")) / "golden"
        for folder in (self.path.parent, PUBLIC / self.method, shared / self.method):
            if (folder / name).is_file():
                return folder / name
        raise AssertionError(f"{self.path}: {name} is neither beside it nor in {PUBLIC / self.method}")

    def other(self, name: str) -> Case:
        """A case or weights file that the header names."""
        return Case(self.find(name))

    def cannot_place(self, reason: str) -> AssertionError:
        """An error to raise for a case that no check knows."""
        return AssertionError(f"{self.path}: cannot place this case: {reason}; header {sorted(self.header)}")

    def compare(self, ours: Mapping[str, Tensor], tolerance: float = 1e-4) -> None:
        """Compare every golden tensor whose name (without a suffix ``.norm`` or ``.ch<a>_<b>``) we have.

        Norms are over channels (axis 1); ``.ch<a>_<b>`` are channels a to b - 1.
        """
        for name, golden in self.tensors.items():
            base, part = _split_suffix(name)
            if base not in ours or name in self.checked:
                continue
            value = ours[base].detach()
            if part == "norm":
                value = value.norm(dim=1)
            elif part:
                begin, end = (int(number) for number in part[2:].split("_"))
                value = value[:, begin:end]
            assert_close(f"{self.path.name}: {name}", value, golden, tolerance)
            self.checked.add(name)

    def assert_all_checked(self, without: Iterable[str] = ()) -> None:
        """Fail when a golden tensor was neither used nor compared."""
        left = set(self.tensors) - self.checked - set(without)
        assert not left, f"{self.path}: tensors that nothing checked: {sorted(left)}"


def assert_close(name: str, ours: Tensor, golden: Tensor, tolerance: float) -> None:
    """Compare relative to the golden tensor's largest value; zeros must be met to 1e-6."""
    assert ours.numel() == golden.numel(), f"{name}: shape {tuple(ours.shape)}, golden {tuple(golden.shape)}"
    difference = (ours.reshape(golden.shape).double() - golden.double()).abs().max().item()
    largest = golden.double().abs().max().item()
    assert difference <= max(tolerance * largest, 1e-6), f"{name}: off by {difference:.3g}, golden up to {largest:.3g}"


def _split_suffix(name: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.+)\.(norm|ch\d+_\d+)", name)
    return (match[1], match[2]) if match else (name, "")
