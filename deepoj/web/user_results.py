"""Results of a problem with one row for each account, for marks and lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from deepoj.api.submitting import status_word
from deepoj.words.names import name_key
from deepoj.words.results import Verdict
from deepoj.words.submissions import SubmissionItem

HEADS = ("username", "verdict", "score", "submissions", "first_accepted_at", "best_submitted_at", "best_job_id")


class UserResults:
    """The best submission of each account: an accepted one first, then the most points, then the earliest."""

    def __init__(self) -> None:
        self._best: dict[int, SubmissionItem] = {}
        self._counts: dict[int, int] = {}
        self._accepted_at: dict[int, str] = {}

    def add(self, items: Iterable[SubmissionItem]) -> None:
        """Take further submissions, of any accounts and in any order."""
        for item in items:
            user = item.user_id
            self._counts[user] = self._counts.get(user, 0) + 1
            if user not in self._best or _rank(item) < _rank(self._best[user]):
                self._best[user] = item
            if item.status == Verdict.ACCEPTED:
                self._accepted_at[user] = min(self._accepted_at.get(user, item.created_at), item.created_at)

    def rows(self) -> Sequence[Sequence[Any]]:
        """Return a row for each account, by name."""
        return [
            (
                best.username,
                status_word(best),
                best.score,
                self._counts[user],
                self._accepted_at.get(user, ""),
                best.created_at,
                best.job_id,
            )
            for user, best in sorted(self._best.items(), key=lambda one: name_key(one[1].username))
        ]


def _rank(item: SubmissionItem) -> tuple[bool, float, str]:
    """Return the sort key of the submissions of an account, the best first."""
    return item.status != Verdict.ACCEPTED, -(item.score or 0.0), item.created_at
