# Copyright (c) 2026 the CD-TG bundle authors. Licensed under the Apache License 2.0.
"""A language model behind any endpoint that speaks OpenAI's protocol, asked with patience.

The key comes from the environment and is kept out of messages, logs and answers.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

__all__ = ["LanguageModel", "LanguageModelError"]

logger = logging.getLogger(__name__)

_LONGEST_WAIT_S = 120.0


class LanguageModelError(RuntimeError):
    """The language model can't be asked; nothing is wrong with its answers."""


class LanguageModel:
    """Asks one question at a time.

    Args:
        model: name of the model; None takes ``OPENAI_MODEL`` from the environment.
        timeout_s: seconds until an answer must be there.
        retries: further attempts after a failure that may pass (no connection, timeout, rate limit, server error,
            malformed response).
        backoff_s: seconds before the first of them, doubled each time, with up to a half more by chance; a server's
            ``Retry-After`` counts where it is longer.
        temperature: of the answers; None leaves it to the endpoint.
        sleep: waits.

    Raises:
        LanguageModelError: without the package ``openai``, a model's name or a key.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        timeout_s: float = 60.0,
        retries: int = 5,
        backoff_s: float = 1.0,
        temperature: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            import openai
        except ImportError as error:
            raise LanguageModelError("`describe` needs the package openai: pip install openai") from error
        name = model or os.environ.get("OPENAI_MODEL")
        key = os.environ.get("OPENAI_API_KEY")
        if not name:
            raise LanguageModelError("no language model: set OPENAI_MODEL in the environment, or --model NAME")
        if not key:
            raise LanguageModelError("no key of the language model: set OPENAI_API_KEY in the environment")
        base_url = os.environ.get("OPENAI_BASE_URL")
        self.model = name
        self.retries = retries
        self.backoff_s = backoff_s
        self.temperature = temperature
        self.endpoint = _host(base_url or "https://api.openai.com")
        self._sleep = sleep
        self._key = key
        self._openai: Any = openai
        try:
            self._client: Any = openai.OpenAI(api_key=key, base_url=base_url, timeout=timeout_s, max_retries=0)
        except Exception as error:
            raise LanguageModelError(f"OPENAI_BASE_URL is not an address: {self._clean(error)}") from None

    def ask(self, question: str) -> str:
        """Return the answer to a question.

        Raises:
            LanguageModelError: naming endpoint, model and cause, after the last attempt.
        """
        for attempt in range(self.retries + 1):
            try:
                return self._ask_once(question)
            except self._openai.OpenAIError as error:
                cause, retry_after = self._cause(error)
            except (_MalformedResponseError, ValueError) as error:
                cause, retry_after = f"malformed response: {self._clean(error)}", 0.0
            if retry_after is None or attempt == self.retries:
                raise LanguageModelError(
                    f"{self.endpoint} gave no answer of model {self.model!r} in {attempt + 1} attempts: {cause}"
                ) from None
            wait = max(retry_after, self.backoff_s * 2**attempt * (1 + random.random() / 2))
            wait = min(wait, _LONGEST_WAIT_S)
            logger.warning("%s: %s; asking again in %.1f s", self.endpoint, cause, wait)
            self._sleep(wait)
        raise AssertionError("unreachable")

    def _ask_once(self, question: str) -> str:
        options = {} if self.temperature is None else {"temperature": self.temperature}
        response = self._client.chat.completions.create(
            model=self.model, messages=[{"role": "user", "content": question}], **options
        )
        choices = getattr(response, "choices", None)
        if not isinstance(choices, list) or not choices:
            raise _MalformedResponseError("no choices")
        content = getattr(getattr(choices[0], "message", None), "content", None)
        if not isinstance(content, str):
            raise _MalformedResponseError("no text in the first choice")
        return self._clean(content)

    def _cause(self, error: Exception) -> tuple[str, float | None]:
        """What went wrong, and the seconds to wait at least before the next attempt; None when another is no use."""
        if isinstance(error, self._openai.APITimeoutError):
            return "no answer in time", 0.0
        if isinstance(error, self._openai.APIConnectionError):
            return f"can't be reached ({self._clean(error.__cause__ or error)})", 0.0
        if isinstance(error, self._openai.APIStatusError):
            status = error.status_code
            cause = f"HTTP {status}, {self._clean(error)[:300]}"
            is_passing = status in (408, 409, 429) or status >= 500
            if getattr(error, "code", None) == "insufficient_quota" or not is_passing:
                return cause, None
            return cause, _seconds(error.response.headers.get("retry-after"))
        return self._clean(error)[:300], 0.0

    def _clean(self, text: object) -> str:
        return str(text).replace(self._key, "***")


class _MalformedResponseError(Exception):
    """A response that is no chat completion."""


def _host(url: str) -> str:
    """Host and port of an address, without a user or password in it."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or "the endpoint"


def _seconds(header: str | None) -> float:
    try:
        return max(float(header or 0), 0.0)
    except ValueError:
        return 0.0  # a date
