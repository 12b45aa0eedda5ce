# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""The workflow `prompt_study`: every wording of every class on every target, beside networks trained as controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ...apps.startup.assembly import CONFIGS, Target
from ...data.items import expand_items, item_id
from ...text import EmbeddingTable, Prompts, read_prompts
from .lines import Line, answer
from .results import write_results
from .scores import grounding, line_scores
from .trained_network import checkpoint_of, find_targets, open_target, require_text
from .wordings import WORDINGS, wordings

__all__ = ["prompt_study"]

_FOREIGN = CONFIGS.parent / "prompts" / "voc2012.json"
_IMAGE_SENTENCES = "own_image"


def prompt_study(
    output_dir: str | Path,
    *,
    data_root: str | Path,
    host: str,
    text: str,
    checkpoint: str | None,
    targets: Sequence[str],
    controls: Sequence[str] = (),
    image_sentences: bool = False,
    allow_leak: bool = False,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    num_resamples: int = 2000,
    **common: Any,
) -> Path:
    """Answer the same episodes with every wording, and write tables and a figure.

    Args:
        output_dir: gets ``prompt_study.csv``, ``.json``, ``.md`` and ``.png``.
        data_root: folder with a sub-folder per data set.
        host: overlay of the host that was trained with text.
        text: its text overlay.
        checkpoint: its weights; {host} and {text} in the path are filled in.
        targets: data sets, by overlay or folder.
        controls: text overlays of networks with weights of their own, found by {text} in ``checkpoint``.
        image_sentences: also tell the network the sentences that come with the test images and were derived from them.
        allow_leak: study descriptions that were derived from the masks of the test images; the report names them.
        options: target -> further values of its evaluation, such as ``support_case``.
        seed: of episodes, exchanged classes and the bootstrap.
        num_resamples: bootstrap replicates.
        common: values of all evaluations, such as ``num_episodes``; None leaves the default.

    Returns:
        The Markdown report.

    Raises:
        ValueError: for a host or a text overlay without text, a missing checkpoint, or descriptions that leak.
    """
    controls = [controls] if isinstance(controls, str) else list(controls)
    found = find_targets("prompt_study", targets, data_root)
    require_text("prompt_study", host, text)
    files = {name: checkpoint_of(checkpoint, host, name) for name in (text, *controls)}
    if image_sentences and not allow_leak:
        raise ValueError(
            "image_sentences: the sentences of single images were derived from their masks and give part of the answer "
            "away; add --allow_leak True to study just that"
        )
    content: dict[str, Any] = {
        "host": host,
        "text": text,
        "checkpoints": {name: str(file) for name, file in files.items()},
        "seed": seed,
        "targets": {},
    }
    for name, target in found.items():
        given = {**common, **dict((options or {}).get(name, {})), "seed": seed}
        content["targets"][name] = _study(
            name, target, host, text, files, given, image_sentences, allow_leak, seed, num_resamples
        )
    return write_results(content, Path(output_dir))


def _study(
    name: str,
    target: Target,
    host: str,
    text: str,
    checkpoints: Mapping[str, Path],
    given: dict[str, Any],
    image_sentences: bool,
    allow_leak: bool,
    seed: int,
    num_resamples: int,
) -> dict[str, Any]:
    if image_sentences:
        given = {**given, "eval_datalist#with_leaking": True}
    # the lines bring their own texts
    workflow = open_target(target, host, text, checkpoints[text], {**given, "validate#dataset#text_table": "$None"})
    parser = workflow.parser
    episodes = parser.get_parsed_content("episodes")
    prompts = read_prompts(parser.get_parsed_content("prompts_file"))
    class_names = sorted({task["class_name"] for task in episodes.tasks if "class_name" in task})
    leaking = [each for each in class_names if each in prompts.from_masks]
    if leaking and not allow_leak:
        raise ValueError(
            f"{name}: the descriptions of {', '.join(leaking)} were derived from masks of the test images "
            "(derived_from_mask); add --allow_leak True to study just that"
        )
    network, table = parser.get_parsed_content("network"), parser.get_parsed_content("text_table")
    worded = wordings(prompts, class_names, foreign=read_prompts(_FOREIGN), seed=seed)
    lines = {each: _line(each, network, worded[each], table, prompts) for each in WORDINGS if worded[each]}
    missing = {each: "the descriptions say nothing of the kind" for each in WORDINGS if not worded[each]}
    if image_sentences:
        own = _image_sentences(parser.get_parsed_content("eval_datalist"))
        if own:
            lines[_IMAGE_SENTENCES] = _line(_IMAGE_SENTENCES, network, own, table, prompts)
            leaking.append(f"{len(own)} sentences of single images")
        else:
            missing[_IMAGE_SENTENCES] = "the data set has no such sentences"
    for control in checkpoints:
        if control == text:
            continue
        if control == "shuffled" and len(prompts.sentences) < 2:
            missing[control] = "the only class has none to exchange with"
            continue
        lines[f"trained: {control}"] = _control(control, target, host, checkpoints[control], given, class_names)
    answer(parser.get_parsed_content("validate#evaluator"), list(lines.values()), title=name)
    options = {"seed": seed, "num_resamples": num_resamples}
    result = {
        "protocol": episodes.protocol,
        "num_shots": episodes.num_shots,
        "episode_list_sha256": episodes.sha256,
        "num_cases": len({row.case_id for row in lines["full"].cases.rows}),
        "classes": class_names,
        "leaking": leaking,
        "missing": missing,
        "lines": {
            each: {"kind": line.kind, "sentences": dict(line.sentences), **line_scores(line, lines["full"], **options)}
            for each, line in lines.items()
        },
        "grounding": grounding(lines, **options),
    }
    workflow.finalize()
    return result


def _line(
    name: str, network: nn.Module, sentences: Mapping[str, Sequence[str]], table: EmbeddingTable, prompts: Prompts
) -> Line:
    encoded = EmbeddingTable(
        sentences, table.encoder, prompts.background, table.cache_file, source=f"the wording {name}"
    )
    texts = {each: encoded[each] for each in sentences}
    return Line(name, network, texts, sentences={each: list(own) for each, own in sentences.items()})


def _control(
    control: str, target: Target, host: str, checkpoint: Path, given: Mapping[str, Any], class_names: Sequence[str]
) -> Line:
    parser = open_target(target, host, control, checkpoint, given).parser
    table = parser.get_parsed_content("text_table")
    texts = None if table is None else {each: table[each] for each in class_names}
    sentences = {} if table is None else {each: table.sentences[each] for each in class_names}
    return Line(f"trained: {control}", parser.get_parsed_content("network"), texts, "control", sentences)


def _image_sentences(datalist: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Id of an image -> a sentence that was derived from its mask; the longest says most."""
    found = {item_id(item): item.get("leaking_sentences", []) for item in expand_items(list(datalist))}
    return {name: [max(own, key=len)] for name, own in found.items() if own}
