"""``deepoj bench sandbox``: what a run in the sandbox costs beside a bare one.

All is measured side by side: in each round every program runs once bare and once in a slot, in alternating order, and
figures are medians over the rounds, the first ones left out. So on a host that others use too the absolute figures
wander, and the ratios much less.

Bare is posix_spawn and waitpid out of a process of the size of the launcher, ``deepoj/_meter``, timed there: nothing of
Python, whose own ``os.posix_spawn`` takes some 5 % more, makes the ratio look better. The same process asks the slot
for its runs, with the message and the descriptors that the node would send. The ratio that is required counts all the
time for which a run keeps its slot from the next one, and so what is done after the answer, too: the differences of
``busy_us``. The time until the answer (``slot_us``) is the latency ratio. ``ratio_static_python`` is the whole of
``LinuxBox.run``, seen from Python.

The gain of a second slot is compared with that of a second process that spawns, each way some dozens of milliseconds
long and in turn.

The flood is a program that writes 64 MiB to stdout, of which the run keeps 1 MiB; bare, a process reads it through a
pipe of the same size into a buffer of the same size, and keeps nothing. The growth is this process's peak, of which the
megabyte that it returns is a part, and the launcher's; the memory file in which the kernel holds that megabyte
meanwhile is no process's and not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import click
import trio
from rich.progress import track

from deepoj.adapters.linux_box import LinuxBox
from deepoj.adapters.linux_box_launcher import Slot
from deepoj.cli.bench.meter import METER, BadRunError, Measured, Meter, Way, metering
from deepoj.cli.bench.rivals import RIVALS, ready
from deepoj.cli.bench.sandbox_figures import Flood, Other, SandboxFigures, Scaling, Trivial, show
from deepoj.cli.common import print_json, settings
from deepoj.config import Config
from deepoj.words import PROGRAM_DIR, FileIn, RunLimits, RunSpec, RunVerdict, StartRefused

MIB = 1 << 20
FLOOD_MIB = 64
KEPT_BYTES = 1 * MIB
WARM_UP = 20
#: of the rounds, how many go to what takes longer
RIVAL_EVERY = 20
FLOOD_EVERY = 50
SCALING_EVERY = 40
SCALING_MS = 50
FEWEST = 3
WAYS: tuple[Way, Way] = ("bare", "slot")
SOURCE = "int main(void) { return 0; }\n"


@click.command()
@click.option("--rounds", default=1000, show_default=True, type=click.IntRange(1), help="Rounds measured.")
@click.option(
    "--program",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="Measure with this program instead of trivial ones; it gets no arguments and must exit 0.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the figures to this file as JSON too.")
def sandbox(rounds: int, program: Path | None, as_json: bool, output: Path | None) -> None:
    """What a run in the sandbox costs beside a bare one, and other sandboxes beside ours."""
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)  # other sandboxes read the programs as other users
        programs = {"program": program} if program is not None else _trivial(directory)
        try:
            figures = trio.run(partial(_measure, settings(), programs, rounds, quiet=as_json))
        except BadRunError as error:
            raise StartRefused(f"a run went wrong while it was measured: {error}", 1) from error
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures.flat(), indent=2) + "\n")
    if as_json:
        print_json(figures.flat())
    else:
        show(figures)


def _trivial(directory: Path) -> dict[str, Path]:
    """The least programs there are, compiled here."""
    source = directory / "trivial.c"
    source.write_text(SOURCE)
    made = {"static": directory / "static", "dynamic": directory / "dynamic"}
    for name, options in (("static", ["-static"]), ("dynamic", [])):
        try:
            subprocess.run(
                ["gcc", "-O2", *options, "-o", made[name], source], capture_output=True, text=True, check=True
            )
        except FileNotFoundError as error:
            raise StartRefused(
                "gcc is missing, which compiles what is measured: install it or use --program", 2
            ) from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip()[-300:]
            raise StartRefused(
                f"gcc {' '.join(options)} cannot compile what is measured (use --program): {said}", 2
            ) from error
    return made


def _spec(program: Path, *words: str, output_bytes: int = MIB) -> RunSpec:
    return RunSpec(
        argv=(f"{PROGRAM_DIR}/main", *words),
        limits=RunLimits(cpu_ms=10_000, wall_ms=30_000, memory_bytes=256 * MIB, output_bytes=output_bytes),
        files_in=(FileIn("main", program, executable=True, program=True),),
        keep_stdout_bytes=KEPT_BYTES,
    )


async def _measure(cfg: Config, programs: dict[str, Path], rounds: int, *, quiet: bool) -> SandboxFigures:
    async with (
        LinuxBox.open(
            3,
            run_uid=cfg.security.run_as_uid,
            run_gid=cfg.security.run_as_gid,
            min_isolation=cfg.sandbox_min_isolation,
            mounts=cfg.path.mount_dirs,
        ) as box,
        box.lend() as one,
        box.lend() as two,
    ):
        for program in programs.values():
            await _check(box, program)
        first = next(iter(programs.values()))
        trivial, python_ns, others = await _rounds(box, (one, two), programs, rounds, quiet=quiet)
        scaling = _scaling((one, two), first, max(FEWEST, rounds // SCALING_EVERY))
        flood = await _flood(box, one, max(FEWEST, rounds // FLOOD_EVERY))
        return SandboxFigures(
            isolation=box.isolation,
            rounds=rounds,
            trivial={name: pairs.figures() for name, pairs in trivial.items()},
            ratio_python=_ratio(python_ns, next(iter(trivial.values())).bare_ns),
            scaling=scaling,
            flood=flood,
            others=others,
        )


async def _check(box: LinuxBox, program: Path) -> None:
    """Raises StartRefused unless it exits 0 both ways."""
    try:
        outcome = await box.run(_spec(program))
    except OSError as error:
        raise StartRefused(f"{program} cannot be measured: {error.strerror}", 2) from error
    if outcome.verdict is not RunVerdict.OK:
        raise StartRefused(
            f"{program} cannot be measured, it must exit 0: in the sandbox it comes to {outcome.verdict} "
            f"(rule {outcome.rule}, exit code {outcome.exit_code}, signal {outcome.exit_signal})",
            2,
        )
    with metering([program]) as meter:
        try:
            meter.run("bare")
        except BadRunError as error:
            raise StartRefused(f"{program} cannot be measured, it must exit 0: run bare, {error}", 2) from error


# ---------------------------------------------------------------------------------------------------------------------
# Rounds


@dataclass(slots=True)
class _Pairs:
    """One program, bare and in a slot."""

    meter: Meter
    bare_ns: list[float] = field(default_factory=list)
    answer_ns: list[float] = field(default_factory=list)
    #: of each run the whole of the one before: the slot tells it with its next answer
    busy_ns: list[float] = field(default_factory=list)
    _busy_us: int | None = None

    def measure(self, number: int) -> None:
        for way in WAYS if number % 2 else reversed(WAYS):
            found = self.meter.run(way)
            if way == "bare":
                self.bare_ns.append(found.ns)
            else:
                self._take(found)

    def _take(self, found: Measured) -> None:
        self.answer_ns.append(found.slot_us * 1000)
        if self._busy_us is not None:
            self.busy_ns.append((found.busy_us - self._busy_us) * 1000)
        self._busy_us = found.busy_us

    def forget(self) -> None:
        """What was warm-up."""
        for values in (self.bare_ns, self.answer_ns, self.busy_ns):
            values.clear()

    def figures(self) -> Trivial:
        return Trivial(
            bare_us=round(median(self.bare_ns) / 1000, 1),
            run_us=round(median(self.busy_ns) / 1000, 1),
            ratio=_ratio(self.busy_ns, self.bare_ns),
            latency_ratio=_ratio(self.answer_ns, self.bare_ns),
        )


def _ratio(ours: list[float], bare: list[float]) -> float:
    return round(median(ours) / median(bare), 3)


async def _rounds(
    box: LinuxBox, slots: tuple[Slot, Slot], programs: dict[str, Path], rounds: int, *, quiet: bool
) -> tuple[dict[str, _Pairs], list[float], dict[str, Other]]:
    """Per program its pairs; nanoseconds of calls from Python; the other sandboxes."""
    first = next(iter(programs.values()))
    python_ns: list[float] = []
    rival_ns: dict[str, list[float]] = {}
    others: dict[str, Other] = {}
    with ExitStack() as stack:
        pairs = {
            # a slot each: one that changes its program copies it
            name: _Pairs(stack.enter_context(metering([program], slot=slot, spec=_spec(program))))
            for (name, program), slot in zip(programs.items(), slots, strict=False)
        }
        rivals: dict[str, Meter] = {}
        for rival in RIVALS:
            command = stack.enter_context(ready(rival, first))
            if isinstance(command, str):
                others[rival.name] = Other(note=command)
            else:
                rivals[rival.name] = stack.enter_context(metering(command))
        for number in track(range(-WARM_UP, rounds), description="measuring", disable=quiet, transient=True):
            if number == 0:
                python_ns.clear()
                for each in pairs.values():
                    each.forget()
            for each in pairs.values():
                each.measure(number)
            python_ns.append(await _call(box, first))
            if number >= 0 and number % RIVAL_EVERY == 0:
                for name, meter in rivals.items():
                    rival_ns.setdefault(name, []).append(meter.run("bare").ns)
    bare_ns = next(iter(pairs.values())).bare_ns
    for rival in RIVALS:
        if rival.name in rival_ns:
            others[rival.name] = Other(ratio=_ratio(rival_ns[rival.name], bare_ns))
    return pairs, python_ns, {rival.name: others[rival.name] for rival in RIVALS}


async def _call(box: LinuxBox, program: Path) -> int:
    spec = _spec(program)
    began = time.perf_counter_ns()
    await box.run(spec)
    return time.perf_counter_ns() - began


# ---------------------------------------------------------------------------------------------------------------------
# Two at once


def _scaling(slots: tuple[Slot, Slot], program: Path, rounds: int) -> Scaling:
    rates: dict[Way, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        meters = [stack.enter_context(metering([program], slot=slot, spec=_spec(program))) for slot in slots]
        for meter in meters:
            meter.run("slot", SCALING_MS)
        for number in range(rounds):
            for way in WAYS if number % 2 else reversed(WAYS):
                alone = meters[number // 2 % 2].run(way, SCALING_MS).runs_per_s
                for meter in meters:
                    meter.start(way, SCALING_MS)
                rates[way].append((alone, sum(meter.finish().runs_per_s for meter in meters)))
    gains = {way: [two / one for one, two in pairs] for way, pairs in rates.items()}
    return Scaling(
        slots_per_s=_medians(rates["slot"]),
        bare_per_s=_medians(rates["bare"]),
        slots_gain=round(median(gains["slot"]), 3),
        bare_gain=round(median(gains["bare"]), 3),
        ratio=round(median(ours / bare for ours, bare in zip(gains["slot"], gains["bare"], strict=True)), 3),
    )


def _medians(rates: list[tuple[float, float]]) -> tuple[float, float]:
    return round(median(one for one, _ in rates), 1), round(median(two for _, two in rates), 1)


# ---------------------------------------------------------------------------------------------------------------------
# Much output


async def _flood(box: LinuxBox, slot: Slot, rounds: int) -> Flood:
    words = ("--flood", str(FLOOD_MIB * MIB))
    spec = _spec(METER, *words, output_bytes=2 * FLOOD_MIB * MIB)
    python_ns: list[float] = []
    growth: list[float] = []
    with metering([METER, *words], slot=slot, spec=spec, reads=True) as meter:
        pairs = _Pairs(meter)
        for number in range(-1, rounds + 1):  # the latest run's whole is not known
            if number == 0:
                pairs.forget()
                python_ns.clear()
                growth.clear()
            pairs.measure(number)
            memory = _Memory(box.launcher_pid)
            began = time.perf_counter_ns()
            await box.run(spec)
            python_ns.append(time.perf_counter_ns() - began)
            growth.append(memory.growth_bytes())
    return Flood(
        mib=FLOOD_MIB,
        bare_ms=round(median(pairs.bare_ns) / 1e6, 2),
        ratio=_ratio(pairs.busy_ns, pairs.bare_ns),
        ratio_python=_ratio(python_ns, pairs.bare_ns),
        growth_mib=round(max(0.0, *growth) / MIB, 3),
    )


class _Memory:
    """What this process and the launcher weigh, from now on."""

    def __init__(self, launcher: int) -> None:
        self._launcher = launcher
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
        self._own = _status_bytes("VmHWM")
        self._theirs = self._resident()

    def growth_bytes(self) -> int:
        """This process's peak, and the launcher's processes, since then."""
        return _status_bytes("VmHWM") - self._own + self._resident() - self._theirs

    def _resident(self) -> int:
        pids = [self._launcher]
        for parent in pids:
            pids += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
        return pages * os.sysconf("SC_PAGESIZE")


def _status_bytes(field_name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field_name}:"))
