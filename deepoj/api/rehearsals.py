"""Dress rehearsals that are ordered on this node: at most one at a time, in the background (``nursery.rehearsals``).

A rehearsal is the command ``deepoj contest replay FEED --judge`` as a process of its own, with a token of the account
that ordered it. What it says is shown line by line; its report is kept until the next one. A restart of the node
forgets both and breaks the rehearsal off: its contest stays, and ends by itself.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import trio

#: bytes of a feed that is sent by a page
MAX_FEED_BYTES = 32 * 1024 * 1024
#: prefix of the keys of contests that are rehearsals; the command makes them
KEY_PREFIX = "rehearsal-"
_KEY = re.compile(rf"contest ({KEY_PREFIX}[0-9a-f]+):")
#: lines that are kept of what the command says, the newest
_KEPT_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalOrder:
    """A rehearsal to play. ``minutes`` None: the whole contest."""

    #: the username of the account that ordered it, and a token of it
    by: str
    token: str
    feed_name: str
    feed: bytes
    speed: float
    minutes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalStanding:
    """The latest rehearsal of this node."""

    by: str
    feed_name: str
    began_at: str
    #: what the command has said, the newest lines
    lines: Sequence[str] = ()
    ended_at: str | None = None
    #: None: it is under way, or has failed
    report: Mapping[str, Any] | None = None
    #: it was asked to end
    is_cancelled: bool = False

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    @property
    def key(self) -> str:
        """The key of its contest; empty as long as there is none."""
        found = (_KEY.search(line) for line in self.lines)
        return next((one[1] for one in found if one is not None), "") or str((self.report or {}).get("key", ""))

    @property
    def has_passed(self) -> bool:
        """Whether nothing was lost, every verdict was that of its program, and the boards were equal."""
        report = self.report
        return report is not None and not any(report[name] for name in ("lost", "wrong_verdicts", "differences"))


@dataclass(slots=True)
class RehearsalOrders:
    """Takes orders for rehearsals; ``take`` and the methods after it are for the child that plays them."""

    _standing: RehearsalStanding | None = None
    _order: RehearsalOrder | None = None
    _ordered: trio.Event = field(default_factory=trio.Event)
    _playing: trio.CancelScope | None = None

    @property
    def standing(self) -> RehearsalStanding | None:
        return self._standing

    def order(self, order: RehearsalOrder) -> bool:
        """Order a rehearsal. Return False if one is under way."""
        if self._standing is not None and not self._standing.is_over:
            return False
        self._standing = RehearsalStanding(by=order.by, feed_name=order.feed_name, began_at=_now())
        self._order = order
        self._ordered.set()
        return True

    def cancel(self) -> None:
        """End the rehearsal that is under way, if there is one: its contest ends, and no more is sent."""
        if self._standing is not None and not self._standing.is_over:
            self._standing = replace(self._standing, is_cancelled=True)
            if self._playing is not None:
                self._playing.cancel()

    async def take(self) -> RehearsalOrder:
        """Wait for an order, and return it."""
        while self._order is None:
            await self._ordered.wait()
        order, self._order, self._ordered = self._order, None, trio.Event()
        return order

    def begin(self, scope: trio.CancelScope) -> None:
        """Note the scope that ``cancel`` cancels."""
        self._playing = scope
        if self._standing is not None and self._standing.is_cancelled:
            scope.cancel()

    def say(self, text: str) -> None:
        """Note what the command has said so far."""
        if self._standing is not None:
            lines = [line.removeprefix("deepoj: ") for line in text.splitlines() if line.strip()]
            key = [line for line in lines if _KEY.search(line)][:1]
            self._standing = replace(self._standing, lines=(*key, *lines[len(key) :][-_KEPT_LINES:]))

    def end(self, printed: bytes) -> None:
        """Note the end. ``printed``: the report as the command has printed it; empty if it failed, and cut off if it
        was killed."""
        self._playing = None
        if self._standing is None:
            return
        self._standing = replace(self._standing, ended_at=_now())
        if printed.strip():
            try:
                self._standing = replace(self._standing, report=json.loads(printed))
            except ValueError:
                lines = (*self._standing.lines, "The rehearsal ended before its report was whole.")
                self._standing = replace(self._standing, lines=lines[-_KEPT_LINES:])


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
