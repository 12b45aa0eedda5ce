# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The golden checks themselves: they must be able to fail."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_checks import BUILT
from golden_checks.case import PUBLIC, Case
from safetensors.torch import save_file

IFA_CASE = Case(PUBLIC / "ifa" / "case_1shot_eval.safetensors")
CORRECTED_CASE = Case(PUBLIC / "cdtg" / "case_corrected_1shot_c64_tiny.safetensors")


def _write(folder: Path, tensors: dict[str, torch.Tensor], header: dict[str, str]) -> Case:
    folder.mkdir(parents=True)
    path = folder / "case_any_name.safetensors"
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata=header)
    return Case(path)


def test_a_copy_under_another_name_is_placed(tmp_path: Path) -> None:
    BUILT["ifa"](_write(tmp_path / "ifa", IFA_CASE.tensors, IFA_CASE.header))


def test_weights_and_inputs_come_from_the_public_folder(tmp_path: Path) -> None:
    BUILT["cdtg"](_write(tmp_path / "cdtg", CORRECTED_CASE.tensors, CORRECTED_CASE.header))


@pytest.mark.parametrize("name", ["logits.out_refine", "it1.q.ssp1.ASBP", "it1.in_FP"])
def test_a_changed_value_fails(tmp_path: Path, name: str) -> None:
    tensors = dict(IFA_CASE.tensors)
    tensors[name] = tensors[name] * 1.001
    with pytest.raises(AssertionError, match=name):
        BUILT["ifa"](_write(tmp_path / "ifa", tensors, IFA_CASE.header))


def test_an_unknown_tensor_fails(tmp_path: Path) -> None:
    tensors = {**IFA_CASE.tensors, "it1.q.novel": torch.zeros(2)}
    with pytest.raises(AssertionError, match=r"nothing checked.*it1\.q\.novel"):
        BUILT["ifa"](_write(tmp_path / "ifa", tensors, IFA_CASE.header))


@pytest.mark.parametrize("method", ["ifa", "cdtg"])
def test_a_case_without_header_fails(tmp_path: Path, method: str) -> None:
    with pytest.raises(AssertionError, match="cannot place"):
        BUILT[method](_write(tmp_path / method, {"x": torch.zeros(1)}, {"meaning": "nothing"}))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    header = {**CORRECTED_CASE.header, "base_case": "case_absent.safetensors"}
    with pytest.raises(AssertionError, match=r"case_absent\.safetensors"):
        BUILT["cdtg"](_write(tmp_path / "cdtg", CORRECTED_CASE.tensors, header))
