"""Boards of contests as HTML: rendered once for all their readers.

A board that has changed is rendered again row by row: rows that are the same keep their HTML. A reader of its stream
gets the rows that differ from those that its page shows; of a row that is the same but for its rank, that. A page
says which board it shows (``since``), so it does not get again what it has.
"""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from markupsafe import Markup, escape
from quart import request

from deepoj.api.live.events import LiveEvent, last_event_id
from deepoj.contests.board import BoardCell, BoardRow, points_text
from deepoj.contests.clock import minutes_of
from deepoj.contests.ledger import name_of
from deepoj.contests.views import ContestViewer
from deepoj.web.awards import medals_of
from deepoj.web.board_rows import ShownCell, ShownRow, row_html
from deepoj.web.contests import ContestReading, ShownProblem, shown_points
from deepoj.web.render import Pages, gettext_of
from deepoj.web.visitor import Visitor
from deepoj.words.contests import EventType
from deepoj.words.names import name_key

#: boards that are kept: a contest in two languages for the public and the jury, and its groups
_KEPT = 64
#: earlier states of a board that are kept: a page that shows one of them gets what has changed since
_EARLIER = 8


@dataclass(frozen=True, slots=True)
class BoardLine:
    """A row at its place. ``html``: its cells after the rank."""

    rank: int
    row: ShownRow
    html: str
    #: what the row was made of: the board's cells, and all else
    cells: Mapping[str, BoardCell]
    rest: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class BoardHead:
    """What is around the rows: of another head all is replaced."""

    problems: tuple[ShownProblem, ...]
    has_started: bool
    #: verdicts are hidden, and whether they stay so until the contest's directors thaw the board
    is_frozen: bool
    #: contest time at which it was frozen; 0: it is not
    frozen_ms: int
    #: ids of the teams, sorted
    teams: tuple[str, ...]
    is_scored: bool


class BoardEvent(LiveEvent):
    """An event of a board's stream, which is encoded once for all its readers."""

    @functools.cached_property
    def _bytes(self) -> bytes:
        return super().encoded()

    def encoded(self) -> bytes:
        return self._bytes


@dataclass(slots=True)
class BoardRendering:
    """A board as it was after an event. It is shared, so nothing in it is of one reader."""

    #: a digest of what it shows: the number of an event would tell of those that it hides
    id: str
    #: number of the last event after which it was so
    last: int
    is_over: bool
    head: BoardHead
    #: id of a team → its row, by place
    lines: Mapping[str, BoardLine]
    #: renders all of it
    render: Callable[[BoardRendering], str]
    _whole: BoardEvent | None = None
    _since: dict[str, BoardEvent | None] = field(default_factory=dict)

    def whole(self) -> BoardEvent:
        """Return the event that replaces the whole board."""
        if self._whole is None:
            self._whole = BoardEvent("board", self.id, self.render(self))
        return self._whole

    def since(self, former: BoardRendering) -> BoardEvent | None:
        """Return the event that changes ``former`` into this board; None: it is the same.

        Its data is HTML: a ``<tr>`` for each row that has changed, or has another rank, by place. One without cells
        keeps those that it has. All others keep their order, which depends on nothing but what they show.
        """
        if self.head != former.head:
            return self.whole()
        if former.id not in self._since:
            changed = [
                patch
                for place, (team_id, line) in enumerate(self.lines.items(), 1)
                if (patch := _patch(place, line, former.lines[team_id]))
            ]
            self._since[former.id] = BoardEvent("rows", self.id, "".join(changed)) if changed else None
        return self._since[former.id]

    def forget(self) -> None:
        """Drop the whole board: this one is superseded, and only compared with."""
        self._whole = None
        self._since.clear()


