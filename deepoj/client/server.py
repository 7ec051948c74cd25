"""Sends requests to one server, retries them within a budget where that is safe, and turns refusals into sentences.

Retried after any failure that may pass: a GET, and a request with an ``Idempotency-Key`` or another one that may be
repeated. Any other request is retried only if it cannot have been carried out: no connection, or 429. ``Retry-After``
is honoured; one beyond the budget ends the retries at once.
"""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import httpx
from httpx_sse import EventSource

from deepoj import __version__
from deepoj.client.keys import is_loopback
from deepoj.client.shown import shown
from deepoj.words.errors import Breakage, StartRefused

#: the retry budget of a request, in total
RETRY_FOR_S = 30.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
#: a package is received, and its programs are compiled
_UPLOAD_TIMEOUT = httpx.Timeout(180.0, connect=10.0)
#: a stream sends an event or a keep-alive every 15 s
_STREAM_TIMEOUT = httpx.Timeout(30.0, connect=10.0, read=45.0)
#: statuses of temporary errors, after which it is unknown whether the request was carried out
_TROUBLE = frozenset({500, 502, 503, 504})
#: maximum length of quoted text: a proxy may send any text of any length
_SENTENCE_CHARS = 500


class ServerAway(Breakage):
    """The server does not answer, or is not a Deep-OJ server."""


class ServerRefused(StartRefused):
    """The server refuses a request. ``str()``: its sentence with its error code. Exit code 3 if a retry may succeed."""

    def __init__(self, sentence: str, *, status: int, code: str) -> None:
        #: whether a retry may succeed
        self.is_temporary = status in _TROUBLE or status == httpx.codes.TOO_MANY_REQUESTS
        super().__init__(sentence, 3 if self.is_temporary else 2)
        self.status = status
        self.code = code


def new_key() -> str:
    """Return an ``Idempotency-Key`` for one submission and all its retries."""
    return secrets.token_urlsafe(18)


def status_path(job_id: str) -> str:
    """Return the path of a submission's status."""
    return f"/api/v1/status/{quote(job_id, safe='')}"


def run_path(run_id: str) -> str:
    """Return the path of a run's status."""
    return f"/api/v1/run/{quote(run_id, safe='')}"


