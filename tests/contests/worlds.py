"""Two worlds that differ only in verdicts that a contest hides: one database before them, and a copy of it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.judging.result import as_result
from deepoj.nursery.work import Work
from deepoj.observe import Metrics
from deepoj.pipeline.finalize import finalize
from deepoj.words.accounts import UserRole
from deepoj.words.jobs import Claim
from deepoj.words.results import Report, TestResult, Verdict
from tests.api.house import House, house_on
from tests.contests.scene import BASE, HOUR_MS, finals
from tests.contract.labs import PgLab, claim, report
from tests.fakes.stream import MemoryStream
from tests.postgres import fresh_database
from tests.servers import PostgresServer
from tests.web.scene import add_problem
from tests.web.visits import Visit, administrator, registered, with_role

#: callers to whom the freeze hides verdicts: without an account, without a team, of another team, the setter of the
#: problems, an operator. Then those who see them: the submitting team, the jury, an administrator
BLIND = ("stranger", "member", "lark", "setter", "operator")
SEEING = ("owl", "jury", "admin")
#: opens the metrics of a node
METRICS_TOKEN = "of-the-metrics"
_ROLES = {"setter": UserRole.SETTER, "operator": UserRole.OPERATOR, "jury": UserRole.JURY}
TEAMS = "id,name,accounts\n1,Owls,owl\n2,Larks,lark\n3,Storks,stork\n"
#: submissions within the freeze: account, label, verdict here and there; None: it waits in both worlds
_FROZEN: Sequence[tuple[str, str, tuple[Verdict, Verdict] | None]] = (
    ("owl", "A", (Verdict.ACCEPTED, Verdict.WRONG_ANSWER)),
    ("owl", "B", (Verdict.COMPILE_ERROR, Verdict.ACCEPTED)),
    ("stork", "A", (Verdict.TIME_LIMIT_EXCEEDED, Verdict.ACCEPTED)),
    ("owl", "B", None),
)


@dataclass(frozen=True)
class Hiding:
    """How a contest hides the verdicts of its last submissions."""

    rules: Mapping[str, Any] = field(default_factory=dict)
    #: its board is frozen since before these submissions
    is_frozen: bool = True
    #: what the jury does after them
    then: Literal["", "pause", "end"] = ""
    #: their teams do not see them either
    is_secret: bool = False


FROZEN = Hiding()
#: other contests that hide verdicts
HIDING: Mapping[str, Hiding] = {
    "over": Hiding(then="end"),
    "paused": Hiding(then="pause"),
    "ioi": Hiding({"kind": "ioi"}),
    "ioi-hidden": Hiding({"kind": "ioi", "feedback": "hidden"}, then="end", is_secret=True),
    "homework": Hiding({"kind": "homework", "feedback": "hidden", "late_ms": HOUR_MS}, is_frozen=False, is_secret=True),
    "verifying": Hiding({"is_verifying": True}, is_frozen=False, is_secret=True),
}


@dataclass
class World:
    """One of the worlds: its database, and who may ask."""

    lab: PgLab
    tokens: Mapping[str, str]
    cookies: Mapping[str, Mapping[str, str]]
    #: those of its nodes
    metrics: Metrics = field(default_factory=Metrics)

    def house(self, tmp_path: Path) -> House[Any]:
        """Return a node of this world that has read nothing yet."""
        return house_on(tmp_path, self.lab.store, metrics=self.metrics, has_pages=True, metrics_token=METRICS_TOKEN)

    def visit(self, home: House[Any], caller: str) -> Visit:
        return Visit(home, dict(self.cookies.get(caller, {})))

    def stop_clocks(self, at: str) -> None:
        """Set every time after ``at`` to it: the worlds were not made in the same second."""
        columns = self.lab.rows(
            "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
            " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
            " AND data_type LIKE 'timestamp%'"
        )
        sets = [
            f"UPDATE {each['table_name']} SET {each['column_name']} = '{at}' WHERE {each['column_name']} > '{at}'"
            f" AND {each['column_name']} < now()"
            for each in columns
        ]
        times = "jsonb_build_object('began_at', '2026-01-01T00:00:00.000Z', 'ended_at', '2026-01-01T00:00:01.000Z')"
        sets.append(f"UPDATE contest_events SET data = data || {times} WHERE type = 'judgements'")
        # replica: the ledger refuses changes, and no other trigger of an update may run
        self.lab.sql("; ".join(["SET session_replication_role = replica", *sets]))


@dataclass
class Worlds:
    """Both worlds, and the ids for the parts of paths."""

    one: World
    other: World
    #: after everything that they hold but the verdicts that are hidden
    at: dt.datetime
    ids: Mapping[str, Sequence[str]]
    #: what is being judged, and the verdict in each world
    _judged: Sequence[tuple[Claim, tuple[Verdict, Verdict]]]

    async def judge(self) -> None:
        """End the hidden judgings of both worlds."""
        for world in (self.one, self.other):
            await self.end(world)

    async def end(self, world: World) -> None:
        """End the hidden judgings of a world, and judge the first of them again."""
        async for _ in self.verdicts(world):
            pass
        first, verdicts = self._judged[0]
        rejudges = world.lab.store.rejudges
        await rejudges.rejudge(first.job_id, None, by="jury", in_full=True, stream_key="s")
        won = await claim(world.lab, first.job_id, entry_id=f"{first.job_id}-2")
        await _finish(world, won, verdicts[world is self.one])
        world.stop_clocks(self.at.isoformat())

    async def verdicts(self, world: World) -> AsyncIterator[None]:
        """End the hidden judgings of a world one by one."""
        place = (self.one, self.other).index(world)
        for won, verdicts in self._judged:
            await _finish(world, won, verdicts[place], slow=place == 0)
            yield


def _report(verdict: Verdict, *, slow: bool) -> Report:
    """Return a report that differs from another verdict's in all that a report has."""
    cpu_ms = 900 if slow else 3
    tests = tuple(
        TestResult(name=str(n), status=verdict if n == 2 else Verdict.ACCEPTED, cpu_ms=cpu_ms, wall_ms=cpu_ms)
        for n in range(1, 4 if slow else 3)
    )
    score = 100.0 if verdict is Verdict.ACCEPTED else 30.0
    is_broken = verdict is Verdict.COMPILE_ERROR
    return replace(report(verdict), score=score, time_used_ms=cpu_ms, tests=() if is_broken else tests)


