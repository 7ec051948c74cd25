"""What one run can tell another on the same host, measured: a table for people and for ``sandbox_ext/README.md``.

    python -m tests.covert_channels                  every level that this host has, every channel
    python -m tests.covert_channels dentries pids    only these
    python -m tests.covert_channels --markdown       as the table in the README

For each channel two runs of ``sandbox/covert.c`` are made, in two slots at the same time or one after the other. The
sender is given random bits, the receiver prints a number for each. A threshold is learned from the first bits, and the
errors in the others give the capacity of a binary symmetric channel.
"""

from __future__ import annotations

import argparse
import itertools
import math
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio
from rich.console import Console
from rich.table import Table

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.errors import BoxBroken, StartRefused
from deepoj.words.sandbox import Isolation, RunOutcome
from tests.sandbox.bench import Bench

SOURCE = Path(__file__).parent / "sandbox" / "covert.c"
#: bits of which both ends know what they are
TRAINING = 32
#: of the errors that guessing makes in as many bits, so many standard deviations fewer are no chance
NO_CHANCE = 4.0
#: from asking for two runs to their first bit
LEAD_S = 2.0
#: what a receiver ends with that is refused
CLOSED = 3
#: of the pages that stand for bits every sixteenth of a file is used
LARGE_BYTES = 256 * 16 * 4096
PLACES = ("bin/*", "lib/*-linux-gnu/*")


@dataclass(frozen=True, slots=True)
class Channel:
    """One row. ``symbol_us`` 0: the ends run one after the other."""

    name: str
    about: str
    symbol_us: int
    bits: int = 128


CHANNELS = (
    Channel("files", "files made anywhere", 0),
    Channel("atime", "access time of a shared file", 0),
    Channel("dentries", "names looked up in a shared directory", 0, 1024),
    Channel("pages", "pages of a shared file in the page cache", 0, 256),
    Channel("flock", "flock on a shared file", 2_000, 512),
    Channel("record-locks", "record lock on a shared file", 2_000, 512),
    Channel("futex", "futex in a shared file's page", 2_000, 512),
    Channel("sysv", "System V message queues", 0),
    Channel("mqueue", "POSIX message queues", 0),
    Channel("abstract", "abstract sockets", 20_000),
    Channel("ports", "TCP ports", 20_000),
    Channel("pids", "process ids", 20_000),
    Channel("inodes", "inode numbers of pipes", 80_000),
    Channel("pipe-size", "sizes of new pipes (F_GETPIPE_SZ)", 80_000),
    Channel("memory", "free memory (sysinfo)", 80_000),
    Channel("processes", "number of processes (sysinfo)", 10_000),
    Channel("proc-stat", "processes started (/proc/stat)", 20_000),
    Channel("timers", "lateness of timers", 20_000),
    Channel("cpu", "contention for CPUs", 20_000),
    Channel("bandwidth", "contention for caches and memory", 20_000),
)


@dataclass(frozen=True, slots=True)
class Measure:
    """What came through."""

    bits_per_s: float = 0.0
    error_rate: float = 0.5
    #: why there is nothing to receive by; empty: what was felt changed, but not with the bits
    closed: str = ""

    def __str__(self) -> str:
        if self.closed or self.bits_per_s == 0:
            return "closed" if self.closed else "none found"
        return f"{self.bits_per_s:,.0f} bit/s, {100 * self.error_rate:.0f} % wrong"


def compile_covert(directory: Path) -> None:
    """Leaves ``covert`` in the directory."""
    subprocess.run(("gcc", "-O1", "-o", directory / "covert", SOURCE), check=True, timeout=600)


def shared_file() -> Path:
    """A large file that every run sees and that hardly anybody has open."""
    found = [path for place in PLACES for path in Path("/usr").glob(place) if path.is_file() and not path.is_symlink()]
    large = [path for path in found if path.stat().st_size >= LARGE_BYTES]
    if not large:
        raise SystemExit(f"no file of {LARGE_BYTES} bytes in {', '.join(f'/usr/{place}' for place in PLACES)}")
    return min(large, key=lambda path: (path.stat().st_atime, str(path)))


