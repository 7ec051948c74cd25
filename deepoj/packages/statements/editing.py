"""Statements that setters edit here: reading the source, a preview, storing, and going back to the package's.

A saved edit is shown in place of the package's statement in its language, also when the problem gets another package.
It is rendered first: what cannot be rendered is refused. A node that cannot render stores it all the same; readers have
the former statement until a judge node has rendered it.

What if we die between storing the edit and what was rendered? The statements are marked, and a judge node renders them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import trio

from deepoj.packages.fetching import MISSING, fetched
from deepoj.packages.formats import PackageFault, UnzipLimits, open_package
from deepoj.packages.statements.publisher import RenderEdits
from deepoj.packages.statements.rendering import Rendered
from deepoj.packages.statements.sources import MAX_LANGUAGES, StatementNotes, read_source
from deepoj.ports.blobs import Blobs
from deepoj.ports.statements import Statements, StatementStore
from deepoj.words.errors import BlobMissing
from deepoj.words.problems import Problem
from deepoj.words.statements import (
    RENDERER_VERSION,
    EditRefusal,
    StatementEdit,
    StatementKind,
    StatementText,
)

#: kinds of sources that can be edited
KINDS = ("md", "tex")
_REVISION = re.compile(r"e([0-9]{1,9})|p([0-9a-f]{0,64})")
_HASH_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementToEdit:
    """The source of a statement. ``revision``: to be sent back with the edited one. ``text`` is empty where the package
    has no source in Markdown or TeX in this language."""

    language: str
    kind: str
    text: str
    revision: str
    #: it was edited here; False: it is the package's
    is_edited: bool
    #: why the package's statement cannot be read; empty: it can
    fault: str = ""
    #: of the kind ``pdf``
    pdf: bytes = b""


@dataclass(frozen=True, slots=True)
class StatementPreview:
    """An edited statement as readers would see it, with sentences for the setter."""

    text: StatementText
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotRenderable:
    """Why an edited statement cannot be rendered, with file and line where they are known."""

    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SavedStatement:
    """A stored edit. ``preview`` None: a judge node renders it."""

    revision: str
    preview: StatementPreview | None


@dataclass(slots=True, kw_only=True)
class StatementEditing:
    """Edits statements. ``render`` None: this node cannot. ``new_path`` returns a path for a fetched package.
    ``contest_id``: the statement is the contest's alone, in place of the problem's own.

    Its methods raise StoreUnavailable, BlobsUnavailable and OSError.
    """

    statements: StatementStore
    blobs: Blobs
    render: RenderEdits | None
    new_path: Callable[[], Path]
    unzip: UnzipLimits
    #: key and file of the package of the last preview: the next one is a moment later, and packages are large. A file
    #: that is left when the process ends is swept like uploads
    _held: tuple[str, Path] | None = None
    _turn: trio.Lock = field(default_factory=trio.Lock)

    def _of(self, contest_id: int | None) -> Statements:
        return self.statements if contest_id is None else self.statements.of_contest(contest_id)

    async def source(self, problem: Problem, language: str, contest_id: int | None = None) -> StatementToEdit:
        """Return the source of the statement in a language."""
        held = await self._of(contest_id).statement_edits(problem.id)
        edit = next((one for one in held.edits if one.language == language), None)
        fault = ""
        if edit is not None:
            kind, text = edit.kind, edit.source
        else:
            own = await self._of_package(problem, language)
            if isinstance(own, PackageFault):
                kind, text, fault = KINDS[0], "", own.sentence
            else:
                kind, text = own
        return StatementToEdit(
            language=language,
            kind=kind,
            text=text,
            revision=_revision(problem, edit),
            is_edited=edit is not None and edit.version > 0,
            fault=fault,
            pdf=b"" if edit is None else edit.pdf,
        )

    async def preview(
        self, problem: Problem, edit: StatementEdit
    ) -> StatementPreview | NotRenderable | PackageFault | None:
        """Return an edit as readers would see it; None: this node cannot render."""
        if self.render is None:
            return None
        async with self._turn:
            try:
                package = await self._hold(problem)
            except BlobMissing:
                return MISSING
            rendered = await self.render(package, problem, (edit,), edit.language)
        return _preview(rendered, edit) if isinstance(rendered, Rendered) else rendered

    async def save(
        self, problem: Problem, edit: StatementEdit, revision: str, *, by: str, contest_id: int | None = None
    ) -> SavedStatement | NotRenderable | PackageFault | EditRefusal:
        """Store an edit, unless it cannot be rendered or another one came since ``revision``."""
        statements = self._of(contest_id)
        held = await statements.statement_edits(problem.id)
        others = tuple(one for one in held.edits if one.language != edit.language)
        if len(others) >= MAX_LANGUAGES:
            return NotRenderable((f"Statements may be in {MAX_LANGUAGES} languages.",))
        rendered = await self._rendered(problem, (*others, edit))
        if isinstance(rendered, PackageFault):
            return rendered
        preview = None if rendered is None else _preview(rendered, edit)
        if isinstance(preview, NotRenderable):
            return preview
        edition = await _store(statements, problem, edit.language, edit, revision, by=by)
        if isinstance(edition, EditRefusal):
            return edition
        if rendered is not None and edition == held.edition + 1:
            await statements.keep_statements(
                problem.id, problem.data_hash, rendered.found, renderer=RENDERER_VERSION, edition=edition
            )
        return SavedStatement(f"e{edition}", preview)

    async def restore(
        self, problem: Problem, language: str, revision: str, *, by: str, contest_id: int | None = None
    ) -> EditRefusal | None:
        """Go back to the package's statement, in a contest to the problem's; a judge node renders it."""
        edition = await _store(self._of(contest_id), problem, language, None, revision, by=by)
        return edition if isinstance(edition, EditRefusal) else None

    async def _hold(self, problem: Problem) -> Path:
        """Return the file of the problem's package. Raises BlobMissing."""
        if self._held is not None:
            key, path = self._held
            if key == problem.data_path and await anyio.Path(path).exists():
                return path
            self._held = None
            await anyio.Path(path).unlink(missing_ok=True)
        path = self.new_path()
        await anyio.Path(path.parent).mkdir(parents=True, exist_ok=True, mode=0o700)
        await self.blobs.fetch(problem.data_path, path)
        self._held = problem.data_path, path
        return path

    async def _rendered(self, problem: Problem, edits: tuple[StatementEdit, ...]) -> Rendered | PackageFault | None:
        if self.render is None:
            return None
        path = self.new_path()
        try:
            async with fetched(self.blobs, problem, path):
                return await self.render(path, problem, edits, None)
        except BlobMissing:
            return MISSING

    async def _of_package(self, problem: Problem, language: str) -> tuple[str, str] | PackageFault:
        """Return kind and text of the package's statement."""
        path = self.new_path()
        try:
            async with fetched(self.blobs, problem, path):
                return await trio.to_thread.run_sync(_source_in, path, self.unzip, language)
        except BlobMissing:
            return MISSING