async def _finish(world: World, won: Claim, verdict: Verdict, *, slow: bool = False) -> None:
    """Judge a job with this outcome, as a node does, and write the verdict."""
    leases = world.lab.store.leases

    async def judged(_claim: Claim) -> Report:
        await trio.lowlevel.checkpoint()
        return _report(verdict, slow=slow)

    work = Work(jobs=leases, stream=MemoryStream(), judge_claim=judged, metrics=world.metrics)
    told = await work.judge(won)
    assert isinstance(told, Report)
    assert await finalize(leases, won, told, world.metrics) is None


async def _submit(home: House[Any], token: str, label: str, number: int) -> str:
    sent = {"problem": label, "language": "cpp17", "code": f"int main(){{return {number};}}"}
    answer = await home.ask("POST", f"{BASE}/finals/submit", token=token, json=sent)
    assert answer.status_code == 200, await answer.get_data()
    return str(json.loads(await answer.get_data())["job_id"])


@asynccontextmanager
async def worlds(
    server: PostgresServer, bridge: AioBridge, tmp_path: Path, hiding: Hiding = FROZEN
) -> AsyncIterator[Worlds]:
    """Open a contest with three teams that hides the verdicts of what is being judged."""
    with fresh_database(server) as database:
        async with PgStore.open(bridge, server.dsn(database), max_conns=4) as store:
            made = await _before(PgLab(server, database, store), tmp_path, hiding)
            tokens, cookies, ids, waiting = made
        copy = server.create_database(database)
        try:
            async with (
                PgStore.open(bridge, server.dsn(database), max_conns=4) as one,
                PgStore.open(bridge, server.dsn(copy), max_conns=4) as other,
            ):
                found = [
                    World(PgLab(server, name, opened), tokens, cookies)
                    for name, opened in ((database, one), (copy, other))
                ]
                at = dt.datetime.fromisoformat(found[0].lab.sql("SELECT now()"))
                yield Worlds(found[0], found[1], at, ids, waiting)
        finally:
            server.drop_database(copy)


type _Made = tuple[
    dict[str, str], dict[str, dict[str, str]], dict[str, list[str]], list[tuple[Claim, tuple[Verdict, Verdict]]]
]


