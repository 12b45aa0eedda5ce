# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
from __future__ import annotations

import logging
import socket
import sys
from typing import Any

import pytest

from scripts.apps.describe import LanguageModel, LanguageModelError

KEY = "sk-secret-of-the-test"


def completion(content: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "toy", "choices": [choice]}


class Waits(list):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def test_a_question_and_its_answer(endpoint: Any) -> None:
    endpoint.script = [completion("a wedge")]
    assert LanguageModel().ask("What is it?") == "a wedge"
    request = endpoint.requests[0]
    assert (request["path"], request["model"]) == ("/v1/chat/completions", "toy")
    assert request["messages"] == [{"role": "user", "content": "What is it?"}]
    assert "temperature" not in request
    assert endpoint.authorizations == [f"Bearer {KEY}"]
    LanguageModel("other", temperature=0.0).ask("What is it? A photo of x in which")
    assert (endpoint.requests[1]["model"], endpoint.requests[1]["temperature"]) == ("other", 0.0)


PASSING = [
    429, 500, 502, 503, 408, "not json", "<html>busy</html>", "", "[]", "null", {}, {"choices": []},
    {"choices": None}, {"choices": [{}]}, {"choices": ["x"]}, completion(None), completion([{"type": "image"}]),
]  # fmt: skip


@pytest.mark.parametrize("response", PASSING, ids=repr)
def test_a_passing_failure_is_asked_again(endpoint: Any, response: Any) -> None:
    endpoint.script = [response, response, completion("a wedge")]
    waits = Waits()
    assert LanguageModel(sleep=waits).ask("What?") == "a wedge"
    assert len(endpoint.requests) == 3
    assert 1 <= waits[0] <= 1.5
    assert 2 <= waits[1] <= 3


def test_the_server_says_how_long_to_wait(endpoint: Any) -> None:
    endpoint.script = [(429, {"Retry-After": "7"}), (503, {"Retry-After": "tomorrow"}), (429, {"Retry-After": "9999"})]
    waits = Waits()
    LanguageModel(sleep=waits).ask("A photo of x in which")
    assert waits[0] == 7
    assert 2 <= waits[1] <= 3
    assert waits[2] == 120


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_lasting_failure_is_told_at_once(endpoint: Any, status: int) -> None:
    endpoint.script = [status]
    with pytest.raises(
        LanguageModelError, match=rf"127.0.0.1:\d+ gave no answer of model 'toy' in 1 attempts: HTTP {status}"
    ):
        LanguageModel(sleep=Waits()).ask("What?")
    assert len(endpoint.requests) == 1


def test_a_spent_quota_is_lasting(endpoint: Any) -> None:
    endpoint.script = [(429, {"error": {"message": "pay first", "code": "insufficient_quota"}})]
    with pytest.raises(LanguageModelError, match=r"in 1 attempts: HTTP 429, .*pay first"):
        LanguageModel(sleep=Waits()).ask("What?")


@pytest.mark.parametrize(("response", "cause"), [(500, "HTTP 500"), ({}, "malformed response: no choices")])
def test_patience_ends(endpoint: Any, response: Any, cause: str) -> None:
    endpoint.script = [response] * 3
    with pytest.raises(LanguageModelError, match=f"in 3 attempts: {cause}"):
        LanguageModel(retries=2, sleep=Waits()).ask("What?")
    assert len(endpoint.requests) == 3


def test_timeout(endpoint: Any) -> None:
    endpoint.script = [1.0]
    with pytest.raises(LanguageModelError, match="in 1 attempts: no answer in time"):
        LanguageModel(timeout_s=0.2, retries=0).ask("What?")


def test_unreachable(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://user:word@127.0.0.1:{port}/v1")
    with pytest.raises(
        LanguageModelError, match=rf"127.0.0.1:{port} gave no answer .* in 2 attempts: can't be reached"
    ) as caught:
        LanguageModel(retries=1, sleep=Waits()).ask("What?")
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("name", ["OPENAI_MODEL", "OPENAI_API_KEY"])
def test_what_the_environment_lacks(endpoint: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(LanguageModelError, match=f"set {name} in the environment"):
        LanguageModel()


def test_without_the_package(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(LanguageModelError, match="pip install openai"):
        LanguageModel()


def test_the_key_is_in_no_message_log_or_answer(endpoint: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"message": f"wrong key {KEY}"}}
    endpoint.script = [(500, echo), completion(f"your key is {KEY}"), (401, echo)]
    model = LanguageModel(sleep=Waits())
    assert model.ask("What?") == "your key is ***"
    with pytest.raises(LanguageModelError, match=r"wrong key \*\*\*") as caught:
        model.ask("What?")
    assert caught.value.__cause__ is None
    assert KEY not in caplog.text
