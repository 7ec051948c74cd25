"""A scorer that shares nothing with the product: it reads a made-up contest, not its feed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MadeSubmission:
    """``words``: the judgement types of its judgements, oldest first; the last one counts."""

    team: int
    problem: int
    time_ms: int
    words: tuple[str, ...]
    deleted: bool = False


@dataclass(frozen=True)
class MadeContest:
    teams: int
    problems: int
    hidden_team: int
    hidden_group: bool
    minutes: int
    penalty: int
    submissions: Sequence[MadeSubmission]


def naive_board(contest: MadeContest) -> list[dict[str, Any]]:
    rows: list[tuple[int, int, int, str]] = []
    for team in range(contest.teams):
        if team == contest.hidden_team or (contest.hidden_group and team % 3 == 0):
            continue
        solved = penalty = last = 0
        for problem in range(contest.problems):
            wrong = 0
            mine = [s for s in contest.submissions if (s.team, s.problem) == (team, problem) and not s.deleted]
            for submission in sorted(mine, key=lambda s: s.time_ms):
                minute = submission.time_ms // 60_000
                if submission.time_ms < 0 or submission.time_ms >= contest.minutes * 60_000 or not submission.words:
                    continue
                if submission.words[-1] == "AC":
                    solved, penalty, last = solved + 1, penalty + minute + wrong * contest.penalty, max(last, minute)
                    break
                wrong += submission.words[-1] != "CE"
        rows.append((-solved, penalty, last, f"t{team}"))
    rows.sort()
    ranks = [1 + sum(other[:3] < row[:3] for other in rows) for row in rows]
    return [
        {"rank": rank, "team_id": team, "solved": -solved, "penalty": penalty}
        for rank, (solved, penalty, _, team) in zip(ranks, rows, strict=True)
    ]
