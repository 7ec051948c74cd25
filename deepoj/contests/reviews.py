"""What the jury decides about a submission: who looks at it, whether its verdict is verified, overridden, ignored.

The data of a review, each null until it is: ``claimed_by``; ``verified`` (number of the judging) and ``verified_by``;
``override`` (verdict), ``override_judging``, ``override_by`` (who proposed it) and ``confirmed_by``; ``proposed``
(verdict), ``proposed_judging`` and ``proposed_by``; ``is_ignored``; ``reason`` of the last act that has one. ``act``,
``by`` and ``at`` say what was done last. Accounts are ids.

A verification and an override belong to one judging: after a rejudge the new verdict counts, and is verified again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.words.contests import ContestRefusal, ReviewAct, ReviewDraft

#: acts that do not depend on a verdict
_ANY_STATE = frozenset({ReviewAct.CLAIM, ReviewAct.RELEASE, ReviewAct.WITHDRAW, ReviewAct.IGNORE, ReviewAct.RESTORE})
#: of a submission that the jury has not looked at
NO_REVIEW: Mapping[str, Any] = {
    "claimed_by": None, "verified": None, "verified_by": None, "override": None, "override_judging": None,
    "override_by": None, "confirmed_by": None, "proposed": None, "proposed_judging": None, "proposed_by": None,
    "is_ignored": False, "reason": "",
}  # fmt: skip
_NO_PROPOSAL: dict[str, Any] = {"proposed": None, "proposed_judging": None, "proposed_by": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedJudging:
    """What a review must know of a judging."""

    #: of its present judging
    judging: int
    #: None: it is being judged
    verdict: str | None


def reviewed(
    before: Mapping[str, Any],
    draft: ReviewDraft,
    submission: ReviewedJudging,
    *,
    by: int,
    at: str,
    is_alone: bool,
) -> Mapping[str, Any] | ContestRefusal:
    """Return the review after an act, or why it is refused.

    ``is_alone``: no other account is of the jury, so the account confirms its own override.
    """
    refusal = _refusal(before, draft, submission, by=by, is_alone=is_alone)
    if refusal is not None:
        return refusal
    reason = {"reason": draft.reason} if draft.reason else {}
    changes = _changes(before, draft, submission, by)
    return {**before, **changes, **reason, "act": draft.act.value, "by": by, "at": at}


def _refusal(
    before: Mapping[str, Any], draft: ReviewDraft, submission: ReviewedJudging, *, by: int, is_alone: bool
) -> ContestRefusal | None:
    act, needs_verdict = draft.act, draft.act not in _ANY_STATE
    is_proposed = before["proposed"] is not None and before["proposed_judging"] == submission.judging
    is_claimed = before["claimed_by"] not in (None, by)
    is_own = before["proposed_by"] == by and not is_alone
    checks = (
        (needs_verdict and submission.verdict is None, ContestRefusal.UNJUDGED),
        (needs_verdict and draft.judging != submission.judging, ContestRefusal.JUDGED_AGAIN),
        (act in {ReviewAct.CLAIM, ReviewAct.VERIFY} and is_claimed, ContestRefusal.CLAIMED),
        (act in {ReviewAct.VERIFY, ReviewAct.OVERRIDE} and is_proposed, ContestRefusal.PROPOSED),
        (act is ReviewAct.CONFIRM and not is_proposed, ContestRefusal.NOT_PROPOSED),
        (act is ReviewAct.CONFIRM and is_own, ContestRefusal.OWN_PROPOSAL),
    )
    return next((refusal for applies, refusal in checks if applies), None)


def _changes(before: Mapping[str, Any], draft: ReviewDraft, submission: ReviewedJudging, by: int) -> Mapping[str, Any]:
    # the verdict that the node has found is no override
    is_override = before["proposed"] != submission.verdict
    confirmed = {
        "override": before["proposed"],
        "override_judging": submission.judging,
        "override_by": before["proposed_by"],
        "confirmed_by": by,
    }
    changes: Mapping[ReviewAct, Mapping[str, Any]] = {
        ReviewAct.CLAIM: {"claimed_by": by},
        ReviewAct.RELEASE: {"claimed_by": None},
        ReviewAct.VERIFY: {"verified": submission.judging, "verified_by": by, "claimed_by": None},
        ReviewAct.OVERRIDE: {
            "proposed": draft.verdict,
            "proposed_judging": submission.judging,
            "proposed_by": by,
        },
        ReviewAct.CONFIRM: _NO_PROPOSAL | (confirmed if is_override else dict.fromkeys(confirmed)),
        ReviewAct.WITHDRAW: _NO_PROPOSAL,
        ReviewAct.IGNORE: {"is_ignored": True},
        ReviewAct.RESTORE: {"is_ignored": False},
    }
    return changes[draft.act]