async def _store(
    statements: Statements, problem: Problem, language: str, edit: StatementEdit | None, revision: str, *, by: str
) -> int | EditRefusal:
    match = _REVISION.fullmatch(revision)
    if match is None or (match[1] is None and match[2] != problem.data_hash[:_HASH_CHARS]):
        return EditRefusal.CHANGED_MEANWHILE
    return await statements.edit_statement(
        problem.id, language, edit, since=int(match[1] or 0), data_hash=problem.data_hash, by=by
    )


def _source_in(package: Path, unzip: UnzipLimits, language: str) -> tuple[str, str] | PackageFault:
    with package.open("rb") as file:
        opened = open_package(file, unzip)
        if isinstance(opened, PackageFault):
            return opened
        with opened:
            for kind in KINDS:
                for statement in opened.plan.statements:
                    if (statement.language, statement.kind) == (language, kind):
                        source = read_source(opened, statement, StatementNotes())
                        if source is not None:
                            return kind, source.text
            return _usual_kind(opened.plan.format), ""


def _usual_kind(package_format: str) -> str:
    return "tex" if package_format == "polygon" or package_format.startswith("kattis") else "md"


def _preview(rendered: Rendered, edit: StatementEdit) -> StatementPreview | NotRenderable:
    text = next((one for one in rendered.found.texts if one.language == edit.language), None)
    if text is None or text.kind is not (StatementKind.PDF if edit.pdf else StatementKind.HTML):
        # it is not stored, so it is shown nowhere
        return NotRenderable(tuple(one.replace(" is shown as its source: ", ": ") for one in rendered.found.notes))
    return StatementPreview(text, rendered.found.notes)


def _revision(problem: Problem, edit: StatementEdit | None) -> str:
    version = 0 if edit is None else edit.version
    return f"e{version}" if version else f"p{problem.data_hash[:_HASH_CHARS]}"
