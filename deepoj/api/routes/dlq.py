"""Dead letters, for operators and administrators."""

from __future__ import annotations

import dataclasses

from deepoj.api.access import needs
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.http.paths import query_number
from deepoj.api.letters import DecidingLetters
from deepoj.api.models.dlq import (
    DecisionBody,
    DecisionView,
    LedgerEventView,
    LetterHistory,
    LetterPage,
    LetterQuery,
    LetterView,
)
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.words.accounts import User
from deepoj.words.ledger import DeadLetter, Decision

_MAX_PAGE = 200
_PAGE = 50
_MAX_ID = 2**63 - 1


class LetterRoutes:
    """``/api/v1/admin/dlq``."""

    def __init__(self, context: ApiContext) -> None:
        self._letters, self._timeout_s = DecidingLetters(context), context.settings.read_timeout_s

    @route("GET", "/api/v1/admin/dlq", access=needs(Right.OPERATE), query=LetterQuery, responses={200: LetterPage})
    async def letters(self, _user: User) -> LetterPage:
        """List dead letters, newest submission first, in pages.

        For operators and administrators. Send ``next`` of a page as ``before`` to get the following page.
        """
        limit, before = query_number("limit", _PAGE, _MAX_PAGE), query_number("before", None, _MAX_ID)
        page = await self._letters.page(limit, before)
        after = None if page.next_before is None else str(page.next_before)
        return LetterPage(letters=[_view(letter) for letter in page.letters], next=after)

    @route("GET", "/api/v1/admin/dlq/<job_id>", access=needs(Right.OPERATE), responses={200: LetterHistory})
    async def letter(self, _user: User, job_id: str) -> LetterHistory:
        """Return one dead letter with its events in the ledger.

        For operators and administrators.
        """
        history = await self._letters.history(job_id)
        events = [LedgerEventView(**dataclasses.asdict(event)) for event in history.events]
        return LetterHistory(letter=_view(history.letter), events=events)

    @route(
        "POST",
        "/api/v1/admin/dlq/<job_id>/requeue",
        access=needs(Right.OPERATE),
        body=DecisionBody,
        responses={200: DecisionView},
        errors=(409,),
    )
    async def requeue(self, user: User, job_id: str) -> DecisionView:
        """Requeue a dead letter with a fresh set of attempts.

        For operators and administrators.
        """
        return await self._decide(Decision.REQUEUE, job_id, user)

    @route(
        "POST",
        "/api/v1/admin/dlq/<job_id>/discard",
        access=needs(Right.OPERATE),
        body=DecisionBody,
        responses={200: DecisionView},
        errors=(409,),
    )
    async def discard(self, user: User, job_id: str) -> DecisionView:
        """Discard a dead letter: its verdict becomes System Error, finally.

        For operators and administrators.
        """
        return await self._decide(Decision.DISCARD, job_id, user)

    async def _decide(self, decision: Decision, job_id: str, user: User) -> DecisionView:
        body = await read_json(DecisionBody, timeout_s=self._timeout_s)
        decided = await self._letters.decide(decision, job_id, user, attempt_id=body.attempt_id, note=body.note)
        return DecisionView(
            job_id=decided.job_id, attempt_id=decided.attempt_id, decision=decision, repeated=decided.repeated
        )


def _view(letter: DeadLetter) -> LetterView:
    return LetterView(**{name: value for name, value in dataclasses.asdict(letter).items() if name != "id"})
