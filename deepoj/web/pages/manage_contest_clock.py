"""The clock of a contest for those who run it: start, pauses, freeze, length, intervals, extensions, and judging.

Each act is asked about first, on the same page, with what it will do. So nothing depends on a script.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from quart import Response, request

from deepoj.api.contest_clock import NEEDS_REASON, ContestClocks, checked_change, clock_view, end_after, sent_between
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rights import Right
from deepoj.contests.clock import MS_PER_MINUTE
from deepoj.web import forms
from deepoj.web.contest_forms import length_ms, moment_in, whole_number
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import ClockAct, ClockChange, EventType
from deepoj.words.stamps import stamp_of

_RUN = member_with(Right.RUN_CONTESTS)


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: of minutes
_MAX_DIGITS = 9
#: what an act is called, and what it does
ACTS = {
    ClockAct.START: (_("Start now"), _("The contest starts at this moment. This cannot be undone.")),
    ClockAct.MOVE: (_("Move the start"), _("The contest starts at another time.")),
    ClockAct.PAUSE: (
        _("Pause"),
        _("The clock stands still until you resume. While the contest is paused, no submission is taken."),
    ),
    ClockAct.RESUME: (_("Resume"), _("The clock goes on. The end moves by the length of the pause.")),
    ClockAct.FREEZE: (_("Freeze the board now"), _("From now on the board shows no new verdicts to others.")),
    ClockAct.THAW: (
        _("Thaw the board now"),
        _(
            "Everybody then sees the verdicts of the freeze; hidden ones once the last team's time is over. "
            "This cannot be undone."
        ),
    ),
    ClockAct.LENGTH: (_("Change the length"), _("The end moves. A freeze that has begun stays where it is.")),
    ClockAct.REMOVE: (
        _("Remove the interval"),
        _(
            "This time does not count: what was submitted in it has the contest time of its begin, and the end moves by"
            " its length. You can restore it."
        ),
    ),
    ClockAct.RESTORE: (_("Restore the interval"), _("This time counts again, and the board is as it was before.")),
    ClockAct.EXTEND: (_("Give more time"), _("The team may submit for longer than others, and its board counts it.")),
    ClockAct.PENALTY: (
        _("Set the penalty time"),
        _("The minutes count beside what the team's solutions give, in place of those that were set before."),
    ),
    ClockAct.HOLD: (
        _("Pause judging"),
        _("Submissions to the problem are taken and wait. What is with a worker is judged."),
    ),
    ClockAct.RELEASE: (_("Resume judging"), _("The submissions that wait are judged.")),
}


class ManageContestClockPages:
    """``/manage/contests/<key>/clock``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages, reader: ContestReader) -> None:
        self._context, self._visitors, self._pages, self._reader = context, visitors, pages, reader
        self._clocks = ContestClocks(context)

    @page("GET", "/manage/contests/<key>/clock", access=_RUN)
    async def clock(self, visitor: Visitor, key: str) -> Response:
        """Show the clock with its forms."""
        return self._shown(visitor, await self._reader.read(visitor, key))

    @page("POST", "/manage/contests/<key>/clock", access=_RUN)
    async def act(self, visitor: Visitor, key: str) -> Response:
        """Ask whether an act shall be done, and do it if the form says so (``sure``)."""
        timeout_s = self._context.settings.read_timeout_s
        form = await forms.read(self._visitors, visitor, timeout_s=timeout_s)
        reading = await self._reader.read(visitor, key)
        try:
            change = checked_change(_change(form))
            if form.get("sure") != _stamp(reading):
                return self._shown(visitor, reading, form, asked=change)
            if _ends_now(reading, change):
                reading.require_key(form)
            await self._clocks.change(reading.contest, change, visitor.member)
        except Refused as refused:
            return self._shown(visitor, await self._reader.read(visitor, key), form, refused)
        return redirect(f"/manage/contests/{key}/clock?done={change.act.value}")

    def _shown(
        self,
        visitor: Visitor,
        reading: ContestReading,
        form: forms.SentForm | None = None,
        refused: Refused | None = None,
        *,
        asked: ClockChange | None = None,
    ) -> Response:
        contest, ledger = reading.contest, reading.ledger
        sent = {} if form is None else form.fields
        fields = {name: text for name, text in sent.items() if name not in ("form_token", "confirm", "sure")}
        done = request.args.get("done", "")
        return self._pages.html_with_refusal(
            "manage_contest_clock.html",
            visitor,
            refused,
            clock=clock_view(contest, ledger),
            acts=ACTS,
            needs_reason={act.value for act in NEEDS_REASON},
            asked=asked,
            asked_again=bool(sent.get("sure")),
            stamp=_stamp(reading),
            fields=fields,
            sent={"act": "", "reason": "", "length": "", "team": "", "minutes": "", "penalty": "", **fields},
            asked_end=None if asked is None else end_after(contest, ledger, asked),
            asked_ends_now=asked is not None and _ends_now(reading, asked),
            asked_inside=None if asked is None else sent_between(ledger, asked),
            teams=reading.teams().items(),
            team_names=reading.teams(),
            done=ACTS[ClockAct(done)][0] if done in set(ClockAct) and refused is None else None,
            **reading.frame(),
        )


def _stamp(reading: ContestReading) -> str:
    """Return a text that tells whether the contest was changed, or has moved on, since an act was asked about."""
    contest, ledger = reading.contest, reading.ledger
    told = [ledger.of(type_) for type_ in (EventType.INTERVALS, EventType.EXTENSIONS, EventType.PENALTIES)]
    return stamp_of((contest.rules, ledger.state, told))


def _ends_now(reading: ContestReading, change: ClockChange) -> bool:
    """Return whether an act puts the end of the contest into the past: the contest is then over, and stays so."""
    end = end_after(reading.contest, reading.ledger, change) if change.act is ClockAct.LENGTH else None
    return end is not None and end <= dt.datetime.now(dt.UTC)


def _change(form: forms.SentForm) -> ClockChange:
    """Return the act that a form says. Raises Refused."""
    try:
        act = ClockAct(form.get("act"))
    except ValueError as error:
        raise Refused(ApiError.INVALID, field="act", problem="it is no act on a clock") from error
    fields: dict[str, Any] = {}
    match act:
        case ClockAct.MOVE:
            fields["start_at"] = moment_in(form, "start_at")
        case ClockAct.REMOVE:
            fields["start_at"], fields["end_at"] = moment_in(form, "start_at"), moment_in(form, "end_at")
        case ClockAct.LENGTH:
            fields["duration_ms"] = length_ms(form)
        case ClockAct.RESTORE:
            fields["interval"] = whole_number(form, "interval")
        case ClockAct.EXTEND:
            fields["team_id"], fields["extra_ms"] = form.get("team"), whole_number(form, "minutes") * MS_PER_MINUTE
        case ClockAct.PENALTY:
            minutes = form.line("penalty").removeprefix("-")
            if not (minutes.isascii() and minutes.isdecimal() and len(minutes) < _MAX_DIGITS):
                raise Refused(ApiError.INVALID, field="penalty", problem="a whole number of minutes")
            fields["team_id"], fields["penalty_min"] = form.get("team"), int(form.line("penalty"))
        case ClockAct.HOLD | ClockAct.RELEASE:
            fields["label"] = form.get("problem")
    return ClockChange(act=act, reason=form.line("reason"), **fields)
