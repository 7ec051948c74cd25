"""The state of the system, for operators and administrators, and decisions about dead letters."""

from __future__ import annotations

from quart import Response, request

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import query_number
from deepoj.api.letters import DecidingLetters
from deepoj.api.live.events import SYSTEM_TOPIC
from deepoj.api.redelivering import given_up, redeliver
from deepoj.api.rights import Right, may
from deepoj.web import forms
from deepoj.web.charts import history_chart
from deepoj.web.operating import SystemFeed, Watch, audit_values, page_clock, parts_values, queue_values
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.ledger import Decision

_PAGE = 50
_MAX_ID = 2**63 - 1
_MAX_RUNNING = 100
_MAX_INTERRUPTIONS = 20


class SystemPages:
    """``/manage/system`` and what is below it."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages, watch: Watch) -> None:
        self._context, self._visitors, self._pages = context, visitors, pages
        self._letters, self._watch = DecidingLetters(context), watch

    @page("GET", "/manage/system", access=member_with(Right.OPERATE))
    async def system(self, visitor: Visitor) -> Response:
        """Show nodes, the queue, dead letters, and what needs a person."""
        context = self._context
        before = query_number("before", None, _MAX_ID)
        nodes = await self._watch.read()
        letters = await self._letters.page(_PAGE, before)
        hooks, more_hooks = await given_up(context, _PAGE, None)
        hour = await context.system.last_hour()
        running = await context.system.running_jobs(_MAX_RUNNING)
        shown = {job.problem_id for job in running} | {letter.problem_id for letter in letters.letters}
        return self._pages.html(
            "system.html",
            visitor,
            **self._watch.values(),
            clock=page_clock(),
            **parts_values(context),
            own=context.ready().parts,
            pipeline=await context.system.pipeline_times(),
            consumers=context.pressure.consumers,
            nodes=nodes,
            letters=letters,
            running=running,
            titles=await context.problems.problem_titles(shown, visitor.member.id),
            most_running=_MAX_RUNNING,
            hour=hour,
            hour_chart=history_chart(hour.verdicts, bar_width=50),
            interruptions=await context.system.interruptions(_MAX_INTERRUPTIONS),
            hooks=hooks,
            more_hooks=more_hooks is not None,
            **queue_values(context),
            **audit_values(context),
            before=before,
            done=request.args.get("done"),
        )

    @page("GET", "/manage/system/events", access=member_with(Right.OPERATE))
    async def events(self, visitor: Visitor) -> Response:
        """Stream what needs a person, what waits and the audit's progress as pieces of the page."""

        def clock() -> str:
            return self._pages.piece("_system_clock.html", visitor, clock=page_clock())

        def symptoms() -> str:
            return self._pages.piece("_system_symptoms.html", visitor, **self._watch.values())

        def nodes() -> str:
            return self._pages.piece("_system_nodes.html", visitor, nodes=self._watch.nodes)

        def queue() -> str:
            return self._pages.piece("_queue.html", visitor, **queue_values(self._context))

        def audit() -> str:
            return self._pages.piece("_system_audit.html", visitor, **audit_values(self._context))

        def parts() -> str:
            return self._pages.piece("_system_parts.html", visitor, **parts_values(self._context))

        async def remains() -> bool:
            return await self._visitors.remains(visitor, lambda user: may(user, Right.OPERATE))

        pieces = {
            "clock": clock, "symptoms": symptoms, "nodes": nodes, "queue": queue, "audit": audit, "parts": parts,
        }  # fmt: skip
        feed = SystemFeed(pieces, self._watch.refresh)
        return self._context.live.answer(visitor.member.id, SYSTEM_TOPIC, feed, remains)

    @page("POST", "/manage/system/audit", access=member_with(Right.OPERATE))
    async def audit(self, visitor: Visitor) -> Response:
        """Order an audit on this node, unless one is under way."""
        await forms.read(self._visitors, visitor, timeout_s=self._context.settings.read_timeout_s)
        is_new = self._context.audits.order(visitor.member.username)
        return redirect(f"/manage/system?done={'audit' if is_new else 'busy'}")

    @page("POST", "/manage/system/webhooks/<delivery_id>", access=member_with(Right.OPERATE))
    async def resend(self, visitor: Visitor, delivery_id: str) -> Response:
        """Begin another round of a webhook delivery that was given up."""
        await forms.read(self._visitors, visitor, timeout_s=self._context.settings.read_timeout_s)
        await redeliver(self._context, visitor.member, delivery_id)
        return redirect("/manage/system?done=resent")

    @page("GET", "/manage/system/letters/<job_id>", access=member_with(Right.OPERATE))
    async def letter(self, visitor: Visitor, job_id: str) -> Response:
        """Show a dead letter with its events, and ask what to do with it."""
        return await self._letter(visitor, job_id)

    @page("POST", "/manage/system/letters/<job_id>", access=member_with(Right.OPERATE))
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
        return self._pages.html_with_refusal(
            "letter.html",
            visitor,
            refused,
            letter=history.letter,
            events=history.events,
            note=note,
        )


def _decision(word: str) -> Decision:
    if word not in list(Decision):
        raise Refused(ApiError.INVALID, field="decision", problem="it is no decision about a dead letter")
    return Decision(word)


def _attempt(raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 19):
        raise Refused(ApiError.INVALID, field="attempt_id", problem="there is no attempt with this number")
    return int(raw)
