"""The soak: submits jobs during a schedule of faults drawn from a seed, and then runs the history checker.

The final checks do not depend on the machine's speed: after the last fault, jobs without a verdict get ``settle_s``,
much more than any promise of the product.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import trio

from deepoj.operate.drill import clocks, programs, schedule
from deepoj.operate.drill.contest import SoakContest, open_contest
from deepoj.operate.drill.faults import inflict
from deepoj.operate.drill.history import Violation, Wrong, check
from deepoj.operate.drill.nodes import may_mount
from deepoj.operate.drill.schedule import Fault, FaultKind
from deepoj.operate.drill.stage import Stage, Timing, staged, submitters

#: leases shorter than a second, like the faults of the schedule
SOAK_TIMING = Timing(lease_s=0.9, heartbeat_s=0.2, grace_s=0.3, reclaim_s=0.3)
#: maximum number of unfinished jobs
WINDOW = 10
#: one of this number of submissions is invalid and must be refused
_OFFENCE_EVERY = 12
#: maximum number of tries of a fault that waits for a request
_TRIES = 3
#: exit code of a node whose child has failed; an unexpected signal gives a negative exit code
_FELL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """The parameters of a soak. ``without``: faults that this host cannot cause, with the reason."""

    seed: int
    jobs: int
    faults: int
    nodes: int = 3
    timing: Timing = SOAK_TIMING
    settle_s: float = 240.0
    #: the submissions are those of a contest, whose feed and board are checked, too
    is_contest: bool = False
    without: dict[FaultKind, str] = field(default_factory=dict)

    @property
    def schedule(self) -> tuple[Fault, ...]:
        return schedule.draw(self.seed, self.faults, self.nodes, frozenset(FaultKind) - self.without.keys())


@dataclass(slots=True)
class SoakProgress:
    """The progress of a soak; ``watch`` is called after every change."""

    watch: Callable[[SoakProgress], None] = lambda _progress: None
    submitted: int = 0
    verdicts: int = 0
    faults: int = 0
    latest: str = ""

    def changed(self, latest: str | None = None) -> None:
        self.latest = self.latest if latest is None else latest
        self.watch(self)


@dataclass(slots=True, kw_only=True)
class SoakOutcome:
    """The result of a soak."""

    seed: int
    seconds: float
    accepted: int
    finished: int
    played: Counter[FaultKind]
    #: number of faults that waited for a request in vain
    unplayed: int
    violations: Sequence[Violation]
    #: number of nodes that ended because a dependency was unavailable when they started
    refused_starts: int
    attempts: int
    lost_leases: int
    refused_writes: int
    given_back: int
    tries: int
    polls: int
    #: lines that the readers of a contest's feed have read, and the connections that they needed
    feed_lines: int
    feed_connections: int

    @property
    def good(self) -> bool:
        return not self.violations


def missing_faults() -> dict[FaultKind, str]:
    """Return the kinds of faults that this host cannot cause, with the reason."""
    missing = {}
    if clocks.compiler() is None:
        missing[FaultKind.CLOCK_SHIFT] = "there is no C compiler for the library that shifts clocks"
    if not may_mount():
        missing[FaultKind.DISK_FULL] = "only root can mount the small disk that the fault fills"
    return missing


async def soak(plan: SoakPlan, directory: Path, progress: SoakProgress) -> SoakOutcome:
    """Run a soak in ``directory``, which keeps logs and the history. Raises StartRefused, alone or in a group."""
    began = trio.current_time()
    faults = plan.schedule
    async with staged(
        directory,
        nodes=plan.nodes,
        timing=plan.timing,
        seed=plan.seed,
        clock_library=None if FaultKind.CLOCK_SHIFT in plan.without else clocks.build(directory),
        small_disk=may_mount(),
    ) as stage:
        progress.changed("the nodes judge their canaries")
        await stage.await_ready()  # before the nodes judge, faults would affect little
        contest = await open_contest(stage, plan.jobs // 2) if plan.is_contest else None
        played, unplayed = await _play(stage, plan, faults, progress, contest)
        wrong: Sequence[Violation] = ()
        if contest is not None:
            progress.changed("the contest ends")
            wrong = await contest.end()
        progress.changed("the ledger is read")
        await _read_ledger(stage)
        audited = [*await stage.audited(), *wrong]
    return _outcome(stage, plan, contest, played, unplayed, audited=audited, seconds=trio.current_time() - began)


async def _play(
    stage: Stage, plan: SoakPlan, faults: Sequence[Fault], progress: SoakProgress, contest: SoakContest | None
) -> tuple[Counter[FaultKind], int]:
    """Run until all faults are over and all jobs have a verdict, or no verdict came for ``settle_s``."""
    window = trio.CapacityLimiter(WINDOW)
    all_seen, all_played = trio.Event(), trio.Event()
    left = [plan.jobs]
    played: Counter[FaultKind] = Counter()
    unplayed = [0]

    async def watch_job(number: int, program: programs.DrillProgram) -> None:
        def seen() -> None:
            window.release_on_behalf_of(number)
            progress.verdicts += 1
            progress.changed()

        await (contest.team() if contest is not None else stage.client).see_through(f"drill-{number}", program, seen)
        left[0] -= 1
        if not left[0]:
            all_seen.set()

    async def submit_all() -> None:
        rng = random.Random(plan.seed)  # noqa: S311 - programs, not secrets
        for number in range(plan.jobs):
            program = programs.draw(rng, number, plan.timing.lease_s)
            await window.acquire_on_behalf_of(number)
            clients.start_soon(watch_job, number, program, name=f"job {number}")
            progress.submitted += 1
            progress.changed()
            if number % _OFFENCE_EVERY == 0:
                await stage.client.offend(f"offence-{number}", programs.quick(plan.jobs + number))

    async def play_fault(fault: Fault, done: Callable[[], None]) -> None:
        progress.changed(str(fault))
        for _ in range(_TRIES):
            if await inflict(stage, fault):
                played[fault.kind] += 1
                break
        else:
            unplayed[0] += 1
        progress.faults += 1
        progress.changed()
        done()

    async def play_all() -> None:
        unfinished = [len(faults)]

        def done() -> None:
            unfinished[0] -= 1
            if not unfinished[0]:
                all_played.set()

        for fault in faults:
            with trio.move_on_after(schedule.LONGEST_WAIT_S):
                while progress.submitted * len(faults) < fault.number * plan.jobs:
                    await trio.sleep(0.02)
            stage.tasks.start_soon(play_fault, fault, done, name=str(fault))

    async with submitters() as clients:
        clients.start_soon(submit_all, name="submitter")
        await play_all()
        if faults:
            await all_played.wait()
        await _await_verdicts(all_seen, progress, plan.settle_s)
    return played, unplayed[0]


async def _await_verdicts(all_seen: trio.Event, progress: SoakProgress, settle_s: float) -> None:
    verdicts = -1
    while not all_seen.is_set() and verdicts != progress.verdicts:
        verdicts = progress.verdicts
        with trio.move_on_after(settle_s):
            await all_seen.wait()


async def _read_ledger(stage: Stage) -> None:
    stage.client.history.rows = await stage.rows()
    stage.client.history.ledger = await stage.ledger()
    with (stage.directory / "history.jsonl").open("w") as file:
        history = stage.client.history
        for what, records in (("try", history.tries), ("seen", history.seen), ("row", history.rows),
                              ("line", history.ledger)):  # fmt: skip
            for record in records:
                file.write(json.dumps({"what": what, **asdict(record)}, default=str) + "\n")


def _outcome(
    stage: Stage,
    plan: SoakPlan,
    contest: SoakContest | None,
    played: Counter[FaultKind],
    unplayed: int,
    *,
    audited: Sequence[Violation],
    seconds: float,
) -> SoakOutcome:
    history = stage.client.history
    violations = [*check(history), *audited]
    violations += [Violation(Wrong.ODD, "", answer) for answer in dict.fromkeys(stage.client.odd)]
    falls = [fall for node in stage.nodes for fall in node.falls]
    violations += [
        Violation(Wrong.FELL, "", f"{fall.node} ended with {fall.exit_code}: {fall.words}")
        for fall in falls
        if fall.exit_code == _FELL or fall.exit_code < 0
    ]
    accepted = stage.client.accepted if contest is None else contest.accepted
    if accepted < plan.jobs:
        words = f"{plan.jobs - accepted} programs were never accepted"
        violations.append(Violation(Wrong.LOST, "", words))
    events = Counter(line.event for line in history.ledger)
    return SoakOutcome(
        seed=plan.seed,
        seconds=seconds,
        accepted=accepted,
        finished=len(stage.client.finished),
        played=played,
        unplayed=unplayed,
        violations=violations,
        refused_starts=len(falls),
        attempts=events["claimed"],
        lost_leases=events["lost"],
        refused_writes=events["refused"],
        given_back=events["given_back"],
        tries=len(history.tries),
        polls=len(history.seen),
        feed_lines=0 if contest is None else sum(len(reader.lines) for reader in contest.readers),
        feed_connections=0 if contest is None else sum(reader.connections for reader in contest.readers),
    )
