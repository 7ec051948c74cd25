"""Scorers that share nothing with the product: of a made-up contest, not of its feed; and of a ledger's events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj.words.contests import ContestEvent


@dataclass(frozen=True)
class MadeSubmission:
    """``words``: the judgement types of its judgements, oldest first; the last one counts."""

    team: int
    problem: int
    time_ms: int
    words: tuple[str, ...]
    deleted: bool = False


@dataclass(frozen=True)
class MadeContest:
    teams: int
    problems: int
    hidden_team: int
    hidden_group: bool
    minutes: int
    penalty: int
    submissions: Sequence[MadeSubmission]


def naive_board(contest: MadeContest) -> list[dict[str, Any]]:
    rows: list[tuple[int, int, int, str]] = []
    for team in range(contest.teams):
        if team == contest.hidden_team or (contest.hidden_group and team % 3 == 0):
            continue
        solved = penalty = last = 0
        for problem in range(contest.problems):
            wrong = 0
            mine = [s for s in contest.submissions if (s.team, s.problem) == (team, problem) and not s.deleted]
            for submission in sorted(mine, key=lambda s: s.time_ms):
                minute = submission.time_ms // 60_000
                if submission.time_ms < 0 or submission.time_ms >= contest.minutes * 60_000 or not submission.words:
                    continue
                if submission.words[-1] == "AC":
                    solved, penalty, last = solved + 1, penalty + minute + wrong * contest.penalty, max(last, minute)
                    break
                wrong += submission.words[-1] != "CE"
        rows.append((-solved, penalty, last, f"t{team}"))
    rows.sort(key=lambda row: (*row[:3], len(row[3]), row[3]))  # t2 before t10
    ranks = [1 + sum(other[:3] < row[:3] for other in rows) for row in rows]
    return [
        {"rank": rank, "team_id": team, "solved": -solved, "penalty": penalty}
        for rank, (solved, penalty, _, team) in zip(ranks, rows, strict=True)
    ]


def naive_ledger_board(events: Sequence[ContestEvent], *, sees_all: bool) -> list[dict[str, Any]]:
    """Score a ledger by reading all of it; the public one counts what the freeze hides as not judged."""
    last: dict[str, dict[str, Any]] = {}
    for event in events:
        last.setdefault(event.object.type.value, {})[event.object.id] = event.object.data
    (contest,), (state,) = last["contest"].values(), last["state"].values()
    if contest["start_at"] is None:
        contest = {**contest, "start_at": "9999-01-01T00:00:00.000Z"}
    start = dt.datetime.fromisoformat(contest["start_at"])
    hidden = {group for group, data in last["groups"].items() if data is not None and data["hidden"]}
    words = _words(last, sees_all=sees_all)
    ignored = {submission for submission, data in last.get("reviews", {}).items() if data["is_ignored"]}
    gaps = [gap for gap in last.get("intervals", {}).values() if not gap["is_restored"]]
    extra = {team: data["extra_ms"] for team, data in last.get("extensions", {}).items() if data is not None}
    given = {team: data["minutes"] for team, data in last.get("penalties", {}).items() if data is not None}
    rows: list[tuple[int, int, int, tuple[bool, int], str]] = []
    for team, data in last["teams"].items():
        if data is None or data["is_hidden"] or hidden & set(data["group_ids"]):
            continue
        solved, penalty, latest = 0, given.get(team, 0), 0
        for problem in last["problems"]:
            mine = []
            for place, (submission, sent) in enumerate(last.get("submissions", {}).items()):
                ms = _without_gaps(start, dt.datetime.fromisoformat(sent["at"]), gaps)
                most_ms = contest["duration_ms"] + extra.get(team, 0)
                is_here = (sent["team_id"], sent["problem_id"]) == (team, problem) and submission not in ignored
                if is_here and 0 <= ms < most_ms:
                    mine.append((ms, sent["at"], place, words.get(submission)))
            wrong = 0
            for ms, _, _, word in sorted(mine, key=lambda each: each[:3]):
                left_ms = contest["duration_ms"] - ms
                is_frozen = contest["freeze_ms"] is not None and left_ms <= contest["freeze_ms"]
                if word is None or (is_frozen and state["thawed_at"] is None and not sees_all):
                    continue
                if word == "Accepted":
                    minutes = ms // 60_000
                    solved, latest = solved + 1, max(latest, minutes)
                    penalty += minutes + wrong * contest["penalty_ms"] // 60_000
                    break
                free = {"System Error", "Invalid"} | ({"Compile Error"} if contest["is_compile_error_free"] else set())
                wrong += word not in free
        number = int(data["name"].removeprefix("Team "))  # as a number; a minus stands after no sign
        rows.append((-solved, max(0, penalty), latest, (number < 0, abs(number)), team))
    return [
        {
            "rank": 1 + sum(other[:3] < row[:3] for other in rows),
            "team_id": row[4],
            "solved": -row[0],
            "penalty": row[1],
        }
        for row in sorted(rows)
    ]


def naive_points(events: Sequence[ContestEvent], extensions: Mapping[str, int], *, sees_all: bool) -> dict[str, Any]:
    """Score a ledger whose contest counts points by reading all of it: team → rank, total, and points by problem."""
    last: dict[str, dict[str, Any]] = {}
    for event in events:
        last.setdefault(event.object.type.value, {})[event.object.id] = event.object.data
    (contest,), (state,) = last["contest"].values(), last["state"].values()
    start = dt.datetime.fromisoformat(contest["start_at"])
    hidden = {group for group, data in last["groups"].items() if data is not None and data["hidden"]}
    gaps = [gap for gap in last.get("intervals", {}).values() if not gap["is_restored"]]
    totals: dict[str, tuple[float, dict[str, float]]] = {}
    for team, data in last["teams"].items():
        if data is None or data["is_hidden"] or hidden & set(data["group_ids"]):
            continue
        points: dict[str, float] = dict.fromkeys(last["problems"], 0)
        best: dict[tuple[str, str], float] = {}
        for judgement in last.get("judgements", {}).values():
            sent = last["submissions"][judgement["submission_id"]]
            if not judgement["is_current"] or sent["team_id"] != team:
                continue
            seconds = _without_gaps(start, dt.datetime.fromisoformat(sent["at"]), gaps) / 1000
            end, freeze = contest["duration_ms"] / 1000, contest["freeze_ms"]
            is_frozen = freeze is not None and seconds >= end - freeze / 1000 and state["thawed_at"] is None
            late = seconds - end - extensions.get(team, 0) / 1000
            if seconds < 0 or late >= contest["late_ms"] / 1000 or (is_frozen and not sees_all):
                continue
            got, label = judgement["score"], sent["problem_id"]
            if contest["kind"] == "homework" and late >= 0:
                got *= max(0, 1 - (late // (contest["late_step_ms"] / 1000) + 1) * contest["late_percent"] / 100)
            points[label] = max(points[label], got)
            parts = [group for group in judgement["groups"] if group[0] not in ("", "late")]
            if contest["kind"] == "ioi" and abs(sum(part for _, part in parts) - got) < 1e-6:
                for name, part in parts:
                    best[label, name] = max(best.get((label, name), 0), part)
        for label, whole in points.items():
            points[label] = round(max(whole, sum(v for (of, _), v in best.items() if of == label)), 6)
        totals[team] = round(sum(points.values()), 6), points
    return {
        team: (1 + sum(other > total for other, _ in totals.values()), total, points)
        for team, (total, points) in totals.items()
    }


def _words(last: dict[str, dict[str, Any]], *, sees_all: bool) -> dict[str, str]:
    """Return the verdict of each submission; without ``sees_all`` not those that teams do not see."""
    (contest,), (state,) = last["contest"].values(), last["state"].values()
    is_over = state["closed_at"] is not None and (state["frozen_at"] is None or state["thawed_at"] is not None)
    is_hidden = contest["feedback"] == "hidden" and not is_over
    is_verifying = contest["is_verifying"] and state["finalized_at"] is None
    words: dict[str, str] = {}
    for key, judgement in last.get("judgements", {}).items():
        submission, judging = key.split("-")
        review = last.get("reviews", {}).get(submission, {})
        is_kept = is_hidden or (is_verifying and str(review.get("verified")) != judging)
        if judgement["is_current"] and (sees_all or not is_kept):
            is_overridden = str(review.get("override_judging")) == judging
            words[submission] = review["override"] if is_overridden else judgement["verdict"]
    return words


def _without_gaps(start: dt.datetime, at: dt.datetime, gaps: Sequence[dict[str, Any]]) -> int:
    """Return the milliseconds from start to at without those of the gaps, which may overlap; negative before it."""
    gone, seen = dt.timedelta(0), start
    for gap in sorted(gaps, key=lambda each: str(each["start_at"])):
        begin = max(seen, dt.datetime.fromisoformat(gap["start_at"]))
        end = at if gap["end_at"] is None else min(at, dt.datetime.fromisoformat(gap["end_at"]))
        if end > begin:
            gone, seen = gone + (end - begin), end
    return (at - start - gone) // dt.timedelta(milliseconds=1)