class ApiClient:
    """The API at ``url`` (see ``keys.server_url``), with ``token``, or without an account if that is empty.

    ``notice`` gets a sentence about each failure that is retried. Close it, or use it in a ``with``.
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
            # the token is sent to this server only
            follow_redirects=False,
            # proxies of the environment are not used for this machine
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

    # -- requests

    def log_in(self, username: str, password: str) -> str:
        """Log in and return the token. Raises ServerAway, ServerRefused."""
        body = {"username": username, "password": password}
        return self._word(self.ask("POST", "/api/v1/auth/login", body=body), "token")

    def register(self, username: str, password: str) -> None:
        """Create an account. Raises ServerAway, ServerRefused."""
        body = {"username": username, "password": password}
        self.ask("POST", "/api/v1/auth/register", body=body, repeatable=False)

    def submit(self, body: Mapping[str, Any], *, key: str, contest: str | None = None) -> str:
        """Send a submission (``sources.body_of``), to a contest if it is one of a contest, and return its job id;
        ``key``: see :func:`new_key`.

        Raises ServerRefused; or ServerAway: the server may have accepted it, a retry with the same key is safe.
        """
        path = "/api/v1/submit" if contest is None else f"/api/v1/contests/{quote(contest, safe='')}/submit"
        return self._word(self.ask("POST", path, body=body, key=key), "job_id")

    def run(self, body: Mapping[str, Any]) -> str:
        """Start a run and return its id. Raises ServerAway, ServerRefused."""
        return self._word(self.ask("POST", "/api/v1/run", body=body, repeatable=False), "run_id")

    def status(self, job_id: str) -> dict[str, Any]:
        """Return a submission's status. Raises ServerAway, ServerRefused."""
        return self.ask("GET", status_path(job_id))

    def languages(self) -> list[dict[str, Any]]:
        """Return the languages of the server. Raises ServerAway, ServerRefused."""
        return self._rows(self.ask("GET", "/api/v1/languages"), "languages")

    def problem(self, problem_id: int) -> dict[str, Any]:
        """Return a problem. Raises ServerAway, ServerRefused."""
        return self.ask("GET", f"/api/v1/problems/{problem_id}")

    def statement(self, problem_id: int, language: str | None) -> dict[str, Any]:
        """Return a problem's statement with its samples. Raises ServerAway, ServerRefused."""
        path = f"/api/v1/problems/{problem_id}/statement"
        return self.ask("GET", path if language is None else f"{path}/{quote(language, safe='')}")

    def package_changes(self, problem_id: int, package: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a package would change of a problem. Raises ServerAway, ServerRefused, OSError."""
        return self.ask("POST", f"/api/v1/problems/{problem_id}/changes", body=fields, package=package)

    def replace_package(self, problem_id: int, package: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Give a problem another package and return the problem with its ``changes``. A repeated request changes
        nothing more. Raises ServerAway, ServerRefused, OSError."""
        return self.ask("PUT", f"/api/v1/problems/{problem_id}", body=fields, package=package)

    def change_problem(self, problem_id: int, fields: Mapping[str, str]) -> dict[str, Any]:
        """Change what the fields name of a problem, and return it. A repeated request changes nothing more. Raises
        ServerAway, ServerRefused."""
        return self.ask("PUT", f"/api/v1/problems/{problem_id}", body=fields, is_form=True)

    def rejudge(self, problem_id: int, options: Mapping[str, str]) -> dict[str, Any]:
        """Order a rejudge of a problem's submissions and return it. A repeated request returns the same one. Raises
        ServerAway, ServerRefused."""
        return self.ask("POST", f"/api/v1/problems/{problem_id}/rejudge?{urlencode(options)}")

    def preview(self, problem_id: int, options: Mapping[str, str]) -> dict[str, Any]:
        """Start a preview of a rejudge and return it. A repeated request returns the same one. Raises ServerAway,
        ServerRefused."""
        return self.ask("POST", f"/api/v1/problems/{problem_id}/rejudge-previews?{urlencode(options)}")

    def statement_source(self, problem_id: int, language: str) -> dict[str, Any]:
        """Return the source of a statement with its revision. Raises ServerAway, ServerRefused."""
        path = f"/api/v1/problems/{problem_id}/statement/{quote(language, safe='')}/source"
        return self.ask("GET", path)

    def edit_statement(self, problem_id: int, language: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change the source of a statement. Raises ServerAway: it may have been changed; ServerRefused."""
        path = f"/api/v1/problems/{problem_id}/statement/{quote(language, safe='')}"
        return self.ask("PUT", path, body=body, repeatable=False)

    def problems(self, tag: str = "", difficulty: str = "", *, unsolved: bool = False) -> Iterator[dict[str, Any]]:
        """Yield all problems that the account sees, by id, page after page; if given, with ``tag``, of ``difficulty``.
        ``unsolved``: only those that it has not solved. Raises ServerAway, ServerRefused."""
        filters = {"tag": tag, "difficulty": difficulty, "unsolved": "true" if unsolved else ""}
        path = "/api/v1/problems?limit=200"
        path += "".join(f"&{name}={quote(value, safe='')}" for name, value in filters.items() if value)
        after = 0
        while True:
            page = self.ask("GET", f"{path}&after={after}" if after else path)
            yield from self._rows(page, "problems")
            next_after = page.get("next")
            if next_after is None:
                return
            if not (isinstance(next_after, str) and next_after.isdecimal() and int(next_after) > after):
                raise self._not_deepoj("an invalid next page")
            after = int(next_after)

    def access_tokens(self) -> list[dict[str, Any]]:
        """Return the tokens that the account has made for programs. Raises ServerAway, ServerRefused."""
        return self._rows(self.ask("GET", "/api/v1/users/me/tokens"), "tokens")

    def make_access_token(self, name: str, password: str) -> dict[str, Any]:
        """Make a token for a program, and return it. Raises ServerAway: it may have been made; ServerRefused."""
        body = {"name": name} | ({"password": password} if password else {})
        made = self.ask("POST", "/api/v1/users/me/tokens", body=body, repeatable=False)
        return made | {"token": self._word(made, "token")}

    def end_access_token(self, token_id: str) -> dict[str, Any]:
        """End a token that the account has made. Raises ServerAway: it may have ended; ServerRefused."""
        return self.ask("DELETE", f"/api/v1/users/me/tokens/{quote(token_id, safe='')}", repeatable=False)

    def erase_account(self, *, password: str, username: str) -> str:
        """Erase the account, and return its pseudonym. Raises ServerAway, ServerRefused."""
        body = {"password": password, "username": username}
        return self._word(self.ask("DELETE", "/api/v1/users/me", body=body, repeatable=False), "username")

    def download(self, path: str, write: Callable[[bytes], object]) -> int:
        """Pass the body of an answer to ``write``, piece by piece, and return its size. It is not retried.

        Raises ServerAway, ServerRefused; a part may have been written.
        """
        size = 0
        try:
            with self._http.stream("GET", path) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self.refusal(answer)
                for piece in answer.iter_bytes():
                    write(piece)
                    size += len(piece)
        except httpx.RequestError as error:
            raise self._away(error) from error
        return size

    # -- sending

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        key: str = "",
        repeatable: bool = True,
        package: Path | None = None,
        is_form: bool = False,
    ) -> dict[str, Any]:
        """Send a request and return the JSON object of its answer. With ``is_form`` it is a form with the fields of
        ``body``; so it is with ``package``, and has this file, too. Raises ServerAway, ServerRefused."""
        headers = {"Idempotency-Key": key} if key else {}

        def send() -> httpx.Response:
            return self._answer(method, path, body, headers, package, is_form=is_form)

        return self._object(self._asked(send, repeatable=repeatable))

    def send_lines(self, path: str, file: Path, key: str) -> list[dict[str, Any]]:
        """Send a file of JSON lines, and return the lines of the answer. A retry with the same key is safe. Raises
        ServerAway, ServerRefused, OSError."""
        headers = {"Idempotency-Key": key, "Content-Type": "application/x-ndjson"}

        def send() -> httpx.Response:
            with file.open("rb") as content:
                return self._http.post(path, content=content, headers=headers, timeout=_UPLOAD_TIMEOUT)

        return [self.line_of(line) for line in self._asked(send, repeatable=True).text.splitlines()]

    @contextlib.contextmanager
    def line_stream(self, path: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Open a stream of JSON lines, without empty ones. Raises ServerAway, ServerRefused."""
        try:
            with self._http.stream("GET", path, timeout=_STREAM_TIMEOUT) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self.refusal(answer)
                yield (self.line_of(line) for line in answer.iter_lines() if line)
        except httpx.RequestError as error:
            raise self._away(error) from error

    def line_of(self, line: str) -> dict[str, Any]:
        """Return the object of a line of the server. Raises ServerAway."""
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise self._not_deepoj("a line that is no JSON object")

    def _asked(self, send: Callable[[], httpx.Response], *, repeatable: bool) -> httpx.Response:
        """Send until there is an answer that is a success, or the budget of retries is used up."""
        deadline_s = self._clock() + self._retry_for_s
        pause_s = _FIRST_PAUSE_S
        while True:
            retry_after_s: float | None = None
            failure: ServerAway | ServerRefused
            try:
                answer = send()
            except httpx.RequestError as error:
                failure, may_retry = self._away(error), _is_temporary(error, repeatable=repeatable)
            else:
                if answer.is_success:
                    return answer
                failure, retry_after_s = self.refusal(answer), _retry_after_s(answer)
                may_retry = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or (
                    repeatable and answer.status_code in _TROUBLE
                )
            # random, so that many clients refused together do not retry together
            wait_s = pause_s * random.uniform(0.75, 1.25) if retry_after_s is None else retry_after_s  # noqa: S311
            left_s = deadline_s - self._clock()
            if not may_retry or wait_s > left_s:
                raise failure
            self._notice(f"{failure} Trying again in {wait_s:.1f} s, for another {left_s:.0f} s at most.")
            self.sleep(wait_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: dict[str, str],
        package: Path | None,
        *,
        is_form: bool,
    ) -> httpx.Response:
        if is_form:  # fields without a file name: httpx sends multipart for files alone
            parts = {name: (None, value) for name, value in (body or {}).items()}
            return self._http.request(method, path, files=parts, headers=headers)
        if package is None:
            return self._http.request(method, path, json=body, headers=headers)
        with package.open("rb") as file:
            files = {"file": (package.name, file, "application/zip")}
            return self._http.request(
                method, path, data=dict(body or {}), files=files, headers=headers, timeout=_UPLOAD_TIMEOUT
            )

    @contextlib.contextmanager
    def stream(self, path: str, last_event_id: str) -> Iterator[EventSource]:
        """Open an event stream, after ``last_event_id`` ("": from the start).

        Raises httpx.RequestError while it is opened or read: the caller decides how to continue.
        """
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        with self._http.stream("GET", path, headers=headers, timeout=_STREAM_TIMEOUT) as answer:
            yield EventSource(answer)

    def refusal(self, answer: httpx.Response) -> ServerAway | ServerRefused:
        """Return the exception for an answer that is not a success. The answer's body has been read."""
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not (isinstance(body, dict) and isinstance(body.get("error"), str) and isinstance(body.get("code"), str)):
            if answer.status_code in _TROUBLE:
                return ServerAway(f"{self.url} has an internal error (HTTP {answer.status_code}).")
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
        """Return a text of the server, shortened, and without our token in case the server quotes it."""
        text = shown(text.replace(self._token, "[token]") if self._token else text)
        return text if len(text) <= _SENTENCE_CHARS else f"{text[:_SENTENCE_CHARS]} …"

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            return body
        raise self._not_deepoj(f"no JSON object (HTTP {answer.status_code})")

    def _word(self, body: Mapping[str, Any], name: str) -> str:
        word = body.get(name)
        if isinstance(word, str) and word:
            return word
        raise self._not_deepoj(f"no {name}")

    def _rows(self, body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        rows = body.get(name)
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            return rows
        raise self._not_deepoj(f"no {name}")

    def _not_deepoj(self, what: str) -> ServerAway:
        return ServerAway(f"{self.url} does not answer like a Deep-OJ server ({what}): check the URL.")


def _is_temporary(error: httpx.RequestError, *, repeatable: bool) -> bool:
    """Return whether a retry is safe and may succeed."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return False
    return isinstance(error, httpx.TransportError) if repeatable else isinstance(error, httpx.ConnectError)


def _retry_after_s(answer: httpx.Response) -> float | None:
    """Return the seconds; None if the header is missing or a date."""
    header = answer.headers.get("Retry-After", "")
    return float(header) if header.isascii() and header.isdecimal() and len(header) < 10 else None
