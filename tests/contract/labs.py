"""``Lab``: a store under test, with access to its clock and tables; the same for the fake and for PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
import trio

from deepoj.adapters import aio_bridge
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.words.accounts import User
from deepoj.words.jobs import Claim
from deepoj.words.outbox import Priority
from deepoj.words.problems import Problem
from deepoj.words.results import Report, Verdict
from deepoj.words.sandbox import Isolation
from deepoj.words.stream import Entry
from deepoj.words.submissions import Draft, Receipt, SubmitRefusal
from tests.fakes.ports import Store
from tests.fakes.store import MemoryStore
from tests.postgres import fresh_database, server_of
from tests.servers import POSTGRES_KINDS, PostgresServer

#: an unknown id; fixed, since parameters of tests must be the same in every worker
UNKNOWN_ID = "00000000-0000-4000-8000-00000000abcd"
NODE = "node-a"
OTHER = "node-b"
#: long, so that it does not end on a slow machine; tests end a lease by moving it into the past
LEASE_S = 600.0
MARGIN_S = 60.0
MAX_ATTEMPTS = 3
#: deadline of waits for a condition, on a loaded machine
SOON_S = 60.0


@dataclass(frozen=True)
class Ledger:
    """The columns of a ledger row that both kinds of store have."""

    event: str
    judging: int
    attempt_id: int
    owner: str | None
    entry_id: str | None
    outcome: str | None


@dataclass(frozen=True)
class Outbox:
    """The columns of an outbox row that both kinds of store have."""

    id: int
    event_type: str
    status: str
    stream_key: str
    stream_entry_id: str | None
    last_error: str | None
    attempts: int


class Lab(Protocol):
    @property
    def store(self) -> Store: ...

    def advance(self, seconds: float) -> None:
        """Let time pass for all stored rows."""
        ...

    def ledger(self, job_id: str) -> list[Ledger]: ...

    def outbox(self, job_id: str) -> list[Outbox]: ...

    def delay_s(self, job_id: str) -> float:
        """Return the seconds from creation to due time of the job's latest event."""
        ...

    def move_to_background(self, *job_ids: str) -> None:
        """Turn each job into a second judging, with events in the rejudge lane."""
        ...


class MemoryLab:
    def __init__(self) -> None:
        self._now = 1_000_000.0
        self._memory = MemoryStore(clock=lambda: self._now)

    @property
    def store(self) -> Store:
        return self._memory.ports

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def now(self) -> float:
        return self._now

    def ledger(self, job_id: str) -> list[Ledger]:
        return [
            Ledger(row.event, row.judging, row.attempt_id, row.owner, row.entry_id, row.outcome)
            for row in self._memory.ledger
            if row.job_id == job_id
        ]

    def outbox(self, job_id: str) -> list[Outbox]:
        return [
            Outbox(
                row.id,
                row.event_type,
                row.status,
                row.stream_key,
                row.stream_entry_id,
                row.last_error,
                row.attempts,
            )
            for row in self._memory.outbox.values()
            if row.job_id == job_id
        ]

    def delay_s(self, job_id: str) -> float:
        row = [row for row in self._memory.outbox.values() if row.job_id == job_id][-1]
        return row.next_attempt_at - row.created_at

    def move_to_background(self, *job_ids: str) -> None:
        for job_id in job_ids:
            self._memory.rows[job_id].judging = 2
        for event in self._memory.outbox.values():
            if event.job_id in job_ids:
                event.priority = Priority.REJUDGE


#: all timestamps that statements compare with now()
_TIMES = {
    "submissions": ("created_at", "updated_at", "lease_until", "avoid_until"),
    "outbox_events": ("created_at", "next_attempt_at", "dispatched_at"),
    "node_languages": ("live_until", "seen_at", "seen_until"),
    "live_tests": ("told_at",),
    "runs": ("created_at", "due_at", "finished_at"),
    "webhook_deliveries": ("created_at", "begun_at", "next_attempt_at", "ended_at"),
    "loose_objects": ("since",),
    "web_sessions": ("created_at", "seen_at"),
    "batches": ("created_at",),
    "pending_passwords": ("made_at", "applied_at"),
    "access_tokens": ("created_at", "expires_at", "used_at"),
    "solved": ("solved_at",),
    "verified_examples": ("due_at", "changed_at"),
    "previews": ("created_at", "judged_at"),
    "preview_jobs": ("due_at", "changed_at", "avoid_until"),
    "reruns": ("created_at", "due_at", "finished_at"),
    "contest_webhooks": ("created_at", "failing_since", "next_attempt_at", "deactivated_at"),
    "contests": ("start_at", "thaw_at", "started_at", "frozen_at", "ended_at", "thawed_at"),
}


