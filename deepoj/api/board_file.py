"""A scoreboard as one HTML file: for a site of the contest's own, an archive, or a printer. It needs no script, no
other file and no server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from html import escape

from quart import Response

from deepoj.api.contest_answers import csv_head, csv_row
from deepoj.api.contest_sight import ContestSight
from deepoj.api.downloads import at_once, cell, csv_of, download, file_of
from deepoj.api.models.contests import CellView, RowView, ScoreboardView
from deepoj.contests.board import points_text
from deepoj.contests.clock import minutes_of
from deepoj.contests.ledger import ContestLedger

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, "Noto Sans CJK SC", sans-serif; }
body { margin: 1rem; } h1 { font-size: 1.4rem; margin: 0; } p { margin: .25rem 0 .75rem; opacity: .75; }
div { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: 4px 8px; border-bottom: 1px solid #8884; text-align: center; font-variant-numeric: tabular-nums; }
th.team { text-align: left; min-width: 9rem; overflow-wrap: anywhere; } small { display: block; font-weight: 400; }
.solved { background: #00996633; font-weight: 600; } .first { outline: 2px solid #096; outline-offset: -2px; }
.tried { color: #c04a00; } .pending { background: #0072b233; }
@media print { tr { break-inside: avoid; } }
"""
_ENGLISH: Mapping[str, str] = {
    "lang": "en", "rank": "Rank", "team": "Team", "solved": "Total", "penalty": "Penalty",
    "points": "Points", "points_key": "points of each problem; ? not judged yet, or hidden by the freeze",
    "frozen": "The board is frozen: it does not show the verdicts since.",
    "made": "Scoreboard of {at}.",
    "key": "+ solved, with rejected submissions before and the minute; ★ first team to solve it; − rejected; ? not"
    " judged yet, or hidden by the freeze",
}  # fmt: skip
_CHINESE: Mapping[str, str] = {
    "lang": "zh-CN", "rank": "名次", "team": "队伍", "solved": "解题数", "penalty": "罚时",
    "points": "总分", "points_key": "每格为该题得分；? 待评测或已封榜",
    "frozen": "已封榜：榜单不显示封榜后的评测结果。",
    "made": "榜单时间：{at}。",
    "key": "+ 通过，附此前未通过的次数和通过时的分钟数；★ 首个通过；− 未通过；? 待评测或已封榜",
}  # fmt: skip


def board_file(
    board: ScoreboardView, title: str, at: dt.datetime, *, is_scored: bool, is_chinese: bool
) -> Iterator[str]:
    """Yield the file. ``at``: when the board was so; ``is_scored``: points count, not problems."""
    words = _CHINESE if is_chinese else _ENGLISH
    made = words["made"].format(at=at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC"))
    yield f'<!DOCTYPE html>\n<html lang="{words["lang"]}">\n<head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n<p>{made}"
    yield f" {words['frozen']}</p>\n" if board.is_frozen else "</p>\n"
    yield f'<div><table>\n<thead><tr><th scope="col">{words["rank"]}</th>'
    yield f'<th scope="col" class="team">{words["team"]}</th>'
    for total in ("points",) if is_scored else ("solved", "penalty"):
        yield f'<th scope="col">{words[total]}</th>'
    for problem in board.problems:
        yield f'<th scope="col" title="{escape(problem.name)}">{escape(problem.label)}</th>'
    yield "</tr></thead>\n<tbody>\n"
    for row in board.rows:
        yield _row(row)
    yield f"</tbody>\n</table></div>\n<p>{words['points_key' if is_scored else 'key']}</p>\n</body>\n</html>\n"


def board_download(
    sight: ContestSight,
    ledger: ContestLedger,
    board: ScoreboardView,
    ending: str,
    *,
    at: dt.datetime | None,
    is_chinese: bool,
    has_bom: bool,
) -> Response:
    """Answer with a scoreboard as a file: ``ending`` is ``csv`` or ``html``. ``at``: see ``Contesting.seen_until``, and
    None for a CSV file, which does not say it; ``has_bom``: see ``downloads.csv_of``."""
    name, rules = f"scoreboard-{sight.contest.key}.{ending}", sight.contest.rules
    if ending == "csv":
        heads = [str(cell(one)) for one in csv_head(board, is_scored=ledger.is_scored)]
        rows = at_once([csv_row(row) for row in board.rows])
        return download(name, "text/csv; charset=utf-8", csv_of(heads, rows, has_bom=has_bom))
    if at is None:
        raise AssertionError("a contest has an event from its creation on")
    title = rules.formal_name or rules.name
    html = "".join(board_file(board, title, at, is_scored=ledger.is_scored, is_chinese=is_chinese)).encode()
    return file_of(name, "text/html; charset=utf-8", html)


def _row(row: RowView) -> str:
    organization = f"<small><bdi>{escape(row.organization)}</bdi></small>" if row.organization else ""
    totals = (row.solved, row.penalty) if row.points is None else (points_text(row.points),)
    total = "".join(f"<td>{one}</td>" for one in totals)
    return (
        f'<tr><td>{row.rank}</td><th scope="row" class="team"><bdi>{escape(row.name)}</bdi>{organization}</th>'
        f"{total}{''.join(map(_cell, row.cells))}</tr>\n"
    )


def _cell(cell: CellView) -> str:
    waits = f"?{cell.pending if cell.pending > 1 else ''}" if cell.pending else ""
    if cell.points is not None:
        return f"<td>{points_text(cell.points) if cell.judged else ''} {waits}</td>"
    if cell.solved_ms is not None:
        first, star = (" first", "★") if cell.is_first else ("", "")
        tries = cell.rejected or ""
        return f'<td class="solved{first}">{star}+{tries}<small>{minutes_of(cell.solved_ms)}</small></td>'
    tried = f"−{cell.judged}" if cell.judged else ""
    if cell.pending:
        return f'<td class="pending">{tried} {waits}</td>'
    return f'<td class="tried">{tried}</td>' if tried else "<td></td>"
