"""Each page asks the database at most twelve times, and as often for many rows as for few."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.adapters.pg.sql_files import queries
from deepoj.packages.statements.sources import MAX_LANGUAGES
from deepoj.words.jobs import Claim
from deepoj.words.statements import RENDERER_VERSION, StatementKind, StatementSet, StatementText
from tests.api.house import House, house_on
from tests.contract.labs import entry
from tests.fakes.ports import Store
from tests.postgres import fresh_database
from tests.servers import PostgresServer
from tests.unit.makers import a_report
from tests.web.pages import PAGES, Who
from tests.web.scene import add_group, add_problem, add_submission
from tests.web.test_rights import furnish, furnished
from tests.web.visits import Visit

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection

_MOST = 12
#: more than a row of each kind, and less than a page of a list
_MANY = 20


@dataclass
class Counted:
    """Ports of a store. ``calls``: the methods that were called, each a statement or a few in one round trip."""

    store: Any
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return _CountedPort(getattr(self.store, name), self.calls)


@dataclass
class _CountedPort:
    port: Any
    calls: list[str]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.port, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def counted(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            return await method(*args, **options)

        return counted


async def asked_by_pages(
    store: Store, asked: list[str], visits: dict[Who, Visit], ids: dict[str, str], tmp_path: Path
) -> dict[str, list[str]]:
    """Return what each page has asked the store, which notes it in ``asked``, by a node that has just started: it has
    cached nothing."""
    found: dict[str, list[str]] = {}
    home = house_on(tmp_path, store, has_pages=True)
    for shown in PAGES:
        asked.clear()
        reply = await Visit(home, cookies=visits[shown.who].cookies).get(shown.path.format(**ids))
        assert reply.status == shown.status, reply.text
        found[str(shown)] = list(asked)
    return found


async def calls_of(home: House, visits: dict[Who, Visit], ids: dict[str, str], tmp_path: Path) -> dict[str, list[str]]:
    """Return the calls of ports for each page."""
    store = Counted(home.ports)
    return await asked_by_pages(cast("Store", store), store.calls, visits, ids, tmp_path)


async def set_languages(home: House[Any], ids: dict[str, str], count: int) -> None:
    """Give the problem statements in so many languages."""
    languages = ["en", *(f"en-{number}" for number in range(count - 1))]
    texts = [StatementText(language=one, title="A+B", kind=StatementKind.HTML, html="<p>") for one in languages]
    found = StatementSet(texts=tuple(texts))
    statements = home.ports.statements
    assert await statements.keep_statements(int(ids["problem"]), "00", found, renderer=RENDERER_VERSION)


async def add_rows(home: House[Any], ids: dict[str, str]) -> None:
    """Add many rows of each kind of list."""
    await set_languages(home, ids, MAX_LANGUAGES)
    for number in range(_MANY):
        await add_problem(home, title=f"Problem {number}")
        await add_submission(home, "member", int(ids["problem"]), code=f"{number}", report=a_report())
        await home.account(f"person{number}")
        running = await add_submission(home, f"person{number}", int(ids["problem"]))
        assert isinstance((await home.ports.leases.claim([entry(running)], "node", 60.0, 5))["1-1"], Claim)
        await home.ports.roster.announce(f"node-{number}", {"cpp17": "g++"}, 60.0)
        await add_group(home, [f"person{number}"], f"Group {number}")


async def test_a_page_asks_twelve_times_at_most_however_many_rows_there_are(tmp_path: Path) -> None:
    home, visits, ids = await furnished(tmp_path)
    ids |= dict.fromkeys(("accepted", "wrong", "broken"), ids["job"]) | {"staged": ""}
    await set_languages(home, ids, 1)
    few = await calls_of(home, visits, ids, tmp_path)
    assert {name: calls for name, calls in few.items() if len(calls) > _MOST} == {}
    assert max(map(len, few.values())) > 3, "nothing was counted"
    await add_rows(home, ids)
    assert await calls_of(home, visits, ids, tmp_path) == few


async def test_a_page_sends_twelve_statements_at_most_however_many_rows_there_are(
    tmp_path: Path, postgres_embedded: PostgresServer, bridge: AioBridge
) -> None:
    """To a real database: a call of a port may send several statements. BEGIN and COMMIT count, too."""
    with fresh_database(postgres_embedded) as name:
        # a connection that was silent would be tried first; one connection gets all statements
        opened = PgStore.open(bridge, postgres_embedded.dsn(name), max_conns=1, idle_check_s=math.inf)
        async with opened as store:
            home = house_on(tmp_path, store, has_pages=True)
            visits, ids = await furnish(home, tuple(Who))
            ids |= dict.fromkeys(("accepted", "wrong", "broken"), ids["job"]) | {"staged": ""}
            await set_languages(home, ids, 1)
            statements, names = list[str](), {query.sql: query.name for query in queries().values()}

            async def count(connection: Connection, _again: bool) -> None:
                connection.add_query_logger(lambda record: statements.append(names.get(record.query, record.query)))

            await store._pool.do(count, repeatable=True)
            # asyncpg asks once a connection about types that it meets for the first time
            await asked_by_pages(store, statements, visits, ids, tmp_path)
            few = await asked_by_pages(store, statements, visits, ids, tmp_path)
            assert {page: asked for page, asked in few.items() if len(asked) > _MOST} == {}
            assert max(map(len, few.values())) > 3, "nothing was counted"
            await add_rows(home, ids)
            many = await asked_by_pages(store, statements, visits, ids, tmp_path)
            assert {page: (asked, many[page]) for page, asked in few.items() if asked != many[page]} == {}
