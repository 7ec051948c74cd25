"""Batches: many submissions that one user sends together, and whose verdicts are read later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepoj.words.jobs import State
from deepoj.words.submissions import Draft, SubmissionItem, VerdictCount

#: maximum number of lines of a batch
MAX_LINES = 10_000


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A line of a batch, from 1, with its draft."""

    line: int
    draft: Draft


@dataclass(frozen=True, slots=True)
class SubmissionBatch:
    """A batch of a user. ``counts``: its lines by state and status, the most frequent first; empty in lists."""

    batch_id: str
    user_id: int
    #: ISO 8601, the database's clock
    created_at: str
    counts: Sequence[VerdictCount] = ()

    @property
    def line_count(self) -> int:
        """The number of lines that were stored."""
        return sum(each.count for each in self.counts)

    def count_in(self, *states: State) -> int:
        """Return the number of lines whose submissions are in one of the states."""
        return sum(each.count for each in self.counts if each.state in states)

    @property
    def finished_count(self) -> int:
        return self.count_in(State.DONE, State.DEAD)


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Finished lines in order. ``first_unfinished``: the first line after the asked place that was unfinished before
    they were read; None: there was none."""

    items: Sequence[tuple[int, SubmissionItem]]
    first_unfinished: int | None
