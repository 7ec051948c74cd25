"""Dead letters, for administrators."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from quart import Blueprint
from quart_schema import document_querystring, document_request, document_response, security_scheme

from deepoj.api.auth import Auth
from deepoj.api.body import current_request, read_json, text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import whole
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.models.dlq import (
    DecisionBody,
    DecisionView,
    LedgerEventView,
    LetterPage,
    LetterQuery,
    LetterTold,
    LetterView,
)
from deepoj.pipeline import dlq
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


def blueprint(context: ApiContext, auth: Auth) -> Blueprint:
    """``/api/v1/admin/dlq``."""
    routes = Blueprint("dlq", __name__, url_prefix="/api/v1/admin/dlq")
    settings = context.settings

    @routes.get("")
    @security_scheme([{"bearer": []}])
    @document_querystring(LetterQuery)
    @document_response(LetterPage)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 503)
    async def letters() -> dict[str, Any]:
        """List dead letters, newest submission first, in pages.

        For administrators. Send ``next`` of a page as ``before`` to get the following page.
        """
        await auth.admin()
        page = await dlq.page(context.letters, whole("limit", _PAGE, _MAX_PAGE), whole("before", None, _MAX_ID))
        after = None if page.next_before is None else str(page.next_before)
        return reply(LetterPage(letters=[_view(letter) for letter in page.letters], next=after))

    @routes.get("/<job_id>")
    @security_scheme([{"bearer": []}])
    @document_response(LetterTold)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 503)
    async def letter(job_id: str) -> dict[str, Any]:
        """Return one dead letter with its events in the ledger.

        For administrators.
        """
        await auth.admin()
        told = await dlq.show(context.letters, job_id) if _JOB_ID.fullmatch(job_id) else None
        if told is None:
            raise Refused(ApiError.NO_SUCH_DEAD_LETTER)
        events = [LedgerEventView(**dataclasses.asdict(event)) for event in told.events]
        return reply(LetterTold(letter=_view(told.letter), events=events))

    @routes.post("/<job_id>/requeue")
    @security_scheme([{"bearer": []}])
    @document_request(DecisionBody)
    @document_response(DecisionView)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 409)
    @document_response(ErrorBody, 503)
    async def requeue(job_id: str) -> dict[str, Any]:
        """Requeue a dead letter with a fresh set of attempts.

        For administrators.
        """
        return await decided(Decision.REQUEUE, job_id)

    @routes.post("/<job_id>/discard")
    @security_scheme([{"bearer": []}])
    @document_request(DecisionBody)
    @document_response(DecisionView)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 409)
    @document_response(ErrorBody, 503)
    async def discard(job_id: str) -> dict[str, Any]:
        """Discard a dead letter: its verdict becomes System Error, finally.

        For administrators.
        """
        return await decided(Decision.DISCARD, job_id)

    async def decided(decision: Decision, job_id: str) -> dict[str, Any]:
        admin = await auth.admin()
        body = await read_json(current_request(), DecisionBody, timeout_s=settings.read_timeout_s)
        note = text("note", body.note)
        if len(note) > _MAX_NOTE_CHARS:
            raise Refused(ApiError.INVALID, field="note", problem=f"at most {_MAX_NOTE_CHARS} characters")
        if body.attempt_id is not None and not 0 <= body.attempt_id <= _MAX_ID:
            raise Refused(ApiError.INVALID, field="attempt_id", problem="there is no attempt with this number")
        if not _JOB_ID.fullmatch(job_id):
            raise Refused(ApiError.NO_SUCH_DEAD_LETTER)
        answer = await dlq.decide(
            context.letters,
            decision,
            job_id,
            attempt_id=body.attempt_id,
            by=admin.username,
            note=note,
            stream_key=settings.stream_key,
        )
        match answer:
            case Decided():
                return reply(
                    DecisionView(
                        job_id=answer.job_id,
                        attempt_id=answer.attempt_id,
                        decision=decision,
                        repeated=answer.repeated,
                    )
                )
            case LetterRefusal():
                raise Refused(_REFUSALS[answer])

    return routes


def _view(letter: DeadLetter) -> LetterView:
    return LetterView(**{name: value for name, value in dataclasses.asdict(letter).items() if name != "id"})
