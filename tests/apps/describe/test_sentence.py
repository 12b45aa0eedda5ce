# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A table of odd answers: what becomes of each, or why it is refused."""

from __future__ import annotations

import re

import pytest

from scripts.apps.describe import RefusedAnswerError, standardise

BODY = "a large wedge of even grey tissue fills the upper abdomen"
GOOD = f"A photo of liver in which {BODY}."
CAPITAL = "A" + BODY[1:]

BECOMES = [
    # the form itself, with what models put around it
    (GOOD, GOOD),
    (GOOD[:-1], GOOD),
    (f"  {GOOD}\n", GOOD),
    (f"\ufeff{GOOD}", GOOD),
    (f'"{GOOD}"', GOOD),
    (f"“{GOOD}”", GOOD),
    (f"«{GOOD}»", GOOD),
    (f"'{GOOD}'", GOOD),
    (f"**{GOOD}**", GOOD),
    (f"*{GOOD}*", GOOD),
    (f"`{GOOD}`", GOOD),
    (f"__{GOOD}__", GOOD),
    (f"- {GOOD}", GOOD),
    (f"• {GOOD}", GOOD),
    (f"1. {GOOD}", GOOD),
    (f"1) {GOOD}", GOOD),
    (f"# {GOOD}", GOOD),
    (f"Sure! {GOOD}", GOOD),
    (f"Sure, here is the sentence: {GOOD}", GOOD),
    (f"Sure, here's a description:\n\n{GOOD}", GOOD),
    (f"Certainly. {GOOD}", GOOD),
    (f"Of course! {GOOD}", GOOD),
    (f"Here is the sentence:\n{GOOD}", GOOD),
    (f"Here you go: {GOOD}", GOOD),
    (f"Answer: {GOOD}", GOOD),
    (f"Sentence: “{GOOD}”", GOOD),
    (f"Caption: {GOOD}", GOOD),
    (f"Okay, {GOOD}", GOOD),
    (f"Great question! Here is one: {GOOD}", GOOD),
    (f"Description:\n**{GOOD}**", GOOD),
    (GOOD.replace("liver", "Liver"), GOOD),
    (GOOD.replace("liver", "the liver"), GOOD),
    (GOOD.replace("liver", "a LIVER"), GOOD),
    (GOOD.replace("liver", "**liver**"), GOOD),
    (GOOD.replace("liver", '"liver"'), GOOD),
    (GOOD.replace("A photo", "a photo"), GOOD),
    (GOOD.replace("A photo", "A PHOTO"), GOOD),
    (GOOD.replace("A photo", "The image"), GOOD),
    (GOOD.replace("A photo", "A photograph"), GOOD),
    (GOOD.replace("A photo", "A picture"), GOOD),
    (GOOD.replace("A photo", "Photo"), GOOD),
    (GOOD.replace(" in which", ", in which"), GOOD),
    (GOOD.replace("which a", "which A"), GOOD),
    (GOOD.replace(" ", "\n"), GOOD),
    (GOOD.replace(" ", "\u00a0"), GOOD),
    (GOOD.replace(" ", "  "), GOOD),
    (GOOD.replace("large", "lar\u00adge"), GOOD),
    (GOOD[:-1] + "!", GOOD),
    (GOOD[:-1] + "...", GOOD),
    (GOOD[:-1] + "…", GOOD),
    (GOOD[:-1] + '."', GOOD),
    # more than was asked for
    (f"{GOOD} It is the largest organ.", GOOD),
    (f"{GOOD}\n\nLet me know if you need anything else!", GOOD),
    (f"{GOOD}\n\n* shape: wedge\n* size: large", GOOD),
    (f"{GOOD} Would you like another?", GOOD),
    (f"{GOOD} <end>", GOOD),
    # without the form
    (f"{CAPITAL}.", GOOD),
    (BODY, GOOD),
    (f"{CAPITAL}. It is dark. It lies on the right.", GOOD),
    ("The liver is a large grey wedge.", "A photo of liver in which the liver is a large grey wedge."),
    ("MR shows a large grey wedge.", "A photo of liver in which MR shows a large grey wedge."),
    ("T2 signal is even and dark.", "A photo of liver in which T2 signal is even and dark."),
    (
        "A dark area, e.g. a vessel, crosses even tissue.",
        "A photo of liver in which a dark area, e.g. a vessel, crosses even tissue.",
    ),
    (
        "A wedge approx. 1.5 times as wide as high.",
        "A photo of liver in which a wedge approx. 1.5 times as wide as high.",
    ),
    ("Café-au-lait brown tissue fills half.", "A photo of liver in which café-au-lait brown tissue fills half."),
]

