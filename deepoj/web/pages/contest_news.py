"""News of contests on their open pages, for teams and for the jury; boards have them in their own streams."""

from __future__ import annotations

from dataclasses import replace

from quart import Response

from deepoj.api.contest_ledgers import topic_of
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rights import Right
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.news import News
from deepoj.web.page import MEMBER, member_with, page
from deepoj.web.visitor import Visitor


class ContestNewsPages:
    """``/contests/{key}/events`` and ``/manage/contests/{key}/events``."""

    def __init__(self, context: ApiContext, reader: ContestReader, news: News) -> None:
        self._context, self._reader, self._news = context, reader, news

    @page("GET", "/contests/<key>/events", access=MEMBER)
    async def events(self, visitor: Visitor, key: str) -> Response:
        """Stream what is new for a team, or for the jury, as pieces of the contest's pages."""
        return await self._events(visitor, key)

    @page("GET", "/manage/contests/<key>/events", access=member_with(Right.RUN_CONTESTS))
    async def manage_events(self, visitor: Visitor, key: str) -> Response:
        """Stream what is new for the jury as pieces of the pages of those who run the contest."""
        return await self._events(visitor, key)

    async def _events(self, visitor: Visitor, key: str) -> Response:
        reading = await self._reader.read(visitor, key)
        if not reading.viewer.is_jury and reading.viewer.team_id is None:
            raise Refused(ApiError.NOT_FOUND)

        async def read() -> ContestReading:
            return replace(reading, ledger=await self._context.ledgers.ledger(reading.contest))

        async def remains() -> bool:
            return await self._reader.remains(visitor, reading)

        feed = self._news.feed(visitor, read)
        return self._context.live.answer(visitor.member.id, topic_of(reading.contest), feed, remains)
