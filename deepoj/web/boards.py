"""Boards of contests as HTML: rendered once for all their readers.

A board that has changed is rendered again row by row: rows that are the same keep their HTML. A reader of its stream
gets the rows that differ from those that it has, by their places in the table.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from quart import request

from deepoj.api.live.events import LiveEvent
from deepoj.contests.board import BoardCell, BoardRow
from deepoj.contests.clock import minutes_of
from deepoj.contests.views import ContestViewer
from deepoj.web.contests import ContestReading, ShownProblem, name_of
from deepoj.web.render import Pages
from deepoj.web.visitor import Visitor
from deepoj.words.contests import EventType

#: boards that are kept: a contest in two languages for the public and the jury, and its groups
_KEPT = 200
#: how a row begins that takes the place of another one
_PATCH = '<tr data-changed data-hx-swap-oob="true" '


@dataclass(frozen=True, slots=True)
class ShownCell:
    """One team at one problem. ``tries``: rejected ones before the solution, or all of those that were judged."""

    is_solved: bool
    is_first: bool
    tries: int
    pending: int
    minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """One row. ``place``: its 1-based index in the table; teams of the same rank have different ones."""

    place: int
    rank: int
    team: str
    organization: str
    solved: int
    penalty: int
    cells: tuple[ShownCell, ...]


@dataclass(frozen=True, slots=True)
class BoardHead:
    """What is around the rows: of another head all is replaced."""

    problems: tuple[ShownProblem, ...]
    has_started: bool
    #: verdicts are hidden, and whether they stay so until the contest's directors thaw the board
    is_frozen: bool
    freeze_minutes: int
    count: int


@dataclass(slots=True)
class BoardRendering:
    """A board as it was after an event. It is shared, so nothing in it is of one reader."""

    number: int
    is_over: bool
    head: BoardHead
    #: id of a team → its row and the HTML of it, by place
    rows: Mapping[str, tuple[ShownRow, str]]
    whole: str
    _since: dict[int, str | None] = field(default_factory=dict)

    def since(self, former: BoardRendering) -> str | None:
        """Return the rows that are not as in ``former``, empty if all are; None: more than rows has changed."""
        if self.head != former.head:
            return None
        if former.number not in self._since:
            pairs = zip(self.rows.values(), former.rows.values(), strict=True)
            changed = [html.replace("<tr ", _PATCH, 1) for (_, html), (_, old) in pairs if html != old]
            self._since[former.number] = "".join(changed)
        return self._since[former.number]


class Boards:
    """The boards of this node."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._kept: OrderedDict[tuple[object, ...], BoardRendering] = OrderedDict()

    def rendering(self, reading: ContestReading, visitor: Visitor, group_id: str) -> BoardRendering:
        """Return the board of the public, or of the jury if the viewer is of it. ``group_id``: empty for all teams."""
        ledger, viewer = reading.ledger, ContestViewer(is_jury=reading.viewer.is_jury)
        key = (reading.contest.id, viewer.is_jury, group_id, visitor.language)
        former = self._kept.get(key)
        if former is not None and former.number == ledger.last:
            self._kept.move_to_end(key)
            return former
        seen = ContestReading(reading.contest, ledger, viewer)
        self._kept[key] = rendering = self._render(seen, visitor, group_id, former)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return rendering

    def _render(
        self, seen: ContestReading, visitor: Visitor, group_id: str, former: BoardRendering | None
    ) -> BoardRendering:
        ledger, problems = seen.ledger, tuple(seen.problems())
        board = ledger.jury_board if seen.viewer.is_jury else ledger.public_board
        teams, organizations = ledger.of(EventType.TEAMS), ledger.of(EventType.ORGANIZATIONS)
        firsts = {problem.label: board.first_to_solve(problem.label) for problem in problems}
        found = [row for row in board.rows() if not group_id or group_id in (teams[row.team_id].get("group_ids") or ())]
        known = former.rows if former is not None and former.head.problems == problems else {}
        rows: dict[str, tuple[ShownRow, str]] = {}
        for place, row in enumerate(found, 1):
            shown = ShownRow(
                place=place,
                rank=row.rank,
                team=name_of(teams, row.team_id),
                organization=name_of(organizations, teams[row.team_id].get("organization_id")),
                solved=row.solved,
                penalty=row.penalty,
                cells=tuple(_cells(row, problems, firsts)),
            )
            before = known.get(row.team_id)
            is_same = before is not None and before[0] == shown
            rows[row.team_id] = before if is_same and before else (shown, self._row(visitor, shown, problems))
        state, freeze_ms = ledger.state, ledger.contest.get("freeze_ms")
        head = BoardHead(
            problems,
            has_started=state.get("started_at") is not None,
            is_frozen=state.get("frozen_at") is not None and state.get("thawed_at") is None and not seen.viewer.is_jury,
            freeze_minutes=minutes_of(freeze_ms or 0),
            count=len(rows),
        )
        whole = self._pages.piece(
            "_board.html",
            visitor,
            board=head,
            rows=[Markup(html) for _, html in rows.values()],  # noqa: S704 - ours
        )
        is_over = state.get("end_of_updates_at") is not None
        return BoardRendering(ledger.last, is_over, head, rows, whole)

    def _row(self, visitor: Visitor, row: ShownRow, problems: Sequence[ShownProblem]) -> str:
        return self._pages.piece("_board_row.html", visitor, row=row, problems=problems)


