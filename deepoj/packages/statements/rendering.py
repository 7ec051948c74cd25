"""Renders all statements of a package. With a sandbox and the converter they become HTML; without, their source is
shown as text."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj import observe
from deepoj.judging.paths import folder
from deepoj.judging.problem import Plan, Statement
from deepoj.packages.formats import PackageFault, UnzipLimits, open_package
from deepoj.packages.formats.entry import Opened
from deepoj.packages.formats.faults import clean, show
from deepoj.packages.statements import dialects, document, safe_html
from deepoj.packages.statements.document import Cleaner, Markers, PublicImage, Unrenderable
from deepoj.packages.statements.image_size import image_size
from deepoj.packages.statements.pandoc import MISSING, Pandoc, is_installed
from deepoj.packages.statements.sources import (
    PDF_TYPE,
    PublicFiles,
    StatementNotes,
    StatementSource,
    languages_of,
    read_samples,
    read_source,
    title_of,
)
from deepoj.ports.sandbox import Box
from deepoj.words.statements import (
    StatementEdit,
    StatementKind,
    StatementSet,
    StatementText,
    attachment_path,
    shown_path,
)

#: After so many statements that cannot be rendered, each of which may take the sandbox's full time, the others of the
#: package are shown as their source
MAX_FAILURES = 3
#: of the finished HTML of a statement
MAX_STATEMENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rendered:
    """The statements of a package. ``is_final``: False if a node with the converter should render them again."""

    found: StatementSet
    is_final: bool


def needs_converter(plan: Plan, edits: Sequence[StatementEdit] = ()) -> bool:
    """Return whether a problem has a statement that is not a PDF."""
    return any(not edit.pdf for edit in edits) or any(
        statement.kind in {"html", "md", "tex"} for statement in plan.statements
    )


def with_edits(
    plan: Plan, languages: Mapping[str, Sequence[Statement]], edits: Sequence[StatementEdit]
) -> dict[str, Sequence[Statement]]:
    """Return the statements of each language, those that were edited in place of the package's."""
    return {**languages, **{edit.language: (_edited(plan, edit),) for edit in edits}}


def _edited(plan: Plan, edit: StatementEdit) -> Statement:
    """Return an edited statement as a file of the package: beside those whose images it may refer to."""
    texts = [one for one in plan.statements if one.kind in {"md", "tex", "html"}]
    same = [one for one in texts if one.language == edit.language]
    if (found := next((one for one in same if one.kind == edit.kind), None)) is not None:
        return found
    beside = next(iter([*same, *texts]), None)
    title = next((one.title for one in plan.statements if one.language == edit.language), "")
    file = f"{'' if beside is None else folder(beside.file)}statement.{edit.language}.{edit.kind}"
    return Statement(language=edit.language, kind=edit.kind, file=file, title=title)


