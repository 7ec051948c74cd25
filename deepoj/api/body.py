"""Reading what people send, with bounded memory.

quart-trio 0.13 puts a request's body into a queue without a bound, and knows no limit for chunked bodies: a body that
nobody reads would sit in memory whole. Here the queue holds a few pieces; when it is full the connection stops being
read, so the sender's TCP is what waits. Limits hold while reading, whatever Content-Length says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator
from typing import Any, NoReturn

import pydantic
import trio
from quart import request as _the_request
from quart_trio.datastructures import TrioQueue
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from deepoj.api.errors import Refused, Say

#: pieces of at most 64 KiB (what the server reads at once)
_QUEUE_PIECES = 4
#: of a JSON body without a program: a password of 1,024 bytes or a note of 500 characters, all escaped, fits twice
SMALL_BODY_BYTES = 16 * 1024
#: what a browser sends has some 50 characters; werkzeug reads 16 KiB of them in 10 ms
_MAX_LANGUAGES_CHARS = 1024
#: the slowest upload that is waited for, once the read timeout is over; slower clients make room for others first
MIN_BYTES_PER_S = 64 * 1024
#: how fast what nobody reads is taken from the sender: as fast as he can, it would take a good part of a core
_DROP_BYTES_PER_S = 16 * 1024 * 1024


class _BoundedQueue(TrioQueue[bytes]):
    """quart-trio's queue with a bound."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[bytes](_QUEUE_PIECES)

    def put_at_once(self, data: bytes) -> bool:
        """Without a turn around the scheduler; False if it is full."""
        try:
            self._send.send_nowait(data)
        except trio.WouldBlock:
            return False
        return True

    def drop(self) -> None:
        """Empties the queue; a ``put`` that waits goes on."""
        for _ in self.here():
            pass

    def here(self) -> Iterator[bytes]:
        """Takes out what is in the queue."""
        while True:
            try:
                yield self._receive.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return


class BoundedBody(TrioBody):
    """A body to be iterated over once; ``discard`` when nobody will."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        # limits are the reader's, who knows the route; the base class would answer by its own lights
        self._must_raise = None
        self._pieces = _BoundedQueue()
        self._queue = self._pieces  # type: ignore[assignment]  # quart says asyncio.Queue
        self._discarding = False
        #: since ``discard``
        self.dropped_bytes = 0
        self._patience_bytes = 0
        self._settled = trio.Event()

    async def put(self, data: bytes) -> None:
        """Waits while the queue is full; after ``discard`` drops."""
        if self._discarding:
            self.dropped_bytes += len(data)
            if self.dropped_bytes > self._patience_bytes:
                self._settled.set()
            await trio.sleep(len(data) / _DROP_BYTES_PER_S)
        elif data and not self._pieces.put_at_once(data):
            await super().put(data)

    def whole(self) -> bytes | None:
        """What nobody has read yet, if all has come; else None, and nothing is taken."""
        return b"".join(self._pieces.here()) if self._complete.is_set() else None

    def discard(self, patience_bytes: int) -> None:
        """Nobody reads any more: what came and what comes is dropped, so that the connection goes on being read (a
        blocked ``put`` would also keep a disconnect from being seen)."""
        self._discarding = True
        self._patience_bytes = patience_bytes
        self._pieces.drop()

    async def drained(self) -> None:
        """After ``discard``: waits until the client has sent all of it, or more than ``patience_bytes`` of it."""
        if not self._complete.is_set():
            await self._settled.wait()

    def set_complete(self) -> None:
        super().set_complete()
        self._settled.set()

    def __await__(self) -> Generator[Any, None, bytes]:
        # the base class waits for the whole before it takes anything out: with a bound that is for ever
        return self._whole().__await__()

    async def _whole(self) -> bytes:
        if self._data is None:
            self._data = b"".join([piece async for piece in self])
        return self._data


class Request(TrioRequest):
    """quart-trio's request over a bounded body."""

    body_class = BoundedBody
    body: BoundedBody

    @property
    def accept_languages(self) -> LanguageAccept:
        """What ``Accept-Language`` says; nothing if it is too long."""
        sent = self.headers.get("Accept-Language", "")
        return parse_accept_header(sent if len(sent) <= _MAX_LANGUAGES_CHARS else "", LanguageAccept)


