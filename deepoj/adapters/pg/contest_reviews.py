"""Reviews of a contest's submissions in PostgreSQL (``sql/queries/contest_reviews.sql``)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json
from deepoj.contests.clock import iso_time
from deepoj.contests.reviews import NO_REVIEW, ReviewedJudging, reviewed
from deepoj.words.contests import (
    FINAL_COMMENT,
    CommentaryDraft,
    Contest,
    ContestObject,
    ContestRefusal,
    EventType,
    ReviewAct,
    ReviewDraft,
)
from deepoj.words.previews import OPEN, PreviewState

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection


async def store_review(
    connection: Connection, contest_id: int, submission_id: int, draft: ReviewDraft, *, by: int, again: bool
) -> ContestObject | ContestRefusal:
    """Store an act of the jury in a transaction that has locked the contest. Return the event that it must write.

    ``again``: the answer of a first try was lost, which may have done the act.
    """
    row = await connection.fetchrow(queries()["review_of"].sql, contest_id, submission_id, by)
    if row is None:
        return ContestRefusal.UNKNOWN_SUBMISSION
    before = NO_REVIEW if row["review"] is None else json.loads(row["review"])
    submission = ReviewedJudging(judging=row["judging"], verdict=row["verdict"])
    review = reviewed(before, draft, submission, by=by, at=row["at"], is_alone=row["is_alone"])
    if isinstance(review, ContestRefusal):
        if not again or (before.get("act"), before.get("by")) != (draft.act.value, by):
            return review
        review = before
    await connection.execute(queries()["put_review"].sql, contest_id, submission_id, clean_json(review))
    if draft.act is ReviewAct.CONFIRM:
        await connection.execute(queries()["settle_mark_of_review"].sql, submission_id)
    await connection.execute(queries()["release_contest"].sql, contest_id, submission_id)
    await connection.execute(queries()["notify_review"].sql, row["job_id"])
    return ContestObject(EventType.REVIEWS, str(submission_id), review)


def details_of(submission_id: int, draft: ReviewDraft) -> dict[str, Any]:
    """Return what the log of administrative acts says of an act of the jury."""
    details = {"submission": submission_id, "act": draft.act, "judging": draft.judging}
    more = {"verdict": draft.verdict, "reason": draft.reason}
    return details | {name: value for name, value in more.items() if value}


async def left_to_do(connection: Connection, found: Contest) -> ContestRefusal | None:
    """Return what must be done before a contest is finalized."""
    if await connection.fetchval(queries()["contest_unjudged"].sql, found.id):
        return ContestRefusal.UNJUDGED
    if await connection.fetchval(queries()["contest_unanswered"].sql, found.id):
        return ContestRefusal.UNANSWERED
    if found.rules.is_verifying and await connection.fetchval(queries()["contest_unverified"].sql, found.id):
        return ContestRefusal.UNVERIFIED
    newest = await connection.fetchrow(queries()["contest_rejudges"].sql, found.id, None, 1)
    if newest is not None and PreviewState(newest["state"]) in OPEN:
        return ContestRefusal.REJUDGING
    return None


def final_comment_of(final: Contest, comment: str) -> ContestObject:
    """Return the remark that is made when a contest is finalized."""
    remark = asdict(CommentaryDraft(message=comment, tags=("finalized",)))
    return ContestObject(EventType.COMMENTARY, FINAL_COMMENT, {**remark, "at": iso_time(final.finalized_at)})
