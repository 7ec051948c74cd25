"""Rejudges of a contest for those who run it: which submissions, what would change, and then Apply or Cancel."""

from __future__ import annotations

import re
from functools import partial

from quart import Response

from deepoj.api.contest_rejudging import ContestRejudging
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.filters import language_filter, verdict_filter
from deepoj.api.rights import Right
from deepoj.contests.clock import MS_PER_MINUTE
from deepoj.judging.languages import LANGUAGES
from deepoj.web import forms
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contest_rejudges import ContestRejudgeScope
from deepoj.words.results import Verdict

_RUN = member_with(Right.RUN_CONTESTS)
_MINUTES = re.compile(r"[0-9]{1,6}")
#: changed verdicts and rows that are shown
_MAX_SHOWN = 200
_FIELDS = ("problem", "team", "language", "verdict", "host", "from", "until", "full")


class ManageContestRejudgePages:
    """``/manage/contests/{key}/rejudges`` and what is below it."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages, reader: ContestReader) -> None:
        self._timeout_s = context.settings.read_timeout_s
        self._visitors, self._pages, self._reader = visitors, pages, reader
        self._rejudging = ContestRejudging(context)

    @page("GET", "/manage/contests/<key>/rejudges", access=_RUN)
    async def rejudges(self, visitor: Visitor, key: str) -> Response:
        """List the rejudges of a contest, with the form for a new one."""
        return await self._listed(visitor, await self._reader.read(visitor, key))

    @page("POST", "/manage/contests/<key>/rejudges", access=_RUN)
    async def start(self, visitor: Visitor, key: str) -> Response:
        """Start a rejudge; its page shows what it would change."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        reading = await self._reader.read(visitor, key)
        try:
            started = await self._rejudging.start(
                reading.contest, visitor.member, _scope(form), in_full=bool(form.get("full"))
            )
        except Refused as refused:
            return await self._listed(visitor, reading, form, refused)
        return redirect(f"/manage/contests/{key}/rejudges/{started.id}")

    @page("GET", "/manage/contests/<key>/rejudges/<rejudge_id>", access=_RUN)
    async def rejudge(self, visitor: Visitor, key: str, rejudge_id: str) -> Response:
        """Show a rejudge with its effect on the board."""
        return await self._shown(visitor, key, rejudge_id)

    @page("POST", "/manage/contests/<key>/rejudges/<rejudge_id>", access=_RUN)
    async def act(self, visitor: Visitor, key: str, rejudge_id: str) -> Response:
        """Apply a rejudge, or cancel it."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        contest = (await self._reader.read(visitor, key)).contest
        try:
            await form.act(
                apply=partial(self._rejudging.apply, contest, rejudge_id, visitor.member),
                cancel=partial(self._rejudging.cancel, contest, rejudge_id, visitor.member),
            )
        except Refused as refused:
            return await self._shown(visitor, key, rejudge_id, refused)
        return redirect(f"/manage/contests/{key}/rejudges/{rejudge_id}")

    async def _listed(
        self,
        visitor: Visitor,
        reading: ContestReading,
        form: forms.SentForm | None = None,
        refused: Refused | None = None,
    ) -> Response:
        sent = {} if form is None else form.fields
        past, hosts = await self._rejudging.past(reading.contest), await self._rejudging.hosts(reading.contest)
        return self._pages.html_with_refusal(
            "manage_contest_rejudges.html",
            visitor,
            refused,
            rejudges=past,
            hosts=hosts,
            teams=reading.teams(),
            languages=LANGUAGES,
            verdicts=[verdict.value for verdict in Verdict if verdict is not Verdict.INVALID],
            sent={name: sent.get(name, "") for name in _FIELDS},
            **reading.frame(),
        )

    async def _shown(self, visitor: Visitor, key: str, rejudge_id: str, refused: Refused | None = None) -> Response:
        reading = await self._reader.read(visitor, key)
        result = await self._rejudging.result(reading.contest, rejudge_id)
        return self._pages.html_with_refusal(
            "manage_contest_rejudge.html",
            visitor,
            refused,
            rejudge=result.rejudge,
            is_unchanged=result.rejudge.decided_by is None and result.rejudge.changed == 0,
            failures=result.failures,
            effect=result.effect,
            teams=reading.teams(),
            languages=LANGUAGES,
            most=_MAX_SHOWN,
            **reading.frame(),
        )


def _scope(form: forms.SentForm) -> ContestRejudgeScope:
    """Return the scope that a form says. Raises Refused."""
    verdict = verdict_filter(form.line("verdict") or None)
    return ContestRejudgeScope(
        problem=form.line("problem") or None,
        language=language_filter(form.line("language") or None),
        team_id=form.line("team") or None,
        from_ms=_minute(form, "from"),
        until_ms=_minute(form, "until"),
        verdict=verdict,
        host=form.line("host") or None,
    )


def _minute(form: forms.SentForm, field: str) -> int | None:
    """Return the milliseconds of a field that says a minute of the contest. Raises Refused."""
    raw = form.line(field)
    if raw and not _MINUTES.fullmatch(raw):
        raise Refused(ApiError.INVALID, field=field, problem="a minute of the contest")
    return int(raw) * MS_PER_MINUTE if raw else None
