"""Audits on demand: at most one at a time on this node, in the background (``nursery.audits``)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

import trio

from deepoj.pipeline.audit import AuditReport, audit
from deepoj.ports.ledger import Auditor
from deepoj.words.errors import StoreUnavailable

#: an audit that takes longer is ended: this checks about ten million submissions
MAX_AUDIT_S = 3600.0
#: exceptions of a report that are kept in full; others are counted
KEPT_FAULTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStanding:
    """The latest audit of this node. Times are ISO 8601."""

    #: the username of the account that ordered it
    by: str
    began_at: str
    #: submissions checked so far
    checked: int = 0
    ended_at: str | None = None
    #: None: it is under way, or has failed
    report: AuditReport | None = None
    #: why nothing is proven
    failure: str = ""

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    @property
    def state(self) -> str:
        """Return ``running``, ``clean``, ``faults`` or ``failed``."""
        if self.report is not None:
            return "clean" if self.report.clean else "faults"
        return "failed" if self.is_over else "running"


@dataclass(slots=True)
class AuditOrders:
    """Takes orders for audits, and carries them out one after the other. A restart forgets the result."""

    _standing: AuditStanding | None = None
    _ordered: trio.Event = field(default_factory=trio.Event)

    @property
    def standing(self) -> AuditStanding | None:
        return self._standing

    def order(self, by: str) -> bool:
        """Order an audit. Return False if one is under way."""
        if self._standing is not None and not self._standing.is_over:
            return False
        self._standing = AuditStanding(by=by, began_at=_now())
        self._ordered.set()
        return True

    async def run_next(self, auditor: Auditor) -> None:
        """Wait for an order and carry it out. A database that is away fails the audit, not the caller."""
        await self._ordered.wait()
        self._ordered = trio.Event()
        report, failure = None, "it took too long"
        with trio.move_on_after(MAX_AUDIT_S):
            try:
                report = await audit(auditor, keep=KEPT_FAULTS, progress=self._progress)
            except StoreUnavailable as unavailable:
                failure = str(unavailable)
        self._change(report=report, failure="" if report is not None else failure, ended_at=_now())

    def _progress(self, checked: int) -> None:
        self._change(checked=checked)

    def _change(self, **changes: object) -> None:
        if self._standing is not None:
            self._standing = replace(self._standing, **changes)  # type: ignore[arg-type]  # fields of the class


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
