# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The workflow against a server on loopback, from the classes to the file of prompts."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from scripts.apps.describe import LanguageModel, LanguageModelError, describe
from scripts.apps.startup.config_check import unknown_ids
from scripts.text import read_prompts

KEY = "sk-secret-of-the-test"
NAMES = ["liver", "spleen", "left kidney"]


class Encoder:
    context_length = 30

    def count_tokens(self, sentence: str) -> int:
        return len(sentence.split())


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    return {
        "class_names": NAMES,
        "dataset_name": "abdomen",
        "subject": "T2-weighted MR of the abdomen",
        "output_file": tmp_path / "prompts" / "abdomen.json",
        "cache_file": tmp_path / "cache" / "abdomen.json",
        "encoder": Encoder(),
        "language_model": lambda: LanguageModel(retries=1, sleep=lambda seconds: None),
    }


def test_from_classes_to_a_file_of_prompts(endpoint: Any, arguments: dict[str, Any]) -> None:
    path = describe(**arguments)
    assert path == arguments["output_file"]
    prompts = read_prompts(path)
    assert prompts.dataset == "abdomen"
    assert prompts.modality == "T2-weighted MR of the abdomen"
    assert list(prompts.sentences) == NAMES
    assert prompts.sentences["spleen"] == [
        "A photo of spleen in which the typical texture of spleen covers a rounded area."
    ]
    assert prompts.background.startswith("A photo of background in which ")
    entry = json.loads(path.read_text())["categories"][1]
    assert entry["provenance"]["model"] == "toy"
    assert entry["provenance"]["question"] == endpoint.questions[1]
    assert entry["provenance"]["answer"] == entry["sentence"]
    assert entry["provenance"]["date"].endswith("+00:00")
    assert "fits the text encoder" in entry["provenance"]["checks"]
    assert "Characterise spleen in T2-weighted MR of the abdomen" in endpoint.questions[1]
    assert len(endpoint.questions) == 4
    assert not [file for file in path.parents[1].rglob("*") if file.is_file() and KEY in file.read_text()]


def test_an_interrupted_run_goes_on(endpoint: Any, arguments: dict[str, Any]) -> None:
    endpoint.script = [None, None, 500, 500]  # None: answered well
    with pytest.raises(LanguageModelError, match="in 2 attempts: HTTP 500"):
        describe(**arguments)
    assert not arguments["output_file"].exists()
    asked = len(endpoint.questions)
    describe(**arguments)
    again = endpoint.questions[asked:]
    assert len(again) == 2
    assert "left kidney" in again[0]
    assert "background" in again[1]
    describe(**arguments, overwrite=True)
    assert len(endpoint.questions) == asked + 2


