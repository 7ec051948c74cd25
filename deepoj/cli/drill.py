"""``deepoj drill NAME``: breaks a temporary deployment on purpose; checks that no job was lost or judged twice.

With ``--live --yes`` it breaks the running system of the settings instead. ``deepoj drill soak`` is the long form
(``make soak``). Servers and nodes are temporary; their logs are kept after a failure.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from deepoj.adapters.redis.link import Address
from deepoj.cli import errors
from deepoj.cli.common import print_json, settings
from deepoj.config.model import Config
from deepoj.operate.drill.drills import ALLOWANCE_S, DRILL_TIMING, DRILLS, Recovery, Result
from deepoj.operate.drill.drills import drill as play
from deepoj.operate.drill.live import live_drill, refuse_impossible, what_it_does
from deepoj.operate.drill.live_canaries import System
from deepoj.operate.drill.schedule import FaultKind
from deepoj.operate.drill.soak import SOAK_TIMING, SoakOutcome, SoakPlan, SoakProgress, missing_faults
from deepoj.operate.drill.soak import soak as play_soak
from deepoj.operate.drill.stage import Timing, slowness
from deepoj.operate.drill.victim import find_victim
from deepoj.operate.verify.deployment import api_of
from deepoj.wiring.targets import database_url, redis_target
from deepoj.words.exits import CHECK_FAILED, GOOD

_SEEDS = 2**31
_SHOWN = 20
#: number of canaries on a running system: more than the slots of this host's nodes and of some other hosts
_PER_SLOT, _FEWEST = 6, 12


@click.group()
def drill() -> None:
    """Break a temporary deployment on purpose, and check that no job is lost or judged twice; with --live, the running
    system of the settings."""


#: help of each drill on a temporary deployment; ``--live`` prints what it will do before it does it
_WHAT = {
    "worker-kill": "Kill one node with SIGKILL, then stop another with SIGTERM.",
    "redis-down": "Kill Valkey while submissions continue, and restart it.",
    "redis-wipe": "Delete everything in Valkey, including the stream.",
    "postgres-restart": "Restart PostgreSQL while the nodes run.",
    "stream-trim": "Trim the stream to no entries.",
    "partition": "Disconnect a node that is judging jobs from the servers.",
    "clock-skew": "Shift every node's clock by a different amount, then kill one node.",
    "queue-flood": "Submit far more from one account than there are slots, then one from another account.",
}


def _command(name: str) -> click.Command:
    @click.option("--json", "as_json", is_flag=True, help="One JSON line.")
    @click.option("--live", is_flag=True, help="Break the running system of the settings.")
    @click.option("--yes", is_flag=True, help="With --live: do it; otherwise only print what would be done.")
    @click.option("--api", metavar="URL", help="With --live: URL of the API (default: that of the settings).")
    @click.option(
        "--token", envvar="TOKEN", help="With --live: submit with this token (TOKEN), instead of a new account's."
    )
    @click.option(
        "--jobs", type=click.IntRange(2, 10_000), help="With --live: number of canaries (default: six per slot)."
    )
    @click.option("--pid", type=click.IntRange(2), help="With --live, worker-kill: process id of the node.")
    @click.option("--node", metavar="NAME", help="With --live, worker-kill: name of the node in the ledger.")
    def run(as_json: bool, live: bool, token: str | None, **given: Any) -> int:
        if live:
            return _live(name, as_json=as_json, token=token or "", **given)
        if live_options := [option for option, value in given.items() if value]:
            raise click.UsageError(f"--{live_options[0]} is for a running system: add --live.")

        def once(directory: Path) -> Result:
            return trio.run(play, name, directory, DRILL_TIMING.scaled(slowness()))

        result, directory = _in_scratch(once, lambda result: result.good)
        _print_result(result, as_json=as_json, live=False)
        if not result.good:
            errors.say(f"the drill {name} failed; logs are kept in {directory}")
        return GOOD if result.good else CHECK_FAILED

    return click.command(name, help=_WHAT[name])(run)


def _live(
    name: str, *, as_json: bool, yes: bool, api: str | None, token: str, jobs: int | None, pid: int | None,
    node: str | None,
) -> int:  # fmt: skip
    """Run a drill on the running system. Refusals come before anything is done."""
    refuse_impossible(name)
    cfg = settings()
    worker, control = cfg.worker.stream, cfg.scheduler.control_plane
    url, password, tls = redis_target(cfg)
    with contextlib.ExitStack() as stack:
        victim = None
        if name == "worker-kill":
            victim = find_victim(pid, lambda pid: node or _node_name(cfg, pid))
            stack.callback(os.close, victim.pidfd)
        elif pid is not None or node is not None:
            raise click.UsageError("--pid and --node are for worker-kill.")
        system = System(
            api=(api or api_of(cfg)).rstrip("/"),
            token=token,
            database_url=database_url(cfg),
            redis=Address.parse(url, password=password, tls=tls),
            stream_key=cfg.stream_key,
            timing=Timing(
                lease_s=worker.lease_sec,
                heartbeat_s=worker.heartbeat_sec,
                grace_s=worker.reclaim_grace_sec,
                reclaim_s=worker.reclaim_interval_sec,
                repair_s=control.repair_interval_ms / 1000,
                repair_min_age_s=control.repair_min_age_sec,
            ),
            jobs=jobs or max(_FEWEST, _PER_SLOT * cfg.worker.pool_size),
            victim=victim,
        )
        errors.say(what_it_does(name, system))
        if not yes:
            raise click.UsageError("This harms a running system: add --yes to do it.")
        result = trio.run(live_drill, name, system)
    _print_result(result, as_json=as_json, live=True)
    if not result.good:
        errors.say(f"the drill {name} failed on the running system")
    return GOOD if result.good else CHECK_FAILED


def _node_name(cfg: Config, pid: int) -> str:
    """Return the lease owner's name of a node with these settings; by default it consists of host and process id."""
    host = socket.gethostname()
    return f"{host}-{pid}" if cfg.consumer == f"{host}-{os.getpid()}" else cfg.consumer


