"""Dead letters and decisions about them, as routes and pages show and make them."""

from __future__ import annotations

from deepoj.api.body import text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import job_id_of
from deepoj.pipeline import dlq
from deepoj.words.accounts import User
from deepoj.words.ledger import Decided, Decision, LetterRefusal

_MAX_NOTE_CHARS = 500
_MAX_ID = 2**63 - 1

_REFUSALS = {
    LetterRefusal.UNKNOWN_JOB: ApiError.NO_SUCH_DEAD_LETTER,
    LetterRefusal.NOT_DEAD: ApiError.NOT_A_DEAD_LETTER,
    LetterRefusal.STALE_ATTEMPT: ApiError.DIED_AGAIN,
}


class DecidingLetters:
    """Reads dead letters and decides about them. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._letters, self._stream_key = context.letters, context.settings.stream_key

    async def page(self, limit: int, before: int | None) -> dlq.Page:
        """Return dead letters, newest submission first, of those whose id is below ``before``."""
        return await dlq.page(self._letters, limit, before)

    async def history(self, job_id: str) -> dlq.DeadLetterHistory:
        """Return a dead letter with its events in the ledger."""
        history = await dlq.show(self._letters, job_id) if job_id_of(job_id) else None
        if history is None:
            raise Refused(ApiError.NO_SUCH_DEAD_LETTER)
        return history

    async def decide(
        self, decision: Decision, job_id: str, user: User, *, attempt_id: int | None, note: str
    ) -> Decided:
        """Requeue or discard a dead letter; ``pipeline.dlq`` explains ``attempt_id``."""
        note = text("note", note)
        if len(note) > _MAX_NOTE_CHARS:
            raise Refused(ApiError.INVALID, field="note", problem=f"at most {_MAX_NOTE_CHARS} characters")
        if attempt_id is not None and not 0 <= attempt_id <= _MAX_ID:
            raise Refused(ApiError.INVALID, field="attempt_id", problem="there is no attempt with this number")
        if job_id_of(job_id) is None:
            raise Refused(ApiError.NO_SUCH_DEAD_LETTER)
        decided = await dlq.decide(
            self._letters,
            decision,
            job_id,
            attempt_id=attempt_id,
            by=user.username,
            note=note,
            stream_key=self._stream_key,
        )
        if isinstance(decided, LetterRefusal):
            raise Refused(_REFUSALS[decided])
        return decided
