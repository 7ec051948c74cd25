"""``deepoj audit`` and ``deepoj dlq`` on real servers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.api.models.nodes import NodeList
from deepoj.cli import run
from deepoj.words.readiness import PartState
from deepoj.words.roster import CanaryFacts, DiskUse, NodeFacts
from tests.contract.labs import LEASE_S, MAX_ATTEMPTS, NODE, PgLab, claim, entry
from tests.contract.test_audit import history
from tests.logs import logs_put_back
from tests.postgres import fresh_database
from tests.servers import PostgresServer

type Answer = tuple[int, str, str]


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    with logs_put_back():
        yield


@pytest.fixture
def deepoj(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Run a command line. Return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> Answer:
        capsys.readouterr()
        code = run(["--home", str(tmp_path), *args])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


class Place:
    """A database and its store."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.server, self.database = server, database

    def do[T](self, work: Callable[[PgLab], Awaitable[T]]) -> T:
        async def main() -> T:
            async with AioBridge.open() as bridge, PgStore.open(bridge, self.server.dsn(self.database)) as store:
                return await work(PgLab(self.server, self.database, store))

        return trio.run(main)


@pytest.fixture
def place(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with fresh_database(postgres) as database:
        monkeypatch.setenv("DATABASE_URL", postgres.dsn(database))
        yield Place(postgres, database)


def test_the_audit_says_it_in_one_line_and_by_its_exit_code(place: Place, deepoj: Callable[..., Answer]) -> None:
    code, out, err = deepoj("audit", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["clean"] is True
    jobs = place.do(history)
    code, out, err = deepoj("audit", "--json", "--since", "1h")
    assert (code, out.count("\n")) == (1, 1)
    told = json.loads(out)
    assert (told["checked"], told["verdicts"], told["by_code"]) == (len(jobs), 5, {"dead_letter": 1})
    assert [(one["code"], one["job_id"]) for one in told["exceptions"]] == [("dead_letter", jobs["dead"])]
    assert told["unfinished"]["pending"] == 2
    assert err == f"deepoj: 1 exceptions in {len(jobs)} submissions\n"
    code, out, _err = deepoj("audit")
    assert code == 1
    assert jobs["dead"] in out
    assert "dead_letter: 1" in out


def test_the_audit_of_a_time(place: Place, deepoj: Callable[..., Answer]) -> None:
    place.do(history)
    code, out, _err = deepoj("audit", "--json", "--since", "2999-01-01")
    assert (code, json.loads(out)["checked"]) == (0, 0)
    code, out, _err = deepoj("audit", "--json", "--since", "2001-01-01T00:00:00Z")
    assert (code, json.loads(out)["checked"]) == (1, 10)
    for wrong in ("yesterday", "99999999999d", "-1h"):
        assert deepoj("audit", "--since", wrong)[0] == 2


def test_dead_letters_are_listed_shown_requeued_and_discarded(place: Place, deepoj: Callable[..., Answer]) -> None:
    jobs = place.do(history)
    dead = jobs["dead"]
    code, out, err = deepoj("dlq", "list", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert [one["job_id"] for one in json.loads(out)["letters"]] == [dead]
    assert dead in deepoj("dlq", "list")[1]
    code, out, _err = deepoj("dlq", "show", dead, "--json")
    assert (code, json.loads(out)["events"][-1]["event"]) == (0, "dead")
    assert "ATTEMPTS_EXHAUSTED" in deepoj("dlq", "show", dead)[1]
    assert deepoj("dlq", "show", jobs["done"])[0] == 1

    assert deepoj("dlq", "requeue", dead, "--attempt", "1")[0] == 1
    code, out, _err = deepoj("dlq", "requeue", dead, jobs["done"], "--json", "--note", "try it again")
    assert code == 1
    told = json.loads(out)
    assert [(one["ok"], one["why"]) for one in told["jobs"]] == [(True, None), (False, "not_dead")]
    assert deepoj("dlq", "requeue", dead, "--attempt", str(MAX_ATTEMPTS))[:2] == (0, f"{dead} requeued already\n")

    async def dies_again(lab: PgLab) -> str:
        found = await lab.store.submissions.submission(dead)
        assert found is not None
        for _ in range(MAX_ATTEMPTS):
            await lab.store.leases.give_back(await claim(lab, dead), reason="x", counts=True)
        await lab.store.leases.claim([entry(dead)], NODE, LEASE_S, MAX_ATTEMPTS)
        return found.state

    assert place.do(dies_again) == "pending"
    assert deepoj("dlq", "discard", dead, "--note", "hopeless")[:2] == (0, f"{dead} discarded\n")
    assert deepoj("audit")[0] == 0


def test_nodes_lists_what_the_api_lists(place: Place, deepoj: Callable[..., Answer]) -> None:
    failed = CanaryFacts(state=PartState.DOWN, since="2026-01-31T09:00:00+00:00", reason="abort: found Accepted")
    disk = DiskUse(directory="work", free_bytes=1, total_bytes=4)
    facts = NodeFacts(version="9.9", roles=("worker",), disks=(disk,), canaries=failed, upkeep={"x_total: a": 1},
                      not_up={"sandbox": "stopped"})  # fmt: skip

    async def announce(lab: PgLab) -> None:
        await lab.store.roster.announce("node-a", {"cpp17": "g++"}, 60.0, facts, takes_work=False)
        await lab.store.roster.announce("node-b", {}, 60.0, NodeFacts(roles=("api",)), takes_work=False)
        await lab.store.roster.announce("node-c", {"cpp17": "g++"}, 60.0)

    assert deepoj("nodes") == (0, "0 nodes, 0 of them take work\n", "")
    place.do(announce)
    code, out, err = deepoj("nodes", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    first, *others = NodeList.model_validate_json(out, extra="forbid").nodes
    assert (first.node, first.live, first.takes_work, first.upkeep) == ("node-a", True, False, {"x_total: a": 1})
    assert first.not_up == {"sandbox": "stopped"}
    assert first.canaries is not None
    assert (first.canaries.state, first.canaries.reason) == ("down", "abort: found Accepted")
    assert [(one.node, one.canaries, one.takes_work) for one in others] == [
        ("node-b", None, False),
        ("node-c", None, True),
    ]
    shown = deepoj("nodes")[1]
    assert "failing since 2026-01-31T09:00:00. abort: found Accepted" in shown
    assert shown.endswith("3 nodes, 1 of them take work\n")


def test_pages_of_the_list_go_on_where_the_last_one_ended(place: Place, deepoj: Callable[..., Answer]) -> None:
    place.do(history)
    place.server.psql(
        "UPDATE submissions SET state = 'dead', status = 'System Error', result = NULL, lease_owner = NULL, "
        "lease_until = NULL",
        place.database,
    )
    seen: list[str] = []
    more: tuple[str, ...] = ()
    while True:
        page = json.loads(deepoj("dlq", "list", "--json", "--limit", "4", *more)[1])
        seen += [one["job_id"] for one in page["letters"]]
        if page["next"] is None:
            break
        more = ("--before", str(page["next"]))
    assert len(seen) == len(set(seen)) == 10
    assert "--before" in deepoj("dlq", "list", "--limit", "4")[1]


def test_usage(place: Place, deepoj: Callable[..., Answer]) -> None:
    assert deepoj("dlq", "requeue")[0] == 2
    assert deepoj("dlq", "requeue", "a", "b", "--attempt", "1")[0] == 2
    assert deepoj("dlq", "list", "--limit", "0")[0] == 2


@pytest.mark.parametrize("args", [("audit",), ("dlq", "list"), ("dlq", "show", str(uuid.uuid4()), "--json")])
def test_a_database_that_is_away_is_exit_code_3(
    deepoj: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@127.0.0.1:1/x")
    code, out, err = deepoj(*args)
    assert (code, out, err.count("\n")) == (3, "", 1), err
