"""Feeds of made-up contests, with the oddities that published feeds show."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.contests.naive import MadeContest, MadeSubmission

DIALECTS = ("2020-03", "2022-07", "2023-06", "2026-01")
_TYPES = ({"id": "AC", "solved": True, "penalty": False}, {"id": "WA", "solved": False, "penalty": True},
          {"id": "TLE", "solved": False, "penalty": True}, {"id": "CE", "solved": False, "penalty": False})  # fmt: skip
_START = "2026-01-31T09:15:00.000+01:00"

submissions = st.builds(
    MadeSubmission,
    team=st.integers(0, 4),
    problem=st.integers(0, 3),
    time_ms=st.integers(-120_000, 32 * 60_000) | st.sampled_from([-1, 0, 299_999, 300_000, 1_799_999, 1_800_000]),
    words=st.lists(st.sampled_from([item["id"] for item in _TYPES]), max_size=3).map(tuple),
    deleted=st.sampled_from([False] * 9 + [True]),
)
contests = st.builds(
    MadeContest,
    teams=st.integers(1, 5),
    problems=st.integers(1, 4),
    hidden_team=st.integers(0, 9),
    hidden_group=st.booleans(),
    minutes=st.sampled_from([5, 30]),
    penalty=st.sampled_from([0, 1, 20]),
    # of one team and millisecond, only the feed's order says which came first
    submissions=st.lists(submissions, max_size=30, unique_by=lambda s: (s.team, s.problem, s.time_ms)),
)


#: ties that the last solution's minute decides, a compile error, a deleted solution, both ends of the contest
ODD = MadeContest(
    teams=5, problems=4, hidden_team=9, hidden_group=False, minutes=30, penalty=20,
    submissions=[
        MadeSubmission(team, problem, time_ms, words, deleted)
        for team, problem, time_ms, words, deleted in (
            (0, 0, 60_000, ("AC",), False), (0, 1, 300_000, ("AC",), False),
            (1, 0, 120_000, ("AC",), False), (1, 1, 240_000, ("AC",), False),
            (2, 0, 1000, ("CE",), False), (2, 0, 2000, ("AC", "WA"), False), (2, 0, 3000, ("WA", "AC"), False),
            (3, 0, 1000, ("AC",), True), (3, 0, 2000, (), False),
            (4, 0, -1, ("AC",), False), (4, 1, 0, ("AC",), False),
            (4, 2, 1_799_999, ("AC",), False), (4, 3, 1_800_000, ("AC",), False),
        )
    ],
)  # fmt: skip


def clock(ms: int) -> str:
    """Write a RELTIME; whole seconds without decimals, as some feeds do."""
    seconds, rest = divmod(abs(ms), 1000)
    text = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}" + (f".{rest:03}" if rest else "")
    return "-" + text if ms < 0 else text


def moment(contest_ms: int) -> str:
    """Write the TIME of a contest time: seven minutes were removed after the third one."""
    gap_ms = 7 * 60_000 if contest_ms >= 3 * 60_000 else 0
    at = dt.datetime.fromisoformat(_START) + dt.timedelta(milliseconds=contest_ms + gap_ms)
    return at.isoformat(timespec="milliseconds")


def feed_of(contest: MadeContest, dialect: str, seed: int) -> list[str]:
    """Return the lines of a feed of the contest."""
    random = Random(seed)
    lines: list[str] = []
    send = _sender(lines, dialect)
    penalty = clock(contest.penalty * 60_000) if dialect == "2026-01" else contest.penalty
    fields = {"id": "c", "name": "C", "duration": clock(contest.minutes * 60_000), "penalty_time": penalty,
              "scoreboard_freeze_duration": clock(contest.minutes * 12_000)}  # fmt: skip
    send("contest", {**fields, "start_time": "2026-01-31T09:00:00.000+01:00"})
    send("contest", fields)  # the start is moved: there is none for a while
    for item in () if dialect == "2022-07" else _TYPES:  # then the specification's known ones are meant
        send("judgement-types", item)
    for group in range(3):
        send("groups", {"id": f"g{group}", "hidden": contest.hidden_group and group == 0})
    teams = [_team(contest, team) for team in range(contest.teams)]
    for team in teams:
        send("teams", team)
    send("map-info", {"aisles": []})
    send("contest", {**fields, "start_time": _START})
    send("state", {"started": _START})
    _send_live(contest, dialect, random, send)
    if random.random() < 0.5:
        for team in teams:
            send("teams", team)
    _send_problems(contest, dialect, send)
    lines.insert(random.randrange(len(lines)), "")
    return lines


def _team(contest: MadeContest, team: int) -> dict[str, Any]:
    return {"id": f"t{team}", "name": "=A", "group_ids": [f"g{team % 3}"], "hidden": team == contest.hidden_team}


Send = Callable[[str, dict[str, Any]], None]


def _send_problems(contest: MadeContest, dialect: str, send: Send) -> None:
    """Announce the problems late: after the submissions."""
    for problem in range(contest.problems):
        send("problems", {"id": f"p{problem}", "ordinal": problem, "label": "ABCD"[problem]})


def _send_live(contest: MadeContest, dialect: str, random: Random, send: Send) -> None:
    groups: list[list[tuple[str, dict[str, Any]]]] = []
    for number, made in enumerate(contest.submissions):
        submission = {
            "id": f"s{number}", "team_id": f"t{made.team}", "problem_id": f"p{made.problem}",
            "contest_time": clock(made.time_ms), "time": moment(made.time_ms),
        }  # fmt: skip
        early = {**submission, "contest_time": clock(made.time_ms - 900_000)}
        mine: list[tuple[str, dict[str, Any]]] = [("submissions", early), ("submissions", submission)]
        for turn, word in enumerate(made.words):
            judgement = {
                "id": f"j{number}-{turn}", "submission_id": f"s{number}",
                "start_contest_time": clock(made.time_ms + 1000 * turn),
                "start_time": moment(made.time_ms + 1000 * turn),
            }  # fmt: skip
            mine.append(("judgements", judgement))
            mine.append(("judgements", {**judgement, "judgement_type_id": word}))
        if dialect in {"2020-03", "2023-06"}:  # a rejudging that was cancelled
            mark = "valid" if dialect == "2020-03" else "current"
            cancelled = {"id": f"j{number}-x", "submission_id": f"s{number}", "start_contest_time": clock(10**8)}
            mine.append(("judgements", {**cancelled, "judgement_type_id": "AC", mark: False}))
        if random.random() < 0.3:
            mine.append(mine[1])  # sent again
        if made.deleted:
            mine.append(("submissions", {"id": f"s{number}", "deleted": True}))
        groups.append(mine)
    random.shuffle(groups)
    for group in groups:
        for kind, data in group:
            send(kind, data)


def _sender(lines: list[str], dialect: str) -> Send:
    sent: set[tuple[str, str]] = set()

    def send(kind: str, data: dict[str, Any]) -> None:
        deleted = data.get("deleted", False)
        object_id = data.get("id")
        if dialect == "2020-03":
            known = (kind, str(object_id)) in sent
            op = "delete" if deleted else "update" if known else "create"
            sent.add((kind, str(object_id)))
            event: dict[str, Any] = {
                "id": f"e{len(lines)}",
                "type": "contests" if kind == "contest" else kind,
                "op": op,
                "data": data,
            }
        else:
            event = {"type": kind, "id": object_id, "data": None if deleted else data, "token": f"k{len(lines)}"}
            if kind in {"contest", "state"}:
                event["id"] = None
        lines.append(json.dumps(event))

    return send
