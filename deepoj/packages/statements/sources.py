"""Reads what readers see out of a package: statements, samples, attachments, images.

Everything has bounds. A file beyond them is left out, with a note that names it. Everything here blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from deepoj.judging.paths import base, folder, without_suffix
from deepoj.judging.problem import Case, Plan, Statement
from deepoj.packages.formats import PackageFault
from deepoj.packages.formats.entry import Opened, read_text_file
from deepoj.packages.formats.faults import clean, show
from deepoj.words.names import printable_line
from deepoj.words.statements import StatementFile, StatementFileKind, StatementSample

#: of a statement's source
MAX_SOURCE_BYTES = 1024 * 1024
#: of an image, a PDF or an attachment; of all of them; and their number
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_FILES_BYTES = 16 * 1024 * 1024
MAX_FILES = 100
MAX_LANGUAGES = 16
#: of an input or output of a sample: longer ones are of no use on a page
MAX_SAMPLE_BYTES = 64 * 1024
MAX_SAMPLES = 20
#: sentences for the setter
MAX_NOTES = 50
MAX_TITLE_CHARS = 200

#: first bytes of the images that are shown. SVG is not among them: it is a document with scripts
_IMAGES: Sequence[tuple[bytes, str]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_WEBP = re.compile(rb"RIFF....WEBP", re.DOTALL)
_PDF = b"%PDF-"
PDF_TYPE = "application/pdf"
_BINARY_TYPE = "application/octet-stream"
#: kinds of sources in the order in which they are tried: Polygon makes its HTML of its TeX
_KINDS = ("html", "md", "tex")
_ODD_CHARS = re.compile(r"[^A-Za-z0-9._-]+")
_INTERACTION = re.compile(r"(?:.*/)?data/sample/[^/]+\.interaction")


@dataclass(frozen=True, slots=True)
class StatementSource:
    """A text to render."""

    statement: Statement
    text: str


@dataclass(slots=True)
class StatementNotes:
    """Sentences for the setter, within bounds."""

    sentences: list[str] = field(default_factory=list)
    _more: int = 0

    def add(self, sentence: str) -> None:
        if sentence in self.sentences:
            return
        if len(self.sentences) < MAX_NOTES:
            self.sentences.append(sentence)
        else:
            self._more += 1

    @property
    def is_full(self) -> bool:
        return len(self.sentences) >= MAX_NOTES

    def all(self) -> tuple[str, ...]:
        more = (f"{self._more} further remarks are left out.",) if self._more else ()
        return (*self.sentences, *more)


class PublicFiles:
    """The files of a package that readers may fetch, within bounds and under names that fit a URL."""

    def __init__(self, opened: Opened, notes: StatementNotes) -> None:
        self._opened, self._notes = opened, notes
        self._names = frozenset(opened.archive.names)
        self._bytes = 0
        self.files: dict[tuple[StatementFileKind, str], StatementFile] = {}
        #: name in the archive → file; None: it was left out
        self._found: dict[tuple[StatementFileKind, str], StatementFile | None] = {}

    def image(self, statement: str, target: str) -> StatementFile | None:
        """Return the image, or the PDF of a figure, that the statement (its archive name) refers to."""
        name = self._resolved(statement, target)
        return None if name is None else self.shown(name)

    def attachment(self, target: str) -> StatementFile | None:
        """Return the attachment that a link refers to, if it is one."""
        last = base(target)
        return next((file for (kind, _), file in self._found.items() if file is not None
                     and kind is StatementFileKind.ATTACHMENT and file.name == last), None)  # fmt: skip

    def shown(self, name: str) -> StatementFile | None:
        """Return an image or a PDF of the package by its archive name."""
        return self._take(StatementFileKind.SHOWN, name)

    def attach(self, name: str) -> None:
        """Add an attachment."""
        self._take(StatementFileKind.ATTACHMENT, name)

    def add(self, name: str, content: bytes) -> StatementFile:
        """Add a PDF that is not of the package."""
        public = self._free_name(StatementFileKind.SHOWN, name)
        file = StatementFile(kind=StatementFileKind.SHOWN, name=public, media_type=PDF_TYPE, content=content)
        self.files[StatementFileKind.SHOWN, public] = file
        return file

    def _resolved(self, statement: str, target: str) -> str | None:
        """Return the archive name of a target. TeX omits endings, and looks in ``img`` and ``images``, too."""
        path = target.strip().replace("\\", "/").removeprefix("./")
        if not path or path.startswith("/") or ":" in path or ".." in path.split("/"):
            return None
        here = folder(statement)
        for place in (here, f"{here}img/", f"{here}images/"):
            for ending in ("", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf"):
                if place + path + ending in self._names:
                    return place + path + ending
        return None

    def _take(self, kind: StatementFileKind, name: str) -> StatementFile | None:
        if (kind, name) not in self._found:
            self._found[kind, name] = self._read(kind, name)
        return self._found[kind, name]

    def _read(self, kind: StatementFileKind, name: str) -> StatementFile | None:
        size = self._opened.archive.size(name)
        if size > MAX_FILE_BYTES:
            self._notes.add(f"{show(name)} has {size} bytes and is left out: readers may fetch {MAX_FILE_BYTES}.")
            return None
        if len(self.files) >= MAX_FILES or self._bytes + size > MAX_FILES_BYTES:
            self._notes.add(
                f"{show(name)} is left out: images, PDFs and attachments may be {MAX_FILES} files of {MAX_FILES_BYTES}"
                " bytes together."
            )
            return None
        content = read_text_file(self._opened, name, MAX_FILE_BYTES)
        if isinstance(content, PackageFault):
            self._notes.add(content.sentence)
            return None
        media_type = _media_type(content)
        if kind is StatementFileKind.SHOWN and media_type == _BINARY_TYPE:
            self._notes.add(f"{show(name)} is not shown: only PNG, JPEG, GIF and WebP images and PDFs are.")
            return None
        self._bytes += len(content)
        public = self._free_name(kind, name)
        self.files[kind, public] = file = StatementFile(kind=kind, name=public, media_type=media_type, content=content)
        return file

    def _free_name(self, kind: StatementFileKind, name: str) -> str:
        plain = _ODD_CHARS.sub("_", base(name))[-100:].lstrip(".-") or "file"
        taken, public, number = {one for of, one in self.files if of is kind}, plain, 1
        while public in taken:
            number += 1
            public = f"{number}-{plain}"
        return public


def _media_type(content: bytes) -> str:
    """Return the type by the content: a name proves nothing."""
    for start, media_type in _IMAGES:
        if content.startswith(start):
            return media_type
    if _WEBP.match(content):
        return "image/webp"
    return PDF_TYPE if content.startswith(_PDF) else _BINARY_TYPE


def is_pdf(content: bytes) -> bool:
    """Return whether a file is a PDF, by its content."""
    return _media_type(content) == PDF_TYPE


def languages_of(plan: Plan, notes: StatementNotes) -> dict[str, list[Statement]]:
    """Return the statements of each language, in the order in which they are tried; a PDF comes last."""
    languages: dict[str, list[Statement]] = {}
    for statement in plan.statements:
        if statement.kind not in (*_KINDS, "pdf"):
            notes.add(f"{show(statement.file)} is not shown: statements are HTML, Markdown, TeX or PDF.")
        elif statement.language in languages or len(languages) < MAX_LANGUAGES:
            languages.setdefault(statement.language, []).append(statement)
        else:
            notes.add(f"{show(statement.file)} is left out: statements may be in {MAX_LANGUAGES} languages.")
    order = (*_KINDS, "pdf")
    return {language: sorted(found, key=lambda one: order.index(one.kind)) for language, found in languages.items()}


def read_source(opened: Opened, statement: Statement, notes: StatementNotes) -> StatementSource | None:
    """Return the text of a statement; None: it is unusable, as a note says."""
    raw = read_text_file(opened, statement.file, MAX_SOURCE_BYTES)
    if isinstance(raw, PackageFault):
        notes.add(raw.sentence)
        return None
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = raw.decode(encoding, "replace")
    if "\ufffd" in text:
        notes.add(f"{show(statement.file)} is not UTF-8 text: unreadable characters are shown as \ufffd.")
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return StatementSource(statement, text)


def title_of(text: str) -> str:
    """Return a title as one printable line."""
    return " ".join(printable_line(text, " ").split())[:MAX_TITLE_CHARS]


# ---------------------------------------------------------------------------------------------------------------------
# Samples


def read_samples(opened: Opened, notes: StatementNotes) -> tuple[StatementSample, ...]:
    """Return the samples in the package's order."""
    samples: list[StatementSample] = []
    cases = [case for case in opened.plan.cases if case.sample]
    interactions = _interactions(opened.archive.names, cases)
    for number, case in enumerate(cases, 1):
        sample = _sample(opened, case, number, interactions.pop(_stem(case), None), notes)
        if sample is not None and len(samples) < MAX_SAMPLES:
            samples.append(sample)
    for name in interactions.values():
        text = _shown_text(opened, name, notes)
        if text is not None and len(samples) < MAX_SAMPLES:
            samples.append(StatementSample(input="", output="", interaction=text))
    if len(cases) > MAX_SAMPLES:
        notes.add(f"{MAX_SAMPLES} of {len(cases)} samples are shown.")
    return tuple(samples)


