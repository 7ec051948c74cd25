"""One job on real servers: a process that is killed with it, a node that repairs it, and queries of both stores."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from deepoj.adapters.redis.stream import RedisStream
from deepoj.nursery.tree import run
from deepoj.observe import Metrics
from deepoj.words.submissions import Draft, Receipt
from tests.contract.labs import PgLab
from tests.mortal import Spec, node
from tests.servers import tied
from tests.servers_redis import RedisServer, grow_old

#: a loaded machine is slow, not wrong
SOON_S = 300.0
ROOT = Path(__file__).parents[2]
#: longer than the idle time after which nodes reclaim
LONG_MS = 3_600_000


class Mortals:
    """The server of ``tests.mortal``, which runs a process for each spec until that kills itself."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    async def play(self, spec: Spec) -> None:
        """Run a spec. AssertionError with its log if it ended in any other way than by SIGKILL."""
        asked, told = self._process.stdin, self._process.stdout
        assert asked is not None
        assert told is not None
        asked.write(f"{spec.words()}\n")
        asked.flush()
        with trio.fail_after(SOON_S):
            code = await trio.to_thread.run_sync(told.readline, abandon_on_cancel=True)
        assert code == "-9\n", self._log.read_text()[-4000:]


@contextlib.contextmanager
def mortals(directory: Path) -> Iterator[Mortals]:
    log = directory / "mortals.log"
    with (
        log.open("w") as words,
        subprocess.Popen(
            tied(sys.executable, "-m", "tests.mortal"),
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
        ) as process,
    ):
        try:
            yield Mortals(process, log)
        finally:
            process.kill()


class Scene:
    """One job, its servers, the process that is killed and the node that repairs."""

    def __init__(
        self,
        *,
        lab: PgLab,
        valkey: RedisServer,
        stream: RedisStream,
        mortals: Mortals,
        metrics: Metrics,
        user_id: int,
        problem_id: int,
    ) -> None:
        self.mortals = mortals
        self.lab, self.valkey, self.stream, self.metrics = lab, valkey, stream, metrics
        self.user_id, self.problem_id = user_id, problem_id
        self.namespace = stream.stream_key.removesuffix(":jobs")
        self.job_id = ""

    async def submit_and_deliver(self) -> None:
        """Submit, publish the event as one stream entry and mark it as delivered."""
        draft = Draft(user_id=self.user_id, problem_id=self.problem_id, language="cpp17", code="// x", trace_id="trace")
        taken = await self.lab.store.submissions.submit(
            draft, inflight_cap=9, dedup_window_s=9, payload={}, stream_key=self.stream.stream_key
        )
        assert isinstance(taken, Receipt)
        self.job_id = taken.job_id
        [event] = await self.lab.store.outbox.take_outbox(1, 1.0, 1.0)
        [entry_id] = await self.stream.publish([event])
        await self.lab.store.outbox.mark_delivered([(event.id, entry_id)])

    async def dies(
        self, point: str, *roles: str, submits: bool = False, hands_over: bool = False, rejudges: bool = False
    ) -> None:
        """Run a process with these roles that is killed at ``point``."""
        spec = Spec(
            dsn=self.lab.server.dsn(self.lab.database),
            redis_url=self.valkey.url,
            redis_password=self.valkey.password,
            namespace=self.namespace,
            point=point,
            roles=roles,
            rejudges=self.job_id if rejudges else "",
        )
        if submits:
            spec = replace(spec, user_id=self.user_id, problem_id=self.problem_id, hands_over=hands_over)
        await self.mortals.play(spec)
        self.grow_old()
        if not self.job_id:
            self.job_id = self.lab.sql("SELECT job_id FROM submissions")

    def grow_old(self) -> None:
        """Make unacked entries look idle for an hour, so that no test waits for a reclaim."""
        with self.valkey.client() as client:
            grow_old(client, self.stream.stream_key, self.stream.group, LONG_MS)

    @contextlib.asynccontextmanager
    async def mending(self, *roles: str) -> AsyncIterator[None]:
        """Run a healthy node with these roles and no other."""
        stop = trio.Event()
        made = node(self.lab.store, self.stream, self.metrics, name="healer", roles=roles)
        async with trio.open_nursery() as nursery:
            await nursery.start(run, made, stop)
            yield
            stop.set()

    async def mended_by(self, *roles: str) -> None:
        """Run a healthy node with these roles until the job is done and no entry (dispatcher: no event) is left."""
        async with self.mending(*roles):
            with trio.fail_after(SOON_S):
                while not self.is_over(events_too="dispatcher" in roles):
                    await trio.sleep(0.05)

    def is_over(self, *, events_too: bool) -> bool:
        events = ("submit", "pending") in self.outbox() and events_too
        return self.state() == "done" and not events and self.group()["pending"] == self.group()["lag"] == 0

    # -- state of both stores

    def state(self) -> str:
        return self.lab.sql(f"SELECT state FROM submissions WHERE job_id = '{self.job_id}'")

    def ledger(self) -> list[tuple[str, str | None]]:
        return [(noted.event, noted.owner) for noted in self.lab.ledger(self.job_id)]

    def outbox(self) -> list[tuple[str, str]]:
        return [(event.event_type, event.status) for event in self.lab.outbox(self.job_id)]

    def entries(self) -> int:
        with self.valkey.client() as client:
            return int(client.xlen(self.stream.stream_key))

    def group(self) -> dict[str, Any]:
        with self.valkey.client() as client:
            groups: list[dict[str, Any]] = client.xinfo_groups(self.stream.stream_key)
            return groups[0] if groups else {"pending": 0, "lag": 0}

    def payload(self) -> bytes | None:
        with self.valkey.client() as client:
            found: bytes | None = client.get(f"{self.namespace}:task:payload:{self.job_id}")
            return found
