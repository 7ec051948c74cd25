"""Every list that comes in pages, over HTTP and PostgreSQL, while rows come and go: what is there all the time is in
exactly one page, and nothing is in two."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from tests.api.house import House, house_on
from tests.contract.labs import new_problem
from tests.fakes.ports import Store
from tests.servers import PostgresServer

_EXAMPLES = 12


@dataclass(frozen=True)
class Listed:
    """A list: where it is, its rows' key in the answer, and how rows come (``{n}`` of them at one moment) and go."""

    path: str
    rows: str
    key: str
    after: str
    insert: str
    #: ``RETURNING`` the key; ``{nth}`` of what is there
    delete: str


_SUBMISSIONS = (
    "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, state, status, "
    "result) SELECT gen_random_uuid(), (SELECT min(id) FROM problems), (SELECT min(id) FROM users), 'x', 'cpp17', 1, "
    "1, {values} FROM generate_series(1, {n} * 2) AS n"
)
_DELETE = (
    "DELETE FROM {table} WHERE id = (SELECT id FROM {table} ORDER BY id "
    "OFFSET {{nth}} % greatest(1, (SELECT count(*) FROM {table})) LIMIT 1) RETURNING {key}"
)
_DELETE_SUBMISSION = _DELETE.format(table="submissions", key="job_id::text")
_TWO = "CASE n % 2 WHEN 0 THEN 'Accepted' ELSE 'Wrong Answer' END"
LISTS = {
    "problems": Listed(
        path="/api/v1/problems", rows="problems", key="id", after="after",
        insert="INSERT INTO problems (title, description, difficulty, time_limit_ms, memory_limit_mb, compare, "
        "testcase_minio_path, testcase_hash, version) SELECT 't', '', '', 1, 1, 'tokens', 'p', 'h', 1 "
        "FROM generate_series(1, {n})",
        delete=_DELETE.format(table="problems", key="id"),
    ),
    "dead letters": Listed(
        path="/api/v1/admin/dlq", rows="letters", key="job_id", after="before",
        insert=_SUBMISSIONS.replace("{values}", "'dead', 'System Error', NULL"), delete=_DELETE_SUBMISSION,
    ),
    "submissions": Listed(
        path="/api/v1/submissions", rows="submissions", key="job_id", after="before",
        insert=_SUBMISSIONS.replace("{values}", "'done', 'Accepted', '{{}}'"), delete=_DELETE_SUBMISSION,
    ),
    "submissions by verdict": Listed(
        path="/api/v1/submissions?verdict=Accepted", rows="submissions", key="job_id", after="before",
        insert=_SUBMISSIONS.replace("{values}", f"'done', {_TWO}, '{{{{}}}}'"),
        delete=_DELETE_SUBMISSION,
    ),
}  # fmt: skip


@dataclass
class Desk:
    """The API over a database that others change, too."""

    home: House[Store]
    store: PgStore
    token: str

    async def say(self, statement: str) -> list[Any]:
        async def work(connection: Any, _again: bool) -> list[Any]:
            return [row[0] for row in await connection.fetch(statement)]

        return await self.store._pool.do(work, repeatable=False)

    async def page(self, listed: Listed, limit: int, place: str | None) -> tuple[list[Any], str | None]:
        sign = "&" if "?" in listed.path else "?"
        after = "" if place is None else f"&{listed.after}={place}"
        answer = await self.home.ask("GET", f"{listed.path}{sign}limit={limit}{after}", token=self.token)
        assert answer.status_code == 200, await answer.get_data()
        found = await answer.get_json()
        return [row[listed.key] for row in found[listed.rows]], found["next"]

    async def walk(self, listed: Listed, limit: int) -> list[Any]:
        """All pages at once."""
        seen, place = await self.page(listed, limit, None)
        while place is not None:
            more, place = await self.page(listed, limit, place)
            seen += more
        return seen

    async def empty(self) -> None:
        await self.say("DELETE FROM submissions RETURNING 1")
        await self.say("DELETE FROM problems WHERE id > (SELECT min(id) FROM problems) RETURNING 1")


@asynccontextmanager
async def desk_on(postgres: PostgresServer, database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """Hypothesis runs a test many times with the same fixtures: what lives in Trio's run is opened in each."""
    async with AioBridge.open() as bridge, PgStore.open(bridge, postgres.dsn(database), max_conns=8) as store:
        home = house_on(tmp_path, store)
        await store.accounts.create_user("root", "no password", None, is_admin=True)
        desk = Desk(home, store, await home.token_of("root"))
        if not await desk.say("SELECT id FROM problems LIMIT 1"):
            await new_problem(store)
        yield desk


_ACTS = st.lists(
    st.tuples(st.sampled_from(["page", "page", "insert", "delete"]), st.integers(1, 9)), min_size=1, max_size=24
)


@pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS)
@settings(max_examples=_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 5), begin=st.integers(0, 12), acts=_ACTS)
def test_pages_while_rows_come_and_go(  # noqa: PLR0917  # fixtures, then what Hypothesis draws
    postgres: PostgresServer,
    database: str,
    tmp_path: Path,
    listed: Listed,
    limit: int,
    begin: int,
    acts: Sequence[tuple[str, int]],
) -> None:
    async def play() -> None:
        async with desk_on(postgres, database, tmp_path) as desk:
            await _play(desk, listed, limit, begin, acts)

    trio.run(play)


async def _play(desk: Desk, listed: Listed, limit: int, begin: int, acts: Sequence[tuple[str, int]]) -> None:
    await desk.empty()
    if begin:
        await desk.say(listed.insert.format(n=begin))
    lasting = set(await desk.walk(listed, 200))
    seen, place = await desk.page(listed, limit, None)
    for act, number in itertools.chain(acts, itertools.repeat(("page", 0))):
        match act:
            case "insert":
                await desk.say(listed.insert.format(n=number))
            case "delete":
                gone = (
                    await desk.say(listed.delete.format(nth=number)) if listed.rows != "problems" or number > 1 else []
                )
                lasting -= set(gone)
            case "page" if place is None:
                break
            case _:
                more, place = await desk.page(listed, limit, place)
                assert len(more) <= limit
                seen += more
    assert len(seen) == len(set(seen)), "nothing is in two pages"
    assert lasting <= set(seen), "what was there all the time is in one"


@pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS)
async def test_pages_beside_writers(postgres: PostgresServer, database: str, tmp_path: Path, listed: Listed) -> None:
    """The same with writers that run on their own."""
    async with desk_on(postgres, database, tmp_path) as desk:
        await _beside_writers(desk, listed)


async def _beside_writers(desk: Desk, listed: Listed) -> None:
    await desk.say(listed.insert.format(n=60))
    lasting = await desk.walk(listed, 7)
    assert len(lasting) == len(set(lasting)) >= 60
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await desk.say(listed.insert.format(n=2))
            written += 1

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(write)
        while written < 3:
            await trio.lowlevel.checkpoint()
        seen = await desk.walk(listed, 200) if listed.rows == "problems" else await desk.walk(listed, 7)
        nursery.cancel_scope.cancel()
    assert len(seen) == len(set(seen))
    assert set(lasting) <= set(seen)
