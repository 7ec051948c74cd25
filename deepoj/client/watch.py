"""Yields the events of a submission or a run as they happen.

They come from the server's event stream, which is resumed after a disconnect (``Last-Event-ID``). If no stream works
(too many are open, an older server, a proxy that breaks them), the status is polled and yields the same kinds of event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from deepoj.client.server import ApiClient

#: number of consecutive streams without an event after which the status is polled instead
FRUITLESS = 3
#: pause before a stream is opened again, as the server requests
RETRY_S = 2.0
_FIRST_POLL_S = 0.2
_LONGEST_POLL_S = 2.0
#: states after which nothing more happens by itself
FINAL = frozenset({"done", "dead"})


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event. ``name``: state, test or done. ``data``: for done the status's body; for others see the API's
    document.

    After a stream was resumed, a test may be repeated. The tests of a newer attempt replace all earlier ones.
    """

    name: str
    data: dict[str, Any]


class _NoStream(Exception):
    """The server offers no event stream."""


def watch(server: ApiClient, path: str) -> Iterator[WatchEvent]:
    """Yield the events under ``path`` (``status_path``, ``run_path``); the last is ``done``.

    Raises ServerRefused; or ServerAway when the retry budget is used up.
    """
    last_id, fruitless = "", 0
    while fruitless < FRUITLESS:
        if fruitless or last_id:
            server.sleep(RETRY_S)
        fruitless += 1
        try:
            for event_id, event in _streamed(server, path, last_id):
                last_id, fruitless = event_id, 0
                yield event
                if event.name == "done":
                    return
        except httpx.RequestError:
            continue
        except _NoStream:
            break
    yield from _polled(server, path)


def _streamed(server: ApiClient, path: str, last_id: str) -> Iterator[tuple[str, WatchEvent]]:
    with server.stream(f"{path}/events", last_id) as source:
        answer = source.response
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            answer.read()
            raise server.refusal(answer)
        if not answer.is_success:
            raise _NoStream
        for sent in source.iter_sse():
            # keep-alive messages have no data
            if not sent.data:
                continue
            try:
                data = json.loads(sent.data)
            except ValueError as error:
                raise _NoStream from error
            if not isinstance(data, dict):
                raise _NoStream
            yield sent.id, WatchEvent(sent.event, data)


def _polled(server: ApiClient, path: str) -> Iterator[WatchEvent]:
    seen: tuple[object, ...] | None = None
    pause_s = _FIRST_POLL_S
    while True:
        body = server.ask("GET", path)
        if body.get("state") in FINAL:
            yield WatchEvent("done", body)
            return
        state = body.get("state"), body.get("status"), body.get("waiting")
        if state != seen:
            seen = state
            yield WatchEvent("state", body)
        server.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)
