"""Reads forms, ``multipart/form-data`` and urlencoded, within bounds."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from deepoj.api.body import BodyPieces, current_request, text
from deepoj.api.errors import ApiError, Refused

MAX_PARTS = 64
MULTIPART = "multipart/form-data"
_URLENCODED = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as the client sent it."""

    name: str
    content: bytes

    def text(self, field: str) -> str:
        """Return the content with line feeds. Raises Refused if it is no text."""
        try:
            return text(field, self.content.decode("utf-8").replace("\r\n", "\n"))
        except UnicodeDecodeError as error:
            raise Refused(ApiError.BAD_TEXT, field=field) from error


def is_multipart() -> bool:
    """Return whether the current request says that its body is a form of several parts."""
    return parse_options_header(current_request().headers.get("Content-Type", ""))[0] == MULTIPART


async def read_form(
    *, timeout_s: float, max_bytes: int, max_parts: int = MAX_PARTS
) -> tuple[Mapping[str, str], Sequence[tuple[str, SentFile]]]:
    """Return the fields of the current request's form, and its files, each with the name of its field.

    Raises:
      Refused: 415, 413, 408; 400 for a malformed form.
    """
    request = current_request()
    mimetype, options = parse_options_header(request.headers.get("Content-Type", ""))
    if mimetype not in (MULTIPART, _URLENCODED):
        raise Refused(ApiError.WRONG_TYPE, wanted=MULTIPART)
    raw = bytearray()
    too_large = Refused(ApiError.BODY_TOO_LARGE, limit=max_bytes)
    async for piece in BodyPieces(request, max_bytes=max_bytes, too_large=too_large, timeout_s=timeout_s):
        raw += piece
    if mimetype == _URLENCODED and raw.count(b"&") >= max_parts:  # the parser bounds multipart alone
        raise Refused(ApiError.BAD_FORM)
    parser = FormDataParser(
        stream_factory=_in_memory,
        max_form_memory_size=max_bytes,
        max_content_length=max_bytes,
        max_form_parts=max_parts,
        silent=False,
    )
    try:
        _, fields, files = parser.parse(io.BytesIO(raw), mimetype, len(raw), options)
    except (ValueError, RequestEntityTooLarge) as error:
        raise Refused(ApiError.BAD_FORM) from error
    sent = [
        (name, SentFile(each.filename or "", each.read())) for name, each in files.items(multi=True) if each.filename
    ]
    return {name: text(name, value) for name, value in fields.items()}, sent


def _in_memory(
    total_content_length: int | None, content_type: str | None, filename: str | None, content_length: int | None = None
) -> IO[bytes]:
    """Return a place for a file's content. The parser's default, a temporary file, would have to be closed."""
    return io.BytesIO()