def _stem(case: Case) -> str:
    return without_suffix(case.input or case.answer or "")


def _interactions(names: Iterable[str], cases: Sequence[Case]) -> dict[str, str]:
    """Return the conversations that Kattis packages have in their samples, by the stems of their names."""
    if cases and not any("data/sample/" in (case.input or "") for case in cases):
        return {}
    return {without_suffix(name): name for name in sorted(names) if _INTERACTION.fullmatch(name)}


def _sample(
    opened: Opened, case: Case, number: int, interaction: str | None, notes: StatementNotes
) -> StatementSample | None:
    texts: list[str] = []
    for name, kind in ((case.input, "input"), (case.answer, "output")):
        text = "" if name is None else _shown_text(opened, _for_readers(opened, name, number, kind), notes)
        if text is None:
            return None
        texts.append(text)
    talk = None if interaction is None else _shown_text(opened, interaction, notes)
    return StatementSample(input=texts[0], output=texts[1], interaction=talk)


def _for_readers(opened: Opened, name: str, number: int, kind: str) -> str:
    """Return the file that a package shows instead of a test's own: Kattis' ``1.in.statement``, Polygon's
    ``example.01``."""
    candidates = [f"{name}.statement"]
    for statement in opened.plan.statements if opened.plan.format == "polygon" else ():
        candidates.append(f"{folder(statement.file)}example.{number:02}{'' if kind == 'input' else '.a'}")
    names = frozenset(opened.archive.names)
    return next((one for one in candidates if one in names), name)


def _shown_text(opened: Opened, name: str, notes: StatementNotes) -> str | None:
    size = opened.archive.size(name)
    if size > MAX_SAMPLE_BYTES:
        notes.add(f"The sample {show(name)} has {size} bytes and is not shown: at most {MAX_SAMPLE_BYTES} are.")
        return None
    raw = opened.archive.read(name, MAX_SAMPLE_BYTES)
    if isinstance(raw, PackageFault):
        notes.add(clean(raw.sentence))
        return None
    return raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\0", "\ufffd")
