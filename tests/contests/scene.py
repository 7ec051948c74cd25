"""An API on PostgreSQL with a contest, for the tests of its routes."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deepoj.words.accounts import UserRole
from deepoj.words.results import Verdict
from tests.api.house import House, house_on
from tests.contract.labs import PgLab, claim, new_problem, report
from tests.fakes.ports import Store

HOUR_MS = 3_600_000
BASE = "/api/v1/contests"
TEAMS = "id,name,organization,groups,accounts\n1,Owls,Uni of Night,day;night,owl\n2,=Larks,,day,lark\n3,Guests,,,\n"


@dataclass
class Scene:
    """An API on PostgreSQL, with an administrator, a jury, two teams and others."""

    lab: PgLab
    home: House[Store]
    tokens: dict[str, str]
    problem_id: int

    async def ask(self, who: str, method: str, path: str, sent: object = None) -> tuple[int, Any]:
        """Send a request as somebody; return the status and the JSON."""
        answer = await self.home.ask(method, f"{BASE}{path}", token=self.tokens.get(who), json=sent)
        body = await answer.get_data(as_text=True)
        return answer.status_code, json.loads(body) if answer.content_type == "application/json" else body

    async def done(self, who: str, method: str, path: str, sent: object = None) -> Any:
        """Send a request that must succeed."""
        status, body = await self.ask(who, method, path, sent)
        assert status in {200, 201}, body
        return body

    async def verdict(self, who: str, verdict: Verdict, code: str, label: str = "A", score: float = 0) -> str:
        """Submit and judge a program. Return its job."""
        sent = {"problem": label, "language": "cpp17", "code": code}
        job_id = str((await self.done(who, "POST", "/finals/submit", sent))["job_id"])
        won = await claim(self.lab, job_id, entry_id=f"{job_id}-1")
        assert await self.lab.store.leases.finalize(won, report(verdict), {"tests": [], "score": score}) is None
        return job_id

    async def advance(self) -> None:
        await self.lab.pg_store.contests.advance()


@pytest.fixture
async def scene(real: PgLab, tmp_path: Path) -> Scene:
    home = house_on(tmp_path, real.store)
    tokens = {"admin": await home.token("root", is_admin=True)}
    for name, role in (("jury", UserRole.JURY), ("setter", UserRole.SETTER), ("operator", UserRole.OPERATOR)):
        user = await home.account(name)
        await real.store.accounts.change_rights(user.id, roles=[role], by=None)
        tokens[name] = await home.token_of(name)
    for name in ("owl", "lark", "member"):
        tokens[name] = await home.token(name)
    return Scene(real, home, tokens, (await new_problem(real.store)).id)


def ago(ms: int) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=ms)).isoformat()


def finals(**changes: Any) -> dict[str, Any]:
    return {"key": "finals", "name": "Finals", "duration_ms": 5 * HOUR_MS, "freeze_ms": HOUR_MS, **changes}


async def opened(scene: Scene, **changes: Any) -> None:
    """Make a contest of problem A and three teams; it has started two hours ago, unless ``start_at`` says otherwise."""
    start = {"start_at": changes.pop("start_at", ago(2 * HOUR_MS))}
    await scene.done("jury", "POST", "", finals(**changes))
    await scene.done("jury", "PUT", "/finals/problems/A", {"problem_id": scene.problem_id, "rgb": "#ff0000"})
    await scene.done("jury", "POST", "/finals/teams", {"format": "csv", "text": TEAMS})
    await scene.done("jury", "PATCH", "/finals", start)
    await scene.advance()