def test_a_killed_run_goes_on(endpoint: Any, arguments: dict[str, Any], tmp_path: Path) -> None:
    """A process of its own is killed while it waits for its third answer."""
    endpoint.script = [None, None, 60.0]
    code = (
        "import sys; from scripts.apps.describe import describe, LanguageModel\n"
        "class Encoder:\n    context_length = 30\n    count_tokens = staticmethod(lambda sentence: 10)\n"
        "describe(['liver', 'spleen', 'left kidney'], dataset_name='abdomen', output_file=sys.argv[1], "
        "cache_file=sys.argv[2], encoder=Encoder(), language_model=LanguageModel, "
        "subject='T2-weighted MR of the abdomen')"
    )
    root = Path(__file__).resolve().parents[3] / "bundle"
    process = subprocess.Popen(
        [sys.executable, "-c", code, arguments["output_file"], arguments["cache_file"]],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    until = time.monotonic() + 120
    while len(endpoint.requests) < 3 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert len(endpoint.requests) == 3
    assert not arguments["output_file"].exists()
    describe(**arguments)
    assert len(endpoint.questions) == 5  # the third again, which had no answer, and the background
    assert endpoint.questions[3] == endpoint.questions[2]


def test_a_useless_answer_is_asked_for_again_and_kept(
    endpoint: Any, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    replies = iter(["I'm sorry, I can't.", "A photo of liver in which " + "long " * 40])
    good = endpoint.answer
    endpoint.answer = lambda question: next(replies, None) or good(question)
    with caplog.at_level(logging.WARNING):
        describe(**arguments)
    assert len(endpoint.questions) == 4 + 2
    assert "liver: answer 1 can't be used: the model declines" in caplog.text
    assert read_prompts(arguments["output_file"]).sentences["liver"][0].endswith("covers a rounded area.")
    assert "I'm sorry, I can't." in arguments["cache_file"].read_text()


def test_no_usable_answer_writes_nothing(endpoint: Any, arguments: dict[str, Any]) -> None:
    good = endpoint.answer
    endpoint.answer = lambda question: good(question) if "spleen" not in question else "Dark."
    with pytest.raises(ValueError, match=r"(?s)abdomen\.json is not written.*spleen: 1 words, at least 4"):
        describe(**arguments, attempts=2)
    assert not arguments["output_file"].exists()
    assert len(endpoint.questions) == 4 + 1


def test_too_long_for_the_text_encoder(endpoint: Any, arguments: dict[str, Any]) -> None:
    arguments["encoder"].context_length = 5
    with pytest.raises(ValueError, match="liver: 15 tokens, the text encoder takes 5"):
        describe(**arguments, attempts=1)


def test_one_description_for_two_classes_is_refused(endpoint: Any, arguments: dict[str, Any]) -> None:
    endpoint.answer = lambda question: "A dark organ lies in the abdomen."
    with pytest.raises(ValueError, match="spleen: the description of 'liver'"):
        describe(**arguments, attempts=1)


def test_dry_run_asks_and_writes_nothing(
    endpoint: Any, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert describe(**{**arguments, "language_model": None}, dry_run=True) is None
    assert caplog.text.count("would ask: Characterise") == 4
    assert endpoint.requests == []
    assert not arguments["output_file"].exists()
    assert not arguments["cache_file"].exists()


def test_errors_before_anything_is_asked(endpoint: Any, arguments: dict[str, Any]) -> None:
    for names in ([], ["a", "a"], ["a", ""], ["background"], ""):
        with pytest.raises(ValueError, match="describe needs dataset_name and class_names"):
            describe(**{**arguments, "class_names": names})
    arguments["cache_file"].parent.mkdir()
    for content, message in (("{", "is not JSON"), ('{"a": 1}', "holds something else than answers")):
        arguments["cache_file"].write_text(content)
        with pytest.raises(ValueError, match=f"cache_file: .*{message}.*; remove it"):
            describe(**arguments)
    arguments["output_file"].parent.mkdir()
    arguments["output_file"].write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite True"):
        describe(**arguments)
    assert arguments["output_file"].read_text() == "mine"
    assert endpoint.requests == []


def test_shipped_configuration(endpoint: Any, bundle_root: Path, tmp_path: Path, arguments: dict[str, Any]) -> None:
    config = ConfigParser.load_config_file(bundle_root / "configs" / "describe.json")
    assert unknown_ids(config, config, roots=("initialize", "run")) == []
    parser = ConfigParser(config)
    parser.update({"class_names": "liver, spleen", "dataset_name": "abdomen", "bundle_root": str(tmp_path)})
    parser["text_encoder"] = {"_target_": "scripts.text.OpenClipEncoder"}  # its tokenizer needs no download
    assert parser.get_parsed_content("describing")() == tmp_path / "prompts" / "abdomen.json"
    assert list(read_prompts(tmp_path / "prompts" / "abdomen.json").sentences) == ["liver", "spleen"]


@pytest.mark.slow
def test_the_command(endpoint: Any, bundle_root: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "monai.bundle", "run", "--config_file", "configs/describe.json", "--dataset_name", "pets",
        "--class_names", "['dog','cat']", "--output_file", tmp_path / "p.json", "--cache_file", tmp_path / "c.json",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=bundle_root, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(read_prompts(tmp_path / "p.json").sentences) == ["dog", "cat"]
    assert KEY not in done.stdout + done.stderr
    endpoint.script = [401]
    command[-1] = tmp_path / "other.json"
    done = subprocess.run(
        [*command, "--overwrite", "True"], cwd=bundle_root, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("LanguageModelError: 127.0.0.1")
    assert KEY not in done.stdout + done.stderr
