"""``deepoj bench queue``: verifies that operations do not slow down with the number of jobs.

Compares three temporary homes, each with a node that serves the API: one with empty tables, one with waiting jobs, one
with finished jobs. Each round performs the same operations in each home in turn, so that other load on the host affects
all three equally. The medians are compared:

* ``submit`` and ``status`` over HTTP;
* ``dispatch``: a round of the outbox step with the one event of the submit;
* ``claim`` of the next entry: the oldest waiting job, if jobs wait;
* ``finalize`` of that claim.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.embedded import EmbeddedHome
from deepoj.adapters.pg import PgStore
from deepoj.adapters.redis.stream import RedisStream
from deepoj.observe import Metrics
from deepoj.operate.bench import fill
from deepoj.operate.bench.bounds import missed_of, verdict_of
from deepoj.operate.bench.node import SOURCE, a_node, a_package, a_report
from deepoj.operate.bench.unlimited import unlimited
from deepoj.pipeline.outbox import Lanes, OutboxSettings, dispatch
from deepoj.words.errors import StartRefused
from deepoj.words.jobs import Claim
from deepoj.words.stream import Entry

STEPS = ("submit", "dispatch", "claim", "finalize", "status")
WARM_UP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """``*_ms``: median milliseconds by step; ``*_ratio``: to those of the empty tables."""

    rounds: int
    waiting: int
    finished: int
    empty_ms: Mapping[str, float]
    waiting_ms: Mapping[str, float]
    finished_ms: Mapping[str, float]
    waiting_ratio: Mapping[str, float]
    finished_ratio: Mapping[str, float]
    settings: str = field(default_factory=unlimited)

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run."""
        flat: dict[str, object] = {
            **asdict(self),
            "waiting_worst_ratio": max(self.waiting_ratio.values()),
            "finished_worst_ratio": max(self.finished_ratio.values()),
        }
        flat["missed"] = missed_of("queue", flat)
        return flat


#: stage → step → milliseconds, one a round
Times = Mapping[str, Mapping[str, Sequence[float]]]


def figures_of(times: Times, *, rounds: int, waiting: int, finished: int) -> QueueFigures:
    medians = {
        stage: {step: statistics.median(found) for step, found in steps.items()} for stage, steps in times.items()
    }

    def ratios(stage: str) -> dict[str, float]:
        return {step: round(medians[stage][step] / medians["empty"][step], 2) for step in STEPS}

    def rounded(stage: str) -> dict[str, float]:
        return {step: round(medians[stage][step], 2) for step in STEPS}

    return QueueFigures(
        rounds=rounds,
        waiting=waiting,
        finished=finished,
        empty_ms=rounded("empty"),
        waiting_ms=rounded("waiting"),
        finished_ms=rounded("finished"),
        waiting_ratio=ratios("waiting"),
        finished_ratio=ratios("finished"),
    )


def show(figures: QueueFigures, console: Console) -> None:
    table = Table("step", "empty", title=f"queue: medians of {figures.rounds} rounds")
    for head in (f"{figures.waiting:,} waiting", "ratio", f"{figures.finished:,} finished", "ratio"):
        table.add_column(head)
    for step in STEPS:
        ratios = figures.waiting_ratio[step], figures.finished_ratio[step]
        table.add_row(
            step,
            f"{figures.empty_ms[step]:.2f} ms",
            f"{figures.waiting_ms[step]:.2f} ms",
            f"{ratios[0]:.2f}",
            f"{figures.finished_ms[step]:.2f} ms",
            f"{ratios[1]:.2f}",
        )
    flat = figures.flat()
    worst = (
        f"{flat[f'{stage}_worst_ratio']}; {verdict_of('queue', f'{stage}_worst_ratio', flat)}"
        for stage in ("waiting", "finished")
    )
    table.add_row("worst", "", "", next(worst), "", next(worst))
    console.print(table)


# ---------------------------------------------------------------------------------------------------------------------
# A stage: one home, its node, an account and a problem


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    name: str
    base: str
    headers: Mapping[str, str]
    home: EmbeddedHome
    owner: fill.Owner


