# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
import csv
import json

import pytest
import torch
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator
from torch import nn

from scripts.engines import PrepareEpisode
from scripts.handlers import CASE_COLUMNS, CaseMetrics
from scripts.handlers.case_metrics import foreground_mask, item_rows
from scripts.metrics import OverlapCounts


class Threshold(nn.Module):
    """A network for tests: foreground where the first channel exceeds a half."""

    def forward(self, image, support_image, support_label):
        score = image[:, :1] - 0.5
        return torch.cat([-score, score], dim=1)


def query(
    case_id: str, image_row: list[float], label_row: list[int], class_name: str = "liver", supports=("9:1", "9:2")
):
    return {
        "image": torch.tensor(image_row).reshape(1, 1, -1).repeat(3, 1, 1),
        "label": torch.tensor(label_row, dtype=torch.float32).reshape(1, 1, -1),
        "support_image": torch.zeros(len(supports), 3, 1, 4),
        "support_label": torch.zeros(len(supports), 1, 1, 4),
        "class_name": class_name,
        "case_id": case_id,
        "support_ids": list(supports),
    }


EPISODES = [
    query("2", [1, 1, 0, 0], [1, 0, 0, 0]),
    query("10", [1, 1, 0, 0], [1, 1, 0, 255]),
    query("2", [0, 0, 0, 1], [0, 0, 1, 1], supports=("9:3", "9:1")),
    query("2", [0, 0, 0, 1], [1, 0, 0, 0], class_name="spleen"),
]


def evaluate(handler_or_metric, batch_size=2, **options):
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(EPISODES, batch_size=batch_size),
        network=Threshold(),
        prepare_batch=PrepareEpisode(),
        **(
            {"val_handlers": [handler_or_metric]}
            if isinstance(handler_or_metric, CaseMetrics)
            else {"key_val_metric": handler_or_metric}
        ),
        **options,
    )
    evaluator.run()
    return evaluator