async def _before(lab: PgLab, tmp_path: Path, hiding: Hiding) -> _Made:
    """Make what both worlds have: accounts, problems, the contest, and submissions that are being judged."""
    home = house_on(tmp_path, lab.store, has_pages=True)
    visits = {}
    for caller in (*BLIND[1:], *SEEING, "stork"):
        if caller == "admin":
            visits[caller] = await administrator(home, caller)
        elif caller in _ROLES:
            visits[caller] = await with_role(home, caller, _ROLES[caller])
        else:
            visits[caller] = await registered(home, caller)
    visits["stranger"] = Visit(home)
    await visits["stranger"].get("/")
    tokens = {caller: await home.token_of(caller) for caller in visits if caller != "stranger"}

    async def done(caller: str, method: str, path: str, sent: object) -> None:
        answer = await home.ask(method, f"{BASE}{path}", token=tokens[caller], json=sent)
        assert answer.status_code in {200, 201}, await answer.get_data()

    problems = [await add_problem(home, title=f"Sum {label}", by="setter") for label in "AB"]
    await done("jury", "POST", "", finals(freeze_ms=None, **hiding.rules))
    for label, problem in zip("AB", problems, strict=True):
        await done("jury", "PUT", f"/finals/problems/{label}", {"problem_id": problem, "rgb": "#ff0000"})
    await done("jury", "POST", "/finals/teams", {"format": "csv", "text": TEAMS})
    start = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    await done("jury", "PATCH", "/finals", {"start_at": start.isoformat()})
    await lab.pg_store.contests.advance()
    jobs = [await _submit(home, tokens["owl"], "A", 1), await _submit(home, tokens["lark"], "A", 2)]
    for job, verdict in zip(jobs, (Verdict.WRONG_ANSWER, Verdict.ACCEPTED), strict=True):
        won, told = await claim(lab, job, entry_id=f"{job}-1"), _report(verdict, slow=False)
        assert await lab.store.leases.finalize(won, told, as_result(won, told)) is None
    if hiding.rules.get("is_verifying"):
        lark = lab.sql(f"SELECT id FROM submissions WHERE job_id = '{jobs[1]}'").strip()
        await done("jury", "POST", f"/finals/submissions/{lark}/review", {"act": "verify", "judging": 1})
    frozen_ms = _ms_since(start)
    if hiding.is_frozen:
        rules = {"duration_ms": 3 * HOUR_MS, "freeze_ms": 3 * HOUR_MS - frozen_ms}
        await done("jury", "PATCH", "/finals", rules)
        await lab.pg_store.contests.advance()
    waiting = []
    for number, (account, label, verdicts) in enumerate(_FROZEN, 3):
        jobs.append(job := await _submit(home, tokens[account], label, number))
        if verdicts is not None:
            waiting.append((await claim(lab, job, entry_id=f"{job}-1"), verdicts))
    if hiding.then == "pause":
        await done("jury", "POST", "/finals/clock", {"act": "pause"})
    elif hiding.then == "end":
        length_ms = _ms_since(start)
        await done("jury", "PATCH", "/finals", {"duration_ms": length_ms, "freeze_ms": length_ms - frozen_ms})
        await lab.pg_store.contests.advance()
    # a group of both teams' members
    lab.sql(
        "INSERT INTO groups (name) VALUES ('Class'); INSERT INTO group_members (group_id, user_id)"
        " SELECT (SELECT id FROM groups), id FROM users WHERE username IN ('owl', 'lark')"
    )
    numbers = [str(row["id"]) for row in lab.rows("SELECT id FROM submissions ORDER BY id")]
    users = {row["username"]: str(row["id"]) for row in lab.rows("SELECT id, username FROM users")}
    ids = {
        "job_id": jobs, "problem_id": [str(each) for each in problems], "user_id": [users["owl"]],
        "submission_id": numbers[2:4],
        "object_id": ["1", "A", numbers[2], f"{numbers[2]}-1", f"{numbers[2]}-1-2", f"{numbers[4]}-1"],
    }  # fmt: skip
    return tokens, {caller: visit.cookies for caller, visit in visits.items()}, ids, waiting


def _ms_since(start: dt.datetime) -> int:
    return int((dt.datetime.now(dt.UTC) - start) / dt.timedelta(milliseconds=1))
