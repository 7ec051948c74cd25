"""Reads what a form sent, within bounds."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from deepoj.api.body import BodyPieces, current_request, text
from deepoj.api.errors import ApiError, Refused
from deepoj.web.visitor import Visitor, Visitors

#: of forms without a program
SMALL_BYTES = 16 * 1024
#: of the fields beside a program, and of the parts of a form
_FRAME_BYTES = 8 * 1024
_MAX_PARTS = 64
_URLENCODED = "application/x-www-form-urlencoded"
_TYPES = frozenset({_URLENCODED, "multipart/form-data"})


@dataclass(frozen=True, slots=True)
class SentForm:
    """The fields, in which a line ends with a line feed (browsers send CR LF), and the contents of files, by name."""

    fields: Mapping[str, str]
    files: Mapping[str, SentFile] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.fields.get(name, "")

    def line(self, name: str) -> str:
        """Return a field without the space around it."""
        return self.get(name).strip()

    async def act(self, **acts: Callable[[], Awaitable[object]]) -> None:
        """Do the act that the field ``act`` names. Raises Refused if there is no such act, and what the act raises."""
        act = acts.get(self.get("act"))
        if act is None:
            raise Refused(ApiError.INVALID, field="act", problem=" or ".join(acts))
        await act()

    def program(self, name: str = "code") -> str:
        """Return the chosen ``file``, or else the field ``name``. Raises Refused for a file that is no text."""
        if (file := self.files.get("file")) is None:
            return self.get(name)
        try:
            return text("file", file.content.decode("utf-8").replace("\r\n", "\n"))
        except UnicodeDecodeError as error:
            raise Refused(ApiError.BAD_TEXT, field="file") from error


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as the browser sent it."""

    name: str
    content: bytes


def bytes_for(text_bytes: int) -> int:
    """Return the limit of a form with texts of so many bytes, of which each may take three when it is urlencoded."""
    return 3 * text_bytes + _FRAME_BYTES


async def read(
    visitors: Visitors,
    visitor: Visitor,
    *,
    timeout_s: float,
    max_bytes: int = SMALL_BYTES,
    max_parts: int = _MAX_PARTS,
) -> SentForm:
    """Return the current request's form.

    Raises:
      Refused: 415, 413, 408; 400 for a malformed form; 403 if the form does not carry the visitor's token.
    """
    request = current_request()
    content_type = request.headers.get("Content-Type", "")
    mimetype, options = parse_options_header(content_type)
    if mimetype not in _TYPES:
        raise Refused(ApiError.WRONG_TYPE, wanted="multipart/form-data")
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
    visitors.require_form_token(visitor, fields.get("form_token", ""))
    return SentForm(
        {name: text(name, value.replace("\r\n", "\n")) for name, value in fields.items()},
        {name: SentFile(sent.filename or "", sent.read()) for name, sent in files.items() if sent.filename},
    )


def _in_memory(
    total_content_length: int | None, content_type: str | None, filename: str | None, content_length: int | None = None
) -> IO[bytes]:
    """Return a place for a file's content. The parser's default, a temporary file, would have to be closed."""
    return io.BytesIO()