for _name in DRILLS:
    drill.add_command(_command(_name))


@drill.command()
@click.option("--seed", type=int, help="Seed of the schedule (default: random).")
@click.option("--jobs", default=1000, show_default=True, help="Number of submissions.")
@click.option("--faults", default=200, show_default=True, help="Number of faults while they are judged.")
@click.option("--contest", "is_contest", is_flag=True, help="Submit to a contest; check its event feed and board.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
def soak(seed: int | None, jobs: int, faults: int, is_contest: bool, as_json: bool) -> int:
    """Submit jobs to three nodes during a schedule of faults, and check the history."""
    chosen = secrets.randbelow(_SEEDS) if seed is None else seed
    console = Console(stderr=True)
    missing = missing_faults()
    for kind, why in missing.items():
        errors.say(f"without {kind}: {why}")
    plan = SoakPlan(
        seed=chosen, jobs=jobs, faults=faults, without=missing, timing=SOAK_TIMING.scaled(slowness()),
        is_contest=is_contest,
    )  # fmt: skip
    console.print(f"seed {chosen}, lease {plan.timing.lease_s:g} s")

    def once(directory: Path) -> SoakOutcome:
        columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                   TextColumn("{task.fields[latest]}"))  # fmt: skip
        with Bars(*columns, console=console) as bars:
            jobs_bar = bars.add_task("submitted", total=jobs, latest="")
            verdicts_bar = bars.add_task("verdicts", total=jobs, latest="")
            faults_bar = bars.add_task("faults", total=faults, latest="")

            def watch(progress: SoakProgress) -> None:
                bars.update(jobs_bar, completed=progress.submitted)
                bars.update(verdicts_bar, completed=progress.verdicts)
                bars.update(faults_bar, completed=progress.faults, latest=progress.latest)

            return trio.run(play_soak, plan, directory, SoakProgress(watch))

    outcome, directory = _in_scratch(once, lambda outcome: outcome.good)
    if as_json:
        print_json(_soak_json(outcome))
    else:
        _show_soak(outcome)
    if not outcome.good:
        errors.say(
            f"the soak failed; repeat it with `deepoj drill soak --seed {chosen} --jobs {jobs} --faults {faults}"
            f"{' --contest' * is_contest}`; logs and history are kept in {directory}"
        )
    return GOOD if outcome.good else CHECK_FAILED