class Boards:
    """The boards of this node."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        #: boards with their earlier states, the newest last
        self._kept: OrderedDict[tuple[object, ...], deque[BoardRendering]] = OrderedDict()

    def rendering(self, reading: ContestReading, visitor: Visitor, group_id: str) -> BoardRendering:
        """Return the board of the public, or of the jury if the viewer is of it. ``group_id``: empty for all teams."""
        ledger, key = reading.ledger, _key(reading, visitor, group_id)
        states = self._kept.setdefault(key, deque(maxlen=_EARLIER))
        self._kept.move_to_end(key)
        former = states[-1] if states else None
        if former is not None and former.last == ledger.last:
            return former
        seen = ContestReading(reading.contest, ledger, ContestViewer(is_jury=reading.viewer.is_jury))
        rendering = self._render(seen, visitor, group_id, former)
        if former is not None and former.id == rendering.id:
            # an event without a change takes no earlier state's place
            former.lines, former.last = rendering.lines, rendering.last
            return former
        if former is not None:
            former.forget()
        states.append(rendering)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return rendering

    def earlier(self, reading: ContestReading, visitor: Visitor, group_id: str, id_: str) -> BoardRendering | None:
        """Return an earlier state of the board; None: it is not kept."""
        states = self._kept.get(_key(reading, visitor, group_id), ())
        return next((state for state in states if state.id == id_), None)

    def _render(
        self, seen: ContestReading, visitor: Visitor, group_id: str, former: BoardRendering | None
    ) -> BoardRendering:
        ledger, problems = seen.ledger, tuple(seen.problems())
        board = ledger.jury_board if seen.viewer.is_jury else ledger.public_board
        teams, organizations = ledger.of(EventType.TEAMS), ledger.of(EventType.ORGANIZATIONS)
        firsts = {problem.label: board.first_to_solve(problem.label) for problem in problems}
        medals, translate, path = medals_of(seen), gettext_of(visitor.language), cells_path(seen)
        known = former.lines if former is not None and former.head.problems == problems else {}
        lines: dict[str, BoardLine] = {}
        for row in board.rows():
            if group_id and group_id not in (teams[row.team_id].get("group_ids") or ()):
                continue
            team = name_of(teams, row.team_id)
            organization = name_of(organizations, teams[row.team_id].get("organization_id"))
            medal = medals.get(row.team_id, "")
            rest = team, organization, medal, frozenset(one for one, first in firsts.items() if row.team_id in first)
            before = known.get(row.team_id)
            if before is None or before.cells is not row.cells or before.rest != rest:
                shown = ShownRow(
                    team_id=row.team_id,
                    team=team,
                    organization=organization,
                    medal=medal,
                    solved=row.solved,
                    penalty=row.penalty,
                    points="" if row.points is None else points_text(row.points),
                    cells=tuple(_cells(row, problems, firsts)),
                )
                # rows are the same after the boards were laid out again
                is_same = before is not None and before.row == shown
                html = before.html if before is not None and is_same else row_html(shown, problems, path, translate)
                lines[row.team_id] = BoardLine(row.rank, shown, html, row.cells, rest)
            else:
                lines[row.team_id] = before if before.rank == row.rank else replace(before, rank=row.rank)
        head = BoardHead(
            problems,
            has_started=ledger.state.get("started_at") is not None,
            is_frozen=ledger.is_frozen and not seen.viewer.is_jury,
            frozen_ms=ledger.freeze_ms or 0,
            teams=tuple(sorted(lines)),
            is_scored=ledger.is_scored,
        )

        def whole(rendering: BoardRendering) -> str:
            rows = [Markup(_tr(line, line.html)) for line in rendering.lines.values()]  # noqa: S704 - ours
            return self._pages.piece("_board.html", visitor, board=rendering.head, rows=rows)

        is_over = ledger.state.get("end_of_updates_at") is not None
        return BoardRendering(_digest(is_over, head, lines), ledger.last, is_over, head, lines, whole)


@dataclass(slots=True)
class BoardFeed:
    """``Feed`` of a board: ``board`` replaces all of it, ``rows`` changes rows, ``own`` is the line of the reader's
    team. The id of an event is that of the board."""

    render: Callable[[], Awaitable[BoardRendering]]
    #: renders the line of the reader's team; None: the reader has none
    own: Callable[[BoardRendering], str] | None
    #: the board that the reader's page shows; None: all of it is sent first
    shown: BoardRendering | None = None
    _own: str | None = None
    _is_over: bool = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    async def events(self) -> Sequence[LiveEvent]:
        rendering = await self.render()
        former, self.shown = self.shown, rendering
        if former is rendering and self._own is not None and not rendering.is_over:
            return ()
        events: list[LiveEvent] = []
        if former is None:
            events.append(rendering.whole())
        elif former is not rendering and (change := rendering.since(former)) is not None:
            events.append(change)
        own = "" if self.own is None else self.own(rendering)
        if own != (self._own or ""):
            events.append(LiveEvent("own", rendering.id, own))
        self._own = own
        if rendering.is_over:
            self._is_over = True
            events.append(LiveEvent("done", rendering.id, ""))
        return events


def cells_path(reading: ContestReading) -> str:
    """Return the path below which the cells of a contest's board have their pages, from the page of the board."""
    return f"{reading.path}/board" if reading.viewer.is_jury else "board"


