# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import errno
import json
import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import safetensors.torch
import torch

import scripts
from scripts.files import atomic


def test_writes_text_json_csv_and_tensors(tmp_path):
    folder = tmp_path / "new" / "folder"
    atomic.write_text(folder / "a.txt", "Größe\n")
    assert (folder / "a.txt").read_bytes() == "Größe\n".encode()
    atomic.write_json(folder / "a.json", {"dice": 0.5, "ci95": [0.25, 0.75]})
    assert json.loads((folder / "a.json").read_text()) == {"dice": 0.5, "ci95": [0.25, 0.75]}
    atomic.write_csv(folder / "a.csv", [{"case": "1", "dice": 0.5, "left_out": 3}], ["dice", "case"])
    assert (folder / "a.csv").read_text() == "dice,case\n0.5,1\n"
    atomic.write_csv(folder / "b.csv", [{"case": "1,2"}])
    assert (folder / "b.csv").read_text() == 'case\n"1,2"\n'
    atomic.write_torch(folder / "a.pt", {"weight": torch.arange(3)})
    assert torch.equal(torch.load(folder / "a.pt", weights_only=True)["weight"], torch.arange(3))
    atomic.write_tensors(folder / "a.safetensors", {"weight": torch.arange(3)}, {"encoder": "toy"})
    with safetensors.safe_open(folder / "a.safetensors", framework="pt") as stored:
        assert stored.metadata() == {"encoder": "toy"}
        assert torch.equal(stored.get_tensor("weight"), torch.arange(3))
    assert {file.name for file in folder.iterdir()} == {"a.csv", "a.json", "a.pt", "a.txt", "b.csv", "a.safetensors"}


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_files_get_the_usual_permissions_whatever_their_writer_says(tmp_path, umask):
    before = os.umask(umask)
    try:
        plain = tmp_path / "plain"
        plain.write_text("")
        written = [atomic.write_text(tmp_path / "written", "")]
        for name, mode in (("secret", 0o600), ("open", 0o666)):
            with atomic.replace_when_done(tmp_path / name) as partial:
                partial.write_text("")
                partial.chmod(mode)
            written.append(tmp_path / name)
        with atomic.replace_when_done(tmp_path / "tensors") as partial:
            safetensors.torch.save_file({"a": torch.ones(1)}, partial)
        written.append(tmp_path / "tensors")
        assert {file.stat().st_mode for file in written} == {plain.stat().st_mode}
    finally:
        os.umask(before)


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    target = atomic.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(FileNotFoundError, match=r"cannot write .*a\.txt"), atomic.replace_when_done(target):
        pass
    assert target.read_text() == "old"


def test_a_writer_that_chooses_by_suffix_works_on_the_temporary_path(tmp_path):
    target = tmp_path / "mask.nii.gz"
    with atomic.replace_when_done(target) as partial:
        nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4)), partial)
        assert partial.parent == tmp_path
        assert not target.exists()
    assert int(nibabel.load(target).get_fdata().sum()) == 8
    assert os.listdir(tmp_path) == ["mask.nii.gz"]


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path):
    target = atomic.write_text(tmp_path / "a.txt", "old")

    def fail_midway():
        with atomic.replace_when_done(target) as partial:
            partial.write_text("ne")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "a.json", {"dice": float("nan")})
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
@pytest.mark.parametrize(
    "write",
    [
        atomic.write_text,
        atomic.write_json,
        lambda path, content: atomic.write_torch(path, [content]),
        lambda path, content: atomic.write_tensors(path, {content: torch.ones(1)}),
    ],
)
def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch, write):
    target = atomic.write_text(tmp_path / "summary.json", "old")

    def on_a_full_disk(path):
        partial = path.with_name("partial")
        partial.symlink_to("/dev/full")
        return partial

    monkeypatch.setattr(atomic, "partial_path", on_a_full_disk)
    monkeypatch.setattr(atomic, "_mode_of_a_new_file", lambda path: 0o100644)
    with pytest.raises(OSError, match=r"no space left to write .*summary.json") as error:
        write(target, "new")
    assert error.value.errno == errno.ENOSPC
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["summary.json"]


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*file/a.txt"):
        atomic.write_text(tmp_path / "file" / "a.txt", "")


def test_an_error_about_another_file_stays_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="other"), atomic.replace_when_done(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()
    assert os.listdir(tmp_path) == []


def test_writing_text_needs_no_torch():
    command = "import sys, scripts.files.atomic, scripts.files.read_json; sys.exit('torch' in sys.modules)"
    bundle = os.path.dirname(os.path.dirname(scripts.__file__))
    subprocess.run([sys.executable, "-c", command], check=True, cwd=bundle)


def test_partial_files_of_killed_writers_are_removed(tmp_path):
    for name in (".partial-0a-last.pt", ".partial-0b-last.pt", ".partial-0c-best.pt"):
        (tmp_path / name).write_text("")
    atomic.remove_partial_files(tmp_path / "last.pt")
    assert os.listdir(tmp_path) == [".partial-0c-best.pt"]
