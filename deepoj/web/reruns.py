"""The files of a rerun as a page shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deepoj.api.playground_view import shown
from deepoj.judging.text import visible
from deepoj.web.samples import differences
from deepoj.words.reruns import KeptFile, RerunFile, RerunOutcome

#: of a file on the page; its download has more
_MAX_CHARS, _MAX_BYTES = 8_192, 1_024
#: lines of the difference, and those before the first that differs
_MAX_LINES, _BEFORE = 100, 3
_ROW = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """A file on the page. ``is_text``: else ``content`` is a dump of its bytes."""

    name: RerunFile
    content: str
    is_text: bool
    #: characters or bytes are missing in ``content``
    is_cut: bool
    #: of the whole file, and of what is kept
    size: int
    kept: int


def shown_files(outcome: RerunOutcome) -> list[ShownFile]:
    """Return the output first, because that is what a person asked for, and the input last."""
    order = (RerunFile.OUTPUT, RerunFile.ANSWER, RerunFile.ERROR, RerunFile.INPUT)
    return [_file(name, outcome.files[name]) for name in order if name in outcome.files]


def difference(outcome: RerunOutcome) -> Sequence[tuple[str, str, str]]:
    """Return (mark, expected line, found line) around the first lines of the output that differ from the expected one;
    nothing if none differs, and where one of them is no text."""
    texts = [_text(outcome.files[name]) for name in (RerunFile.ANSWER, RerunFile.OUTPUT) if name in outcome.files]
    if len(texts) < 2 or texts[0] is None or texts[1] is None:
        return []
    lines = list(differences(visible(texts[0]), visible(texts[1])))
    first = next((number for number, (mark, _, _) in enumerate(lines) if mark != "="), None)
    return [] if first is None else lines[max(0, first - _BEFORE) :][:_MAX_LINES]


def _file(name: RerunFile, kept: KeptFile) -> ShownFile:
    text = _text(kept)
    whole = text if text is not None else "\n".join(_dump(kept.beginning[:_MAX_BYTES]))
    is_cut = kept.is_cut or (len(kept.beginning) > _MAX_BYTES if text is None else len(whole) > _MAX_CHARS)
    return ShownFile(
        name=name,
        content=visible(whole[:_MAX_CHARS]),
        is_text=text is not None,
        is_cut=is_cut,
        size=kept.size,
        kept=len(kept.beginning),
    )


def _text(kept: KeptFile) -> str | None:
    return shown(kept.beginning, is_cut=kept.is_cut)[0]


def _dump(content: bytes) -> Iterator[str]:
    """Yield lines of 16 bytes: their place, their values, and the printable ASCII among them."""
    for start in range(0, len(content), _ROW):
        row = content[start : start + _ROW]
        signs = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start:08x}  {row.hex(' '):<47}  {signs}"
