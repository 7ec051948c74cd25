"""Taking part in a contest that everybody may join."""

from __future__ import annotations

from typing import Any

from quart import Response

from deepoj.api.context import ApiContext
from deepoj.web import forms
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.page import MEMBER, page
from deepoj.web.render import redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import ContestRegistration, EventType, team_of_one


class ContestRegistrationPages:
    """``POST /contests/{key}/registration``; the contest's page has the buttons."""

    def __init__(self, context: ApiContext, visitors: Visitors, reader: ContestReader) -> None:
        self._visitors, self._contesting = visitors, reader.contesting
        self._timeout_s = context.settings.read_timeout_s

    @page("POST", "/contests/<key>/registration", access=MEMBER)
    async def registration(self, visitor: Visitor, key: str) -> Response:
        """Register the visitor for a contest, or take the registration back."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        sight = await self._contesting.find(key, visitor.member)
        if form.line("act") == "register":
            await self._contesting.register(sight, visitor.member)
        else:
            await self._contesting.withdraw(sight, visitor.member)
        return redirect(f"/contests/{sight.contest.key}")


def registration_values(reading: ContestReading, visitor: Visitor) -> dict[str, Any]:
    """Return what the contest's page says of taking part."""
    contest, team_id, user = reading.contest, reading.viewer.team_id, visitor.user
    is_open = contest.rules.registration is ContestRegistration.OPEN and contest.ended_at is None
    is_alone = user is not None and team_id == team_of_one(user.id).id
    team = {} if team_id is None else reading.ledger.of(EventType.TEAMS).get(team_id, {})
    # a team that those who run the contest have grouped or hidden is theirs, as ``own_team_of_account`` in SQL says
    is_own = is_alone and not team.get("group_ids") and not team.get("is_hidden")
    return {
        "is_open": is_open,
        "may_register": is_open and team_id is None and user is not None,
        "may_withdraw": is_own and next(reading.submissions(team_id=team_id), None) is None,
    }
