"""The plan of a dress rehearsal: a feed's arrival pattern, with a stand-in program of the same verdict for each
submission; and what of the boards has to be equal afterwards.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deepoj.contests.board import AttemptOutcome, Board, BoardAttempt, BoardRow
from deepoj.contests.clock import MS_PER_MINUTE
from deepoj.contests.feed import ContestObjects, ContestTimes, FeedError, Object, time_of
from deepoj.contests.ledger import in_order
from deepoj.contests.replay import is_hidden, judgement_types, problems_of

#: words in the ids of judgement types, which each contest chooses itself
_TIME, _RUN = ("TLE", "TIME", "TO"), ("RTE", "RE", "RUN", "MLE", "MEMORY", "CRASH")


class StandIn(enum.StrEnum):
    """A stand-in program, by the verdict that it gets."""

    ACCEPTED = "Accepted"
    WRONG = "Wrong Answer"
    ENDLESS = "Time Limit Exceeded"
    CRASH = "Runtime Error"
    BROKEN = "Compile Error"


@dataclass(frozen=True, slots=True)
class PlannedSubmission:
    """A submission to send. ``time_ms``: contest time of the feed."""

    feed_id: str
    team_id: str
    problem_id: str
    time_ms: int
    stand_in: StandIn
    #: the feed has a verdict for it
    is_judged: bool


@dataclass(frozen=True, slots=True)
class RehearsedSubmission:
    """What the node says of a submission that was sent. ``time_ms``: its contest time there."""

    planned: PlannedSubmission
    verdict: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class BoardDifference:
    """A team whose row is another one. Rows in words; empty: there is none."""

    board: str
    team_id: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class RehearsalPlan:
    """What a rehearsal plays: contest times from ``from_ms`` to before ``to_ms``, on a contest of these teams and
    problems, both in the feed's order."""

    name: str
    teams: Mapping[str, Object]
    hidden: frozenset[str]
    problems: Mapping[str, Object]
    submissions: Sequence[PlannedSubmission]
    from_ms: int
    to_ms: int
    penalty_ms: int
    is_compile_error_free: bool
    #: contest time of the feed at which its board freezes; None: not before ``to_ms``
    freeze_at_ms: int | None
    #: submissions of the feed in this time whose team or problem it does not have
    left_out: int

    def board(self, judged: Iterable[RehearsedSubmission]) -> list[BoardRow]:
        """Return the board that submissions give, each at the time that it names."""
        teams = [team for team in in_order(self.teams) if team not in self.hidden]
        board = Board(teams, self.problems, penalty_ms=self.penalty_ms)
        for number, one in enumerate(judged):
            board.put(
                BoardAttempt(
                    time_ms=one.time_ms,
                    number=number,
                    submission_id=one.planned.feed_id,
                    team_id=one.planned.team_id,
                    problem_id=one.planned.problem_id,
                    outcome=self._outcome(one.verdict),
                )
            )
        return board.rows()

    def promised(self) -> list[RehearsedSubmission]:
        """Return the submissions as the feed has them."""
        return [RehearsedSubmission(one, one.stand_in.value, one.time_ms) for one in self.submissions]

    def _outcome(self, verdict: str) -> AttemptOutcome:
        if verdict == StandIn.ACCEPTED:
            return AttemptOutcome.SOLVED
        if verdict == StandIn.BROKEN and self.is_compile_error_free:
            return AttemptOutcome.FREE
        return AttemptOutcome.REJECTED if verdict else AttemptOutcome.PENDING


