"""The nurseries of the process, in the order in which they open and close.

Three words of Trio. A *nursery* is a block that runs tasks side by side and ends when all of them have ended; an
exception in one cancels the others. A *cancel scope* is a block that can be cancelled, or has a deadline: from then on
each wait inside it raises ``trio.Cancelled``, and the program goes on after the block. A shield keeps cancellations of
outer scopes out. Each nursery has a cancel scope. A *task status* lets a task report that it is up: ``nursery.start``
waits until the task has called ``task_status.started()``.

The nursery that opens first is closed last. ``wiring/children`` makes the children of each, of which these are some::

    root           the signal receiver, beside everything else; a second signal cancels root: everything ends at once
      servers      embedded PostgreSQL and Valkey; then the preparations (schema, reachability)
        keepers    outlive the jobs: dispatcher, heartbeat, reclaim, repair, …; tasks that jobs leave
                   (``scopes.NodeTasks``)
          jobs     one task per claimed job or playground run, with a nursery of its own: the judge beside its lease
            intake lets new work in: API, canaries, consumer, …; guests that use the API (the bundled sample)

Work that a stop must not cut has a small nursery in any of them: the work, and beside it the wait for a stop
(``scopes.StopDeadline.finish_despite_stop``). A child that does several things at a time has a nursery for them
(``scopes.with_background_tasks``).

The child that serves the API (``api/http/server``) has two nurseries inside, which the tree does not show: one for the
task that looks for disconnected clients, and that of ``trio.serve_listeners`` with a task per connection.

The shutdown steps, taken on SIGTERM, SIGINT, SIGHUP or when a guest asks for it:

1. intake is cancelled: no new work;
2. jobs have ``drain_s`` to end, counted from the stop, not from the end of the intake. A job that is cut then is given
   back, so that another node starts it at once;
3. keepers are cancelled, and then the servers they used.

An exception anywhere takes the same steps at once: nurseries cancel from the inside out.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import trio

from deepoj import observe
from deepoj.nursery.intake import Intake, names
from deepoj.nursery.leases import Lease
from deepoj.nursery.scopes import NodeTasks
from deepoj.nursery.supervise import Child, ChildStatus, kept
from deepoj.words.errors import LeaseLost, StoreUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.playground import CustomClaim

#: pause between two tries to write an outcome while the database is away
RETRY_S = 0.5


class JobHandler[C: (Claim, CustomClaim), O](Protocol):
    """The handler of a claim: judge it and write its outcome. Implemented by ``work.Work`` and
    ``playground.RunWork``."""

    async def judge(self, claim: C) -> O: ...

    async def conclude(self, lease: Lease[C], outcome: O) -> None:
        """Raises StoreUnavailable, before the outcome is written or with its fate unknown: it is repeated then, within
        the lease. What follows the write must not raise it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedWork[C: (Claim, CustomClaim), O]:
    """A kind of work that nodes claim: submissions, or playground runs."""

    #: begins the names of its tasks
    kind: str
    intake: Intake[C]
    handler: JobHandler[C, O]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The children of one process, ready to be started.

    Args:
      servers: in order of start; each is up before the next begins, and all stop after everything below.
      prepare: awaited one after the other once the servers are up; an exception of theirs fails the start.
      keepers: started in order once prepared.
      intake: the same, for the children that let work in.
      guests: run once everything is up; may end; may call the ``stop`` that they are given.
      work: the kinds of leased work that the node takes; none on a node that does not judge.
      tasks: gets the keepers' nursery, for tasks that jobs start.
      drain_s: how long claimed jobs may go on after a stop was asked for.
      give_back_s: how long writing a finished verdict, or giving a job back, may take after that.
      on_up, on_stop: called when everything is up, and when the shutdown begins.
    """

    servers: Sequence[Child] = ()
    prepare: Sequence[Callable[[], Awaitable[None]]] = ()
    keepers: Sequence[Child]
    intake: Sequence[Child]
    guests: Sequence[Callable[[Callable[[], None]], Awaitable[None]]] = ()
    work: Sequence[LeasedWork[Any, Any]] = ()
    child_status: ChildStatus
    metrics: observe.Metrics
    drain_s: float
    give_back_s: float = 3.0
    tasks: NodeTasks = field(default_factory=NodeTasks)
    on_up: Callable[[], None] = lambda: None
    on_stop: Callable[[], None] = lambda: None


async def run(node: Node, stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Run the node until ``stop`` is set or a signal comes.

    Raises:
      ExceptionGroup: with StartRefused in it, the start failed; with any other exception, a child ended for good.
    """
    async with trio.open_nursery() as root:
        up = trio.Event()
        await root.start(_signals, stop, up, root.cancel_scope.cancel, name="signals")
        async with trio.open_nursery() as servers:
            await _start(node, node.servers, servers)
            for step in node.prepare:
                await step()
            async with trio.open_nursery() as keepers:
                node.tasks.open(keepers.start_soon)
                await _start(node, node.keepers, keepers)
                async with trio.open_nursery() as jobs:
                    for work in node.work:
                        work.intake.open(_JobStarter(node=node, jobs=jobs, stop=stop, work=work).start)
                    async with trio.open_nursery() as intake:
                        await _start(node, node.intake, intake)
                        up.set()
                        task_status.started()
                        observe.log("node_up")
                        node.on_up()
                        for guest in node.guests:
                            intake.start_soon(guest, stop.set, name="guest")
                        await stop.wait()
                        observe.log("node_stopping")
                        node.on_stop()
                        intake.cancel_scope.cancel()  # step 1: no new work
                    for work in node.work:
                        work.intake.close()
                # step 2: each job watches the stop itself (``_drain``)
                keepers.cancel_scope.cancel()  # step 3: keepers, and then the servers they used
            servers.cancel_scope.cancel()
        root.cancel_scope.cancel()
    observe.log("node_down")


