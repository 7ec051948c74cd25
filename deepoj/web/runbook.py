"""The runbook as pages, one for each chapter: ``deploy/runbook.md``, and ``runbook.zh.md`` in Chinese.

The files are beside the package in a checkout, and in ``deepoj/_docs`` of an installed one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import deepoj
from deepoj.api.codes import CodedError
from deepoj.api.errors import ApiError
from deepoj.web import symptoms

_FILES = {"en": "runbook.md", "zh": "runbook.zh.md"}
#: what GitHub leaves out of a heading's address
_NOT_IN_ADDRESS = re.compile(r"[^\w\- ]")
#: a refusal → the section that tells operators what to do about it
SECTIONS: Mapping[CodedError, str] = {
    ApiError.DB_DOWN: symptoms.DATABASE,
    ApiError.QUEUE_DOWN: symptoms.REDIS,
    ApiError.STORAGE_DOWN: symptoms.OBJECTS,
    ApiError.BACKPRESSURE: symptoms.BACKLOG,
    ApiError.INFLIGHT_CAP: symptoms.BACKLOG,
    ApiError.LANGUAGE_UNAVAILABLE: symptoms.NO_WORKER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookChapter:
    """A chapter. ``sections``: address and title of each heading below its title."""

    number: str
    title: str
    html: str
    sections: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """What is before the first chapter, as HTML, and the chapters by their numbers."""

    preface: str
    chapters: Mapping[str, RunbookChapter]


def section_path(title: str) -> str:
    """Return the path of a section, by the title that it has in the runbook of the reader's language."""
    return f"/runbook/{title.partition('.')[0]}#{_address(title)}"


@functools.cache
def runbook(language: str) -> Runbook:
    """Read and render the runbook, once for each language. It takes a tenth of a second: not for the loop."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - few nodes ever need it

    text = _directory().joinpath(_FILES[language]).read_text("utf-8")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("fence", _fence)
    markdown.add_render_rule("table_open", _table_open)
    markdown.add_render_rule("table_close", _table_close)
    tokens = markdown.parse(text)
    starts = [place for place, token in enumerate(tokens) if (token.type, token.tag) == ("heading_open", "h2")]
    titles = [tokens[start + 1].content for start in starts]
    parts = [tokens[start + 3 : end] for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True)]
    sections = [list(_number_headings(part)) for part in parts]
    chapter_of = {
        address: title.partition(".")[0]
        for title, found in zip(titles, sections, strict=True)
        for address, _ in [(_address(title), title), *found]
    }
    for part in (tokens[3 : starts[0]], *parts):
        _relink(part, chapter_of)

    def html(part: Sequence[Any]) -> str:
        return str(markdown.renderer.render(part, markdown.options, {}))

    return Runbook(
        preface=html(tokens[3 : starts[0]]),  # without the title
        chapters={
            title.partition(".")[0]: RunbookChapter(
                number=title.partition(".")[0], title=title, html=html(part), sections=found
            )
            for title, part, found in zip(titles, parts, sections, strict=True)
        },
    )


def _directory() -> Path:
    package = Path(deepoj.__file__).parent
    installed = package / "_docs"
    return installed if installed.is_dir() else package.parent / "deploy"


def _address(title: str) -> str:
    """Return the address of a heading on its page, as GitHub makes it."""
    return _NOT_IN_ADDRESS.sub("", title.lower()).replace(" ", "-")


def _number_headings(tokens: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Give headings their address, and raise them by a level: the chapter's title is the page's. Yield them."""
    for opening, inline in pairwise(tokens):
        if opening.type in ("heading_open", "heading_close"):
            opening.tag = f"h{int(opening.tag[1]) - 1}"
        if opening.type == "heading_open":
            opening.attrSet("id", _address(inline.content))
            yield _address(inline.content), inline.content
    if tokens and tokens[-1].type == "heading_close":
        tokens[-1].tag = f"h{int(tokens[-1].tag[1]) - 1}"


def _relink(tokens: Sequence[Any], chapter_of: Mapping[str, str]) -> None:
    """Lead links within the runbook to its pages. Files of the checkout are not served: they stay as text."""
    for token in tokens:
        kept, is_dropped = [], False
        for child in token.children or ():
            if child.type == "link_open":
                target = unquote(str(child.attrGet("href")))
                chapter = chapter_of.get(target.removeprefix("#"))
                is_dropped = chapter is None and not target.startswith("https://")
                if chapter is not None:
                    child.attrSet("href", f"/runbook/{chapter}{target}")
            if not (is_dropped and child.type in ("link_open", "link_close")):
                kept.append(child)
        if token.children is not None:
            token.children = kept


def _fence(_renderer: Any, tokens: Sequence[Any], place: int, _options: Any, _env: Any) -> str:
    """Return a block of commands or output, which scrolls by keys, too."""
    from markupsafe import escape  # noqa: PLC0415 - as markdown_it

    return f'<pre class="output" tabindex="0">\n{escape(tokens[place].content)}</pre>\n'


def _table_open(_renderer: Any, _tokens: Sequence[Any], _place: int, _options: Any, _env: Any) -> str:
    return '<div class="scroll" tabindex="0">\n<table>\n'


def _table_close(_renderer: Any, _tokens: Sequence[Any], _place: int, _options: Any, _env: Any) -> str:
    return "</table>\n</div>\n"
