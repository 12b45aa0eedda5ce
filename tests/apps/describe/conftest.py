# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A language model's server on loopback that speaks the protocol of chat completions."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "sk-secret-of-the-test"


class Endpoint:
    """Gives the scripted responses in order, then answers every question in the wanted form.

    A response is None (a good answer), a dict (JSON), a str (as it is), an int (status), a pair (status, headers or
    body), or seconds to sleep as a float.
    """

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.answer: Callable[[str], str] = answer_well

    @property
    def questions(self) -> list[str]:
        return [request["messages"][0]["content"] for request in self.requests]


def answer_well(question: str) -> str:
    name = question.rpartition("A photo of ")[2].removesuffix(" in which")
    return f"A photo of {name} in which the typical texture of {name} covers a rounded area."


def completion(content: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "toy", "choices": [choice]}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    pytest.importorskip("openai")
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append({**request, "path": self.path})
            state.authorizations.append(self.headers["Authorization"])
            item = state.script.pop(0) if state.script else None
            if item is None:
                item = completion(state.answer(state.questions[-1]))
            status, headers = 200, {}
            if isinstance(item, float):
                time.sleep(item)
                item = completion("too late")
            if isinstance(item, int):
                item = (item, {})
            if isinstance(item, tuple):
                status, extra = item
                is_body = "error" in extra
                headers, item = ({}, extra) if is_body else (extra, {"error": {"message": f"status {status}"}})
            body = item.encode() if isinstance(item, str) else json.dumps(item).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except BrokenPipeError:
                pass

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_MODEL", "toy")
    yield state
    server.shutdown()
    server.server_close()
