# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scripts.studies.prompt_study.lines import Line, answer

LABEL = torch.tensor([[[[1.0, 1.0], [0.0, 255.0]]]])  # (N = 1, 1, 2, 2)


class ReadsText(nn.Module):
    """Foreground where the text says so."""


def inferer(images: Tensor, network: nn.Module, text_embedding: Tensor | None = None, **_: Any) -> Tensor:
    mask = torch.ones(2, 2) if text_embedding is None else text_embedding.reshape(2, 2)
    return torch.stack([-mask, mask])[None].expand(images.shape[0], -1, -1, -1)


def evaluator(*tasks: dict[str, Any]) -> Any:
    def prepare(batch: dict[str, Any], device: Any, non_blocking: bool) -> Any:
        return torch.zeros(len(batch["label"]), 1), batch["label"], (), {"text_embedding": torch.zeros(1)}

    state = SimpleNamespace(device=torch.device("cpu"))
    return SimpleNamespace(
        state=state, data_loader=list(tasks), prepare_batch=prepare, inferer=inferer, non_blocking=False
    )


def task(class_name: str = "liver", query: str = "1:3", case: str = "1", label: Tensor = LABEL) -> dict[str, Any]:
    return {"class_name": class_name, "query_ids": query, "case_id": case, "support_ids": "9:1", "label": label}


def text(*signs: int) -> Tensor:
    return torch.tensor(signs, dtype=torch.float32).view(1, 4)


def counts(table: Any) -> list[tuple[str, str, int, int, int]]:
    return [(row.class_name, row.case_id, *row.counts) for row in table.rows]


def test_each_line_is_told_its_own_text_and_compared_with_the_first() -> None:
    network = ReadsText()
    full = Line("full", network, {"liver": text(1, 1, -1, -1)})
    other = Line("other", network, {"liver": text(1, -1, 1, 1)})
    off = Line("off", network, None, "control")
    answer(evaluator(task()), [full, other, off])
    assert counts(full.cases) == [("liver", "1", 2, 2, 3)]  # three pixels count
    assert counts(other.cases) == [("liver", "1", 1, 3, 3)]
    assert counts(off.cases) == [("liver", "1", 2, 3, 3)]
    assert counts(full.agreement) == [("liver", "1", 2, 2, 3)]
    assert counts(other.agreement) == [("liver", "1", 1, 3, 3)]


def test_chunks_of_a_case_are_pooled_and_lines_without_a_text_leave_tasks_out() -> None:
    network = ReadsText()
    full = Line("full", network, {"liver": text(1, 1, -1, -1), "spleen": text(-1, -1, -1, -1)})
    partial = Line("partial", network, {"spleen": text(1, -1, -1, -1)})
    answer(evaluator(task(), task(query="1:4"), task("spleen")), [full, partial])
    assert counts(full.cases) == [("liver", "1", 4, 4, 6), ("spleen", "1", 0, 2, 3)]
    assert counts(partial.cases) == [("spleen", "1", 1, 2, 3)]
    assert counts(partial.agreement) == [("spleen", "1", 0, 1, 3)]


def test_a_text_of_the_image_goes_before_that_of_the_class() -> None:
    line = Line("own_image", ReadsText(), {"1:3": text(1, 1, 1, 1), "liver": text(-1, -1, -1, -1)})
    answer(evaluator(task(), task(query="2:3", case="2")), [line])
    assert counts(line.cases) == [("liver", "1", 2, 3, 3), ("liver", "2", 0, 2, 3)]


def test_a_propagated_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="a propagated volume takes no text; choose the protocol"):
        answer(evaluator({"label": LABEL, "annotation": LABEL}), [Line("full", ReadsText(), None)])
