"""Acts that end a contest. The page of each says what it does, and asks for the contest's key."""

from __future__ import annotations

from quart import Response

from deepoj.api.contest_rejudging import ContestRejudging
from deepoj.api.contesting import MAX_COMMENT_CHARS, Contesting
from deepoj.api.context import ApiContext
from deepoj.api.errors import Refused
from deepoj.api.rights import Right
from deepoj.contests.awards import Medals, standings_stamp
from deepoj.contests.ledger import name_of
from deepoj.contests.views import final_comment
from deepoj.web import forms
from deepoj.web.contest_forms import whole_number
from deepoj.web.contests import ContestReader
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import EventType
from deepoj.words.previews import OPEN

_RUN = member_with(Right.RUN_CONTESTS)
#: fields of the form → what they are at first
_FIRST = {"gold": "4", "silver": "4", "bronze": "4", "by_median": "", "comment": ""}


#: teams of the board that are shown: as many as get a medal at first
_LEADERS = 12


class ManageContestEndPages:
    """``/manage/contests/{key}/finalize``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages, reader: ContestReader) -> None:
        self._context, self._visitors, self._pages, self._reader = context, visitors, pages, reader
        self._contesting, self._rejudging = Contesting(context), ContestRejudging(context)

    @page("GET", "/manage/contests/<key>/finalize", access=_RUN)
    async def ask_finalize(self, visitor: Visitor, key: str) -> Response:
        """Say what is unfinished and what finalizing does, and ask for the contest's key."""
        return await self._finalize(visitor, key)

    @page("POST", "/manage/contests/<key>/finalize", access=_RUN)
    async def finalize(self, visitor: Visitor, key: str) -> Response:
        """Finalize a contest, if its key was typed."""
        timeout_s, max_bytes = self._context.settings.read_timeout_s, forms.bytes_for(4 * MAX_COMMENT_CHARS)
        form = await forms.read(self._visitors, visitor, timeout_s=timeout_s, max_bytes=max_bytes)
        contest = (await self._reader.read(visitor, key)).contest
        try:
            form.require_typed(contest.key)
            gold, silver, bronze = (whole_number(form, name) for name in ("gold", "silver", "bronze"))
            medals = Medals(gold=gold, silver=silver, bronze=bronze, by_median=bool(form.get("by_median")))
            await self._contesting.finalize(
                contest, medals, visitor.member, comment=form.get("comment"), standings=form.get("standings")
            )
        except Refused as refused:
            return await self._finalize(visitor, key, form, refused)
        await self._context.contests.advance()  # what is due now should be seen now
        return redirect(f"/manage/contests/{key}?done=finalize")

    async def _finalize(
        self, visitor: Visitor, key: str, form: forms.SentForm | None = None, refused: Refused | None = None
    ) -> Response:
        reading = await self._reader.read(visitor, key)
        ledger, sent = reading.ledger, {} if form is None else form.fields
        rejudges = [one for one in await self._rejudging.past(reading.contest) if one.state in OPEN]
        left = {
            "is_over": reading.contest.closed_at is not None,
            "unjudged": reading.unjudged(),
            "failed": ledger.judge_failures(),
            "unverified": sum(map(ledger.to_verify, ledger.of(EventType.SUBMISSIONS))),
            "unanswered": ledger.unanswered(),
            "rejudges": rejudges,
        }
        return self._pages.html_with_refusal(
            "manage_contest_finalize.html",
            visitor,
            refused,
            left=left,
            is_offered=left["is_over"] and not any(value for name, value in left.items() if name != "is_over"),
            sent={name: sent.get(name, first if form is None else "") for name, first in _FIRST.items()},
            most=MAX_COMMENT_CHARS,
            standings=standings_stamp(ledger),
            leaders=[
                (row.rank, name_of(ledger.of(EventType.TEAMS), row.team_id))
                for row in ledger.jury_board.rows()[:_LEADERS]
                if row.has_result
            ],
            final_comment=final_comment(ledger, reading.viewer),
            **reading.frame(),
        )