@dataclass(slots=True, kw_only=True)
class StatementRenderer:
    """Renders the package at ``package``. ``box``: None if there is no sandbox. ``room``: a directory to write in.
    ``edits``: shown in place of the package's statements. ``only``: the one language to render, without samples."""

    package: Path
    plan: Plan
    problem_id: int
    unzip: UnzipLimits
    box: Box | None
    room: Path
    metrics: observe.Metrics
    edits: Sequence[StatementEdit] = ()
    only: str | None = None
    _failures: int = 0

    async def render(self) -> Rendered | PackageFault:
        """Return the statements, samples and files.

        Raises:
          BoxBroken: the sandbox failed.
          OSError: the package cannot be read, or the room cannot be written to.
        """
        with self.package.open("rb") as file:
            opened = await trio.to_thread.run_sync(open_package, file, self.unzip)
            if isinstance(opened, PackageFault):
                return opened
            with opened:
                return await self._render(opened)

    async def _render(self, opened: Opened) -> Rendered:
        notes = StatementNotes()
        files = PublicFiles(opened, notes)
        samples = () if self.only else await trio.to_thread.run_sync(read_samples, opened, notes)
        await trio.to_thread.run_sync(_attach_all, files, self.plan)
        can_convert = self.box is not None and is_installed()
        is_needed = needs_converter(self.plan, self.edits)
        if is_needed and not is_installed():
            notes.add(MISSING)
        languages = with_edits(self.plan, languages_of(self.plan, notes), self.edits)
        texts = [
            text
            for language, statements in languages.items()
            if self.only in {None, language}
            and (text := await self._language(opened, language, statements, files, notes)) is not None
        ]
        found = StatementSet(
            texts=tuple(texts),
            samples=samples,
            files=tuple(files.files.values()),
            notes=notes.all(),
            takes_outputs=self.plan.output_only,
        )
        return Rendered(found, is_final=can_convert or not is_needed)

    async def _language(
        self,
        opened: Opened,
        language: str,
        statements: Sequence[Statement],
        files: PublicFiles,
        notes: StatementNotes,
    ) -> StatementText | None:
        """Return the statement in one language: the first source that can be rendered, else the first as text."""
        title = next((title_of(one.title) for one in statements if one.title), "")
        edit = next((one for one in self.edits if one.language == language), None)
        if edit is not None and edit.pdf:
            own = files.add(f"statement.{language}.pdf", edit.pdf)
            return StatementText(language=language, title=title, kind=StatementKind.PDF, html="", pdf=own.name)
        pdf = await trio.to_thread.run_sync(_pdf, statements, files)
        first: StatementSource | None = None
        for statement in statements:
            source = None
            if edit is not None:
                source = StatementSource(statement, edit.source)
            elif statement.kind != "pdf":
                source = await trio.to_thread.run_sync(read_source, opened, statement, notes)
            if source is None:
                continue
            first = first or source
            if self.box is None or not is_installed() or self._failures >= MAX_FAILURES:
                break
            try:
                html, own_title = await self._html(source, files, notes)
            except Unrenderable as why:
                self._failures += 1
                notes.add(f"{show(statement.file)} is shown as its source: {why}.")
                continue
            shown = title or own_title if edit is None else own_title or title
            return StatementText(language=language, title=shown, kind=StatementKind.HTML, html=html, pdf=pdf)
        if first is not None:
            html = safe_html.source_as_html(first.text)
            return StatementText(language=language, title=title, kind=StatementKind.TEXT, html=html, pdf=pdf)
        if pdf is not None:
            return StatementText(language=language, title=title, kind=StatementKind.PDF, html="", pdf=pdf)
        return None

    async def _html(self, source: StatementSource, files: PublicFiles, notes: StatementNotes) -> tuple[str, str]:
        """Return the HTML and the title of a statement. Raises Unrenderable, BoxBroken, OSError."""
        if self.box is None:
            raise AssertionError("only a node with a sandbox renders")
        pandoc = Pandoc(box=self.box, room=self.room, metrics=self.metrics)
        markers = Markers(nonce=secrets.token_hex(12))
        dialect = "dmoj" if self.plan.format == "dmoj" and source.statement.kind == "md" else source.statement.kind
        text = _taken(source.text, dialect, self.plan.format, markers)
        tree, warnings = await pandoc.tree(text, dialect, source.statement.language)
        for warning in warnings:
            notes.add(f"{show(source.statement.file)}: {clean(warning)}")
        cleaner = Cleaner(
            file=source.statement.file,
            source=source.text,
            markers=markers,
            notes=notes,
            image=lambda target: self._image(files, source.statement.file, target),
            attachment=lambda target: self._attachment(files, target),
            has_math_spans=dialect in {"md", "dmoj"},
            has_tex_quotes=dialect == "tex",
        )
        blocks = await trio.to_thread.run_sync(cleaner.blocks, tree)
        written, mathml = await pandoc.html(tree.get("pandoc-api-version"), blocks, markers.formulas, markers.nonce)
        html = await trio.to_thread.run_sync(self._finished, cleaner, written, mathml)
        return html, cleaner.title

    def _finished(self, cleaner: Cleaner, written: str, mathml: Sequence[str]) -> str:
        shown: list[str] = []
        for formula, foreign in zip(cleaner.markers.formulas, mathml, strict=True):
            math = safe_html.safe_mathml(foreign, formula) if foreign else None
            if math is None:
                cleaner.note_formula(formula)
            shown.append(math or safe_html.tex_as_html(formula))
        html = safe_html.with_formulas(
            safe_html.sanitized(written, shown_path(self.problem_id, "")), cleaner.markers, shown
        )
        if len(html.encode()) > MAX_STATEMENT_BYTES:
            raise Unrenderable(f"rendered it has more than {MAX_STATEMENT_BYTES} bytes")
        return html.strip()

    def _image(self, files: PublicFiles, statement: str, target: str) -> PublicImage | None:
        file = files.image(statement, target)
        if file is None:
            return None
        url = shown_path(self.problem_id, file.name)
        return PublicImage(url, is_pdf=file.media_type == PDF_TYPE, size=image_size(file.content))

    def _attachment(self, files: PublicFiles, target: str) -> str | None:
        if ":" in target or target.startswith("/"):
            return None
        file = files.attachment(target)
        return None if file is None else attachment_path(self.problem_id, file.name)


def _attach_all(files: PublicFiles, plan: Plan) -> None:
    for name in plan.attachments:
        files.attach(name)


def _pdf(statements: Sequence[Statement], files: PublicFiles) -> str | None:
    """Return the public name of the language's PDF."""
    for statement in statements:
        if statement.kind == "pdf" and (file := files.shown(statement.file)) is not None:
            return file.name if file.media_type == PDF_TYPE else None
    return None


def _taken(text: str, dialect: str, package_format: str, markers: Markers) -> str:
    """Return a source whose formulas pandoc's reader would not know are taken out. Raises Unrenderable."""
    if dialect == "html":
        text = dialects.with_closed_cells(dialects.with_centers(text))
        return document.take_polygon_math(text, markers) if package_format == "polygon" else text
    if dialect == "dmoj":
        return document.take_dmoj_math(text, markers)
    if dialect == "tex" and package_format == "polygon":
        return document.with_polygon_fonts(text)
    if dialect == "tex" and package_format.startswith("kattis"):
        return dialects.without_bare_names(text)
    if dialect == "md" and package_format.startswith("kattis"):
        return document.without_sample_tags(text)
    return text
