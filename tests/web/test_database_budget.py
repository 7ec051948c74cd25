"""Each page asks the database at most twelve times, and as often for many rows as for few."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.api.house import House, house_on
from tests.fakes.ports import Store
from tests.unit.makers import a_report
from tests.web.pages import PAGES, Who
from tests.web.scene import add_problem, add_submission
from tests.web.test_rights import furnished
from tests.web.visits import Visit

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


async def calls_of(home: House, visits: dict[Who, Visit], ids: dict[str, str], tmp_path: Path) -> dict[str, list[str]]:
    """Return the calls for each page, by a node that has just started: it has cached nothing."""
    calls: dict[str, list[str]] = {}
    store = Counted(home.ports)
    counted = house_on(tmp_path, cast("Store", store), has_pages=True)
    for shown in PAGES:
        store.calls.clear()
        reply = await Visit(counted, cookies=visits[shown.who].cookies).get(shown.path.format(**ids))
        assert reply.status == shown.status, reply.text
        calls[str(shown)] = list(store.calls)
    return calls


async def test_a_page_asks_twelve_times_at_most_however_many_rows_there_are(tmp_path: Path) -> None:
    home, visits, ids = await furnished(tmp_path)
    ids |= dict.fromkeys(("accepted", "wrong", "broken"), ids["job"]) | {"staged": ""}
    few = await calls_of(home, visits, ids, tmp_path)
    assert {name: calls for name, calls in few.items() if len(calls) > _MOST} == {}
    assert max(map(len, few.values())) > 3, "nothing was counted"
    for number in range(_MANY):
        await add_problem(home, title=f"Problem {number}")
        await add_submission(home, "member", int(ids["problem"]), code=f"{number}", report=a_report())
        await home.account(f"person{number}")
    assert await calls_of(home, visits, ids, tmp_path) == few