async def one_job[C: (Claim, CustomClaim), O](
    node: Node, work: LeasedWork[C, O], lease: Lease[C], stop: trio.Event
) -> None:
    """Handle one claimed job or playground run: judge it while its lease is watched, then write its outcome shielded.

    The shield ends with the lease, or soon after all other tasks were cancelled: a stop must not wait a whole lease
    for a database that is away.

    A lost lease ends this job and no other. A job cut by the drain is given back. An undeclared exception is a bug: it
    ends the process, the lease runs out, and the job is tried elsewhere, a bounded number of times.
    """
    try:
        async with trio.open_nursery() as job:
            job.start_soon(lease.watch, name="lease")
            job.start_soon(_drain, stop, node.drain_s, job.cancel_scope, name="drain")
            try:
                outcome = await work.handler.judge(lease.claim)
            except* trio.Cancelled:  # in a group, if tests ran beside each other
                if not lease.lost:
                    with trio.CancelScope(shield=True, deadline=trio.current_time() + node.give_back_s):
                        await work.intake.give_back(lease.claim)
                raise
            work.intake.leases.judged(lease)
            with trio.CancelScope(shield=True, deadline=lease.deadline) as writing:
                job.start_soon(_hurry, writing, node.give_back_s, name="hurry")
                await _conclude(work.handler, lease, outcome)
            if writing.cancelled_caught:
                observe.log("outcome_unwritten", level="warning", **names(lease.claim))
            job.cancel_scope.cancel()
    except* LeaseLost as lost:
        observe.log("lease_lost", **names(lease.claim), reason=str(lost.exceptions[0]))
    finally:
        work.intake.done(lease)


async def _conclude[C: (Claim, CustomClaim), O](handler: JobHandler[C, O], lease: Lease[C], outcome: O) -> None:
    """Write the outcome. Try again while the database is away, within the caller's deadline: the end of the lease."""
    while True:
        try:
            return await handler.conclude(lease, outcome)
        except StoreUnavailable:
            await trio.sleep(RETRY_S)


async def _drain(stop: trio.Event, drain_s: float, job: trio.CancelScope) -> None:
    """Park until the stop; then give the job ``drain_s`` more."""
    await stop.wait()
    job.deadline = trio.current_time() + drain_s


async def _hurry(shielded: trio.CancelScope, give_back_s: float) -> None:
    """Park until cancelled; then end the shield after ``give_back_s``, or at its own deadline if that is earlier."""
    try:
        await trio.sleep_forever()
    finally:
        shielded.deadline = min(shielded.deadline, trio.current_time() + give_back_s)


async def _start(node: Node, children: Sequence[Child], nursery: trio.Nursery) -> None:
    for child in children:
        await nursery.start(kept, child, node.child_status, node.metrics, name=child.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _JobStarter[C: (Claim, CustomClaim), O]:
    """Starts a task in the nursery of the jobs for each claim that was won."""

    node: Node
    jobs: trio.Nursery
    stop: trio.Event
    work: LeasedWork[C, O]

    def start(self, lease: Lease[C]) -> None:
        name = f"{self.work.kind} {lease.claim.job_id}"
        self.jobs.start_soon(one_job, self.node, self.work, lease, self.stop, name=name)


async def _signals(
    stop: trio.Event, up: trio.Event, now: Callable[[], None], *, task_status: trio.TaskStatus[None]
) -> None:
    """Set ``stop`` on the first SIGTERM, SIGINT or SIGHUP (a closed terminal), for a drain. End everything at once on
    the second signal, or on one during the start."""
    asked = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored under nohup: outlive the terminal
        asked.append(signal.SIGHUP)
    with trio.open_signal_receiver(*asked) as signals:
        task_status.started()
        async for number in signals:
            observe.log("signal", reason=signal.Signals(number).name)
            if stop.is_set() or not up.is_set():
                now()
            stop.set()
