"""Dead letters, and reading the ledger for the audit."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.ledger import (
    AuditedEvent,
    AuditedJob,
    ContestDrift,
    DeadLetter,
    Decided,
    Decision,
    LedgerEvent,
    LetterRefusal,
)


class DeadLetters(Protocol):
    """Dead letters, about which an administrator decides. Raises StoreUnavailable. Implemented by
    ``adapters.pg.dead_letters``."""

    async def dead_letters(self, limit: int, before_id: int | None = None) -> list[DeadLetter]:
        """Return a page, newest submission first, of those whose ``id`` is below ``before_id``."""
        ...

    async def dead_letter(self, job_id: str) -> DeadLetter | None: ...

    async def ledger_of(self, job_id: str, limit: int) -> list[LedgerEvent]:
        """Return the latest ``limit`` events of a job, in the ledger's order."""
        ...

    async def decide(
        self, decision: Decision, job_id: str, attempt_id: int, *, by: str, note: str, stream_key: str
    ) -> Decided | LetterRefusal:
        """Decide about a letter in one transaction, fenced by the attempt it died with; the ledger records who decided
        and why. The same decision about the same attempt twice counts once: the second answer is ``repeated``.

        REQUEUE: pending again with all its attempts, and an outbox event to ``stream_key``.
        DISCARD: done, System Error, finally."""
        ...

    async def count_dead_letters(self, upto: int) -> int: ...


class Auditor(Protocol):
    """Reads the rows and the ledger, a page at a time. Raises StoreUnavailable. Implemented by
    ``adapters.pg.audit``."""

    async def audit_page(self, after_id: int, limit: int) -> list[AuditedJob]:
        """Return the next ``limit`` submissions above ``after_id``; empty at the end."""
        ...

    async def audit_start(self, since: str) -> tuple[int, int]:
        """Return the ids after which to read submissions and the ledger, for an audit since an ISO 8601 time."""
        ...

    async def audit_older(
        self, ledger_start: int, ledger_after: int, upto_id: int, limit: int
    ) -> tuple[list[AuditedJob], int | None]:
        """Return the submissions not above ``upto_id`` that the next ``limit`` events above ``ledger_after`` name, each
        only at its first event above ``ledger_start``; and the last event id read, None at the ledger's end."""
        ...

    async def audit_rowless(
        self, ledger_start: int, ledger_after: int, limit: int
    ) -> tuple[list[tuple[str, AuditedEvent]], int | None]:
        """Return those of the next ``limit`` events above ``ledger_after`` that have no submission and are no refusal,
        with the job id; each job only at its first such event above ``ledger_start``. And the last event id read, as
        above."""
        ...

    async def audit_contests(self, since: str | None) -> list[int]:
        """Return the ids of the contests, or of those with an event since an ISO 8601 time."""
        ...

    async def audit_contest(self, contest_id: int, limit: int) -> list[ContestDrift]:
        """Return the first ``limit`` differences between a contest's ledger and its rows, as of one moment."""
        ...