@dataclass(slots=True)
class BoardFeed:
    """``Feed`` of a board: ``board`` replaces all of it, ``rows`` the rows that have changed, ``own`` the line of the
    reader's team. A stream begins with everything, so a browser that comes back has it again."""

    render: Callable[[], Awaitable[BoardRendering]]
    #: renders the line of the reader's team; None: the reader has none
    own: Callable[[BoardRendering], str] | None
    _shown: BoardRendering | None = None
    _own: str | None = None
    _sent: int = 0
    _is_over: bool = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    async def events(self) -> Sequence[LiveEvent]:
        rendering = await self.render()
        former, self._shown = self._shown, rendering
        if former is rendering and not rendering.is_over:
            return ()
        rows = None if former is None else rendering.since(former)
        pieces: list[tuple[str, str]] = []
        if rows is None:
            pieces.append(("board", rendering.whole))
        elif rows:
            pieces.append(("rows", rows))
        if self.own is not None and (own := self.own(rendering)) != self._own:
            self._own = own
            pieces.append(("own", own))
        if rendering.is_over:
            self._is_over = True
            pieces.append(("done", ""))
        self._sent += bool(pieces)
        return [LiveEvent(name, str(self._sent), piece) for name, piece in pieces]


def groups_of(reading: ContestReading) -> list[tuple[str, str]]:
    """Return id and name of the groups by which a board may be filtered, in their order."""
    found: list[tuple[Any, str, str]] = [
        (data.get("sortorder") or 0, str(data.get("name") or group_id), group_id)
        for group_id, data in reading.objects(EventType.GROUPS)
    ]
    return [(group_id, name) for _order, name, group_id in sorted(found)]


def board_group(reading: ContestReading) -> str:
    """Return the group of the query string, if the contest has it and shows it; else none."""
    group = request.args.get("group", "")
    return group if group in dict(groups_of(reading)) else ""


def _cells(row: BoardRow, problems: Sequence[ShownProblem], firsts: Mapping[str, set[str]]) -> list[ShownCell]:
    return [
        _cell(row.cells.get(problem.label, BoardCell()), is_first=row.team_id in firsts[problem.label])
        for problem in problems
    ]


def _cell(cell: BoardCell, *, is_first: bool) -> ShownCell:
    if cell.solved_ms is None:
        return ShownCell(is_solved=False, is_first=False, tries=cell.judged, pending=cell.pending, minute=0)
    return ShownCell(
        is_solved=True,
        is_first=is_first,
        tries=cell.rejected,
        pending=cell.pending,
        minute=minutes_of(cell.solved_ms),
    )
