"""Reads what a form sent, within bounds."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from deepoj.api.errors import ApiError, Refused
from deepoj.api.form import MAX_PARTS, SentFile, read_form
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.stamps import stamp_of

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

    def untouched(self) -> frozenset[str]:
        """Return the fields that its sender has left as they were shown (``shown``)."""
        try:
            stamps = json.loads(self.get("shown"))
        except (ValueError, RecursionError):
            return frozenset()
        known = stamps.items() if isinstance(stamps, dict) else ()
        return frozenset(name for name, stamp in known if stamp_of(self.line(name)) == stamp)

    def on_top_of(self, now: Mapping[str, object]) -> SentForm:
        """Return the form with the fields that its sender has left alone as they are now. So two people who change
        different fields at a time don't undo each other's change."""
        untouched = self.untouched()
        kept = {name: text for name, text in self.fields.items() if name not in untouched}
        as_now = {name: text for name in untouched & now.keys() if (text := _text(now[name]))}
        return replace(self, fields={**kept, **as_now, "shown": shown(now)})

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


def shown(fields: Mapping[str, object]) -> str:
    """Return what a form tells in its hidden field ``shown``: a stamp of each field as it is shown. A box is true or
    false."""
    return json.dumps({name: stamp_of(_text(value).strip()) for name, value in fields.items()})


def _text(value: object) -> str:
    """Return what a field sends that is left alone; a box that is not checked sends nothing."""
    return ("1" if value else "") if isinstance(value, bool) else str(value)


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
