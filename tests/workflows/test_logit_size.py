# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""What is counted at full size is the segmenter's own resize: the shipped configs of the hosts with aligned corners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow
from torch import Tensor
from torch.nn import functional as F

from scripts.labels import resize_label
from scripts.metrics import count_overlap
from scripts.networks import Segmenter

Make = Callable[..., ConfigWorkflow]
HOSTS = ("ifa", "qnet", "patnet", "dmtnet")


def logits_on_the_grid(segmenter: Segmenter, batch: dict[str, Any]) -> Tensor:
    support = {level: maps.float() for level, maps in batch["support_image"].items()}
    query = {level: maps.float() for level, maps in batch["image"].items()}
    prompt = segmenter.encode_prompt(support, batch["support_label"])
    return segmenter.segment(query, prompt)


def checkered(segmenter: Segmenter) -> None:
    """Give an untrained host's answer a border in every cell: a constant is the same by every rule."""
    decode = segmenter.host.decode

    def answer(*arguments: Any) -> Tensor:
        logits = decode(*arguments)
        margin = logits.abs().max() * torch.randn(logits.shape[-2:], generator=torch.Generator().manual_seed(0))
        return logits + torch.stack([-margin, margin])

    segmenter.host.decode = answer


@pytest.mark.parametrize("host", HOSTS)
def test_the_counted_mask_is_the_segmenters(
    make_workflow: Make, small: dict[str, Any], tmp_path: Path, host: str
) -> None:
    small.update(num_episodes=3, output_dir=str(tmp_path), device="$torch.device('cpu')")
    workflow = make_workflow("train.json", "evaluate.json", f"hosts/{host}.json", **small)
    workflow.initialize()
    segmenter = workflow.parser.get_parsed_content("network").eval()
    evaluator = workflow.parser.get_parsed_content("validate#evaluator")
    batches = list(evaluator.data_loader)
    for batch in batches:  # of another size than the support's: Q-Net answers at that one by itself
        batch["label"] = resize_label(batch["label"][0], (180, 230))[None]
    evaluator.data_loader = batches
    checkered(segmenter)

    aligned, half_pixel = {}, {}
    with torch.no_grad():
        for batch in batches:
            logits, label = logits_on_the_grid(segmenter, batch), batch["label"]
            episode = (batch["class_name"], batch["case_id"])
            for counts, align_corners in ((aligned, True), (half_pixel, False)):
                resized = F.interpolate(logits, label.shape[-2:], mode="bilinear", align_corners=align_corners)
                counts[episode] = count_overlap(resized[0, 1:] > resized[0, :1], label[0])
    workflow.run()
    rows = workflow.parser.get_parsed_content("validate#key_metric")["mean_dice"].table.rows
    assert {(row.class_name, row.case_id): row.counts for row in rows} == aligned
    assert aligned != half_pixel


@pytest.mark.parametrize("host", HOSTS)
def test_refinement_gets_the_logits_by_the_hosts_rule(
    make_workflow: Make, small: dict[str, Any], tmp_path: Path, host: str
) -> None:
    small.update(num_episodes=1, output_dir=str(tmp_path), device="$torch.device('cpu')")
    workflow = make_workflow("train.json", "evaluate.json", f"hosts/{host}.json", "refinement/colour_cut.json", **small)
    workflow.initialize()
    segmenter = workflow.parser.get_parsed_content("network").eval()
    (batch,) = workflow.parser.get_parsed_content("validate#evaluator").data_loader
    refinement, received = segmenter.refinement, []
    refinement.cut = lambda unary, *_: received.append(unary) or unary > 0
    segmenter.refinement = None
    with torch.no_grad():
        logits = logits_on_the_grid(segmenter, {**batch})
        segmenter.refinement = refinement
        logits_on_the_grid(segmenter, batch)
    size = (refinement.grid, refinement.grid)
    expected, other = (
        F.interpolate(logits, size, mode="bilinear", align_corners=align_corners)[0].diff(dim=0)[0].double()
        for align_corners in (True, False)
    )
    first = torch.as_tensor(received[0]).double() + refinement.offsets[0]
    assert torch.allclose(first, expected, atol=1e-5)
    assert not torch.allclose(first, other, atol=1e-4)
