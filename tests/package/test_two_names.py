# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The installed package and the code of bundles, which is called ``scripts``, keep out of each other's way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = {
    "num_images": "30",
    "image_size": "96",
    "epochs": "1",
    "episodes_per_epoch": "2",
    "val_episodes": "2",
    "num_episodes": "2",
    "batch_size": "2",
}

RUN = """
import sys
from segprompt.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
assert "segprompt.networks.segmenter" in sys.modules
met = [name for name in sys.modules if name.partition(".")[0] == "scripts"]
assert not met, met
"""

BUNDLES = """
import sys
from pathlib import Path

from monai.bundle import ConfigWorkflow

import segprompt
from segprompt.cli.self_test import EXPECTED_DICE, self_test

answers = []
for name in ("first", "second"):
    folder = Path(name).absolute()
    sys.path.insert(0, str(folder))
    for module in [each for each in sys.modules if each.partition(".")[0] == "scripts"]:
        del sys.modules[module]
    workflow = ConfigWorkflow(str(folder / "configs" / "run.json"), workflow_type=None, logging_file=False)
    workflow.initialize()
    answers += workflow.run()
    work = folder / "work"
    work.mkdir()
    assert self_test(work, image_size=128) > 0.8
    assert Path(sys.modules["scripts"].__file__).is_relative_to(folder)
    sys.path.remove(str(folder))
assert answers == ["first", "second"], answers
assert segprompt.__version__
"""


def arguments(*keys: str) -> list[str]:
    return [part for key in keys for part in (f"--{key}", SMALL[key])]


def run(code: str, words: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_commands_import_no_scripts(installed: dict[str, str], tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"loss": {"_target_": "scripts.losses.EpisodeLoss"}}))
    train = arguments("num_images", "image_size", "epochs", "episodes_per_epoch", "val_episodes", "batch_size")
    run(RUN, ["train", "ifa", "--text", "minilm", "--overlay", str(own), "-o", "out", *train], tmp_path, installed)
    evaluate = arguments("num_images", "image_size", "num_episodes")
    checkpoint = ["--checkpoint", "out/checkpoints/best.pt"]
    run(RUN, ["evaluate", "--host", "ifa", "--text", "minilm", *checkpoint, *evaluate], tmp_path, installed)
    summary = json.loads((tmp_path / "output" / "evaluate_synthetic_ifa" / "summary.json").read_text())
    assert summary["text"] == "minilm"


@pytest.mark.slow
def test_other_bundles_in_one_process(installed: dict[str, str], tmp_path: Path) -> None:
    for name in ("first", "second"):
        for folder in ("scripts/data", "configs"):
            (tmp_path / name / folder).mkdir(parents=True)
        (tmp_path / name / "scripts" / "__init__.py").write_text("")
        (tmp_path / name / "scripts" / "data" / "__init__.py").write_text(f"def load_volume():\n    return {name!r}\n")
        config = {
            "imports": ["$import scripts", "$import scripts.data"],
            "initialize": [],
            "run": ["$scripts.data.load_volume()"],
        }
        (tmp_path / name / "configs" / "run.json").write_text(json.dumps(config))
        (tmp_path / name / "configs" / "metadata.json").write_text("{}")
    run(BUNDLES, [], tmp_path, installed)
