"""Reads what a form sent, within bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from deepoj.api.errors import ApiError, Refused
from deepoj.api.form import MAX_PARTS, SentFile, read_form
from deepoj.web.visitor import Visitor, Visitors

#: of forms without a program
SMALL_BYTES = 16 * 1024
#: of the fields beside a program
_FRAME_BYTES = 8 * 1024


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

    def require_typed(self, expected: str) -> None:
        """Raise Refused unless the person has typed this (``confirm``), before an act that cannot be undone."""
        if self.line("confirm") != expected:
            raise Refused(ApiError.NOT_CONFIRMED, typed=expected)

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
        return file.text("file")


def bytes_for(text_bytes: int) -> int:
    """Return the limit of a form with texts of so many bytes, of which each may take three when it is urlencoded."""
    return 3 * text_bytes + _FRAME_BYTES


async def read(
    visitors: Visitors,
    visitor: Visitor,
    *,
    timeout_s: float,
    max_bytes: int = SMALL_BYTES,
    max_parts: int = MAX_PARTS,
) -> SentForm:
    """Return the current request's form.

    Raises:
      Refused: 415, 413, 408; 400 for a malformed form; 403 if the form does not carry the visitor's token.
    """
    fields, files = await read_form(timeout_s=timeout_s, max_bytes=max_bytes, max_parts=max_parts)
    visitors.require_form_token(visitor, fields.get("form_token", ""))
    lines = {name: value.replace("\r\n", "\n") for name, value in fields.items()}
    return SentForm(lines, dict(reversed(files)))
