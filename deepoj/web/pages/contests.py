"""Contests as the public and teams see them: the list, a contest, its board, submissions and clarifications."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from markupsafe import Markup
from quart import Response, request

from deepoj.api.contest_errors import ContestError
from deepoj.api.contest_ledgers import topic_of
from deepoj.api.contest_sight import ContestSight
from deepoj.api.contest_texts import texts_of
from deepoj.api.contesting import MAX_CLARIFICATION_CHARS
from deepoj.api.context import ApiContext
from deepoj.api.errors import Refused
from deepoj.api.http.limits import Limit
from deepoj.api.http.paths import query_number
from deepoj.contests.cells import opened_cell
from deepoj.contests.clock import minutes_of
from deepoj.contests.views import PUBLIC, final_comment
from deepoj.web import forms
from deepoj.web.awards import shown_awards
from deepoj.web.boards import BoardFeed, BoardRendering, Boards, board_group, board_values, shown_board
from deepoj.web.contests import (
    UNDER_WAY,
    ContestPhase,
    ContestReader,
    ContestReading,
    end_of,
    phase_of,
    read_before,
    remember_read,
)
from deepoj.web.news import BoardWithNews, News, list_query
from deepoj.web.page import ANYONE, MEMBER, page
from deepoj.web.pages.contest_registration import registration_values
from deepoj.web.render import Pages, gettext_of, redirect
from deepoj.web.turns import next_turn
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import ClarificationDraft

_PAGE = 100
_MAX_NUMBER = 2**31 - 1


class ContestPages:
    """``/contests`` and what is below it, without the problems."""

    def __init__(
        self,
        context: ApiContext,
        visitors: Visitors,
        pages: Pages,
        reader: ContestReader,
        boards: Boards,
        *,
        news: News,
    ) -> None:
        self._context, self._visitors, self._pages = context, visitors, pages
        self._boards, self._news = boards, news
        self._reader = reader

    @page("GET", "/contests", access=ANYONE, limit=Limit.SPECTATOR)
    async def contests(self, visitor: Visitor) -> Response:
        """List the contests that the visitor sees: those under way, those to come, those that are over."""
        found = await self._reader.contesting.listed(visitor.user)
        phases = [(contest, phase_of(contest)) for contest in found]
        now = dt.datetime.now(dt.UTC)
        turns = [turn for contest in found if (turn := next_turn(contest, None, None, now)) is not None]
        turn = min(turns, key=lambda one: one.at, default=None)
        return self._pages.html(
            "contests.html",
            visitor,
            turn=turn,
            turn_s=None if turn is None else turn.refresh_s(now),
            is_answer=False,
            running=[(contest, end_of(contest)) for contest, phase in phases if phase in UNDER_WAY],
            coming=[contest for contest, phase in reversed(phases) if phase is ContestPhase.COMING],
            past=[contest for contest, phase in phases if phase in (ContestPhase.OVER, ContestPhase.FINAL)],
        )

    @page("GET", "/contests/<key>", access=ANYONE, limit=Limit.SPECTATOR)
    async def contest(self, visitor: Visitor, key: str) -> Response:
        """Show a contest: its times, its problems, the visitor's team."""
        reading = await self._reader.read(visitor, key)
        is_member = reading.viewer.team_id is not None
        return self._pages.html(
            "contest.html",
            visitor,
            solved=reading.solved() if is_member else set(),
            **registration_values(reading, visitor),
            results=reading.results(),
            awards=shown_awards(reading, gettext_of(visitor.language)),
            final_comment=final_comment(reading.ledger, reading.viewer),
            **reading.frame(),
        )

    @page("GET", "/contests/<key>/scoreboard", access=ANYONE, limit=Limit.SPECTATOR)
    async def scoreboard(self, visitor: Visitor, key: str) -> Response:
        """Show the board of the public, also to teams and the jury."""
        reading = await self._reader.read(visitor, key)
        group = board_group(reading)
        rendering = self._boards.rendering(replace(reading, viewer=PUBLIC), visitor, group)
        own = self._own(reading, visitor)
        return self._pages.html(
            "contest_board.html",
            visitor,
            own=None if own is None else Markup(own(rendering)),  # noqa: S704 - of our templates
            here=f"{reading.path}/scoreboard",
            **board_values(rendering, reading, group, own_team=reading.viewer.team_id),
            **reading.frame(),
        )

    @page("GET", "/contests/<key>/board", access=ANYONE, limit=Limit.SPECTATOR)
    async def board(self, visitor: Visitor, key: str) -> Response:
        """Lead to the board: programs and people know it by this name, too."""
        return redirect(f"{(await self._reader.read(visitor, key)).path}/scoreboard")

    @page("GET", "/contests/<key>/scoreboard/events", access=ANYONE, limit=Limit.SPECTATOR)
    async def board_events(self, visitor: Visitor, key: str) -> Response:
        """Stream the board as pieces of its page."""
        reading = await self._reader.read(visitor, key)
        group = board_group(reading)
        contest, viewer = reading.contest, reading.viewer

        async def render() -> BoardRendering:
            ledger = await self._context.ledgers.ledger(contest)
            return self._boards.rendering(ContestReading(contest, ledger, PUBLIC), visitor, group)

        async def remains() -> bool:
            return await self._reader.remains(visitor, reading)

        shown = self._boards.earlier(replace(reading, viewer=PUBLIC), visitor, group, shown_board())

        async def read() -> ContestReading:
            return replace(reading, ledger=await self._context.ledgers.ledger(contest))

        board = BoardFeed(render, self._own(reading, visitor), shown)
        is_told = viewer.is_jury or viewer.team_id is not None
        feed = BoardWithNews(board, self._news.feed(visitor, read)) if is_told else board
        return self._context.live.answer(
            None if visitor.user is None else visitor.user.id, topic_of(contest), feed, remains
        )

    @page("GET", "/contests/<key>/board/<team>/<label>", access=ANYONE, limit=Limit.SPECTATOR)
    async def cell(self, visitor: Visitor, key: str, team: str, label: str) -> Response:
        """Show what is behind a cell of the board, as the visitor sees it."""
        reading = await self._reader.read(visitor, key)
        opened = opened_cell(reading.ledger, reading.viewer, team, label)
        if opened is None:
            raise Refused(ContestError.NO_SUCH_CELL)
        ledger, frame = reading.ledger, reading.frame()
        is_withheld = any(ledger.is_withheld(one.submission_id) for one in opened.attempts)
        sight = ContestSight(reading.contest, reading.viewer)
        return self._pages.html(
            "contest_cell.html",
            visitor,
            opened=opened,
            shown=next(one for one in frame["contest_problems"] if one.label == label),
            minute=minutes_of(opened.cell.solved_ms or 0),
            hides=is_withheld and not reading.viewer.is_jury,
            reads=any(one.job_id for one in opened.attempts),
            hosts=await self._reader.contesting.hosts(sight, opened),
            **frame | {"given_minutes": reading.given_minutes(team)},
        )

    @page("GET", "/contests/<key>/submissions", access=ANYONE, limit=Limit.SPECTATOR)
    async def submissions(self, visitor: Visitor, key: str) -> Response:
        """List submissions, the newest first: of all teams that the visitor sees, or of one; first those of the
        visitor's."""
        skipped, asked = query_number("after", 0, _MAX_NUMBER), request.args
        reading = await self._reader.read(visitor, key, is_costly=skipped > 0)
        team_id, label = asked.get("team", reading.viewer.team_id or ""), asked.get("problem", "")
        teams = reading.teams()
        team_id = team_id if team_id in teams else ""
        found = reading.submissions(team_id=team_id or None, label=label or None, skipped=skipped)
        shown = list(itertools.islice(found, _PAGE + 1))
        query = {"team": team_id, "problem": label}
        return self._pages.html(
            "contest_submissions.html",
            visitor,
            submissions=shown[:_PAGE],
            teams=teams.items(),
            query=query,
            team_shown=reading.team_name(team_id),
            next_after=skipped + _PAGE if len(shown) > _PAGE else None,
            is_first=skipped == 0,
            news_query=list_query(reading, query, shown[:_PAGE]),
            **reading.frame(),
        )

    @page("GET", "/contests/<key>/clarifications", access=ANYONE, limit=Limit.SPECTATOR)
    async def clarifications(self, visitor: Visitor, key: str) -> Response:
        """Show announcements, and the questions of the visitor's team with their answers."""
        return self._clarifications(visitor, await self._reader.read(visitor, key))

    @page("POST", "/contests/<key>/clarifications", access=MEMBER)
    async def ask(self, visitor: Visitor, key: str) -> Response:
        """Ask the jury a question. What was written is kept if it is refused."""
        timeout_s, max_bytes = self._context.settings.read_timeout_s, forms.bytes_for(4 * MAX_CLARIFICATION_CHARS)
        sent = await forms.read(self._visitors, visitor, timeout_s=timeout_s, max_bytes=max_bytes)
        reading = await self._reader.read(visitor, key)
        try:
            label = sent.line("problem") or None
            if reading.viewer.is_jury:  # its form is that of the contest's management
                raise Refused(ContestError.NOT_IN_CONTEST)
            draft = ClarificationDraft(problem_id=label, category=sent.line("category"), text=sent.line("text"))
            await self._reader.contesting.clarify(ContestSight(reading.contest, reading.viewer), draft)
        except Refused as refused:
            return self._clarifications(visitor, reading, sent.fields, refused)
        return redirect(f"{reading.path}/clarifications?done=asked")

    def _clarifications(
        self,
        visitor: Visitor,
        reading: ContestReading,
        sent: Mapping[str, str] | None = None,
        refused: Refused | None = None,
    ) -> Response:
        found = reading.clarifications(read=read_before())
        frame: dict[str, Any] = {**reading.frame(), "unread": 0}
        response = self._pages.html_with_refusal(
            "contest_clarifications.html",
            visitor,
            refused,
            clarifications=found,
            sent={"text": "", "category": "", "problem": request.args.get("problem", ""), **(sent or {})},
            most=MAX_CLARIFICATION_CHARS,
            categories=texts_of(ContestSight(reading.contest, reading.viewer), reading.ledger)["categories"],
            may_ask=reading.may_ask(),
            is_asked=refused is None and request.args.get("done") == "asked",
            **frame,
        )
        remember_read(response, found, reading.path, is_encrypted=self._visitors.is_encrypted())
        return response

    def _own(self, reading: ContestReading, visitor: Visitor) -> Callable[[BoardRendering], str] | None:
        """Return what renders the line of the visitor's team; None: the visitor is in no team."""
        team_id = reading.viewer.team_id
        if team_id is None:
            return None

        def own(rendering: BoardRendering) -> str:
            line = rendering.lines.get(team_id)
            return self._pages.piece("_board_own.html", visitor, line=line)

        return own
