"""Problem statements: rendered for readers, with samples, images and attachments."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

#: Grows whenever the same package would get other statements, and with each fix of the sanitizer: judge nodes then
#: render all packages again.
RENDERER_VERSION = 4


def shown_path(problem_id: int, name: str) -> str:
    """Return the path of an image or a PDF of a statement."""
    return f"/api/v1/problems/{problem_id}/statement/files/{name}"


def attachment_path(problem_id: int, name: str) -> str:
    """Return the path of an attachment."""
    return f"/api/v1/problems/{problem_id}/attachments/{name}"


class StatementKind(enum.StrEnum):
    """How a statement is shown."""

    #: safe HTML with MathML
    HTML = "html"
    #: a file of its own
    PDF = "pdf"
    #: its source as text, in a ``<pre>``: it was not, or not yet, rendered
    TEXT = "text"


class StatementFileKind(enum.StrEnum):
    """What a file of a problem is for."""

    #: an image or a PDF of a statement
    SHOWN = "shown"
    #: for contestants to download
    ATTACHMENT = "attachment"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementText:
    """The statement in one language."""

    #: as in BCP 47: ``en``, ``zh``, ``pt-BR``
    language: str
    title: str
    kind: StatementKind
    #: safe HTML without scripts, styles and foreign attributes; empty if there is only a PDF
    html: str
    #: name of the statement's PDF among the files; None: there is none
    pdf: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSample:
    """A sample test. ``interaction``: lines that begin with ``<`` (from the judge) and ``>`` (from the program)."""

    input: str
    output: str
    interaction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFile:
    """A file of a problem. ``name`` is unique among its kind and has letters, digits and ``. _ -`` only."""

    kind: StatementFileKind
    name: str
    media_type: str
    content: bytes
    #: of a stored file: differs between any two contents that were stored for this or another problem
    mark: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSet:
    """All that readers see of one package."""

    texts: tuple[StatementText, ...] = ()
    samples: tuple[StatementSample, ...] = ()
    files: tuple[StatementFile, ...] = ()
    #: for the setter: what could not be rendered, or was left out, a sentence each
    notes: tuple[str, ...] = ()
    #: the problem takes outputs in the place of programs; None: not known
    takes_outputs: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementIndex:
    """The statements of a problem without their texts and files."""

    #: they are still to be rendered, by a node that has a sandbox and the converter
    is_pending: bool
    #: language and title, in the order of the package
    languages: tuple[tuple[str, str], ...] = ()
    samples: tuple[StatementSample, ...] = ()
    #: name and size in bytes
    attachments: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    #: as in ``StatementSet``
    takes_outputs: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementEdit:
    """A statement in one language that was written here; it is shown in place of the package's."""

    language: str
    #: ``md`` or ``tex``; of a contest's statement also ``pdf``
    kind: str
    #: empty for a PDF
    source: str
    #: the edition of the problem's statements in which it was saved; 0: it is not saved, or a contest has it from the
    #: problem
    version: int = 0
    pdf: bytes = b""


@dataclass(frozen=True, slots=True)
class StatementEdits:
    """The edited statements of a problem. ``edition`` grows with each edit."""

    edition: int
    edits: tuple[StatementEdit, ...] = ()


class EditRefusal(enum.Enum):
    """Why an edit is not stored."""

    UNKNOWN_PROBLEM = enum.auto()
    #: the statement has changed since the editor read it
    CHANGED_MEANWHILE = enum.auto()
    #: the contest is finalized
    FINALIZED = enum.auto()
