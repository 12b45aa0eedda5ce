# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""Other words for a class, from its description: some say the same, some say something else, some say little.

| wording | what it is |
| --- | --- |
| ``full`` | the description as it is |
| ``name_only`` | A photo of {class}. |
| ``modality_name`` | A photo of {class} in {modality}. |
| ``paraphrase`` | the same in other words |
| ``wrong_class`` | the description of another class |
| ``opposite`` | left and right exchanged, and every colour or brightness turned into its opposite |
| ``empty`` | nothing |
"""

from __future__ import annotations

import re

from ...text import Prompts, name_only, shuffle_classes

__all__ = ["WORDINGS", "opposite", "wordings"]

WORDINGS = ("full", "name_only", "modality_name", "paraphrase", "wrong_class", "opposite", "empty")

_PAIRS = (
    ("left", "right"), ("dark", "bright"), ("darker", "brighter"), ("black", "white"), ("red", "green"),
    ("reddish", "greenish"), ("purple", "yellow"), ("orange", "blue"),
)  # fmt: skip
_ONE_WAY = {"light": "dark", "lighter": "darker", "pale": "dark", "paler": "darker", "pink": "green", "brown": "blue"}
_OPPOSITES = {**_ONE_WAY, **{one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}}
_WORD = re.compile(r"\b(" + "|".join(_OPPOSITES) + r")\b")


def wordings(
    prompts: Prompts, class_names: list[str], *, foreign: Prompts, seed: int = 0
) -> dict[str, dict[str, list[str]]]:
    """Word the descriptions of some classes in every way of `WORDINGS`.

    Args:
        prompts: descriptions of the data set.
        class_names: the classes.
        foreign: descriptions of another data set; gives the wrong class where there is only one.
        seed: of the exchange of classes.

    Returns:
        wording -> class -> sentences; a class is missing where the wording can't be made for it.

    Raises:
        KeyError: when a class has no description.
    """
    missing = [name for name in class_names if name not in prompts.sentences]
    if missing:
        raise KeyError(f"{prompts.dataset} has no description of {', '.join(missing)}")
    own = {name: prompts.sentences[name] for name in class_names}
    chosen = prompts._replace(sentences=own)
    if len(own) > 1:
        wrong = shuffle_classes(chosen, seed).sentences
    else:
        strangers = sorted(set(foreign.sentences) - set(own))
        wrong = {name: foreign.sentences[strangers[seed % len(strangers)]] for name in own}
    turned = {name: [opposite(sentence) for sentence in sentences] for name, sentences in own.items()}
    return {
        "full": own,
        "name_only": name_only(chosen).sentences,
        "modality_name": {name: [f"A photo of {name} in {prompts.modality}."] for name in own if prompts.modality},
        "paraphrase": {name: [prompts.paraphrases[name]] for name in own if name in prompts.paraphrases},
        "wrong_class": wrong,
        "opposite": {name: sentences for name, sentences in turned.items() if sentences != own[name]},
        "empty": {name: [""] for name in own},
    }


def opposite(sentence: str) -> str:
    """Exchange sides, colours and brightness; a sentence without any is returned as it is."""
    return _WORD.sub(lambda found: _OPPOSITES[found[0]], sentence)
