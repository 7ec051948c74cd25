"""Reads request bodies with a size limit and a timeout, independently of Content-Length, and parses JSON."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import pydantic
import trio
from quart import request as _the_request

from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.body import MIN_BYTES_PER_S
from deepoj.api.http.exchange import Request

#: limit of JSON bodies without a program: twice a fully escaped password of 1,024 bytes or note of 500 characters
SMALL_BODY_BYTES = 16 * 1024


def current_request() -> Request:
    """Return the request that the current task handles."""
    current: object = _the_request._get_current_object()
    if not isinstance(current, Request):
        raise TypeError(f"the application's request class is not {Request.__name__}")
    return current


class BodyPieces:
    """Async iterator over the pieces of a body. (An async generator would be cleaned up late if left early.)

    Raises ``too_large`` at the first byte after ``max_bytes``. Raises Refused TOO_SLOW if one piece takes longer than
    ``timeout_s``, or if the whole body is slower than 64 KiB/s after ``timeout_s``.
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

    def excuse(self, seconds: float) -> None:
        """Leave out time in which the server worked on what it had received, and did not wait for the client."""
        self._began += seconds

    def __aiter__(self) -> BodyPieces:
        return self

    async def __anext__(self) -> bytes:
        earned = self._began + self._received_bytes / MIN_BYTES_PER_S
        with trio.move_on_at(min(trio.current_time(), earned) + self._timeout_s) as scope:
            piece = await anext(self._body)
        if scope.cancelled_caught:
            raise Refused(ApiError.TOO_SLOW)
        self._received_bytes += len(piece)
        if self._received_bytes > self._max_bytes:
            raise self._too_large
        return piece


async def read_json[T: pydantic.BaseModel](model: type[T], *, timeout_s: float, max_bytes: int = SMALL_BODY_BYTES) -> T:
    """Return the current request's body as ``model``.

    Raises:
      Refused: 415 for another content type, 413 beyond ``max_bytes``, 408 when it does not arrive in ``timeout_s``,
        400 if it is not a JSON object in UTF-8 or does not match the model.
    """
    request = current_request()
    if not request.is_json:
        raise Refused(ApiError.WRONG_TYPE, wanted="application/json")
    too_large = Refused(ApiError.BODY_TOO_LARGE, limit=max_bytes)
    raw = request.body.take_rest()
    if raw is None:
        raw = await _arriving(request, max_bytes=max_bytes, too_large=too_large, timeout_s=timeout_s)
    elif len(raw) > max_bytes:
        raise too_large
    return validated(model, parse_object(raw))


async def _arriving(request: Request, *, max_bytes: int, too_large: Refused, timeout_s: float) -> bytes:
    """Receive a body that has not arrived completely.

    Most bodies arrive with the head and need no deadlines: those cost a twentieth of a submit's CPU.
    """
    raw = bytearray()
    with trio.move_on_after(timeout_s) as scope:
        async for piece in BodyPieces(request, max_bytes=max_bytes, too_large=too_large, timeout_s=timeout_s):
            raw += piece
    if scope.cancelled_caught:
        raise Refused(ApiError.TOO_SLOW)
    return bytes(raw)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object in UTF-8. Refuses NaN, Infinity, other encodings, and nesting too deep for the parser."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise Refused(ApiError.BAD_JSON) from error
    if not isinstance(value, dict):
        raise Refused(ApiError.NOT_AN_OBJECT)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def validated[T: pydantic.BaseModel](model: type[T], data: dict[str, Any]) -> T:
    """Validate ``data`` as ``model``. The error never quotes the input."""
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        problems = [
            {"field": ".".join(str(part) for part in problem["loc"]), "problem": problem["msg"]}
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        first = problems[0]
        raise Refused(ApiError.INVALID, details=problems, field=first["field"], problem=first["problem"]) from error


def text(field: str, value: str) -> str:
    """Return ``value`` if PostgreSQL can store it: without NUL and without lone surrogates. Raises Refused."""
    if "\0" in value or not encodable(value):
        raise Refused(ApiError.BAD_TEXT, field=field)
    return value


def encodable(value: str) -> bool:
    """Return whether ``value`` can be encoded in UTF-8 (JSON's ``"\\ud800"`` cannot)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
