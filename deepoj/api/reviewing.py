"""The jury's desk: what it decides about submissions, as routes and pages do it."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deepoj import observe
from deepoj.accounts.teams import MAX_TEXT_CHARS
from deepoj.api.body import text
from deepoj.api.codes import CodedError
from deepoj.api.contest_errors import ContestError
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.contests.ledger import ContestLedger, judging_of
from deepoj.words.accounts import User
from deepoj.words.contests import Contest, ContestRefusal, EventType, ReviewAct, ReviewDraft
from deepoj.words.names import is_line
from deepoj.words.results import Verdict

#: verdicts that the jury may give
VERDICTS = tuple(verdict for verdict in Verdict if verdict not in {Verdict.INVALID, Verdict.SYSTEM_ERROR})
_ID = re.compile(r"[0-9]{1,19}")
_MAX_ID = 2**63 - 1
_REFUSALS: Mapping[ContestRefusal, CodedError] = MappingProxyType(
    {
        ContestRefusal.UNKNOWN_CONTEST: ContestError.NO_SUCH_CONTEST,
        ContestRefusal.UNKNOWN_SUBMISSION: ApiError.NO_SUCH_JOB,
        ContestRefusal.FINALIZED: ContestError.CONTEST_FINALIZED,
        ContestRefusal.UNJUDGED: ContestError.NOT_JUDGED,
        ContestRefusal.JUDGED_AGAIN: ContestError.JUDGED_AGAIN,
        ContestRefusal.CLAIMED: ContestError.SUBMISSION_CLAIMED,
        ContestRefusal.PROPOSED: ContestError.OVERRIDE_PROPOSED,
        ContestRefusal.NOT_PROPOSED: ContestError.NO_OVERRIDE_PROPOSED,
        ContestRefusal.OWN_PROPOSAL: ContestError.OWN_PROPOSAL,
    }
)


class ReviewFilter(enum.StrEnum):
    """Which submissions the jury looks for."""

    #: the jury must verify them before the contest is finalized
    TO_VERIFY = "to_verify"
    #: claimed by the account that asks
    MINE = "mine"
    #: an override waits for its confirmation
    PROPOSED = "proposed"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewStep:
    """An act of the jury. ``verdict``: of an override, and the verdict that was confirmed."""

    act: str
    by: str
    at: str
    verdict: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedSubmission:
    """A submission of a contest as its jury sees it. Accounts are user names."""

    id: str
    job_id: str
    team_id: str
    problem: str
    language: str
    at: str
    #: number of the judging that counts, or of the last one; 0: none has ended
    judging: int
    #: that of the node; None: it is being judged
    found: str | None
    #: the verdict that counts
    verdict: str | None
    #: the jury must verify it before the contest is finalized
    to_verify: bool
    is_verified: bool
    is_ignored: bool
    claimed_by: str | None
    #: the verdict that the jury has given, and one that waits for its confirmation
    override: str | None
    proposed: str | None
    proposed_by: str | None
    reason: str


class Reviewing:
    """Reads and changes the reviews of contests. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._contests, self._accounts = context.contests, context.accounts

    async def listed(
        self, ledger: ContestLedger, wanted: ReviewFilter | None, user: User, limit: int
    ) -> list[ReviewedSubmission]:
        """Return the newest submissions of a contest that a filter finds."""
        found: list[str] = []
        for submission_id in reversed(list(ledger.of(EventType.SUBMISSIONS))):
            if len(found) < limit and matches(ledger, submission_id, wanted, user.id):
                found.append(submission_id)
        names = await self._names(_accounts_of(ledger, found))
        return [_submission(ledger, one, names) for one in found]

    async def submission(
        self, ledger: ContestLedger, submission_id: str
    ) -> tuple[ReviewedSubmission, list[ReviewStep]]:
        """Return a submission of a contest, and what the jury has done about it, the oldest first."""
        if submission_id not in ledger.of(EventType.SUBMISSIONS):
            raise Refused(ApiError.NO_SUCH_JOB)
        names = await self._names(_accounts_of(ledger, [submission_id]))
        steps = [
            ReviewStep(
                act=one["act"],
                by=names[one["by"]],
                at=one["at"],
                verdict=one["override"] if one["act"] == ReviewAct.CONFIRM else one["proposed"],
                reason=one["reason"] if one["act"] in {ReviewAct.OVERRIDE, ReviewAct.IGNORE} else "",
            )
            for one in ledger.reviews_of.get(submission_id, ())
        ]
        return _submission(ledger, submission_id, names), steps

    async def review(self, contest: Contest, submission_id: str, draft: ReviewDraft, user: User) -> None:
        """Do an act of the jury about a submission."""
        if not _ID.fullmatch(submission_id) or int(submission_id) > _MAX_ID:
            raise Refused(ApiError.NO_SUCH_JOB)
        if draft.act is ReviewAct.OVERRIDE and draft.verdict not in VERDICTS:
            raise Refused(ApiError.INVALID, field="verdict", problem=f"one of {', '.join(VERDICTS)}")
        reason = text("reason", draft.reason).strip()
        if len(reason) > MAX_TEXT_CHARS or (reason and not is_line(reason)):
            raise Refused(ApiError.INVALID, field="reason", problem=f"at most {MAX_TEXT_CHARS} printable characters")
        if not reason and draft.act in {ReviewAct.OVERRIDE, ReviewAct.IGNORE}:
            raise Refused(ApiError.INVALID, field="reason", problem="say why")
        refusal = await self._contests.review(
            contest.id,
            int(submission_id),
            ReviewDraft(
                act=draft.act,
                judging=draft.judging,
                verdict=draft.verdict if draft.act is ReviewAct.OVERRIDE else None,
                reason=reason,
            ),
            by=user.id,
        )
        if refusal is not None:
            raise Refused(_REFUSALS[refusal])
        observe.log("contest_changed", reason=draft.act.value, contest_id=contest.id, by_user_id=user.id)

    async def _names(self, user_ids: Collection[int]) -> dict[int, str]:
        found = {user_id: await self._accounts.account(user_id) for user_id in user_ids}
        return {
            user_id: f"#{user_id}" if account is None else account.user.username for user_id, account in found.items()
        }


