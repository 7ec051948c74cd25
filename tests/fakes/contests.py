"""``NoContests``: a store in which there are no contests, a part of ``MemoryPorts``.

What contests do is a matter of transactions and triggers, so their tests run against PostgreSQL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence

from deepoj.words.contest_rejudges import ContestRejudge, ContestRejudgeScope, RejudgedVerdict
from deepoj.words.contest_setup import DraftInContest, PendingPasswords, TeamLogin
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
from deepoj.words.previews import PreviewFailure, PreviewRefusal
from deepoj.words.problems import Problem
from deepoj.words.webhooks import ContestHook, ContestTry, ContestWebhook, ContestWebhookDraft, DueHooks

_UNKNOWN = ContestRefusal.UNKNOWN_CONTEST


class NoContests:
    """``ports.Contests``; makes none."""

    async def create_contest(
        self, key: str, kind: ContestKind, rules: ContestRules, *, by: int
    ) -> Contest | ContestRefusal:
        raise AssertionError(f"the contest {key} needs PostgreSQL: use house_on")

    async def change_contest(
        self, contest_id: int, rules: ContestRules, *, before: ContestRules | None = None, by: int
    ) -> Contest | ContestRefusal:
        return _UNKNOWN

    async def remove_contest(self, contest_id: int, *, by: int) -> bool:
        return False

    async def contest(self, key: str) -> Contest | None:
        return None

    async def contests(self, user_id: int | None, *, sees_all: bool, limit: int) -> list[Contest]:
        return []

    async def team_of(self, contest_id: int, user_id: int) -> str | None:
        return None

    async def place_of(self, job_id: str) -> ContestPlace | None:
        return None

    async def hosts(self, job_ids: Sequence[str]) -> dict[tuple[str, int], str]:
        return {}

    async def put_problem(
        self, contest_id: int, sent: ContestProblem, *, by: int, kept: Collection[str] = ()
    ) -> ContestRefusal | None:
        return _UNKNOWN

    async def is_over_for(self, user_id: int, key: str, label: str, problem_id: int) -> bool:
        return False

    async def host_of_problem(self, user_id: int, problem_id: int) -> HostContest | None:
        return None

    async def taken_problem(self, contest_id: int, problem_id: int) -> Problem | None:
        return None

    async def remove_problem(self, contest_id: int, label: str, *, by: int) -> ContestRefusal | None:
        return _UNKNOWN

    async def put_objects(
        self,
        contest_id: int,
        objects: Sequence[ContestObject],
        members: Sequence[ContestMember] = (),
        *,
        by: int,
        new: NewMembers | None = None,
    ) -> frozenset[str] | ContestRefusal:
        return _UNKNOWN

    async def register(self, contest_id: int, user_id: int) -> str | ContestRefusal:
        return _UNKNOWN

    async def withdraw(self, contest_id: int, user_id: int) -> ContestRefusal | None:
        return _UNKNOWN

    async def clarify(self, contest_id: int, draft: ClarificationDraft) -> str | ContestRefusal:
        return _UNKNOWN

    async def comment(self, contest_id: int, draft: CommentaryDraft) -> str | ContestRefusal:
        return _UNKNOWN

    async def review(
        self, contest_id: int, submission_id: int, draft: ReviewDraft, *, by: int
    ) -> ContestRefusal | None:
        return _UNKNOWN

    async def finalize(
        self, contest_id: int, awards: Sequence[ContestObject], after: int, *, by: int, comment: str = ""
    ) -> Contest | ContestRefusal:
        return _UNKNOWN

    async def change_clock(self, contest_id: int, change: ClockChange, *, by: int) -> Contest | ContestRefusal:
        return _UNKNOWN

    async def standing(self) -> ContestStanding:
        return ContestStanding((), 0, 0)

    async def advance(self) -> Collection[int]:
        return []

    async def waits(self, contest_id: int, latest: int) -> ContestWaits:
        return ContestWaits(
            count=0, wait_p50_ms=0, wait_p99_ms=0, judging_p50_ms=0, judging_p99_ms=0, judging_sum_ms=0,
            compile_sum_ms=0, run_sum_ms=0,
        )  # fmt: skip

    async def events(self, contest_id: int, after: int, limit: int) -> list[ContestEvent]:
        return []


class NoContestRejudges:
    """``ports.ContestRejudges``; knows none."""

    async def start_rejudge(
        self,
        contest_id: int,
        jobs: Mapping[int, Collection[str]],
        *,
        by: int,
        in_full: bool,
        scope: ContestRejudgeScope,
    ) -> ContestRejudge | PreviewRefusal:
        return PreviewRefusal.UNKNOWN

    async def apply_rejudge(self, contest_id: int, rejudge_id: int, *, by: int) -> ContestRejudge | PreviewRefusal:
        return PreviewRefusal.UNKNOWN

    async def cancel_rejudge(self, contest_id: int, rejudge_id: int, *, by: int) -> ContestRejudge | PreviewRefusal:
        return PreviewRefusal.UNKNOWN

    async def rejudges(self, contest_id: int, limit: int, rejudge_id: int | None = None) -> list[ContestRejudge]:
        return []

    async def rejudged_verdicts(self, rejudge_id: int) -> list[RejudgedVerdict]:
        return []

    async def rejudge_failures(self, rejudge_id: int, limit: int) -> list[PreviewFailure]:
        return []

    async def hosts(self, contest_id: int) -> list[str]:
        return []


class NoContestSetup:
    """``ports.ContestSetup``; there is nothing to set up."""

    async def copy_contest(
        self,
        contest_id: int,
        key: str,
        *,
        name: str | None,
        start_at: dt.datetime | None,
        with_teams: bool,
        by: int,
    ) -> ContestRefusal | None:
        return _UNKNOWN

    async def remove_team(self, contest_id: int, team_id: str, *, by: int) -> ContestRefusal | None:
        return _UNKNOWN

    async def bind_team(
        self, contest_id: int, team_id: str, networks: Sequence[str] | None, *, by: int
    ) -> ContestRefusal | None:
        return _UNKNOWN

    async def bound_teams(self, contest_id: int) -> Mapping[str, Sequence[str]]:
        return {}

    async def with_role(self, contest_id: int, usernames: Collection[str]) -> Collection[str]:
        return []

    async def team_logins(self, contest_id: int, team_ids: Collection[str] | None) -> list[TeamLogin]:
        return []

    async def keep_passwords(
        self, contest_id: int, set_id: str, hashes: Mapping[int, str], *, by: int
    ) -> ContestRefusal | None:
        return _UNKNOWN

    async def pending_passwords(self, contest_id: int) -> list[PendingPasswords]:
        return []

    async def apply_passwords(self, contest_id: int, set_id: str, *, by: int) -> list[str] | ContestRefusal:
        return _UNKNOWN

    async def drop_passwords(self, contest_id: int, set_id: str, *, by: int) -> ContestRefusal | None:
        return _UNKNOWN

    async def delete_old_passwords(self, limit: int) -> int:
        return 0

    async def drafts(self, contest_id: int) -> list[DraftInContest]:
        return []

    async def open_problems(self, contest_id: int, *, by: int) -> list[str] | ContestRefusal:
        return _UNKNOWN


class NoContestWebhooks:
    """``ports.ContestWebhooks``; takes none."""

    async def add_contest_webhook(self, draft: ContestWebhookDraft, most: int) -> ContestWebhook | None:
        return None

    async def contest_webhooks(self, user_id: int) -> list[ContestWebhook]:
        return []

    async def remove_contest_webhook(self, user_id: int, webhook_id: int) -> bool:
        return False

    async def webhook_owners(self, after: int, limit: int) -> dict[int, bool]:
        return {}

    async def due_webhooks(
        self, owners: Mapping[int, str], *, targets: int, each: int, without: Collection[str]
    ) -> list[DueHooks]:
        return []

    async def take_webhooks(self, ids: Sequence[int], lease_s: float) -> list[ContestHook]:
        return []

    async def settle_contest_webhook(
        self, hook: ContestHook, outcome: ContestTry, *, delay_s: float, is_final: bool, give_up_s: float
    ) -> bool | None:
        return None

    async def forget_contest_webhooks(self, keep_s: float, limit: int) -> int:
        return 0
