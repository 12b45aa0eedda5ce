# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The study and the sweep on three made volumes, with an encoder of the test's own."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.bundle import ConfigParser
from PIL import Image

from scripts.apps.startup.assembly import evaluation_files, find_target, start
from scripts.apps.startup.config_check import unknown_ids
from scripts.studies.prompt_study import alpha_sweep, prompt_study


def test_study(arguments: dict[str, Any]) -> None:
    report = prompt_study(**arguments, controls=["off"], options={"CHAOS": {"support_case": 2}})
    found = json.loads(report.with_suffix(".json").read_text())["targets"]["CHAOS"]
    assert found["classes"] == ["liver", "spleen"]
    assert found["num_cases"] == 2
    assert found["protocol"] == "labelled_chunks"
    lines = found["lines"]
    expected = ["full", "name_only", "modality_name", "paraphrase", "wrong_class", "opposite", "empty", "trained: off"]
    assert list(lines) == expected
    assert lines["empty"]["sentences"]["liver"] == [""]
    assert lines["wrong_class"]["sentences"]["liver"] == lines["full"]["sentences"]["spleen"]
    assert lines["trained: off"]["kind"] == "control"
    assert all(lines[name]["moved"]["mean_dice"]["value"] > 0 for name in expected[1:-1])  # the toy reads hashes
    assert found["grounding"]["moved_when_it_should_not"] > 0
    with report.with_suffix(".csv").open(newline="") as file:
        assert {row["line"] for row in csv.DictReader(file)} == set(expected)
    assert report.with_suffix(".png").stat().st_size > 5000


def test_the_full_description_gives_what_the_evaluation_gives(arguments: dict[str, Any], tmp_path: Path) -> None:
    report = prompt_study(**arguments)
    found = json.loads(report.with_suffix(".json").read_text())["targets"]["CHAOS"]
    workflow = start(
        evaluation_files("prototype", "chaos_mr", text=arguments["text"]),
        dataset_dir=str(find_target("CHAOS", arguments["data_root"]).dataset_dir),
        checkpoint=str(tmp_path / "prototype-toy.pt"),
        output_dir=str(tmp_path / "evaluated"),
        feature_cache_dir=arguments["feature_cache_dir"],
        image_size=64,
        alpha=0.9,
    )
    workflow.run()
    summary = json.loads((tmp_path / "evaluated" / "summary.json").read_text())
    assert found["episode_list_sha256"] == summary["episode_list_sha256"]
    for name in ("mean_dice", "dice/liver", "dice/spleen"):
        assert found["lines"]["full"]["metrics"][name]["value"] == pytest.approx(summary["metrics"][name]["value"])


def leaking(tmp_path: Path) -> dict[str, Any]:
    categories = [
        {"name": "liver", "sentence": "Large, at the left.", "derived_from_mask": True},
        {"name": "spleen", "sentence": "A photo of spleen."},
    ]
    content = {"dataset": "chaos_mr", "categories": categories, "background": "Rest."}
    (tmp_path / "p.json").write_text(json.dumps(content))
    return {"CHAOS": {"prompts_file": str(tmp_path / "p.json")}}


def test_descriptions_derived_from_masks_are_refused_or_named(arguments: dict[str, Any], tmp_path: Path) -> None:
    options = leaking(tmp_path)
    with pytest.raises(
        ValueError, match=r"CHAOS: the descriptions of liver were derived from masks.*--allow_leak True"
    ):
        prompt_study(**arguments, options=options)
    assert not arguments["output_dir"].exists()
    with pytest.raises(ValueError, match=r"image_sentences: .*--allow_leak True"):
        prompt_study(**arguments, image_sentences=True)
    report = prompt_study(**arguments, options=options, allow_leak=True)
    text = report.read_text()
    assert "These figures are no test: liver were derived from masks of the test images" in text
    assert "| paraphrase | – | – | – (the descriptions say nothing of the kind) |" in text


@pytest.fixture
def polyps(tmp_path: Path) -> Path:
    """Four pictures with masks, three of them with a sentence that tells where the polyp lies."""
    folder = tmp_path / "sets" / "KVASIR"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    records = []
    for number in range(4):
        stem = f"cju{number}aaaaaaaaaaaaaaaaaaaaa"[:25]
        mask = np.zeros((48, 48), np.uint8)
        mask[10 + number : 30, 8 + 2 * number : 30] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{stem}.png")
        Image.fromarray(np.repeat(mask[..., None] // 2 + 40, 3, 2)).save(folder / "images" / f"{stem}.png")
        if number:
            prompts = {"p0": "", "p1": "polyp", "p2": f"one polyp, {number} of them", "p3": "short"}
            records.append({"img_name": f"{stem}.png", "prompts": prompts})
    (folder / "prompts.json").write_text(json.dumps(records))
    return folder.parent


def test_sentences_of_the_images_themselves(arguments: dict[str, Any], polyps: Path) -> None:
    given = {**arguments, "data_root": polyps, "targets": ["KVASIR"], "num_episodes": 12}
    report = prompt_study(**given, image_sentences=True, allow_leak=True)
    found = json.loads(report.with_suffix(".json").read_text())["targets"]["KVASIR"]
    own = found["lines"]["own_image"]
    assert sorted(own["sentences"].values()) == [[f"one polyp, {number} of them"] for number in (1, 2, 3)]
    assert found["leaking"] == ["3 sentences of single images"]
    assert found["lines"]["wrong_class"]["sentences"]["polyp"][0].startswith("A photo of ")
    assert own["moved"]["mean_dice"]["value"] > 0
    plain = json.loads(prompt_study(**given).with_suffix(".json").read_text())["targets"]["KVASIR"]
    assert "own_image" not in plain["lines"]
    assert plain["leaking"] == []


@pytest.mark.parametrize("run", [prompt_study, alpha_sweep])
def test_errors_before_anything_is_read(run: Callable[..., Path], arguments: dict[str, Any]) -> None:
    extra = {"alphas": [0.3]} if run is alpha_sweep else {}
    for change, kind, message in (
        ({"text": "off"}, ValueError, "needs a host that takes text"),
        ({"host": "matching"}, ValueError, "got 'matching' with"),
        ({"targets": []}, ValueError, "needs targets"),
        ({"targets": ["pets"]}, ValueError, "unknown target 'pets'"),
        ({"checkpoint": None}, ValueError, "needs trained weights"),
        ({"checkpoint": "no/{host}.pt"}, FileNotFoundError, r"no weights no/prototype\.pt of prototype"),
    ):
        with pytest.raises(kind, match=message):
            run(**{**arguments, **extra, **change})
    assert not arguments["output_dir"].exists()


def test_shipped_configuration(bundle_root: Path, arguments: dict[str, Any]) -> None:
    config = ConfigParser.load_config_file(str(bundle_root / "configs" / "prompt_study.json"))
    assert unknown_ids(config, config, roots=("initialize", "run", "alpha_sweep")) == []
    parser = ConfigParser(config)
    given = {key: str(value) if isinstance(value, Path) else value for key, value in arguments.items()}
    del given["num_resamples"], given["alpha"]
    parser.update({**given, "sweep_targets": ["CHAOS"], "alphas": [0.5], "bundle_root": str(bundle_root)})
    assert parser.get_parsed_content("sweep")().name == "alpha_sweep.md"
