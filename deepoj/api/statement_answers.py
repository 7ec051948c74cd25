"""Which statement a reader gets, and answers with files of statements, as routes and pages give them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from markupsafe import escape
from quart import request
from quart_trio.wrappers import TrioResponse
from werkzeug.datastructures import LanguageAccept

from deepoj.api.conditional import add_etag
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.statements import AttachmentView, SampleView, StatementSaved, StatementView
from deepoj.packages.statements.editing import SavedStatement
from deepoj.packages.statements.sources import PDF_TYPE
from deepoj.ports.statements import Statements
from deepoj.words.problems import Problem
from deepoj.words.statements import StatementFileKind, StatementIndex, StatementText, attachment_path, shown_path

#: A foreign file gets no script, no form and no origin, however a browser treats it
FOREIGN_POLICY = "sandbox; default-src 'none'"
#: Viewers of PDFs stay empty in a sandbox, and they style their own page. A PDF has no origin of its own
_PDF_POLICY = (
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
#: of a statement that has its images in it
_DOCUMENT_POLICY = "sandbox; default-src 'none'; img-src data:"
_MAX_AGE_S = 300
#: headings of samples in the language of the statement: the sample, its input and its output
_ENGLISH, _CHINESE = ("Sample", "Input", "Output"), ("样例", "输入", "输出")


def best_language(languages: Sequence[str], accepted: LanguageAccept) -> str | None:
    """Return the language that suits best; None: there is none."""
    wanted = [language.lower() for language, quality in accepted if quality > 0]
    for asked in (*wanted, "en"):
        exact = next((one for one in languages if one.lower() == asked), None)
        same = next((one for one in languages if one.lower().partition("-")[0] == asked.partition("-")[0]), None)
        if exact or same:
            return exact or same
    return languages[0] if languages else None


def statement_view(
    problem: Problem, index: StatementIndex, text: StatementText | None, *, has_notes: bool = False, base: str = ""
) -> StatementView:
    """Return a statement as an answer. ``base``: the path below which its files are; empty: the problem's."""
    own = base or f"/api/v1/problems/{problem.id}"
    return StatementView(
        lang=None if text is None else text.language,
        langs=[one for one, _ in index.languages],
        title=problem.title if text is None or not text.title else text.title,
        kind="none" if text is None else text.kind.value,
        html="" if text is None else with_own_paths(text.html, problem.id, own),
        pdf=None if text is None or text.pdf is None else _below(shown_path(problem.id, text.pdf), problem.id, own),
        samples=[SampleView(input=one.input, output=one.output, interaction=one.interaction) for one in index.samples],
        attachments=[AttachmentView(name=name, bytes=size) for name, size in index.attachments],
        pending=index.is_pending,
        notes=list(index.notes) if has_notes else None,
    )


def saved_view(language: str, saved: SavedStatement) -> StatementSaved:
    """Return a stored statement as an answer."""
    shown = saved.preview
    return StatementSaved(
        lang=language,
        revision=saved.revision,
        pending=shown is None,
        title="" if shown is None else shown.text.title,
        html="" if shown is None else shown.text.html,
        notes=[] if shown is None else list(shown.notes),
    )


def with_own_paths(html: str, problem_id: int, path: str) -> str:
    """Return the HTML of a statement with its files below another path than the problem's of the API."""
    for there in (shown_path(problem_id, ""), attachment_path(problem_id, "")):
        html = html.replace(f'="{there}', f'="{_below(there, problem_id, path)}')
    return html


def _below(there: str, problem_id: int, path: str) -> str:
    return f"{path}{there.removeprefix(f'/api/v1/problems/{problem_id}')}"


async def file_answer(statements: Statements, problem: Problem, kind: StatementFileKind, name: str) -> TrioResponse:
    """Answer with a file of the problem's statements. Raises Refused if there is none."""
    known = request.if_none_match.as_set(include_weak=True)
    file = await statements.statement_file(problem.id, kind, name, known=known)
    if file is None:
        raise Refused(ApiError.NO_SUCH_FILE)
    is_shown = file.kind is StatementFileKind.SHOWN
    response = TrioResponse(file.content, content_type=file.media_type if is_shown else "application/octet-stream")
    # its characters need no escapes: see ``words.statements``
    response.headers["Content-Disposition"] = f'{"inline" if is_shown else "attachment"}; filename="{file.name}"'
    response.headers["Content-Security-Policy"] = (
        _PDF_POLICY if is_shown and file.media_type == PDF_TYPE else FOREIGN_POLICY
    )
    response.headers["Cache-Control"] = f"private, max-age={_MAX_AGE_S}"
    add_etag(response, file.mark)
    return response


async def document_answer(statements: Statements, problem: Problem, text: StatementText, *, base: str) -> TrioResponse:
    """Answer with a statement as one file: its PDF, or HTML with its samples and images. ``base``: the path below which
    its attachments are. Raises Refused if the PDF is gone meanwhile."""
    if text.pdf is not None:
        return await file_answer(statements, problem, StatementFileKind.SHOWN, text.pdf)
    index = await statements.statement_index(problem.id)
    samples = "" if index is None else _sample_sections(index, text.language)
    html = with_own_paths(await _with_images(statements, problem, text.html), problem.id, base)
    title = escape(text.title or problem.title)
    head = f'<head><meta charset="utf-8"><title>{title}</title></head>'
    body = f"<body>\n<h1>{title}</h1>\n{html}\n{samples}</body>"
    document = f'<!doctype html>\n<html lang="{escape(text.language)}">\n{head}\n{body}\n</html>\n'
    response = TrioResponse(document.encode(), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _DOCUMENT_POLICY
    response.headers["Cache-Control"] = f"private, max-age={_MAX_AGE_S}"
    return response


def _sample_sections(index: StatementIndex, language: str) -> str:
    heading, given, wanted = _CHINESE if language.startswith("zh") else _ENGLISH
    sections = []
    for number, sample in enumerate(index.samples, 1):
        sections.append(f"<h2>{heading} {number}</h2>\n")
        if sample.interaction:
            sections.append(f"<pre>\n{escape(sample.interaction)}</pre>\n")
            continue
        for name, content in ((given, sample.input), (wanted, sample.output)):
            sections.append(f"<h3>{name}</h3>\n<pre>\n{escape(content)}</pre>\n")
    return "".join(sections)


async def _with_images(statements: Statements, problem: Problem, html: str) -> str:
    """Return the HTML of a statement with its images in it, as ``data:``."""
    address = re.compile(rf'="{re.escape(shown_path(problem.id, ""))}([A-Za-z0-9._-]+)"')
    for name in sorted(set(address.findall(html))):
        file = await statements.statement_file(problem.id, StatementFileKind.SHOWN, name)
        if file is not None and file.media_type.startswith("image/"):
            inside = f"data:{file.media_type};base64,{base64.b64encode(file.content).decode()}"
            html = html.replace(f'="{shown_path(problem.id, name)}"', f'="{inside}"')
    return html