class PgLab:
    def __init__(self, server: PostgresServer, database: str, store: PgStore) -> None:
        self.server = server
        self.database = database
        self.pg_store = store

    @property
    def store(self) -> Store:
        return self.pg_store

    def sql(self, statement: str) -> str:
        return self.server.psql(statement, self.database)

    def rows(self, select: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.sql(f"SELECT coalesce(json_agg(r), '[]') FROM ({select}) AS r"))
        return found

    def advance(self, seconds: float) -> None:
        # in one call: most of its time is the start of psql
        self.sql(
            "; ".join(
                f"UPDATE {table} SET "
                + ", ".join(f"{column} = {column} - interval '{seconds} s'" for column in columns)
                for table, columns in _TIMES.items()
            )
        )

    def ledger(self, job_id: str) -> list[Ledger]:
        select = (
            "SELECT event, judging, attempt_id, node AS owner, stream_entry_id AS entry_id, outcome FROM attempts "
            f"WHERE job_id = '{job_id}' ORDER BY id"
        )
        return [Ledger(**row) for row in self.rows(select)]

    def outbox(self, job_id: str) -> list[Outbox]:
        select = (
            "SELECT id, event_type, status, stream_key, stream_entry_id, last_error, attempts FROM outbox_events "
            f"WHERE job_id = '{job_id}' ORDER BY id"
        )
        return [Outbox(**row) for row in self.rows(select)]

    def delay_s(self, job_id: str) -> float:
        return float(
            self.sql(
                "SELECT extract(epoch FROM next_attempt_at - created_at) FROM outbox_events "
                f"WHERE job_id = '{job_id}' ORDER BY id DESC LIMIT 1"
            )
        )

    def move_to_background(self, *job_ids: str) -> None:
        among = ", ".join(f"'{job_id}'" for job_id in job_ids)
        self.sql(f"UPDATE submissions SET judging = 2 WHERE job_id IN ({among})")
        self.sql(f"UPDATE outbox_events SET priority = -2 WHERE job_id IN ({among})")


@pytest.fixture(params=["memory", *POSTGRES_KINDS])
async def lab(request: pytest.FixtureRequest, bridge: AioBridge) -> AsyncIterator[Lab]:
    if request.param == "memory":
        yield MemoryLab()
        return
    server = server_of(request, request.param)
    with fresh_database(server) as database:
        async with PgStore.open(bridge, server.dsn(database), max_conns=8) as store:
            yield PgLab(server, database, store)


@pytest.fixture
async def real(postgres: PostgresServer, database: str, bridge: AioBridge) -> AsyncIterator[PgLab]:
    """A lab over PostgreSQL, for tests that the fake cannot pass."""
    async with PgStore.open(bridge, postgres.dsn(database), max_conns=8) as store:
        yield PgLab(postgres, database, store)


async def new_user(store: Store, name: str = "alice") -> int:
    user = await store.accounts.create_user(name, "argon2id-hash", None)
    assert isinstance(user, User)
    return user.id


async def new_problem(store: Store) -> Problem:
    problem = Problem(
        id=await store.problems.reserve_problem_id(),
        title="A+B",
        description="Add them. 把它们相加。",
        difficulty="easy",
        time_limit_ms=1500,
        memory_limit_mb=128,
        compare="tokens",
        data_path="problems/1.zip",
        data_hash="ab" * 32,
        version=3,
    )
    await store.problems.insert_problem(problem)
    return problem


def draft(user_id: int, problem_id: int, code: str = "int main(){}", *, key: str | None = None) -> Draft:
    return Draft(
        user_id=user_id, problem_id=problem_id, language="cpp17", code=code, trace_id="trace-1", idempotency_key=key
    )


