"""What a user has achieved, for those who see the profile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from quart import Response

from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.http.paths import query_number
from deepoj.api.own_account import OwnAccount
from deepoj.web.page import ANYONE, page
from deepoj.web.render import Pages
from deepoj.web.visitor import Visitor
from deepoj.words.marks import ActiveDay

#: solved problems on a page
_PAGE = 200
_MAX_ID = 2**63 - 1
#: submissions whose verdicts are counted
_COUNTED = 10_000
_WEEK = 7
_WEEKS = 53
#: submissions of a day from which each shade of the year begins
_SHADES = (1, 3, 6, 12)


@dataclass(frozen=True, slots=True)
class YearDay:
    """A day in the picture of a year. ``shade``: 0 without submissions, to 4."""

    day: dt.date
    count: int
    shade: int


def year_of(days: Sequence[ActiveDay], today: dt.date) -> list[list[YearDay]]:
    """Return the last 53 weeks, the one of ``today`` last, as a row for each day of the week; Monday comes first."""
    counts = {one.day: one.submissions for one in days}
    first = today - dt.timedelta(days=today.weekday() + _WEEK * (_WEEKS - 1))
    shown = (first + dt.timedelta(days=number) for number in range(_WEEK * _WEEKS))
    year = [
        YearDay(day, count := counts.get(day, 0), sum(count >= least for least in _SHADES))
        for day in shown
        if day <= today
    ]
    return [year[weekday::_WEEK] for weekday in range(_WEEK)]


class ProfilePages:
    """``/users/{name}``."""

    def __init__(self, context: ApiContext, auth: Auth, pages: Pages) -> None:
        self._context, self._pages = context, pages
        self._own_account = OwnAccount(context, auth)

    @page("GET", "/users/<name>", access=ANYONE)
    async def profile(self, visitor: Visitor, name: str) -> Response:
        """Show solved problems, verdicts and a year's activity of a user."""
        after, marks = query_number("after", 0, _MAX_ID), self._context.marks
        user = await self._own_account.profile(name, visitor.user)
        viewer = None if visitor.user is None else visitor.user.id
        solved = await marks.solved_problems(user.id, after, _PAGE + 1, viewer=viewer)
        # days are those of the database, whose clock dates submissions
        today = dt.datetime.fromtimestamp(await self._context.accounts.database_time_s(), dt.UTC).date()
        days = await marks.active_days(user.id, _WEEK * _WEEKS)
        return self._pages.html(
            "profile.html",
            visitor,
            user=user,
            solved=solved[:_PAGE],
            solved_count=await marks.count_solved(user.id, viewer=viewer),
            next_after=solved[_PAGE - 1].problem_id if len(solved) > _PAGE else None,
            is_first=after == 0,
            verdicts_of=await marks.user_verdicts(user.id, _COUNTED),
            counted=_COUNTED,
            year=year_of(days, today),
            year_count=sum(one.submissions for one in days),
            active=len(days),
        )