REFUSED = [
    (None, "not a text but NoneType"),
    (42, "not a text but int"),
    (["a wedge"], "not a text but list"),
    ({"text": GOOD}, "not a text but dict"),
    (b"bytes", "not a text but bytes"),
    ("", "empty"),
    ("   \n\t", "empty"),
    ("\u200b\u200b", "empty"),
    ("\x00" + GOOD, "control characters"),
    ("\x1b[31m" + GOOD, "control characters"),
    ("I'm sorry, but I can't help with that.", "the model declines"),
    ("I’m sorry, I can’t describe medical images.", "the model declines"),
    ("I am sorry, this is not possible for me.", "the model declines"),
    ("Sorry, I have no such picture at hand here.", "the model declines"),
    ("I cannot view images and so say nothing.", "the model declines"),
    ("I am unable to see any picture of this.", "the model declines"),
    ("I won't describe this organ for you today.", "the model declines"),
    ("As an AI, I have never seen a liver.", "the model declines"),
    ("As a language model I lack eyes for this.", "the model declines"),
    ("I apologize, there was a mistake in this.", "the model declines"),
    ("I don't know what that class may be.", "the model declines"),
    ("There is no information about this class here.", "the model declines"),
    (f"{GOOD} However, I cannot be sure.", "the model declines"),
    ("Could you tell me which modality you mean?", "a question"),
    ("Sure! What is the modality of your images?", "a question"),
    ("<p>A large wedge of even grey tissue</p>", "markup: '<'"),
    (f"<think>\nthe liver</think> {GOOD}", "markup: '<'"),
    ("```json\n{}\n```", "markup: '`'"),
    ('{"sentence": "a large grey wedge of tissue"}', "markup: '{'"),
    ("A photo of {class} in which {visual description}.", "markup: '{'"),
    ("A photo of liver in which [visual description].", "markup: '['"),
    ("| shape | wedge | size | large |", "markup: '|'"),
    ("A wedge as in [1] fills the upper abdomen.", "markup: '['"),
    ("A wedge, see https://example.org for more of it.", "markup: 'https:'"),
    ("A wedge, see www.example.org for more of it.", "markup: 'www.'"),
    (r"A wedge \textbf{large} fills the abdomen.", "markup: '\\\\'"),
    ("A large wedge ~~small~~ fills the abdomen.", "markup: '~'"),
    ("A photo of spleen in which a dark crescent lies left.", "describes 'spleen' instead of 'liver'"),
    ("A photo of right liver in which a dark wedge lies.", "describes 'right liver' instead of 'liver'"),
    ("A photo of an organ in which a dark wedge lies.", "describes 'an organ' instead of 'liver'"),
    ("A photo of liver, a large wedge of even tissue.", "says 'photo of' without 'in which'"),
    ("An image of liver with a large grey wedge.", "says 'photo of' without 'in which'"),
    ("A photo of liver in which", "says 'photo of' without 'in which'"),
    ("Liver.", "1 words, at least 4"),
    ("A grey wedge.", "3 words, at least 4"),
    ("A photo of liver in which tissue.", "1 words, at least 4"),
    ("!!!", "0 words, at least 4"),
    ("🫀🫀🫀", "not in Latin letters|0 words"),
    ("На снимке виден большой серый клин ткани.", "not in Latin letters"),
    ("肝臓は大きな灰色のくさび形です。", "not in Latin letters"),
    ("A photo of liver in which большой серый клин ткани.", "not in Latin letters"),
    ("word " * 10, "repeats itself"),
    ("grey wedge " * 8, "repeats itself"),
    (" ".join(f"word{n}" for n in range(61)), "61 words, at most 60"),
    (f"A photo of liver in which {BODY} with", "breaks off"),
    (f"A photo of liver in which {BODY},", "breaks off"),
    (f"A photo of liver in which {BODY} of the", "breaks off"),
    ("The liver has the following visible features:", "breaks off"),
]


def test_the_table_is_long_and_has_no_answer_twice() -> None:
    answers = [repr(answer) for answer, _ in [*BECOMES, *REFUSED]]
    assert len(set(answers)) == len(answers) >= 120


@pytest.mark.parametrize(("answer", "expected"), BECOMES)
def test_standardised(answer: str, expected: str) -> None:
    found = standardise(answer, "liver")
    assert found == expected
    assert standardise(found, "liver") == found  # nothing is left to do


@pytest.mark.parametrize(("answer", "reason"), REFUSED)
def test_refused_with_a_reason(answer: object, reason: str) -> None:
    with pytest.raises(RefusedAnswerError, match=f"^({reason if '|' in reason else re.escape(reason)})"):
        standardise(answer, "liver")


def test_the_text_encoder_s_own_tokenizer_counts() -> None:
    assert standardise(GOOD, "liver", lambda sentence: 77, 77) == GOOD
    with pytest.raises(RefusedAnswerError, match="78 tokens, the text encoder takes 77"):
        standardise(GOOD, "liver", lambda sentence: 78, 77)


def test_names_of_several_words() -> None:
    answer = "A photo of the Seborrheic Keratosis in which a waxy raised spot lies."
    expected = "A photo of seborrheic_keratosis in which a waxy raised spot lies."
    assert standardise(answer, "seborrheic_keratosis") == expected
