"""Dead letters, for administrators."""

from __future__ import annotations

import dataclasses
import re

from deepoj.api.access import ADMIN
from deepoj.api.body import read_json, text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import query_number
from deepoj.api.models.dlq import (
    DecisionBody,
    DecisionView,
    LedgerEventView,
    LetterHistory,
    LetterPage,
    LetterQuery,
    LetterView,
)
from deepoj.api.route import route
from deepoj.pipeline import dlq
from deepoj.words.accounts import User
from deepoj.words.ledger import DeadLetter, Decided, Decision, LetterRefusal

_MAX_PAGE = 200
_PAGE = 50
_MAX_NOTE_CHARS = 500
_MAX_ID = 2**63 - 1
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_REFUSALS = {
    LetterRefusal.UNKNOWN_JOB: ApiError.NO_SUCH_DEAD_LETTER,
    LetterRefusal.NOT_DEAD: ApiError.NOT_A_DEAD_LETTER,
    LetterRefusal.STALE_ATTEMPT: ApiError.DIED_AGAIN,
}


class LetterRoutes:
    """``/api/v1/admin/dlq``."""

    def __init__(self, context: ApiContext) -> None:
        self._letters, self._settings = context.letters, context.settings

    @route("GET", "/api/v1/admin/dlq", access=ADMIN, query=LetterQuery, responses={200: LetterPage})
    async def letters(self, _admin: User) -> LetterPage:
        """List dead letters, newest submission first, in pages.

        For administrators. Send ``next`` of a page as ``before`` to get the following page.
        """
        limit, before = query_number("limit", _PAGE, _MAX_PAGE), query_number("before", None, _MAX_ID)
        page = await dlq.page(self._letters, limit, before)
        after = None if page.next_before is None else str(page.next_before)
        return LetterPage(letters=[_view(letter) for letter in page.letters], next=after)

    @route("GET", "/api/v1/admin/dlq/<job_id>", access=ADMIN, responses={200: LetterHistory})
    async def letter(self, _admin: User, job_id: str) -> LetterHistory:
        """Return one dead letter with its events in the ledger.

        For administrators.
        """
        history = await dlq.show(self._letters, job_id) if _JOB_ID.fullmatch(job_id) else None
        if history is None:
            raise Refused(ApiError.NO_SUCH_DEAD_LETTER)
        events = [LedgerEventView(**dataclasses.asdict(event)) for event in history.events]
        return LetterHistory(letter=_view(history.letter), events=events)

    @route(
        "POST",
        "/api/v1/admin/dlq/<job_id>/requeue",
        access=ADMIN,
        body=DecisionBody,
        responses={200: DecisionView},
        errors=(409,),
    )
    async def requeue(self, admin: User, job_id: str) -> DecisionView:
        """Requeue a dead letter with a fresh set of attempts.

        For administrators.
        """
        return await self._decide(Decision.REQUEUE, job_id, admin)

    @route(
        "POST",
        "/api/v1/admin/dlq/<job_id>/discard",
        access=ADMIN,
        body=DecisionBody,
        responses={200: DecisionView},
        errors=(409,),
    )
    async def discard(self, admin: User, job_id: str) -> DecisionView:
        """Discard a dead letter: its verdict becomes System Error, finally.

        For administrators.
        """
        return await self._decide(Decision.DISCARD, job_id, admin)

    async def _decide(self, decision: Decision, job_id: str, admin: User) -> DecisionView:
        body = await read_json(DecisionBody, timeout_s=self._settings.read_timeout_s)
        note = text("note", body.note)
        if len(note) > _MAX_NOTE_CHARS:
            raise Refused(ApiError.INVALID, field="note", problem=f"at most {_MAX_NOTE_CHARS} characters")
        if body.attempt_id is not None and not 0 <= body.attempt_id <= _MAX_ID:
            raise Refused(ApiError.INVALID, field="attempt_id", problem="there is no attempt with this number")
        if not _JOB_ID.fullmatch(job_id):
            raise Refused(ApiError.NO_SUCH_DEAD_LETTER)
        decided = await dlq.decide(
            self._letters,
            decision,
            job_id,
            attempt_id=body.attempt_id,
            by=admin.username,
            note=note,
            stream_key=self._settings.stream_key,
        )
        match decided:
            case Decided():
                return DecisionView(
                    job_id=decided.job_id,
                    attempt_id=decided.attempt_id,
                    decision=decision,
                    repeated=decided.repeated,
                )
            case LetterRefusal():
                raise Refused(_REFUSALS[decided])


def _view(letter: DeadLetter) -> LetterView:
    return LetterView(**{name: value for name, value in dataclasses.asdict(letter).items() if name != "id"})
