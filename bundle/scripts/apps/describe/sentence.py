# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""From a free answer to ``A photo of {class} in which {visual description}.``, or a reason why not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

__all__ = ["RefusedAnswerError", "standardise"]

_MIN_WORDS, _MAX_WORDS = 4, 60
_REFUSAL = re.compile(
    r"\b(i['’]?m sorry|i am sorry|sorry, (but )?i\b|i apologi[sz]e|i can(no|['’])t|i can not|i am (not able|unable)"
    r"|i['’]?m (not able|unable)|i won['’]?t|as an ai|as a language model|unable to (help|assist|provide|comply)"
    r"|cannot (help|assist|provide|comply)|i don['’]?t (know|have)|i do not (know|have)|no information"
    r"|not (possible|able) to describe)\b",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^((sure|certainly|of course|okay|ok|absolutely|great question|here (is|are|you go)|here['’]s|answer|sentence"
    r"|output|response|description|caption)\b[^:\n]{0,80}[:\n]\s*|(sure|certainly|of course|okay|absolutely)[,!.]\s+)",
    re.IGNORECASE,
)
_FORM = re.compile(r"^(?:an? |the )?(?:photo|photograph|image|picture) of (.+?),? in which (.+)$", re.IGNORECASE)
_MARKUP = re.compile(r"[<>{}\[\]|`*#\\~^=]|https?:|www\.|__|\bdescription of\b.*\bhere\b", re.IGNORECASE)
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,2}|`)(?=\S)([^*_`]+?)(?<=\S)\1")
_ABBREVIATION = re.compile(r"\b(e\.g|i\.e|approx|ca|cf|vs|etc|dr|fig|no)\.", re.IGNORECASE)
_QUOTES = "\"'“”‘’«»"


class RefusedAnswerError(ValueError):
    """An answer that can't be made a description; the message is the reason."""


def standardise(
    answer: object, class_name: str, count_tokens: Callable[[str], int] | None = None, context_length: int = 77
) -> str:
    """Make a standard sentence of an answer.

    Preambles, quotes, emphasis and whatever follows the first sentence are dropped;
    words are never added or changed, but for a first capital.

    Args:
        answer: what the language model said.
        class_name: must be the class of the answer, if it names one in the standard form.
        count_tokens: of the text encoder that will read the sentence, start and end included.
        context_length: tokens that encoder takes.

    Raises:
        RefusedAnswerError: with the reason.
    """
    if not isinstance(answer, str):
        raise RefusedAnswerError(f"not a text but {type(answer).__name__}")
    text = "".join(" " if unicodedata.category(sign) == "Zs" else sign for sign in unicodedata.normalize("NFC", answer))
    if any(unicodedata.category(sign) == "Cc" and not sign.isspace() for sign in text):
        raise RefusedAnswerError("control characters")
    text = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()
    if not text:
        raise RefusedAnswerError("empty")
    if _REFUSAL.search(text):
        raise RefusedAnswerError("the model declines")
    for _ in range(3):
        text = _PREAMBLE.sub("", text.strip().strip(_QUOTES).strip())
    text = re.sub(r"^(#{1,6}|[-*•]|\d{1,2}[.)])\s+", "", text)
    text = _EMPHASIS.sub(r"\2", text)
    sentence = _first_sentence(text)
    if sentence.endswith("?"):
        raise RefusedAnswerError("a question")
    if found := _MARKUP.search(sentence):
        raise RefusedAnswerError(f"markup: {found[0]!r}")
    description = _description(sentence.rstrip(".!… ").strip(_QUOTES).rstrip(". "), class_name)
    _check_words(description)
    standard = f"A photo of {class_name} in which {description}."
    if count_tokens is not None and (count := count_tokens(standard)) > context_length:
        raise RefusedAnswerError(f"{count} tokens, the text encoder takes {context_length}")
    return standard


def _first_sentence(text: str) -> str:
    """The text up to the first end of a sentence, on one line; a list that it introduces is none of it."""
    covered = _ABBREVIATION.sub(lambda found: found[0].replace(".", "\0"), re.sub(r"\s+", " ", text))
    first = re.split(r"(?<=[.!?…])[\"'”’»)]*\s+", covered, maxsplit=1)[0]
    return first.replace("\0", ".").strip()


def _description(sentence: str, class_name: str) -> str:
    form = _FORM.match(sentence)
    if form is None:
        if re.match(r"(an? |the )?(photo|photograph|image|picture) of\b", sentence, re.IGNORECASE):
            raise RefusedAnswerError("says 'photo of' without 'in which'")
        description = sentence
    else:
        if _bare(form[1]) != _bare(class_name):
            raise RefusedAnswerError(f"describes {form[1]!r} instead of {class_name!r}")
        description = form[2]
    first = re.split(r"[^\w]", description, maxsplit=1)[0]
    if first[:1].isupper() and (first[1:].islower() or len(first) == 1):  # not an abbreviation such as MR
        description = description[0].lower() + description[1:]
    return description


def _check_words(description: str) -> None:
    words = re.findall(r"\w[\w'’-]*", description)
    letters = [sign for sign in description if sign.isalpha()]
    if sum("LATIN" not in unicodedata.name(sign, "") for sign in letters) > 0.1 * len(letters):
        raise RefusedAnswerError("not in Latin letters")
    if len(words) < _MIN_WORDS:
        raise RefusedAnswerError(f"{len(words)} words, at least {_MIN_WORDS} are needed")
    if len(words) > _MAX_WORDS:
        raise RefusedAnswerError(f"{len(words)} words, at most {_MAX_WORDS} are sensible")
    if len({word.lower() for word in words}) < len(words) / 3:
        raise RefusedAnswerError("repeats itself")
    if description.endswith((":", ",", ";", " and", " or", " of", " the", " a", " with")):
        raise RefusedAnswerError("breaks off")


def _bare(name: str) -> str:
    words = re.sub(r"[_\W]+", " ", name.casefold()).split()
    return " ".join(words[1:] if words[:1] in (["a"], ["an"], ["the"]) else words)