def element_of(team_id: str) -> str:
    """Return the id of the element that is a team's row."""
    return f"team-{team_id}"


def _key(reading: ContestReading, visitor: Visitor, group_id: str) -> tuple[object, ...]:
    return (reading.contest.id, reading.viewer.is_jury, group_id, visitor.language)


def _digest(is_over: bool, head: BoardHead, lines: Mapping[str, BoardLine]) -> str:
    digest = hashlib.blake2b(repr((is_over, head)).encode(), digest_size=12)
    for line in lines.values():
        digest.update(_tr(line, line.html).encode())
    return digest.hexdigest()


def _patch(place: int, line: BoardLine, former: BoardLine) -> str:
    if line.row != former.row:
        return _tr(line, line.html, f' data-place="{place}" data-changed')
    return _tr(line, "", f' data-place="{place}"') if line.rank != former.rank else ""


def _tr(line: BoardLine, cells: str, more: str = "") -> str:
    medal = f' class="{line.row.medal}"' if line.row.medal else ""
    return f'<tr id="{escape(element_of(line.row.team_id))}"{more}><td{medal}>{line.rank}{cells}</tr>\n'


def groups_of(reading: ContestReading) -> list[tuple[str, str]]:
    """Return id and name of the groups by which a board may be filtered, in their order."""
    found: list[tuple[Any, str, str]] = [
        (data.get("sortorder") or 0, str(data.get("name") or group_id), group_id)
        for group_id, data in reading.objects(EventType.GROUPS)
    ]
    found.sort(key=lambda one: (one[0], name_key(one[1]), one[2]))
    return [(group_id, name) for _order, name, group_id in found]


def board_group(reading: ContestReading) -> str:
    """Return the group of the query string, if the contest has it and shows it; else none."""
    group = request.args.get("group", "")
    return group if group in dict(groups_of(reading)) else ""


def shown_board() -> str:
    """Return which board the reader's page shows: that of its last event, or of the page itself."""
    return last_event_id() or request.args.get("since", "")


def board_values(
    rendering: BoardRendering, reading: ContestReading, group: str, *, own_team: str | None = None
) -> dict[str, Any]:
    """Return what the page of a board shows. ``own_team``: the reader's, whose row is marked on this page alone."""
    html, own_row = str(rendering.whole().data), "" if own_team is None else element_of(own_team)
    if own_row:
        html = html.replace(f'<tr id="{escape(own_row)}"', f'<tr id="{escape(own_row)}" class="own"', 1)
    return {
        "board_html": Markup(html),  # noqa: S704 - of our templates
        "board_id": rendering.id,
        "is_over": rendering.is_over,
        "own_row": own_row,
        "groups": groups_of(reading),
        "group": group,
        "is_projected": request.args.get("tv") == "1",
    }


def _cells(row: BoardRow, problems: Sequence[ShownProblem], firsts: Mapping[str, frozenset[str]]) -> list[ShownCell]:
    return [
        _cell(row.cells.get(problem.label, BoardCell()), problem, is_first=row.team_id in firsts[problem.label])
        for problem in problems
    ]


def _cell(cell: BoardCell, problem: ShownProblem, *, is_first: bool) -> ShownCell:
    if cell.points is not None:
        shown = shown_points(cell, problem.max_score)
        return ShownCell(
            is_solved=False, is_first=False, tries=cell.judged, pending=cell.pending, minute=0, points=shown
        )
    if cell.solved_ms is None:
        return ShownCell(is_solved=False, is_first=False, tries=cell.judged, pending=cell.pending, minute=0)
    return ShownCell(
        is_solved=True,
        is_first=is_first,
        tries=cell.rejected,
        pending=cell.pending,
        minute=minutes_of(cell.solved_ms),
    )