def test_files_of_an_evaluation(tmp_path):
    summary = {"host": "ifa", "backbone": "toy", "text": "off", "num_shots": 2, "seed": 3, "episode_list_sha256": "abc"}
    evaluate(CaseMetrics(tmp_path, dataset="chaos", protocol="labelled_chunks", summary=summary, num_resamples=100))
    with (tmp_path / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CASE_COLUMNS
    shown = [(row["class_name"], row["case_id"], row["support_ids"], row["intersection"], row["union"]) for row in rows]
    assert shown == [
        # case 2 is pooled over its two slices: I 1 + 1, U 2 + 2
        ("liver", "2", "9:1;9:2;9:3", "2", "4"),
        ("liver", "10", "9:1;9:2", "2", "2"),
        ("spleen", "2", "9:1;9:2", "0", "2"),
    ]
    assert [float(row["dice"]) for row in rows] == pytest.approx([2 / 3, 1, 0], abs=1e-6)
    assert [float(row["iou"]) for row in rows] == [0.5, 1, 0]
    assert all(
        row["dataset"] == "chaos" and row["protocol"] == "labelled_chunks" and float(row["seconds"]) > 0 for row in rows
    )
    written = json.loads((tmp_path / "summary.json").read_text())
    assert {key: written[key] for key in summary} == summary
    assert written["protocol"] == "labelled_chunks"
    assert written["num_cases"] == 2
    assert set(written["metrics"]) == {
        "mean_dice",
        "class_miou",
        "fb_iou",
        "dice/liver",
        "dice/spleen",
        "iou/liver",
        "iou/spleen",
    }
    assert written["metrics"]["mean_dice"]["value"] == pytest.approx((5 / 6 + 0) / 2)
    assert written["metrics"]["iou/liver"]["value"] == pytest.approx(4 / 6)
    low, high = written["metrics"]["mean_dice"]["ci95"]
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize("decollate", [True, False])
def test_the_figures_do_not_depend_on_how_items_are_batched(batch_size, decollate):
    # relabelling a batch with its first item's class, as the released evaluation did, would make them differ
    metrics = evaluate(CaseMetrics(), batch_size, decollate=decollate).state.metrics
    assert metrics["class_miou"] == pytest.approx((4 / 6 + 0) / 2)
    # all: I 4, U 8, 15 pixels
    assert metrics["fb_iou"] == pytest.approx((4 / 8 + 7 / 11) / 2)


def test_as_key_metric_of_a_validation_it_writes_nothing_and_starts_anew_each_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluator = evaluate({"class_miou": CaseMetrics()})
    assert evaluator.state.key_metric_name == "class_miou"
    first = dict(evaluator.state.metrics)
    assert evaluator.state.best_metric == first["class_miou"] == pytest.approx(1 / 3)
    evaluator.run(2)
    assert evaluator.state.metrics == first
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_metric_is_named():
    with pytest.raises(ValueError, match="'dice' is none of the figures: mean_dice, class_miou, fb_iou"):
        evaluate({"dice": CaseMetrics()})


def test_foreground_is_where_its_logit_is_larger():
    logits = torch.tensor([[[0.0, 0.0, 1.0]], [[-1.0, 3.0, 1.0]]])
    assert foreground_mask(logits, (1, 3)).tolist() == [[[False, True, False]]]
    assert foreground_mask(logits.half(), (1, 3)).tolist() == [[[False, True, False]]]
    assert foreground_mask(torch.tensor([[[0, 1]]]), (1, 2)).tolist() == [[[False, True]]]


@pytest.mark.parametrize("pred", [torch.zeros(2, 1, 2), torch.zeros(1, 1, 2)])
def test_only_the_segmenter_resizes(pred):
    with pytest.raises(ValueError, match=r"is not of the label's size \(1, 4\): ask the segmenter .*PrepareTask"):
        foreground_mask(pred, (1, 4))


def test_label_maps_give_a_row_per_label():
    label = torch.tensor([[[1, 1, 4, 0, 255, 6]]])
    pred = torch.tensor([[[1, 4, 4, 1, 1, 0]]])
    item = {"pred": pred, "label": label, "case_id": "7", "classes": {"liver": [1], "spleen": [4, 6]}, "seconds": 3.0}
    liver, spleen = item_rows(item)
    assert (liver.class_name, liver.case_id, liver.counts) == ("liver", "7", OverlapCounts(1, 3, 5))
    assert (spleen.class_name, spleen.counts) == ("spleen", OverlapCounts(1, 3, 5))
    assert liver.seconds + spleen.seconds == 3.0
    del item["classes"]
    assert [row.counts for row in item_rows(item, classes={"liver": [1]})] == [OverlapCounts(1, 3, 5)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": torch.tensor([[[0, 1, 2, 7]]])}, r"case 2: a query's label holds 0, 1 and 255, got also \[2, 7\]"),
        ({"pred": torch.full((2, 1, 4), float("nan"))}, r"case 2: the network's logits are not a number"),
        ({"pred": torch.zeros(3, 1, 4)}, r"case 2: a prediction is logits .* \(3, 1, 4\)"),
        ({"pred": torch.zeros(1, 1, 3)}, r"case 2: the prediction \(1, 1, 3\) is not of the label's size \(1, 4\)"),
    ],
)
def test_unusable_items_are_named_by_their_case(change, message):
    item = {"pred": torch.zeros(2, 1, 4), "label": torch.zeros(1, 1, 4), "case_id": "2", "class_name": "liver"}
    with pytest.raises(ValueError, match=message):
        item_rows(item | change)


def test_a_label_map_without_a_table_is_refused():
    item = {"pred": torch.zeros(1, 1, 4), "label": torch.zeros(1, 1, 4), "case_id": "2"}
    with pytest.raises(ValueError, match="case 2: a label map needs `classes`"):
        item_rows(item)
