"""Old verdict × new verdict, for rejudges and previews of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deepoj.words.rejudges import VerdictChange
from deepoj.words.results import Verdict

#: the usual order of verdicts
_VERDICTS = [verdict.value for verdict in Verdict]


def place_of(verdict: str | None) -> int:
    """Return the place of a verdict in the usual order; what is none comes last."""
    return _VERDICTS.index(verdict) if verdict in _VERDICTS else len(_VERDICTS)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Old verdict × new verdict. ``after``: the columns; None: not judged again yet."""

    after: Sequence[str | None]
    #: old verdict → counts in the order of the columns
    rows: Mapping[str, Sequence[int]]
    #: old verdict → number of submissions that keep it and get another score
    scores: Mapping[str, int]

    @property
    def waiting(self) -> int:
        """Number of submissions that are not judged again yet."""
        return sum(row[self.after.index(None)] for row in self.rows.values()) if None in self.after else 0


def matrix_of(changes: Sequence[VerdictChange]) -> Matrix:
    """Arrange the changes of a rejudge; verdicts are in their usual order."""
    counts = {(one.before, one.after): one.count for one in changes}
    before = sorted({one.before for one in changes}, key=place_of)
    after = sorted({one.after for one in changes}, key=place_of)
    rows = {old: [counts.get((old, new), 0) for new in after] for old in before}
    return Matrix(after, rows, {one.before: one.score_changes for one in changes if one.score_changes})
