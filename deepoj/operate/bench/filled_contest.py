"""A running contest for benchmarks, filled by COPY: its teams, its problems and their judged submissions."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.adapters.pg import PgStore
from deepoj.operate.bench.fill import psql
from deepoj.words.contests import Contest, ContestKind, ContestRules, EventType
from deepoj.words.errors import StartRefused

KEY = "bench"
_HOURS = 5
#: events of one statement
EVENTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestSize:
    """How much of everything. ``waiting``: submissions without a judgement, after ``submissions`` that have one."""

    teams: int
    problems: int
    submissions: int
    waiting: int = 0


@asynccontextmanager
async def open_store(home: EmbeddedHome) -> AsyncGenerator[PgStore]:
    """Open the store of a bench home."""
    async with (
        AioBridge.open() as bridge,
        PgStore.open(bridge, home.database_url, min_conns=0, max_conns=1) as store,
    ):
        yield store


def director_of(home: EmbeddedHome) -> int:
    """Return the id of the account that made the contest."""
    return int(psql(home, "SELECT id FROM users WHERE username = 'admin'"))


async def fill_contest(home: EmbeddedHome, size: ContestSize, key: str = KEY) -> Contest:
    """Make a contest that runs, with its teams, problems, and submissions."""
    start_at = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=_HOURS - 1)
    async with open_store(home) as store:
        rules = ContestRules(name="Bench", start_at=start_at, duration_ms=_HOURS * 3_600_000)
        made = await store.contests.create_contest(key, ContestKind.ICPC, rules, by=director_of(home))
        if not isinstance(made, Contest):
            raise StartRefused(f"the contest was not made: {made}", 1)
        await store.contests.advance()
        first = (await store.contests.events(made.id, 0, EVENTS_AT_ONCE))[-1].number + 1
    psql(
        home,
        "COPY contest_events (contest_id, number, type, object_id, data) FROM STDIN",
        rows=(
            f"{made.id}\t{number}\t{type_}\t{object_id}\t{json.dumps(data)}"
            for number, (type_, object_id, data) in enumerate(_objects(size, start_at), first)
        ),
    )
    psql(
        home,  # the id is a number
        "UPDATE contest_counters SET last = (SELECT max(number) FROM contest_events"  # noqa: S608
        f" WHERE contest_id = {made.id}) WHERE contest_id = {made.id}",
    )
    return made


def _objects(size: ContestSize, start_at: dt.datetime) -> Iterator[tuple[EventType, str, dict[str, object]]]:
    """Yield the objects of the contest."""
    chance = random.Random(size.submissions)  # noqa: S311 - filling, not a secret
    for number in range(size.problems):
        yield EventType.PROBLEMS, _label(number), {
            "label": _label(number), "ordinal": number + 1, "name": f"Problem {number + 1}", "problem_id": number + 1,
            "rgb": "#0072b2", "color": "blue", "time_limit_ms": 1000, "memory_limit_mb": 256,
        }  # fmt: skip
    for number in range(size.teams):
        yield EventType.ORGANIZATIONS, f"o{number}", {"name": f"University {number}", "formal_name": "", "country": ""}
        yield EventType.TEAMS, f"t{number}", {
            "name": f"The team of number {number}", "display_name": "", "label": "", "organization_id": f"o{number}",
            "group_ids": [], "is_hidden": False,
        }  # fmt: skip
    step_ms = (_HOURS - 1) * 3_600_000 / (size.submissions + size.waiting)
    for number in range(size.submissions + size.waiting):
        at = (start_at + dt.timedelta(milliseconds=number * step_ms)).isoformat(timespec="milliseconds")
        team = chance.randrange(size.teams)
        # a team is better at some problems than others, so that boards differ and rows move
        problem = chance.randrange(size.problems)
        yield EventType.SUBMISSIONS, str(number), {
            "job_id": f"00000000-0000-4000-8000-{number:012}", "team_id": f"t{team}", "problem_id": _label(problem),
            "language": "cpp17", "at": at,
        }  # fmt: skip
        if number < size.submissions:
            is_accepted = chance.random() < (team % 17 + 1) / (problem + 2) / 60
            yield EventType.JUDGEMENTS, f"{number}-1", judgement_of(number, is_accepted=is_accepted, at=at)


def judgement_of(number: int, *, is_accepted: bool, at: str) -> dict[str, object]:
    """Return the judgement of a submission, with ten runs."""
    verdict = "Accepted" if is_accepted else "Wrong Answer"
    runs = [["Accepted", 12]] * 9 + [[verdict, 15]]
    return {"submission_id": str(number), "verdict": verdict, "is_current": True, "began_at": at, "ended_at": at,
            "runs": runs}  # fmt: skip


def _label(number: int) -> str:
    return f"P{number + 1}" if number >= 26 else chr(65 + number)
