"""One server: asks it, asks again within a budget where that is safe, and turns its refusals into sentences.

What is asked again: a question (GET), and what carries an ``Idempotency-Key`` or is otherwise the same when it comes
twice, after any failure that may pass. Anything else only if it cannot have been taken: nobody was there, or 429.
``Retry-After`` is honoured; one that lies behind the budget ends the trying at once.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote

import httpx
from httpx_sse import EventSource

from deepoj import __version__
from deepoj.client.keys import is_loopback
from deepoj.client.shown import shown
from deepoj.words import Breakage, StartRefused

#: how long a request is tried again, all in all
RETRY_FOR_S = 30.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
#: a stream says something every 15 s
_STREAM_TIMEOUT = httpx.Timeout(30.0, connect=10.0, read=45.0)
#: may pass, and says nothing about whether the request was carried out
_TROUBLE = frozenset({500, 502, 503, 504})
#: a proxy that is not ours may answer anything, at any length
_SENTENCE_CHARS = 500


class ServerAway(Breakage):
    """Nobody answers there, or nobody that speaks this API."""


class ServerRefused(StartRefused):
    """The server says no. ``str()`` is its sentence with its code word; exit code 3 where it could say yes later."""

    def __init__(self, sentence: str, *, status: int, code: str) -> None:
        super().__init__(sentence, 3 if status in _TROUBLE or status == httpx.codes.TOO_MANY_REQUESTS else 2)
        self.status = status
        self.code = code


def new_key() -> str:
    """An ``Idempotency-Key`` for one submission, however often it is sent."""
    return secrets.token_urlsafe(18)


def status_path(job_id: str) -> str:
    """Where a submission is looked at."""
    return f"/api/v1/status/{quote(job_id, safe='')}"


def run_path(run_id: str) -> str:
    """Where a run is looked at."""
    return f"/api/v1/run/{quote(run_id, safe='')}"


class Server:
    """The API at ``url`` (see ``keys.server_url``), spoken to with ``token`` or, if that is empty, as nobody.

    ``notice`` is told in a sentence of each failure that is tried again. Close it, or use it in a ``with``.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        retry_for_s: float = RETRY_FOR_S,
        notice: Callable[[str], None] = lambda _: None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._token = token
        self._retry_for_s, self._notice, self.sleep, self._clock = retry_for_s, notice, sleep, clock
        self._http = httpx.Client(
            base_url=url,
            headers={"User-Agent": f"deepoj/{__version__}", "Accept": "application/json"},
            timeout=_TIMEOUT,
            # a token goes where it was meant to go, and nowhere else
            follow_redirects=False,
            # a proxy in the environment is for what is outside
            trust_env=not is_loopback(url),
            transport=transport,
        )
        if token:
            self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # -- what people ask for

    def log_in(self, username: str, password: str) -> str:
        """The token. Raises ServerAway, ServerRefused."""
        body = {"username": username, "password": password}
        return self._word(self.ask("POST", "/api/v1/auth/login", body=body), "token")

    def register(self, username: str, password: str) -> None:
        """Makes an account. Raises ServerAway, ServerRefused."""
        body = {"username": username, "password": password}
        self.ask("POST", "/api/v1/auth/register", body=body, repeatable=False)

    def submit(self, body: Mapping[str, Any], *, key: str) -> str:
        """Sends a submission (contract §2; ``sources.body_of``) and returns its job id; ``key``: see :func:`new_key`.
        Raises ServerAway (it may have been taken: the same key tells), ServerRefused."""
        return self._word(self.ask("POST", "/api/v1/submit", body=body, key=key), "job_id")

    def run(self, body: Mapping[str, Any]) -> str:
        """Orders a run and returns its id. Raises ServerAway, ServerRefused."""
        return self._word(self.ask("POST", "/api/v1/run", body=body, repeatable=False), "run_id")

    def status(self, job_id: str) -> dict[str, Any]:
        """Where a submission stands. Raises ServerAway, ServerRefused."""
        return self.ask("GET", status_path(job_id))

    def languages(self) -> list[dict[str, Any]]:
        """What programs are judged in. Raises ServerAway, ServerRefused."""
        return self._rows(self.ask("GET", "/api/v1/languages"), "languages")

    def problems(self) -> Iterator[dict[str, Any]]:
        """All problems, by id, page after page. Raises ServerAway, ServerRefused."""
        after = 0
        while True:
            page = self.ask(
                "GET", f"/api/v1/problems?limit=200&after={after}" if after else "/api/v1/problems?limit=200"
            )
            yield from self._rows(page, "problems")
            following = page.get("next")
            if following is None:
                return
            if not (isinstance(following, str) and following.isdecimal() and int(following) > after):
                raise self._not_ours("a next page that is none")
            after = int(following)

    # -- asking

    def ask(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, key: str = "", repeatable: bool = True
    ) -> dict[str, Any]:
        """The JSON object of a good answer. Raises ServerAway, ServerRefused."""
        headers = {"Idempotency-Key": key} if key else {}
        ends_s = self._clock() + self._retry_for_s
        pause_s = _FIRST_PAUSE_S
        while True:
            asked_for_s: float | None = None
            trouble: ServerAway | ServerRefused
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.RequestError as error:
                trouble, again = self._away(error), _may_pass(error, repeatable=repeatable)
            else:
                if answer.is_success:
                    return self._object(answer)
                trouble, asked_for_s = self.refusal(answer), _retry_after_s(answer)
                again = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or (
                    repeatable and answer.status_code in _TROUBLE
                )
            # spread over half of it: many who were turned away together do not come back together
            wait_s = pause_s * random.uniform(0.75, 1.25) if asked_for_s is None else asked_for_s  # noqa: S311
            left_s = ends_s - self._clock()
            if not again or wait_s > left_s:
                raise trouble
            self._notice(f"{trouble} Trying again in {wait_s:.1f} s, for another {left_s:.0f} s at most.")
            self.sleep(wait_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    @contextlib.contextmanager
    def stream(self, path: str, last_event_id: str) -> Iterator[EventSource]:
        """An event stream, from after ``last_event_id`` ("": from the start). Raises httpx.RequestError while it is
        opened or read: whoever reads decides how to go on."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        with self._http.stream("GET", path, headers=headers, timeout=_STREAM_TIMEOUT) as answer:
            yield EventSource(answer)

    def refusal(self, answer: httpx.Response) -> ServerAway | ServerRefused:
        """What an answer that is not good comes to, as an exception to raise. The answer has been read."""
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not (isinstance(body, dict) and isinstance(body.get("error"), str) and isinstance(body.get("code"), str)):
            if answer.status_code in _TROUBLE:
                return ServerAway(f"{self.url} has trouble of its own (HTTP {answer.status_code}).")
            return ServerAway(
                f"{self.url} does not answer like a Deep-OJ server (HTTP {answer.status_code}): check the URL."
            )
        sentence = f"{self._clean(body['error'])} ({self._clean(body['code'])})"
        if answer.status_code == httpx.codes.UNAUTHORIZED and body["code"] != "BAD_CREDENTIALS":
            sentence += f" Log in with `deepoj login {self.url}`."
        return ServerRefused(sentence, status=answer.status_code, code=body["code"])

    def _away(self, error: httpx.RequestError) -> ServerAway:
        why = self._clean(str(error)) or type(error).__name__
        return ServerAway(f"{self.url} cannot be reached: {why}.")

    def _clean(self, text: str) -> str:
        """A text of the other side's, cut, and without our token, should it quote it."""
        text = shown(text.replace(self._token, "[token]") if self._token else text)
        return text if len(text) <= _SENTENCE_CHARS else f"{text[:_SENTENCE_CHARS]} …"

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            return body
        raise self._not_ours(f"no JSON object (HTTP {answer.status_code})")

    def _word(self, body: Mapping[str, Any], name: str) -> str:
        word = body.get(name)
        if isinstance(word, str) and word:
            return word
        raise self._not_ours(f"no {name}")

    def _rows(self, body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        rows = body.get(name)
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            return rows
        raise self._not_ours(f"no {name}")

    def _not_ours(self, what: str) -> ServerAway:
        return ServerAway(f"{self.url} does not answer like a Deep-OJ server ({what}): check the URL.")


def _may_pass(error: httpx.RequestError, *, repeatable: bool) -> bool:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return False
    return isinstance(error, httpx.TransportError) if repeatable else isinstance(error, httpx.ConnectError)


def _retry_after_s(answer: httpx.Response) -> float | None:
    """Seconds; None where it says nothing, or a date."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdecimal() and len(said) < 10 else None
