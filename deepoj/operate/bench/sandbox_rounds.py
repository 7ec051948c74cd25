"""The measuring itself of ``deepoj bench sandbox``: rounds in which everything takes its turn."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.progress import track

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.adapters.sandbox.launcher import Slot
from deepoj.operate.bench.meter import METER, Measured, Meter, Stretch, Way, metering
from deepoj.operate.bench.rivals import RIVALS, ready
from deepoj.operate.bench.sandbox_figures import Flood, Other, Scaling, Trivial
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, RunLimits, RunSpec

MIB = 1 << 20
FLOOD_MIB = 64
KEPT_BYTES = 1 * MIB
WARM_UP = 20
RIVAL_EVERY = 20
#: Some hundred runs: the init of a slot binds itself to the slot's core after the first eight, so a third of a stretch
#: of 8 ms was spent before that. Not longer: a loaded host interrupts a long one, and the more surely the longer it is.
SCALING_MS = 32
WAYS: tuple[Way, Way] = ("bare", "slot")


def spec_of(program: Path, *words: str, output_bytes: int = MIB) -> RunSpec:
    """The run of a program under limits that it does not come near."""
    return RunSpec(
        argv=(f"{PROGRAM_DIR}/main", *words),
        limits=RunLimits(cpu_ms=10_000, wall_ms=30_000, memory_bytes=256 * MIB, output_bytes=output_bytes),
        files_in=(FileIn("main", program, executable=True, program=True),),
        keep_stdout_bytes=KEPT_BYTES,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Rounds


@dataclass(slots=True)
class Pairs:
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
            ratio=ratio(self.busy_ns, self.bare_ns),
            latency_ratio=ratio(self.answer_ns, self.bare_ns),
        )


def ratio(ours: list[float], bare: list[float]) -> float:
    return round(median(ours) / median(bare), 3)


async def measure_pairs(
    box: LinuxBox, slots: tuple[Slot, Slot], programs: dict[str, Path], rounds: int, *, quiet: bool
) -> tuple[dict[str, Pairs], list[float], dict[str, Other]]:
    """Per program its pairs; nanoseconds of calls from Python; the other sandboxes."""
    first = next(iter(programs.values()))
    python_ns: list[float] = []
    rival_ns: dict[str, list[float]] = {}
    others: dict[str, Other] = {}
    with ExitStack() as stack:
        pairs = {
            # a slot each: one that changes its program copies it
            name: Pairs(stack.enter_context(metering([program], slot=slot, spec=spec_of(program))))
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
            others[rival.name] = Other(ratio=ratio(rival_ns[rival.name], bare_ns))
    return pairs, python_ns, {rival.name: others[rival.name] for rival in RIVALS}


async def _call(box: LinuxBox, program: Path) -> int:
    spec = spec_of(program)
    began = time.perf_counter_ns()
    await box.run(spec)
    return time.perf_counter_ns() - began


# ---------------------------------------------------------------------------------------------------------------------
# Two at once


def measure_scaling(slots: tuple[Slot, Slot], program: Path, rounds: int) -> Scaling:
    """What a second slot gains, beside what a second process that spawns does.

    A gain is that of a round, one stretch right after the other, so that a host that is slower for a second is so for
    both; over the rounds it is the median. (Rates taken each by itself over the whole run, and then divided, differed
    by 0.06 from run to run on a quiet host.)
    """
    rates: dict[Way, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        meters = [stack.enter_context(metering([program], slot=slot, spec=spec_of(program))) for slot in slots]
        for meter in meters:
            meter.run("slot", Stretch.soon(SCALING_MS))
        for number in range(rounds):
            for way in WAYS if number % 2 else reversed(WAYS):
                alone = meters[number // 2 % 2].run(way, Stretch.soon(SCALING_MS)).runs_per_s
                together = Stretch.soon(SCALING_MS)
                for meter in meters:
                    meter.start(way, together)
                rates[way].append((alone, sum(meter.finish().runs_per_s for meter in meters)))
    slots_gain, bare_gain = (median(together / alone for alone, together in rates[way]) for way in ("slot", "bare"))
    slots_per_s, bare_per_s = (
        (round(median(one for one, _ in rates[way]), 1), round(median(two for _, two in rates[way]), 1))
        for way in ("slot", "bare")
    )
    return Scaling(
        slots_per_s=slots_per_s,
        bare_per_s=bare_per_s,
        slots_gain=round(slots_gain, 3),
        bare_gain=round(bare_gain, 3),
        ratio=round(slots_gain / bare_gain, 3),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Much output


async def measure_flood(box: LinuxBox, slot: Slot, rounds: int) -> Flood:
    words = ("--flood", str(FLOOD_MIB * MIB))
    spec = spec_of(METER, *words, output_bytes=2 * FLOOD_MIB * MIB)
    python_ns: list[float] = []
    growth: list[float] = []
    with metering([METER, *words], slot=slot, spec=spec, reads=True) as meter:
        pairs = Pairs(meter)
        for number in range(-1, rounds + 1):  # the latest run's whole is not known
            if number == 0:
                pairs.forget()
                python_ns.clear()
                growth.clear()
            pairs.measure(number)
            memory = Memory(box.launcher_pid)
            began = time.perf_counter_ns()
            await box.run(spec)
            python_ns.append(time.perf_counter_ns() - began)
            growth.append(memory.growth_bytes())
    return Flood(
        mib=FLOOD_MIB,
        bare_ms=round(median(pairs.bare_ns) / 1e6, 2),
        ratio=ratio(pairs.busy_ns, pairs.bare_ns),
        ratio_python=ratio(python_ns, pairs.bare_ns),
        growth_mib=round(max(0.0, *growth) / MIB, 3),
    )


class Memory:
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