async def played(bench: Bench, channel: Channel, file: Path, bits: str) -> tuple[RunOutcome, RunOutcome, float]:
    """The sender's outcome, the receiver's, and how long the bits took."""
    began = time.monotonic()
    if channel.symbol_us:
        start_ns, symbol_us = time.time_ns() + round(LEAD_S * 1e9), channel.symbol_us
    else:
        start_ns, symbol_us = 0, secrets.randbelow(10**9)
    words = (channel.name, str(file), start_ns, symbol_us, bits, len(bits))
    ends: dict[str, RunOutcome] = {}

    async def run(end: str) -> None:
        ends[end] = await bench.run(end, *words, program="covert")

    if channel.symbol_us:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, "send")
            nursery.start_soon(run, "feel")
        return ends["send"], ends["feel"], len(bits) * channel.symbol_us / 1e6
    await run("send")
    await run("feel")
    return ends["send"], ends["feel"], time.monotonic() - began


def numbers_of(outcome: RunOutcome) -> list[float]:
    """What the receiver felt."""
    return [float(line) for line in outcome.stdout.split()]


def errors_in(numbers: Sequence[float], bits: str) -> int:
    """How many bits after the training are decoded wrong, by the threshold and the direction that fit the training."""
    known = list(zip(numbers[:TRAINING], bits[:TRAINING], strict=True))
    steps = sorted(set(numbers[:TRAINING]))
    thresholds = [(low + high) / 2 for low, high in itertools.pairwise(steps)] or [math.inf]
    choices = [(threshold, one) for threshold in thresholds for one in (True, False)]
    threshold, one = min(
        choices, key=lambda choice: sum(((x > choice[0]) is choice[1]) is not (bit == "1") for x, bit in known)
    )
    rest = zip(numbers[TRAINING:], bits[TRAINING:], strict=True)
    return sum(((x > threshold) is one) is not (bit == "1") for x, bit in rest)


def is_chance(errors: int, count: int) -> bool:
    """Whether guessing makes as few errors in ``count`` bits."""
    return errors > count / 2 - NO_CHANCE * math.sqrt(count) / 2


async def measured(bench: Bench, channel: Channel, file: Path) -> Measure:
    """One channel of one level."""
    bits = "".join(secrets.choice("01") for _ in range(channel.bits))
    _, receiver, took_s = await played(bench, channel, file, bits)
    if receiver.exit_code == CLOSED:
        return Measure(closed=receiver.stderr.decode().strip())
    numbers = numbers_of(receiver)
    if len(numbers) != len(bits):
        return Measure(closed=f"the receiver ended early ({receiver.rule}, {receiver.exit_signal})")
    if len(set(numbers)) == 1:
        return Measure(closed="the receiver feels always the same")
    count = len(bits) - TRAINING
    errors = errors_in(numbers, bits)
    if is_chance(errors, count):
        return Measure()
    rate = errors / count
    entropy = 0.0 if errors == 0 else -rate * math.log2(rate) - (1 - rate) * math.log2(1 - rate)
    return Measure(bits_per_s=len(bits) / took_s * (1 - entropy), error_rate=rate)


async def table(names: Sequence[str], directory: Path) -> dict[str, dict[Isolation, Measure]]:
    """Every channel at every level that this host has."""
    compile_covert(directory)
    chosen = [channel for channel in CHANNELS if not names or channel.name in names]
    file = shared_file()
    found: dict[str, dict[Isolation, Measure]] = {channel.name: {} for channel in chosen}
    for level in sorted(Isolation, reverse=True):
        try:
            async with LinuxBox.open(2, at_most=level, min_isolation=level) as box:
                bench = Bench(box, directory, directory)
                for channel in chosen:
                    found[channel.name][level] = await measured(bench, channel, file)
        except (BoxBroken, StartRefused) as missing:
            Console(stderr=True).print(f"no level {level}: {missing}", markup=False)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.covert_channels")
    parser.add_argument("names", nargs="*", choices=[[], *(channel.name for channel in CHANNELS)])
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        found = trio.run(table, options.names, Path(directory))
    levels = [level for level in Isolation if any(level in measures for measures in found.values())]
    rows = [
        (channel.name, channel.about, "at once" if channel.symbol_us else "after",
         *(str(found[channel.name].get(level, "")) for level in levels))
        for channel in CHANNELS if channel.name in found
    ]  # fmt: skip
    heads = ("channel", "by", "runs", *levels)
    if options.markdown:
        sys.stdout.writelines(f"| {' | '.join(row)} |\n" for row in (heads, ["---"] * len(heads), *rows))
        return
    shown = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    Console(width=160).print(shown)


if __name__ == "__main__":
    main()
