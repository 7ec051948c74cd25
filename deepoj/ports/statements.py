"""Rendered statements in the store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from deepoj.words.problems import Problem
from deepoj.words.statements import (
    EditRefusal,
    StatementEdit,
    StatementEdits,
    StatementFile,
    StatementFileKind,
    StatementIndex,
    StatementSet,
    StatementText,
)

#: id, package and edition of statements
type StatementMark = tuple[int, str, int]


class Statements(Protocol):
    """Statements of problems' current packages, or of problems in one contest. They are deleted with their problem.
    Raises StoreUnavailable. Implemented by ``adapters.pg.statements``, for a contest by ``contest_statements``."""

    async def keep_statements(
        self, problem_id: int, data_hash: str, found: StatementSet, *, renderer: int, edition: int = 0
    ) -> bool:
        """Replace the statements of a problem. ``renderer``: the version that rendered them; 0: they are still to be
        rendered. ``edition``: of the edits that are in them. False: the problem has another package or edition by now,
        or a later renderer's statements; nothing changed."""
        ...

    async def statement_index(self, problem_id: int) -> StatementIndex | None:
        """Return the languages, samples and attachments of a problem; None: there is no such problem. With another
        package than the one that was rendered, it is pending and has none."""
        ...

    async def statement_text(self, problem_id: int, language: str) -> StatementText | None:
        """Return the statement in exactly this language."""
        ...

    async def statement_file(
        self, problem_id: int, kind: StatementFileKind, name: str, *, known: Collection[str] = ()
    ) -> StatementFile | None:
        """Return a file with its mark. If the mark is ``known``, the content is not read, and empty."""
        ...

    async def release_unrendered(self, problem_id: int) -> None:
        """End a claim: if the statements are still to be rendered, another node may try at once."""
        ...

    async def statement_edits(self, problem_id: int) -> StatementEdits:
        """Return the edited statements of a problem, by language."""
        ...

    async def edit_statement(
        self,
        problem_id: int,
        language: str,
        edit: StatementEdit | None,
        *,
        since: int,
        data_hash: str,
        by: str | None = None,
    ) -> int | EditRefusal:
        """Store an edited statement, or with None go back to the package's; return the edition that it begins.

        ``since``: the version of the edit that the setter has read; 0: it was the statement of the package
        ``data_hash``. The statements are then to be rendered. ``by``: the administrator, for the log.
        """
        ...


class StatementStore(Statements, Protocol):
    """Statements of problems, and of problems in contests. Raises StoreUnavailable. Implemented by
    ``adapters.pg.statements``."""

    def of_contest(self, contest_id: int) -> Statements:
        """Return the statements that a contest's problems have there. Where the contest has none of its own, they are
        the problem's. An edit is the contest's alone; ``statement_edits`` has those of the problem in other languages,
        too, with the version 0. Its edition grows with the problem's."""
        ...

    async def short_texts(self, problem_id: int, max_bytes: int) -> dict[str, str]:
        """Return the HTML of those of the problem's statements that have no PDF and at most ``max_bytes`` bytes in
        UTF-8, by language, in the order of the package."""
        ...

    async def claim_unrendered(self, lease_s: float, skipped: Collection[StatementMark]) -> tuple[Problem, int] | None:
        """Claim a problem, for ``lease_s``, whose statements this version is to render, and return it with its edition.
        None: there is none besides those that are ``skipped`` or that another node has claimed."""
        ...

    async def claim_of_contest(
        self, lease_s: float, skipped: Collection[tuple[int, StatementMark]]
    ) -> tuple[int, Problem, int] | None:
        """The same of problems in contests: return the contest, the problem and its edition there."""
        ...
