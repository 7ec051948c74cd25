"""The state of the system, for operators and administrators, and decisions about dead letters."""

from __future__ import annotations

from quart import Response, request

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import query_number
from deepoj.api.letters import DecidingLetters
from deepoj.api.rights import Right
from deepoj.web import forms
from deepoj.web.page import needs, page
from deepoj.web.render import Pages, redirect
from deepoj.web.symptoms import symptoms
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.ledger import Decision
from deepoj.words.outbox import LANES
from deepoj.words.readiness import PartState

_PAGE = 50
_MAX_ID = 2**63 - 1
_MAX_NODES = 200
#: a snapshot of what waits is shown up to this age
_SNAPSHOT_AGE_S = 60.0


class SystemPages:
    """``/manage/system`` and what is below it."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._context, self._visitors, self._pages = context, visitors, pages
        self._letters = DecidingLetters(context)

    @page("GET", "/manage/system", access=needs(Right.OPERATE))
    async def system(self, visitor: Visitor) -> Response:
        """Show nodes, the queue, dead letters, and what needs a person."""
        context = self._context
        before = query_number("before", None, _MAX_ID)
        nodes = await context.roster.announced_nodes(_MAX_NODES)
        letters = await self._letters.page(_PAGE, before)
        readiness, snapshot = context.ready(), context.backpressure.latest(_SNAPSHOT_AGE_S)
        pressed = context.backpressure.look()
        return self._pages.html(
            "system.html",
            visitor,
            symptoms=list(
                symptoms(
                    readiness, nodes, snapshot, refuses=pressed is not None, has_letters=bool(letters.letters or before)
                )
            ),
            parts=sorted(readiness.parts.items(), key=lambda part: (part[1] is PartState.UP, part[0])),
            reasons=readiness.reasons,
            nodes=nodes,
            snapshot=snapshot,
            pressed=pressed,
            thresholds=context.backpressure.settings,
            lanes=LANES,
            letters=letters,
            before=before,
            done=request.args.get("done"),
        )

    @page("GET", "/manage/system/letters/<job_id>", access=needs(Right.OPERATE))
    async def letter(self, visitor: Visitor, job_id: str) -> Response:
        """Show a dead letter with its events, and ask what to do with it."""
        return await self._letter(visitor, job_id)

    @page("POST", "/manage/system/letters/<job_id>", access=needs(Right.OPERATE))
    async def decide(self, visitor: Visitor, job_id: str) -> Response:
        """Requeue or discard a dead letter, fenced by the attempt that the person saw."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._context.settings.read_timeout_s)
        try:
            decision = _decision(form.get("decision"))
            await self._letters.decide(
                decision, job_id, visitor.member, attempt_id=_attempt(form.get("attempt_id")), note=form.line("note")
            )
        except Refused as refused:
            return await self._letter(visitor, job_id, note=form.line("note"), refused=refused)
        return redirect(f"/manage/system?done={decision}")

    async def _letter(
        self, visitor: Visitor, job_id: str, *, note: str = "", refused: Refused | None = None
    ) -> Response:
        try:
            history = await self._letters.history(job_id)
        except Refused as gone:
            raise refused or gone from None
        return self._pages.html(
            "letter.html",
            visitor,
            http_status=200 if refused is None else refused.api_error.status,
            letter=history.letter,
            events=history.events,
            note=note,
            refused=refused,
        )


def _decision(word: str) -> Decision:
    if word not in list(Decision):
        raise Refused(ApiError.INVALID, field="decision", problem="it is no decision about a dead letter")
    return Decision(word)


def _attempt(raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 19):
        raise Refused(ApiError.INVALID, field="attempt_id", problem="there is no attempt with this number")
    return int(raw)
