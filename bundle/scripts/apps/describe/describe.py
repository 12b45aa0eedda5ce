# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Descriptions of a list of classes, asked of a language model and written as a file of prompts.

Each answer is kept as soon as it is there, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...files.atomic import write_json
from ...files.read_json import read_json_object
from ...text.encoders import TokenCounter
from .language_model import LanguageModel
from .sentence import RefusedAnswerError, standardise

__all__ = ["BACKGROUND", "describe", "question"]

logger = logging.getLogger(__name__)

BACKGROUND = "background"
CHECKS = (
    "one sentence",
    "names the class",
    "fits the text encoder",
    "no refusal",
    "no markup",
    "no other's description",
)


def describe(
    class_names: Sequence[str] | str,
    *,
    dataset_name: str,
    output_file: str | Path,
    cache_file: str | Path,
    encoder: TokenCounter,
    language_model: Callable[[], LanguageModel],
    subject: str | None = None,
    attempts: int = 3,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Path | None:
    """Ask for a description of each class and of the background, and write the file of prompts.

    Args:
        class_names: the classes, or their names with commas between.
        dataset_name: name of the file's data set.
        output_file: JSON, see `scripts.text.prompts`, with question, answer, model, date and checks of each sentence.
        cache_file: JSON of all answers; without it every question is asked.
        encoder: text encoder whose tokenizer says whether a sentence fits.
        language_model: makes the language model; not called in a dry run.
        subject: how the question names data set or modality; None takes ``dataset_name``.
        attempts: answers per class until one can be used.
        overwrite: whether an existing ``output_file`` may be replaced.
        dry_run: log the questions, ask nothing, write nothing.

    Returns:
        ``output_file``, or None in a dry run.

    Raises:
        ValueError: for no classes, or when no answer for a class could be used: each with the reasons.
        FileExistsError: when ``output_file`` exists.
        LanguageModelError: when the language model can't be asked.
    """
    names = [name.strip() for name in class_names.split(",")] if isinstance(class_names, str) else list(class_names)
    if not dataset_name or not names or not all(names) or len(set(names)) != len(names) or BACKGROUND in names:
        raise ValueError(
            "describe needs dataset_name and class_names, each class once and without the background; got "
            f"dataset_name {dataset_name!r}, class_names {names}"
        )
    output_file = Path(output_file).expanduser()
    questions = {name: question(name, subject or dataset_name) for name in [*names, BACKGROUND]}
    if dry_run:
        for text in questions.values():
            logger.info("would ask: %s", text)
        return None
    if output_file.exists() and not overwrite:
        raise FileExistsError(f"{output_file} exists; take another output_file, or --overwrite True to replace it")
    answers = _Answers(Path(cache_file).expanduser(), language_model)
    found: dict[str, dict[str, Any]] = {}
    problems = []
    for name, text in questions.items():
        taken = {entry["sentence"].partition(" in which ")[2]: other for other, entry in found.items()}
        entry, reasons = _first_usable(name, text, answers, attempts, encoder, taken)
        if entry is None:
            problems.append(f"{name}: {'; '.join(reasons)}")
        else:
            found[name] = entry
            logger.info("%s", entry["sentence"])
    if problems:
        raise ValueError(
            f"no usable description, {output_file} is not written (answers: {answers.path}; more attempts may help):\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )
    background = found.pop(BACKGROUND)
    content = {
        "dataset": dataset_name,
        **({"modality": subject} if subject else {}),
        "categories": [{"name": name, **entry} for name, entry in found.items()],
        "background": background["sentence"],
        "background_provenance": background["provenance"],
    }
    return write_json(output_file, content)


def question(class_name: str, subject: str) -> str:
    """The paper's question, with the form that is wanted."""
    if class_name == BACKGROUND:
        wanted = f"the background in {subject}, that is all that belongs to no target"
    else:
        wanted = f"{class_name} in {subject}"
    return (
        f"Characterise {wanted}: what does it look like? Describe only what can be seen (shape, size, brightness or "
        "colour, texture, border, position), in one plain English sentence of 15 to 30 words without any markup, "
        f"that begins with: A photo of {class_name} in which"
    )


class _Answers:
    """Answers by model, question and attempt; read from a file, and written to it one by one."""

    def __init__(self, path: Path, language_model: Callable[[], LanguageModel]) -> None:
        self.path = path
        self._make_model = language_model
        self._model: LanguageModel | None = None
        self._kept: dict[str, dict[str, str]] = {}
        if path.is_file():
            try:
                self._kept = read_json_object(path)
            except ValueError as error:
                raise ValueError(f"cache_file: {error}; remove it to ask anew") from error
            if not all(isinstance(kept, dict) and isinstance(kept.get("answer"), str) for kept in self._kept.values()):
                raise ValueError(f"cache_file: {path} holds something else than answers; remove it to ask anew")

    def get(self, text: str, attempt: int) -> dict[str, str]:
        """Answer, model and date."""
        if self._model is None:
            self._model = self._make_model()
        key = hashlib.sha256(f"{self._model.model}\n{attempt}\n{text}".encode()).hexdigest()
        if key not in self._kept:
            answer = self._model.ask(text)
            date = datetime.now(timezone.utc).isoformat(timespec="seconds")
            self._kept[key] = {"model": self._model.model, "date": date, "question": text, "answer": answer}
            write_json(self.path, self._kept)
        return self._kept[key]


def _first_usable(
    name: str, text: str, answers: _Answers, attempts: int, encoder: TokenCounter, taken: dict[str, str]
) -> tuple[dict[str, Any] | None, list[str]]:
    reasons: list[str] = []
    for attempt in range(attempts):
        kept = answers.get(text, attempt)
        try:
            sentence = standardise(kept["answer"], name, encoder.count_tokens, encoder.context_length)
            other = taken.get(sentence.partition(" in which ")[2])
            if other is not None:
                raise RefusedAnswerError(f"the description of {other!r}")
        except RefusedAnswerError as error:
            reasons.append(f"{error} ({kept['answer'][:80]!r})")
            logger.warning("%s: answer %d can't be used: %s", name, attempt + 1, reasons[-1])
        else:
            return {"sentence": sentence, "provenance": {**kept, "checks": list(CHECKS)}}, reasons
    return None, reasons
