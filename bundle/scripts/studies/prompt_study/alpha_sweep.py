# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The sweep of CD-TG's README: class mIoU over the share alpha that the text has in the prototype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ...apps.reports.curves import draw_curves
from ...apps.reports.report import Report, markdown_table, percent
from ...files.atomic import write_csv, write_json
from ...handlers import load_weights
from ...metrics import summarise
from ...networks import SemanticGuidance
from .lines import Line, answer
from .trained_network import checkpoint_of, find_targets, open_target, require_text

__all__ = ["alpha_sweep"]

_COLUMNS = ("target", "alpha", "class_miou", "low", "high", "mean_dice")


def alpha_sweep(
    output_dir: str | Path,
    *,
    data_root: str | Path,
    host: str,
    text: str,
    checkpoint: str | None,
    targets: Sequence[str],
    alphas: Sequence[float],
    options: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    num_resamples: int = 2000,
    **common: Any,
) -> Path:
    """Answer the same episodes with every alpha, and write table and plot.

    Args:
        output_dir: gets ``alpha_sweep.csv``, ``.json``, ``.md`` and ``.png``.
        data_root: folder with a sub-folder per data set.
        host: overlay of the host.
        text: text overlay.
        checkpoint: weights; {host} and {text} in the path are filled in, and {alpha} where every alpha was trained by
            itself. Without it one network is tested with all.
        targets: data sets, by overlay or folder.
        alphas: the shares, from 0 to 1.
        options: target -> further values of its evaluation.
        seed: of episodes and bootstrap.
        num_resamples: bootstrap replicates.
        common: values of all evaluations; None leaves the default.

    Returns:
        The Markdown report.

    Raises:
        ValueError: for a host without text, an alpha out of range, or a network that learned its own.
    """
    require_text("alpha_sweep", host, text)
    if not alphas or not all(0 <= alpha <= 1 for alpha in alphas):
        raise ValueError(f"alpha_sweep needs alphas from 0 to 1; got {list(alphas)}")
    found = find_targets("alpha_sweep", targets, data_root)
    files = {alpha: checkpoint_of(checkpoint, host, text, alpha=alpha) for alpha in alphas}
    curves: dict[str, dict[float, dict[str, Any]]] = {}
    for name, target in found.items():
        given = {**common, **dict((options or {}).get(name, {})), "seed": seed}
        parser = open_target(target, host, text, files[alphas[0]], given).parser
        network, table = parser.get_parsed_content("network"), parser.get_parsed_content("text_table")
        texts = {each: table[each] for each in table.sentences}
        curves[name] = {}
        for alpha in alphas:
            if files[alpha] != files[alphas[0]]:
                load_weights(network, files[alpha])
            _set_alpha(network, alpha)
            line = Line(str(alpha), network, texts)
            answer(parser.get_parsed_content("validate#evaluator"), [line], title=f"{name}, alpha {alpha}")
            curves[name][alpha] = summarise(line.cases.rows, num_resamples=num_resamples, seed=seed)
    return _write(curves, Path(output_dir), host, text, "{alpha}" in str(checkpoint))


def _set_alpha(network: nn.Module, alpha: float) -> None:
    for module in network.modules():
        if isinstance(module, SemanticGuidance):
            if module.alpha_logit is not None:
                raise ValueError("the network learned its alpha (learn_alpha); a sweep needs one with a fixed alpha")
            module.alpha = float(alpha)


def _write(
    curves: Mapping[str, Mapping[float, Mapping[str, Any]]], folder: Path, host: str, text: str, is_trained: bool
) -> Path:
    rows = [
        {
            "target": name,
            "alpha": alpha,
            "class_miou": round(figures["class_miou"]["value"], 6),
            "low": round(figures["class_miou"]["ci95"][0], 6),
            "high": round(figures["class_miou"]["ci95"][1], 6),
            "mean_dice": round(figures["mean_dice"]["value"], 6),
        }
        for name, own in curves.items()
        for alpha, figures in own.items()
    ]
    write_csv(folder / "alpha_sweep.csv", rows, _COLUMNS)
    write_json(
        folder / "alpha_sweep.json",
        {"host": host, "text": text, "trained_per_alpha": is_trained, "targets": {
            name: {str(alpha): dict(figures) for alpha, figures in own.items()} for name, own in curves.items()
        }},
    )  # fmt: skip
    panels = {
        f"{name}: class mIoU, %": {
            host: [(alpha, 100 * figures["class_miou"]["value"]) for alpha, figures in own.items()]
        }
        for name, own in curves.items()
    }
    picture = draw_curves(folder / "alpha_sweep.png", panels, x_label="alpha, share of the text")
    report = Report(folder / "alpha_sweep.md", "Class mIoU over alpha")
    how = "each alpha trained by itself" if is_trained else "one trained network, alpha changed in the test"
    report.text(f"Host {host}, text {text}; {how}. In brackets: 95 % bootstrap intervals over cases.")
    header = ["alpha", *curves]
    lines = []
    for alpha in next(iter(curves.values())):
        lines.append([str(alpha), *(percent(own[alpha]["class_miou"]) for own in curves.values())])
    report.text(markdown_table(header, lines))
    report.figure(picture, "Class mIoU over the share of the text.")
    return report.write()
