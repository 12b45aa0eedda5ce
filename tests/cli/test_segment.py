# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""``segprompt segment``: the workflow's answer, without the workflow's start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nibabel import nifti1

HEAVY = ("monai", "ignite", "timm", "torchvision", "transformers", "open_clip", "matplotlib", "skimage", "pandas")
"""Nothing of these is needed for a volume whose features are kept."""

CODE = """
import sys
from segprompt.cli.app import main
try:
    main(sys.argv[2:])
except SystemExit as end:
    assert not end.code, end.code
heavy = sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1].split(",")))
print("imported:", heavy)
"""


def test_it_imports_only_what_it_uses_and_answers_as_the_workflow(python, drawn_case, bundle_root, tmp_path) -> None:
    image, annotation = map(str, drawn_case)
    words = ["segment", image, annotation, "--image_size", "128", "--feature_cache_dir", "features"]
    first = python(CODE, ",".join(HEAVY), *words, "-o", "first", "--save_probability")
    assert first.returncode == 0, first.stderr
    second = python(CODE, ",".join(HEAVY), *words, "-o", "second")
    assert second.stdout.splitlines()[-1] == "imported: []", second.stdout
    assert second.stdout.startswith("segprompt ")
    assert "expected Dice: label 1 " in second.stdout
    assert "drawn_seg.nii.gz" in second.stdout
    assert "features: " not in second.stderr

    files = ["configs/inference.json", "configs/inferers/propagation.json"]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files)]
    given = {"image": image, "annotation": annotation, "image_size": 128, "output_dir": tmp_path / "workflow",
             "save_probability": True}  # fmt: skip
    command += [part for key, value in given.items() for part in (f"--{key}", str(value))]
    subprocess.run(
        command, cwd=bundle_root, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=True
    )
    written = sorted(path.name for path in (tmp_path / "workflow").iterdir())
    assert written == sorted(path.name for path in (tmp_path / "first").iterdir())
    for name in written:
        ours, theirs = tmp_path / "first" / name, tmp_path / "workflow" / name
        if name.endswith(".nii.gz"):
            assert np.array_equal(np.asarray(nifti1.load(ours).dataobj), np.asarray(nifti1.load(theirs).dataobj))
            assert np.array_equal(nifti1.load(ours).affine, nifti1.load(theirs).affine)
        else:
            assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing says what to segment"),
        (["{annotation}", "--support_images", "S.nii.gz"], "not both"),
        (["{annotation}", "--host", "nothing"], "no 'nothing' among the hosts: there are aligned_matching"),
        (["{annotation}", "--image_siz", "96"], "image_siz: did you mean 'image_size'?"),
    ],
)
def test_what_does_not_go_together_is_refused(segprompt, drawn_case, words: list[str], message: str) -> None:
    image, annotation = map(str, drawn_case)
    done = segprompt("segment", image, *(word.format(annotation=annotation) for word in words))
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) <= 1


def test_an_annotation_without_a_label_is_refused_in_a_line(segprompt, drawn_case, tmp_path: Path) -> None:
    image, annotation = drawn_case
    loaded = nifti1.load(annotation)
    nifti1.save(nifti1.Nifti1Image(np.zeros(loaded.shape, np.uint8), loaded.affine), annotation)
    done = segprompt("segment", str(image), str(annotation), "--image_size", "96", "-o", "out")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "no label" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_supports_of_another_case_go_through_the_workflow(segprompt, drawn_case, tmp_path: Path) -> None:
    image, annotation = map(str, drawn_case)
    words = ["--support_images", image, "--support_labels", annotation, "--host", "matching", "--image_size", "96"]
    done = segprompt("segment", image, *words, "-o", "out", "--slice-axis", "2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "drawn_seg.nii.gz").is_file()
    assert "WARNING" not in done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
