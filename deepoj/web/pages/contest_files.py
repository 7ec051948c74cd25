"""Scoreboards and grids of homework as files, for those who see them in the browser."""

from __future__ import annotations

from dataclasses import replace

from quart import Response

from deepoj.api.board_file import board_download
from deepoj.api.contest_answers import Scoreboards
from deepoj.api.contest_sight import ContestSight
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.rights import Right
from deepoj.contests.views import PUBLIC
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.page import ANYONE, member_with, page
from deepoj.web.visitor import Visitor

_ENDINGS = frozenset({"csv", "html"})


class ContestFilePages:
    """``/contests/{key}/scoreboard.csv`` and ``.html``, and the same with all verdicts below ``/manage``.

    The API has the board of the public, but knows no sessions.
    """

    def __init__(self, reader: ContestReader) -> None:
        self._reader, self._boards = reader, Scoreboards()

    @page("GET", "/contests/<key>/scoreboard.<ending>", access=ANYONE, limit=Limit.SPECTATOR)
    async def scoreboard(self, visitor: Visitor, key: str, ending: str) -> Response:
        """Download the board of the public, which teams and the jury see, too."""
        # the time in the file is that of a view which may have to be folded first
        reading = await self._reader.read(visitor, key, is_costly=ending == "html")
        return await self._file(replace(reading, viewer=PUBLIC), visitor, ending)

    @page("GET", "/manage/contests/<key>/scoreboard.<ending>", access=member_with(Right.RUN_CONTESTS))
    async def whole(self, visitor: Visitor, key: str, ending: str) -> Response:
        """Download the board with all verdicts."""
        return await self._file(await self._reader.read(visitor, key), visitor, ending)

    async def _file(self, reading: ContestReading, visitor: Visitor, ending: str) -> Response:
        if ending not in _ENDINGS:
            raise Refused(ApiError.NOT_FOUND)
        sight = ContestSight(reading.contest, reading.viewer)
        at = await self._reader.contesting.seen_until(sight) if ending == "html" else None
        board = self._boards.view(sight, reading.ledger)
        is_chinese = visitor.language == "zh"
        return board_download(sight, reading.ledger, board, ending, at=at, is_chinese=is_chinese, has_bom=True)