def plan_of(objects: ContestObjects, *, from_ms: int = 0, to_ms: int | None = None) -> RehearsalPlan:
    """Return the plan for a feed's contest between two contest times; without ``to_ms`` to its end.

    A submission without a verdict in the feed gets those of the others in turn, so that the mix of programs stays.

    Raises FeedError: the feed's times cannot be read, or there is no submission to send.
    """
    times = ContestTimes.of(objects.contest)
    until_ms = times.duration_ms if to_ms is None else min(to_ms, times.duration_ms)
    types, teams = objects.of("judgement-types"), objects.of("teams")
    problems = {one: objects.of("problems")[one] for one in problems_of(objects)}
    words = judgement_types(objects, times)
    timed = sorted(
        (time_of(item, times, f"submission {one}"), number, one, item)
        for number, (one, item) in enumerate(objects.of("submissions").items())
    )
    # the mix of the whole feed: in its last hour no verdict may be known
    judged = (words.get(submission_id) for _, _, submission_id, _ in timed)
    mix = [_stand_in(word, types) for word in judged if word is not None] or [StandIn.ACCEPTED]
    chosen = [
        (time_ms, submission_id, item)
        for time_ms, _, submission_id, item in timed
        if max(0, from_ms) <= time_ms < until_ms
    ]
    sent = [one for one in chosen if str(one[2].get("team_id")) in teams and str(one[2].get("problem_id")) in problems]
    if not sent:
        raise FeedError("the feed has no submission in this time that could be sent: is it whole?")
    freeze_at_ms = times.duration_ms - (times.freeze_ms or 0)
    planned: list[PlannedSubmission] = []
    unjudged = 0
    for time_ms, submission_id, item in sent:
        word = words.get(submission_id)
        stand_in = mix[unjudged % len(mix)] if word is None else _stand_in(word, types)
        unjudged += word is None
        planned.append(
            PlannedSubmission(
                submission_id, str(item["team_id"]), str(item["problem_id"]), time_ms, stand_in, word is not None
            )
        )
    return RehearsalPlan(
        name=str(objects.contest.get("name") or objects.contest.get("id") or ""),
        teams=teams,
        hidden=frozenset(team for team, item in teams.items() if is_hidden(objects, item)),
        problems=problems,
        submissions=planned,
        from_ms=max(0, from_ms),
        to_ms=until_ms,
        penalty_ms=times.penalty_ms,
        is_compile_error_free=types.get("CE", {}).get("penalty") is not True,
        freeze_at_ms=freeze_at_ms if freeze_at_ms < until_ms else None,
        left_out=len(chosen) - len(sent),
    )


def busiest_from_ms(objects: ContestObjects, length_ms: int) -> int:
    """Return the contest time, a whole minute, from which on the most submissions arrive within a length.

    Raises FeedError.
    """
    times = ContestTimes.of(objects.contest)
    arrivals = sorted(time_of(one, times, f"submission {key}") for key, one in objects.of("submissions").items())
    minutes = range(0, max(1, times.duration_ms - length_ms + 1), MS_PER_MINUTE)
    return max(minutes, key=lambda minute: sum(minute <= time_ms < minute + length_ms for time_ms in arrivals))


def differences(board: str, expected: Sequence[BoardRow], found: Sequence[BoardRow]) -> list[BoardDifference]:
    """Return the teams whose rank, count of solved problems or penalty is another one on the board of that name."""
    wanted, there = ({row.team_id: _words(row) for row in rows} for rows in (expected, found))
    return [
        BoardDifference(board, team, wanted.get(team, ""), there.get(team, ""))
        for team in sorted(wanted.keys() | there.keys())
        if wanted.get(team) != there.get(team)
    ]


def _words(row: BoardRow) -> str:
    return f"rank {row.rank}, solved {row.solved}, penalty {row.penalty}"


def _stand_in(word: str, types: Mapping[str, Object]) -> StandIn:
    """Return the program for a judgement type. One that costs nothing gets a compile error, as the rules have it."""
    type_ = types.get(word, {})
    upper = word.upper()
    if type_.get("solved", upper == "AC"):
        return StandIn.ACCEPTED
    if upper == "CE" or type_.get("penalty") is False:
        return StandIn.BROKEN
    if any(mark in upper for mark in _TIME):
        return StandIn.ENDLESS
    return StandIn.CRASH if any(mark in upper for mark in _RUN) else StandIn.WRONG
