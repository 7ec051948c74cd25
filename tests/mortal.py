"""A node that kills itself at a named point.

``python -m tests.mortal`` reads a :class:`Spec` a line (JSON), plays each in a process of its own and prints a line for
each, its exit code. A process is a fork, because loading the program takes most of a start.

The tree, the loops and the steps are real, and so are PostgreSQL and Valkey. Between the steps and the servers a
wrapper sends SIGKILL to its own process just before a call of a port, or just after its answer. Judging needs no
sandbox: every program is Accepted. ``node`` makes the same node without the kill.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, cast

import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.hook_sender import HttpHookSender
from deepoj.adapters.pg import PgStore
from deepoj.adapters.redis.stream import RedisStream
from deepoj.api.contest_ledgers import ContestLedgers
from deepoj.api.contest_webhooks import ContestCallbacks
from deepoj.api.redact import result_for
from deepoj.nursery import loops
from deepoj.nursery.hand_over import LocalHandOver
from deepoj.nursery.leases import Leases
from deepoj.nursery.scopes import StopDeadline
from deepoj.nursery.supervise import Child, ChildStatus
from deepoj.nursery.tree import LeasedWork, Node, run
from deepoj.nursery.webhooks import Deliver
from deepoj.nursery.work import JobIntake, Judge, Work
from deepoj.observe import Metrics
from deepoj.pipeline.claim import LeaseSettings
from deepoj.pipeline.outbox import OutboxSettings, publish_handed
from deepoj.pipeline.reclaim import ReclaimSettings
from deepoj.pipeline.rejudge import go_on, rejudge
from deepoj.pipeline.submit import submit
from deepoj.ports.stream import JobStream
from deepoj.ports.webhooks import HookSender, Webhooks
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.webhooks.delivery import attempt, settle
from deepoj.words.errors import StoreUnavailable, StreamUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.results import Report
from deepoj.words.submissions import Draft
from deepoj.words.webhooks import ContestHook, ContestTry, Hook, HookAnswer
from tests.fakes.ports import Store
from tests.fakes.settings import hidden_steps, hook_settings
from tests.unit.makers import a_report

AWAY = (StoreUnavailable, StreamUnavailable)
HOOK_SECRET = b"a secret for webhooks of tests"
#: tests move its end into the past instead of waiting
HOOK_LEASE_S = 600.0
#: callbacks to this host
AT_HOME: dict[str, Any] = {"enabled": True, "hosts": (), "networks": ("127.0.0.0/8",)}
#: long, so that a slow machine loses no lease: tests let one run out by moving it into the past
MIN_IDLE_MS = 1500
#: of a job
MAX_ATTEMPTS = 5
#: of linux/prctl.h
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The order for one process.

    Args:
      point: ``before:METHOD``, ``after:METHOD`` of a port, or ``lost:METHOD``: the call was applied, its answer is lost
        (the caller sees a breakage), and the process dies at its next call of that port or the other.
      roles: some of dispatcher, consumer, reclaim, rejudges, webhooks, contest webhooks.
      user_id, problem_id: author and problem of the submission that it accepts; 0: none.
      hands_over: it publishes the submission's event itself, as a node whose dispatcher has room.
      rejudges: the job of the rejudge that it accepts; empty: none.
    """

    dsn: str
    redis_url: str
    redis_password: str
    namespace: str
    point: str
    roles: tuple[str, ...]
    user_id: int = 0
    problem_id: int = 0
    hands_over: bool = False
    rejudges: str = ""

    def words(self) -> str:
        return json.dumps(asdict(self))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """A port at whose named method the process is killed."""

    def __init__(self, inner: object, point: str) -> None:
        self._inner = inner
        self._when, _, self._method = point.partition(":")
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._ending(found) if name == self._method else found

    def _ending(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def ending(*args: Any, **named: Any) -> Any:
            if self._when == "before" or self._lost:
                die()
            answer = await call(*args, **named)
            if answer == []:  # a call that found nothing does not count
                return answer
            if self._when == "lost":
                self._lost = True
                raise StreamUnavailable("the answer was lost")
            die()
            return answer

        return ending


class MortalStore:
    """A store, each port of which is mortal."""

    def __init__(self, inner: Store, point: str) -> None:
        self._inner, self._point = inner, point
        self._ports: dict[str, Mortal] = {}

    def __getattr__(self, name: str) -> Mortal:
        if name not in self._ports:
            self._ports[name] = Mortal(getattr(self._inner, name), self._point)
        return self._ports[name]


class Silent:
    """Notifications that never come: the dispatcher polls."""

    async def wait(self, timeout_s: float) -> bool:
        await trio.sleep(timeout_s)
        return False

    def notify(self) -> None:
        pass


def open_stream(
    bridge: AioBridge, url: str, password: str, namespace: str, name: str
) -> Any:  # an async context manager of a RedisStream
    return RedisStream.open(
        bridge,
        url,
        password=password,
        consumer=name,
        stream_key=f"{namespace}:jobs",
        group=f"{namespace}:workers",
        payload_prefix=f"{namespace}:task:payload:",
    )


def open_sender() -> AbstractAsyncContextManager[HttpHookSender]:
    return HttpHookSender.open(CallbackRules.of(**AT_HOME).permits, timeout_s=60.0)


async def accept(_claim: Claim) -> Report:
    return a_report()


def calling_back(webhooks: Webhooks, sender: HookSender, metrics: Metrics) -> Deliver[Hook, HookAnswer]:
    settings = hook_settings(HOOK_SECRET, rules=CallbackRules.of(**AT_HOME), retry_base_s=0.1, retry_max_s=0.1)
    return Deliver(
        webhooks=webhooks,
        attempt=lambda hook: attempt(sender, hook, settings, partial(result_for, is_whole=False, steps=hidden_steps())),
        settle=lambda hook, answer: settle(webhooks, hook, answer, settings, metrics),
        concurrency=4,
        per_target=2,
        poll_s=0.1,
        lease_s=HOOK_LEASE_S,
    )


def telling_contests(store: Store, sender: HookSender, metrics: Metrics) -> Deliver[ContestHook, ContestTry | None]:
    settings = hook_settings(HOOK_SECRET, rules=CallbackRules.of(**AT_HOME), retry_base_s=0.1, retry_max_s=0.1)
    callbacks = ContestCallbacks(
        webhooks=store.contest_webhooks, accounts=store.accounts, contests=store.contests,
        ledgers=ContestLedgers(store.contests), sender=sender, settings=settings, metrics=metrics,
    )  # fmt: skip
    return Deliver(
        webhooks=store.contest_webhooks, attempt=callbacks.attempt, settle=callbacks.settle, concurrency=4,
        per_target=2, poll_s=0.1, lease_s=HOOK_LEASE_S,
    )  # fmt: skip


def handing_over() -> LocalHandOver:
    return LocalHandOver(notifications=Silent(), hidden_s=0.2)


def node(
    store: Store,
    stream: JobStream,
    metrics: Metrics,
    *,
    name: str,
    roles: Collection[str],
    lease_s: float = 60.0,
    judge: Judge = accept,
    sender: HookSender | None = None,
    hand_over: LocalHandOver | None = None,
) -> Node:
    """Return a node with these roles and no other."""
    leases, stop_deadline = Leases(lease_s, slots=2), StopDeadline()
    job_intake = JobIntake(store.leases, stream, leases, LeaseSettings(name, lease_s, MAX_ATTEMPTS), metrics)
    heartbeat = loops.Heartbeat(leases=leases, stores={Claim: store.leases}, owner=name, metrics=metrics)
    keepers = [Child(name="heartbeat", run=loops.Periodic(lease_s / 5, heartbeat.once), restart_on=AWAY)]
    intake = []
    if "dispatcher" in roles:
        dispatcher = loops.Dispatch(
            outbox=store.outbox, stream=stream, notifications=Silent(), settings=OutboxSettings(100, 0.2, 1.0),
            metrics=metrics,
            stop_deadline=stop_deadline, poll_s=0.1, idle_poll_s=0.1,
            hand_over=hand_over or handing_over(),
        )  # fmt: skip
        keepers.append(Child(name="dispatcher", run=dispatcher, restart_on=AWAY))
    if "reclaim" in roles:
        back = loops.Reclaim(
            stream=stream, job_intake=job_intake, settings=ReclaimSettings(MIN_IDLE_MS, 16), metrics=metrics,
            stop_deadline=stop_deadline,
        )  # fmt: skip
        keepers.append(Child(name="reclaim", run=loops.Periodic(0.2, back.once), restart_on=AWAY))
    if "rejudges" in roles:
        on = partial(go_on, store.rejudges, getattr(stream, "stream_key", "deepoj:jobs"), page=1)
        keepers.append(Child(name="rejudges", run=loops.Periodic(0.1, on), restart_on=AWAY))
    if "webhooks" in roles and sender is not None:
        keepers.append(Child(name="webhooks", run=calling_back(store.webhooks, sender, metrics)))
    if "contest webhooks" in roles and sender is not None:
        keepers.append(Child(name="contest webhooks", run=telling_contests(store, sender, metrics)))
    if "consumer" in roles:
        consume = loops.Consume(
            stream=stream,
            job_intake=job_intake,
            metrics=metrics,
            stop_deadline=stop_deadline,
            read_count=16,
            block_ms=200,
        )
        intake.append(Child(name="consumer", run=consume, restart_on=AWAY))
    work = Work(jobs=store.leases, stream=stream, judge_claim=judge, metrics=metrics)
    return Node(
        keepers=keepers,
        intake=intake,
        work=[LeasedWork(kind="job", intake=job_intake, handler=work)],
        child_status=ChildStatus(),
        metrics=metrics,
        drain_s=5.0,
    )


async def main(spec: Spec) -> None:
    metrics, hand_over = Metrics(), handing_over()
    async with (
        AioBridge.open() as bridge,
        PgStore.open(bridge, spec.dsn) as real,
        open_stream(bridge, spec.redis_url, spec.redis_password, spec.namespace, "mortal") as link,
        open_sender() as sender,
    ):
        store = cast("Store", MortalStore(real, spec.point))
        stream = cast("JobStream", Mortal(link, spec.point))
        if spec.user_id:
            draft = Draft(
                user_id=spec.user_id, problem_id=spec.problem_id, language="cpp17", code="// mortal", trace_id="t"
            )
            key = f"{spec.namespace}:jobs"
            async with trio.open_nursery() as publishing:
                if spec.hands_over:
                    hand_over.open(1)
                    hand_over.begin(publishing.start_soon, lambda event: publish_handed(stream, event, metrics))
                await submit(
                    store.submissions, draft, inflight_cap=9, dedup_window_s=1, stream_key=key, metrics=metrics,
                    hand_over=hand_over,
                )  # fmt: skip
        if spec.rejudges:
            key = f"{spec.namespace}:jobs"
            await rejudge(store.rejudges, spec.rejudges, judging=1, by="root", in_full=False, stream_key=key)
        made = node(store, stream, metrics, name="mortal", roles=spec.roles, sender=sender, hand_over=hand_over)
        await run(made, trio.Event())


def play(line: str) -> int:
    """Play a spec in a child process. Return its exit code, negative for a signal."""
    mother = os.getpid()
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == mother:
            os.dup2(2, 1)  # output of the process goes to stderr; our stdout is for the codes
            trio.run(main, Spec(**json.loads(line)))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(f"{play(line)}\n")
        sys.stdout.flush()
