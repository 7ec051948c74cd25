"""Problems, and changes of them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from deepoj.words.names import is_line

MAX_TAGS = 20
MAX_TAG_CHARS = 40
MAX_DIFFICULTY_CHARS = 32


class Visibility(enum.StrEnum):
    """Who sees a problem, beside the account that made it, administrators and the jury."""

    #: no other account
    DRAFT = "draft"
    LISTED = "listed"
    #: members of its groups
    PRIVATE = "private"


def tag_of(text: str) -> str:
    """Return a tag in the form in which it is stored and searched; empty: it is none."""
    tag = " ".join(text.lower().split())
    return tag if len(tag) <= MAX_TAG_CHARS and is_line(tag) and "," not in tag else ""


def tags_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the tags among these texts, each once, and no more than a problem may have."""
    return tuple(tag for tag in dict.fromkeys(map(tag_of, texts)) if tag)[:MAX_TAGS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem as the pipeline needs it. ``data_hash`` is the SHA-256 of its package and names the version."""

    id: int
    title: str
    description: str
    difficulty: str
    time_limit_ms: int
    memory_limit_mb: int
    #: how answers are compared: ``tokens`` by default
    compare: str
    #: object key of the package, ``problems/<id>.zip``
    data_path: str
    #: hex
    data_hash: str
    #: 1, 2, … as the package or its limits change
    version: int = 1
    #: why the package's programs have not been compiled yet, in a sentence for all users; None: no remark
    unchecked: str | None = None
    #: which program does not compile, as a node found later; None: no remark
    broken: str | None = None
    #: id of the account that made it; None: its account is gone, or it was made before accounts were noted
    created_by: int | None = None
    visibility: Visibility = Visibility.LISTED
    #: see ``tag_of``
    tags: tuple[str, ...] = ()
    #: keys of the languages that it takes; empty: all
    languages: tuple[str, ...] = ()
    #: a contest uses it and hides verdicts now, so its results are for the jury alone
    hides_results: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemChange:
    """The changes to a problem; None: unchanged. ``data_path`` and ``data_hash`` go together."""

    title: str | None = None
    description: str | None = None
    difficulty: str | None = None
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
    compare: str | None = None
    data_path: str | None = None
    data_hash: str | None = None
    #: goes with these two: None then means no remark
    unchecked: str | None = None
    visibility: Visibility | None = None
    tags: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None


class ProblemOrder(enum.StrEnum):
    """The order of a list of problems."""

    NUMBER = "number"
    TITLE = "title"
    #: numbers by their value; then words: easy, medium, hard, the others by the alphabet; last, problems without one
    DIFFICULTY = "difficulty"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSearch:
    """A search for problems that the account ``viewer`` sees (None: people without an account): those whose title
    contains ``search``, in any case, or whose id is ``number``; with ``tag`` and ``difficulty``, if given."""

    search: str = ""
    number: int | None = None
    tag: str = ""
    #: without regard to case
    difficulty: str = ""
    #: only those that the viewer has not solved
    unsolved: bool = False
    viewer: int | None = None
    order: ProblemOrder = ProblemOrder.NUMBER


class ProblemRefusal(enum.StrEnum):
    """Why a problem was not deleted."""

    UNKNOWN_PROBLEM = "unknown_problem"
    #: a contest has it
    IN_CONTEST = "in_contest"
    HAS_SUBMISSIONS = "has_submissions"