def _in_scratch[T](once: Callable[[Path], T], good: Callable[[T], bool]) -> tuple[T, Path]:
    """Run a drill in a new directory, which is kept if the drill fails."""
    directory = Path(tempfile.mkdtemp(prefix="deepoj-drill-"))
    result = once(directory)
    if good(result):
        shutil.rmtree(directory, ignore_errors=True)
    return result, directory


# ---------------------------------------------------------------------------------------------------------------------
# Output


def _print_result(result: Result, *, as_json: bool, live: bool) -> None:
    if as_json:
        print_json(_drill_json(result) | {"live": live})
    else:
        _show_drill(result)


def _show_drill(result: Result) -> None:
    table = Table("what", "recovered after", "promised", title=f"drill {result.drill}")
    for recovery in result.recoveries:
        measured = "nothing to recover" if recovery.recovery_s is None else f"{recovery.recovery_s:.2f} s"
        measured = "never" if recovery.recovery_s == math.inf else measured
        promised = f"{recovery.promise}: {recovery.bound_s:.2f} s (+ {ALLOWANCE_S:g} s allowed to this machine)"
        table.add_row(recovery.what, f"{measured}{'' if recovery.met else ', not met'}", promised)
    console = Console()
    console.print(table)
    console.print(f"{result.jobs} jobs, {result.finished} verdicts, {len(result.violations)} violations")
    for violation in result.violations[:_SHOWN]:
        console.print(str(violation), markup=False)


def _drill_json(result: Result) -> dict[str, object]:
    return {
        "drill": result.drill,
        "ok": result.good,
        "jobs": result.jobs,
        "finished": result.finished,
        "recoveries": [_recovery_json(recovery) for recovery in result.recoveries],
        "violations": [str(violation) for violation in result.violations],
    }


def _recovery_json(recovery: Recovery) -> dict[str, object]:
    """Return the fields. ``recovery_s`` is null, and ``met`` false, if nothing recovered or nothing had to."""
    never = recovery.recovery_s is not None and math.isinf(recovery.recovery_s)
    return asdict(recovery) | {"met": recovery.met} | ({"recovery_s": None} if never else {})


def _show_soak(outcome: SoakOutcome) -> None:
    table = Table("what", "count", title=f"soak, seed {outcome.seed}, {outcome.seconds:.0f} s")
    for what, count in (
        ("submissions accepted", outcome.accepted), ("verdicts seen", outcome.finished),
        ("tries to submit", outcome.tries), ("polls answered", outcome.polls),
        ("attempts", outcome.attempts), ("leases lost", outcome.lost_leases), ("given back", outcome.given_back),
        ("writes refused", outcome.refused_writes), ("faults played", outcome.played.total()),
        ("faults without a request", outcome.unplayed), ("lines of feeds read", outcome.feed_lines),
        ("connections to feeds", outcome.feed_connections), ("starts refused and repeated", outcome.refused_starts),
    ):  # fmt: skip
        table.add_row(what, str(count))
    for kind in FaultKind:
        table.add_row(f"  {kind}", str(outcome.played[kind]))
    table.add_row("violations", str(len(outcome.violations)))
    console = Console()
    console.print(table)
    for violation in outcome.violations[:_SHOWN]:
        console.print(str(violation), markup=False)


def _soak_json(outcome: SoakOutcome) -> dict[str, object]:
    fields = {name: getattr(outcome, name) for name in outcome.__slots__ if name not in ("violations", "played")}
    played = {kind.value: outcome.played[kind] for kind in FaultKind}
    return fields | {
        "ok": outcome.good,
        "played": played,
        "violations": [str(violation) for violation in outcome.violations],
    }