@contextmanager
def open_stage(scratch: Path, name: str) -> Iterator[_Stage]:
    path = scratch / name
    with a_node(path, "--roles", "api", "--no-dispatcher", settings=unlimited()) as up:
        home = EmbeddedHome.find(path)
        if home is None:
            raise StartRefused(f"there are no embedded servers in {path}", 3)
        with httpx.Client(base_url=up.base, timeout=60, trust_env=False) as client:
            account = {"username": "admin", "password": secrets.token_urlsafe(12)}
            user_id = client.post("/api/v1/auth/register", json=account).raise_for_status().json()["id"]
            token = client.post("/api/v1/auth/login", json=account).raise_for_status().json()["token"]
            headers = {"Authorization": f"Bearer {token}"}
            made = client.post(
                "/api/v1/problems", data={"title": "A+B"}, files={"file": ("p.zip", a_package())}, headers=headers
            )
            owner = fill.Owner(user_id=user_id, problem_id=made.raise_for_status().json()["id"])
        yield _Stage(name=name, base=up.base, headers=headers, home=home, owner=owner)


async def fill_and_measure(stages: Sequence[_Stage], counts: tuple[int, int, int], console: Console) -> Times:
    waiting, finished, rounds = counts
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(AioBridge.open())
        walks = {stage.name: await _open(stage, bridge, stack) for stage in stages}
        console.print(f"filling: {waiting:,} jobs that wait, {finished:,} that are finished")
        await fill.waiting(walks["waiting"].stage.home, walks["waiting"].stage.owner, waiting, walks["waiting"].stream)
        full = walks["finished"]
        fill.finished(full.stage.home, full.stage.owner, finished, full.stream.stream_key)
        fill.settle(walks["empty"].stage.home)
        for _ in range(WARM_UP):
            for walk in walks.values():
                await walk.once()
        for walk in walks.values():
            walk.forget()
        for _ in track(range(rounds), description="measuring", console=console, transient=True):
            for walk in walks.values():
                await walk.once()
        return {name: walk.times for name, walk in walks.items()}


async def _open(stage: _Stage, bridge: AioBridge, stack: AsyncExitStack) -> _MeasuredSteps:
    store = await stack.enter_async_context(PgStore.open(bridge, stage.home.database_url))
    stream = await stack.enter_async_context(
        RedisStream.open(
            bridge,
            stage.home.redis_url,
            password=stage.home.valkey_password,
            consumer="bench",
            maxlen=10_000_000,
        )
    )
    client = await stack.enter_async_context(
        httpx.AsyncClient(base_url=stage.base, timeout=60, trust_env=False, headers=dict(stage.headers))
    )
    return _MeasuredSteps(stage, store, stream, client)


class _MeasuredSteps:
    """The measured steps on one stage."""

    def __init__(self, stage: _Stage, store: PgStore, stream: RedisStream, client: httpx.AsyncClient) -> None:
        self.stage, self.stream = stage, stream
        self._store, self._client = store, client
        self._metrics = Metrics()
        self.times: dict[str, list[float]] = {step: [] for step in STEPS}

    def forget(self) -> None:
        self.times = {step: [] for step in STEPS}

    async def _timed[T](self, step: str, work: Callable[[], Awaitable[T]]) -> T:
        began = time.perf_counter()
        answer = await work()
        self.times[step].append((time.perf_counter() - began) * 1000)
        return answer

    async def once(self) -> None:
        code = SOURCE + secrets.token_hex(8)
        body = {"problem_id": self.stage.owner.problem_id, "language": "cpp17", "code": code}
        taken = await self._timed("submit", lambda: self._client.post("/api/v1/submit", json=body))
        job_id = taken.raise_for_status().json()["job_id"]
        outbox = OutboxSettings(100, 0.5, 10.0)
        dispatched = await self._timed(
            "dispatch", lambda: dispatch(self._store.outbox, self.stream, outbox, self._metrics, Lanes(), now_s=0.0)
        )
        entries = [entry for entry in await self.stream.read(1, 1000) if isinstance(entry, Entry)]
        answers = await self._timed("claim", lambda: self._store.leases.claim(entries, "bench", 60.0, 5))
        won = [answer for answer in answers.values() if isinstance(answer, Claim)]
        if dispatched.moved != 1 or len(won) != 1:
            raise StartRefused(f"the walk went astray: {dispatched.moved} events, {answers}", 1)
        refusal = await self._timed(
            "finalize", lambda: self._store.leases.finalize(won[0], a_report(), {"status": "Accepted"})
        )
        await self.stream.ack([won[0].entry_id])
        seen = await self._timed("status", lambda: self._client.get(f"/api/v1/status/{job_id}"))
        seen.raise_for_status()
        if refusal is not None:
            raise StartRefused(f"the verdict was refused: {refusal}", 1)
