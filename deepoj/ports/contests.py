"""Contests in the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from deepoj.words.contests import (
    ClarificationDraft,
    ClockChange,
    CommentaryDraft,
    Contest,
    ContestEvent,
    ContestKind,
    ContestMember,
    ContestObject,
    ContestPlace,
    ContestProblem,
    ContestRefusal,
    ContestRules,
    ContestStanding,
    ContestWaits,
    HostContest,
    NewMembers,
    ReviewDraft,
)
from deepoj.words.problems import Problem


class Contests(Protocol):
    """Contests, and the ledger of each. Each change writes its events in its own transaction, and the log of
    administrative acts where it is one (``by``: who does it). Raises StoreUnavailable. Implemented by
    ``adapters.pg.contests``."""

    async def create_contest(
        self, key: str, kind: ContestKind, rules: ContestRules, *, by: int
    ) -> Contest | ContestRefusal: ...

    async def change_contest(
        self, contest_id: int, rules: ContestRules, *, before: ContestRules | None = None, by: int
    ) -> Contest | ContestRefusal:
        """Replace its rules. ``before``: those from which these were made; refused if it has others by now (MOVED).
        What has happened is not moved: the start (HAS_STARTED), and end, freeze and thaw
        (HAS_HAPPENED). So a frozen contest that is made longer needs a freeze that is longer by as much. Late homework
        may be taken for longer once its time is over, which opens the contest again, unless verdicts that it hid were
        shown; for less it may not: what was taken counts. A finalized
        contest changes no more (FINALIZED), but for the time of its thaw."""
        ...

    async def remove_contest(self, contest_id: int, *, by: int) -> bool:
        """Remove a contest with its ledger; its submissions stay, with their solved marks. False: there is none."""
        ...

    async def contest(self, key: str) -> Contest | None: ...

    async def contests(self, user_id: int | None, *, sees_all: bool, limit: int) -> list[Contest]:
        """Return the newest ``limit`` contests that an account sees: public ones, its own, those in which it is, or
        all."""
        ...

    async def team_of(self, contest_id: int, user_id: int) -> str | None:
        """Return the team in which an account is."""
        ...

    async def place_of(self, job_id: str) -> ContestPlace | None:
        """Return where a submission belongs; None: it is of no contest, or its contest has been removed."""
        ...

    async def hosts(self, job_ids: Sequence[str]) -> Mapping[tuple[str, int], str]:
        """Return the nodes that judged, by job and judging."""
        ...

    async def put_problem(
        self, contest_id: int, sent: ContestProblem, *, by: int, kept: Collection[str] = ()
    ) -> ContestRefusal | None:
        """Add a problem, or replace what is said of the one with this label. ``kept``: names of fields that stay as
        the label has them; another problem than before keeps the place and the color alone."""
        ...

    async def is_over_for(self, user_id: int, key: str, label: str, problem_id: int) -> bool:
        """Return whether a contest that has the problem at this label is over for the account's team."""
        ...

    async def host_of_problem(self, user_id: int, problem_id: int) -> HostContest | None:
        """Return the contest because of which practice submissions of the account to the problem are refused."""
        ...

    async def taken_problem(self, contest_id: int, problem_id: int) -> Problem | None:
        """Return a problem of a contest with the limits and languages that count there."""
        ...

    async def remove_problem(self, contest_id: int, label: str, *, by: int) -> ContestRefusal | None: ...

    async def put_objects(
        self,
        contest_id: int,
        objects: Sequence[ContestObject],
        members: Sequence[ContestMember] = (),
        *,
        by: int,
        new: NewMembers | None = None,
    ) -> frozenset[str] | ContestRefusal:
        """Put teams, groups and organizations, and put accounts into teams: all of it, or nothing. A team that is
        deleted has no accounts any more. ``new``: accounts that are created with it. Return the user names because of
        which it was nothing: no account has them, or those of ``new`` are taken."""
        ...

    async def register(self, contest_id: int, user_id: int) -> str | ContestRefusal:
        """Put an account into a team of its own, and return the team; it is no fault if the account is in a team
        already. Refused unless registration is open and the contest is not over (REGISTRATION_CLOSED)."""
        ...

    async def withdraw(self, contest_id: int, user_id: int) -> ContestRefusal | None:
        """Delete an account's team of one. Refused once it has submissions (HAS_STARTED), and if there is none
        (NOT_REGISTERED)."""
        ...

    async def clarify(self, contest_id: int, draft: ClarificationDraft) -> str | ContestRefusal:
        """Store a clarification. Return its id. A team's is refused while the jury has not answered ``MAX_QUESTIONS``
        of it (QUESTIONS_FULL)."""
        ...

    async def comment(self, contest_id: int, draft: CommentaryDraft) -> str | ContestRefusal:
        """Store a remark for spectators. Return its id."""
        ...

    async def review(
        self, contest_id: int, submission_id: int, draft: ReviewDraft, *, by: int
    ) -> ContestRefusal | None:
        """Do an act of the jury about a submission (``contests.reviews``): its event, the log of administrative acts,
        and what waited for it. Refused after the contest is finalized."""
        ...

    async def finalize(
        self, contest_id: int, awards: Sequence[ContestObject], after: int, *, by: int, comment: str = ""
    ) -> Contest | ContestRefusal:
        """Finalize a contest that is over, with these awards, which were computed from the events up to ``after``. The
        comment is a remark of its commentary (``FINAL_COMMENT``); empty: there is none.
        Refused while anything is unjudged, unanswered, unverified or being rejudged, or if there are events since
        (UNJUDGED)."""
        ...

    async def change_clock(self, contest_id: int, change: ClockChange, *, by: int) -> Contest | ContestRefusal:
        """Do an act on its clock, as of now by the store's clock.

        An interval that is removed or restored moves the end, and the freeze: a contest that is over runs again if its
        end is to come. That is refused once its board was thawed (HAS_HAPPENED). Of a finalized contest only the board
        is thawed (FINALIZED). An act of which there is nothing to do is refused (NOTHING_TO_DO)."""
        ...

    async def standing(self) -> ContestStanding: ...

    async def advance(self) -> Collection[int]:
        """Let happen what is due in every contest: start, freeze, end, thaw, and then the solved marks that were kept
        back. Return the ids of those that changed. One that breaks does not keep back the others."""
        ...

    async def waits(self, contest_id: int, latest: int) -> ContestWaits:
        """Return how long the latest submissions with a verdict of their first judging took."""
        ...

    async def events(self, contest_id: int, after: int, limit: int) -> list[ContestEvent]:
        """Return the next ``limit`` events after a number, in order."""
        ...