async def submit(
    store: Store, one: Draft, *, cap: int = 500, user_cap: int | None = None, hidden_s: float | None = None
) -> Receipt | SubmitRefusal:
    """Submit a draft, with deduplication within ten minutes."""
    return await store.submissions.submit(
        one,
        inflight_cap=cap,
        user_inflight_cap=user_cap,
        dedup_window_s=600.0,
        payload={"code": "aW50"},
        stream_key="deepoj:jobs",
        hidden_s=hidden_s,
    )


async def send(store: Store, one: Draft, *, cap: int = 500) -> str:
    """Submit a draft that must be accepted. Return its job id."""
    receipt = await submit(store, one, cap=cap)
    assert isinstance(receipt, Receipt)
    return receipt.job_id


async def new_job(lab: Lab, name: str = "alice", code: str = "int main(){}") -> str:
    """Submit as a new user to a new problem. Return the job id."""
    user_id, problem = await new_user(lab.store, name), await new_problem(lab.store)
    return await send(lab.store, draft(user_id, problem.id, code))


def entry(job_id: str, entry_id: str = "1-1") -> Entry:
    return Entry(entry_id=entry_id, job_id=job_id, enqueue_ts_ms=1, payload_ref="", priority=0, event_id=1)


async def claim(lab: Lab, job_id: str, node: str = NODE, entry_id: str = "1-1", lease_s: float = LEASE_S) -> Claim:
    """Claim a job; the claim must be won."""
    answers = await lab.store.leases.claim([entry(job_id, entry_id)], node, lease_s, MAX_ATTEMPTS)
    won = answers[entry_id]
    assert isinstance(won, Claim), won
    return won


def report(status: Verdict = Verdict.ACCEPTED) -> Report:
    return Report(
        status=status,
        score=100.0,
        time_used_ms=12,
        memory_used_kb=3456,
        wall_ms=15,
        language="cpp17",
        problem_version="3",
        isolation=Isolation.NAMESPACES,
        compile=None,
    )


async def deliver(lab: Lab) -> list[str]:
    """Mark every due event as delivered to an imaginary stream. Return the entry ids."""
    events = await lab.store.outbox.take_outbox(100, 0.5, 10.0)
    await lab.store.outbox.mark_delivered([(event.id, f"{event.id}-0") for event in events])
    await trio.lowlevel.checkpoint()
    return [f"{event.id}-0" for event in events]


@contextlib.asynccontextmanager
async def holding(real: PgLab, statement: str) -> AsyncIterator[Callable[[str], None]]:
    """Hold an open transaction of another session that has run ``statement``; end it by ``commit`` or ``rollback``."""
    ready = trio.Event()
    token = trio.lowlevel.current_trio_token()

    async def work(connection: Any, _again: bool) -> None:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(statement)
        token.run_sync_soon(ready.set)
        end = await real_end.get()
        await (transaction.commit() if end == "commit" else transaction.rollback())

    real_end = _Mailbox()
    async with trio.open_nursery() as nursery:
        pool = real.pg_store._pool
        nursery.start_soon(lambda: pool.do(work, repeatable=False))
        await ready.wait()
        yield real_end.put


class _Mailbox:
    """Passes one string from Trio's thread to a coroutine in the bridge."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)

    def put(self, word: str) -> None:
        self._ours.send(word.encode())
        self._ours.close()

    async def get(self) -> str:
        while True:
            try:
                word = self._theirs.recv(100).decode()
            except BlockingIOError:
                await aio_bridge.sleep(0.005)
            else:
                self._theirs.close()
                return word


async def until_somebody_waits_for_a_lock(real: PgLab, sessions: int = 1) -> None:
    with trio.fail_after(SOON_S):
        while (
            int(
                real.sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                    "AND datname = current_database() AND application_name = 'deepoj'"
                )
            )
            < sessions
        ):
            await trio.sleep(0.01)


def lose_first_answers(real: PgLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each transaction be tried again after its commit, as if its answer were lost."""
    pool = real.pg_store._pool
    once = pool.do

    async def twice(work: Any, *, repeatable: bool) -> Any:
        await once(lambda connection, _again: work(connection, False), repeatable=repeatable)
        return await once(lambda connection, _again: work(connection, True), repeatable=repeatable)

    monkeypatch.setattr(pool, "do", twice)