def current_request() -> Request:
    """The request that this task answers."""
    found: object = _the_request._get_current_object()
    if not isinstance(found, Request):
        raise TypeError(f"the application's request class is not {Request.__name__}")
    return found


class Pieces:
    """The body piece by piece: an async iterator (not a generator: those are cleaned up late when left early).

    ``too_large`` is raised at the byte after ``max_bytes``, Refused TOO_SLOW when a piece takes longer than
    ``timeout_s`` or, once that is over, all of them together come slower than 64 KiB/s.
    """

    def __init__(self, request: Request, *, max_bytes: int, too_large: Refused, timeout_s: float) -> None:
        if request.content_length is not None and request.content_length > max_bytes:
            raise too_large
        self._body = request.body
        self._max_bytes = max_bytes
        self._too_large = too_large
        self._timeout_s = timeout_s
        self._began = trio.current_time()
        self._received_bytes = 0

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        earned = self._began + self._received_bytes / MIN_BYTES_PER_S
        with trio.move_on_at(min(trio.current_time(), earned) + self._timeout_s) as scope:
            piece = await anext(self._body)
        if scope.cancelled_caught:
            raise Refused(Say.TOO_SLOW)
        self._received_bytes += len(piece)
        if self._received_bytes > self._max_bytes:
            raise self._too_large
        return piece


async def read_json[T: pydantic.BaseModel](
    request: Request, model: type[T], *, timeout_s: float, max_bytes: int = SMALL_BODY_BYTES
) -> T:
    """The body as ``model``.

    Raises:
      Refused: 415 for another content type, 413 beyond ``max_bytes``, 408 when it does not arrive in ``timeout_s``,
        400 for what is no JSON object in UTF-8 or does not fit the model.
    """
    if not request.is_json:
        raise Refused(Say.WRONG_TYPE, wanted="application/json")
    too_large = Refused(Say.BODY_TOO_LARGE, limit=max_bytes)
    raw = request.body.whole()
    if raw is None:
        raw = await _arriving(request, max_bytes=max_bytes, too_large=too_large, timeout_s=timeout_s)
    elif len(raw) > max_bytes:
        raise too_large
    return validated(model, parse_object(raw))


async def _arriving(request: Request, *, max_bytes: int, too_large: Refused, timeout_s: float) -> bytes:
    """A body that is still on its way. Most are here with their head: the scopes for these deadlines and the turns
    around the scheduler were a twentieth of a submit."""
    raw = bytearray()
    with trio.move_on_after(timeout_s) as scope:
        async for piece in Pieces(request, max_bytes=max_bytes, too_large=too_large, timeout_s=timeout_s):
            raw += piece
    if scope.cancelled_caught:
        raise Refused(Say.TOO_SLOW)
    return bytes(raw)


def parse_object(raw: bytes) -> dict[str, Any]:
    """A JSON object out of UTF-8: no NaN, no Infinity, no other encoding, no depth that breaks the parser."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise Refused(Say.BAD_JSON) from error
    if not isinstance(value, dict):
        raise Refused(Say.NOT_AN_OBJECT)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def validated[T: pydantic.BaseModel](model: type[T], data: dict[str, Any]) -> T:
    """``data`` as ``model``; what people sent never comes back in the answer."""
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        problems = [
            {"field": ".".join(str(part) for part in found["loc"]), "problem": found["msg"]}
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        first = problems[0]
        raise Refused(Say.INVALID, details=problems, field=first["field"], problem=first["problem"]) from error


def text(field: str, value: str) -> str:
    """``value``, if a database can hold it: no NUL, no half of a surrogate pair."""
    if "\0" in value or not encodable(value):
        raise Refused(Say.BAD_TEXT, field=field)
    return value


def encodable(value: str) -> bool:
    """Whether ``value`` is Unicode text that UTF-8 can carry (JSON's ``"\\ud800"`` is not)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