def matches(ledger: ContestLedger, submission_id: str, wanted: ReviewFilter | None, user_id: int) -> bool:
    """Return whether a filter finds a submission."""
    review = ledger.review_of(submission_id)
    match wanted:
        case None:
            return True
        case ReviewFilter.TO_VERIFY:
            return ledger.to_verify(submission_id)
        case ReviewFilter.MINE:
            return bool(review.get("claimed_by") == user_id)
        case ReviewFilter.PROPOSED:
            return _proposal(ledger, submission_id) is not None
        case ReviewFilter.IGNORED:
            return ledger.is_ignored(submission_id)


def _accounts_of(ledger: ContestLedger, submission_ids: Collection[str]) -> set[int]:
    def ids() -> Iterator[int | None]:
        for submission_id in submission_ids:
            review = ledger.review_of(submission_id)
            yield from (review.get("claimed_by"), review.get("proposed_by"))
            yield from (one["by"] for one in ledger.reviews_of.get(submission_id, ()))

    return {user_id for user_id in ids() if user_id is not None}


def _judging(ledger: ContestLedger, submission_id: str) -> int:
    judgement_id = ledger.current_judgement(submission_id)
    return 0 if judgement_id is None else judging_of(judgement_id)


def _proposal(ledger: ContestLedger, submission_id: str) -> str | None:
    """Return the verdict that waits for its confirmation."""
    review = ledger.review_of(submission_id)
    is_present = review.get("proposed_judging") == _judging(ledger, submission_id)
    return review.get("proposed") if is_present else None


def _submission(ledger: ContestLedger, submission_id: str, names: Mapping[int, str]) -> ReviewedSubmission:
    data, review = ledger.of(EventType.SUBMISSIONS)[submission_id], ledger.review_of(submission_id)
    judgement_id, judging = ledger.current_judgement(submission_id), _judging(ledger, submission_id)
    proposed = _proposal(ledger, submission_id)
    return ReviewedSubmission(
        id=submission_id,
        job_id=data.get("job_id") or "",
        team_id=data["team_id"],
        problem=data["problem_id"],
        language=data["language"],
        at=data["at"],
        judging=judging,
        found=None if judgement_id is None else ledger.of(EventType.JUDGEMENTS)[judgement_id]["verdict"],
        verdict=None if judgement_id is None else ledger.judgement(judgement_id)["verdict"],
        to_verify=ledger.to_verify(submission_id),
        is_verified=judging > 0 and review.get("verified") == judging,
        is_ignored=ledger.is_ignored(submission_id),
        claimed_by=None if review.get("claimed_by") is None else names[review["claimed_by"]],
        override=review.get("override") if review.get("override_judging") == judging else None,
        proposed=proposed,
        proposed_by=None if proposed is None else names[review["proposed_by"]],
        reason=review.get("reason") or "",
    )
