"""A row of a scoreboard as HTML.

A board of 500 teams has 6,000 cells, so each has as few elements and bytes as it can: end tags that HTML does not need
are left out, and what a cell says in words is the name of its link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import escape

from deepoj.web.awards import MEDALS
from deepoj.web.contests import ShownPoints, ShownProblem
from deepoj.web.shown import bdi


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


_SOLVED = _("solved in minute %(minute)s, rejected before: %(tries)s")
_SOLVED_AT_ONCE = _("solved in minute %(minute)s")
_FIRST = _("first to solve")
_PENDING = _("not judged or hidden: %(pending)s, rejected: %(tries)s")
_WAITING = _("not judged or hidden: %(pending)s")
_REJECTED = _("rejected: %(tries)s")
_POINTS = _("%(points)s of %(most)s points")

type Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class ShownCell:
    """One team at one problem. ``tries``: rejected ones before the solution, or all of those that were judged."""

    is_solved: bool
    is_first: bool
    tries: int
    pending: int
    minute: int
    #: None: problems count, not points
    points: ShownPoints | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """One row without its place, which changes with other rows."""

    team_id: str
    team: str
    organization: str
    #: empty: none, or the awards are not shown yet
    medal: str
    solved: int
    penalty: int
    #: empty: problems count, not points
    points: str
    cells: tuple[ShownCell, ...]


def row_html(row: ShownRow, problems: Sequence[ShownProblem], path: str, translate: Translate) -> str:
    """Return the cells of a row after the rank, in one line: it is an event of a stream, too. ``path``: that of the
    cells' pages."""
    medal = f'<b class="medal">{escape(translate(MEDALS[row.medal]))}</b>' if row.medal else ""
    below = " · ".join(filter(None, (medal, bdi(row.organization))))
    # a space, so that the two are two words for readers and in the clipboard
    name = f"{bdi(row.team)} <small>{below}</small>" if below else bdi(row.team)
    total = f"<td>{escape(row.points)}" if row.points else f"<td>{row.solved}<td>{row.penalty}"
    team_path = f"{path}/{quote(row.team_id, safe='')}"
    cells = (
        _points_html(cell.points, f"{team_path}/{quote(problem.label, safe='')}", translate)
        if cell.points is not None
        else _cell_html(cell, f"{team_path}/{quote(problem.label, safe='')}", translate)
        for cell, problem in zip(row.cells, problems, strict=True)
    )
    return f'<th scope="row">{name}{total}{"".join(cells)}'


def _cell_html(cell: ShownCell, path: str, translate: Translate) -> str:
    counts = {"minute": cell.minute, "tries": cell.tries, "pending": cell.pending}
    if cell.is_solved:
        words = translate(_SOLVED if cell.tries else _SOLVED_AT_ONCE) % counts
        shown = f"+{cell.tries or ''}&#10;{cell.minute}"
        if cell.is_first:
            return _link("solved first", path, f"{words}, {translate(_FIRST)}", f"★{shown}")
        return _link("solved", path, words, shown)
    if cell.pending:
        tries = f"−{cell.tries} " if cell.tries else ""
        words = translate(_PENDING if cell.tries else _WAITING) % counts
        return _link("pending", path, words, f"{tries}?{cell.pending if cell.pending > 1 else ''}")
    return _link("tried", path, translate(_REJECTED) % counts, f"−{cell.tries}") if cell.tries else "<td>"


def _points_html(points: ShownPoints, path: str, translate: Translate) -> str:
    if not points.judged and not points.pending:
        return "<td>"
    kind, words, shown = f"share-{points.share}", [], ""
    if points.judged:
        words.append(translate(_POINTS) % {"points": points.points, "most": points.most})
        shown = points.points
    if points.pending:
        words.append(translate(_WAITING) % {"pending": points.pending})
        kind, shown = f"{kind} waits", f"{shown} ?{points.pending if points.pending > 1 else ''}"
    subtasks = " · ".join(f"{name}: {got}" for name, got in points.subtasks)
    return _link(kind, path, ", ".join(words), shown, f' title="{escape(subtasks)}"' if subtasks else "")


def _link(kind: str, path: str, words: str, shown: str, title: str = "") -> str:
    return f'<td class="{kind}"{title}><a href="{path}" aria-label="{escape(words)}">{shown}</a>'
