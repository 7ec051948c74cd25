"""``deepoj bench sandbox``: measures the cost of a sandbox execution relative to a bare one.

In each round every program runs once bare and once in a slot, in alternating order. Figures are medians over the
rounds, without the first ones. On a shared host the absolute figures vary, but the ratios vary much less.

A bare execution is posix_spawn and waitpid from ``deepoj/_meter``, a process as large as the launcher, and is timed
there. So Python, whose ``os.posix_spawn`` takes about 5 % more, cannot make the ratio look better. The same process
requests the slot's executions, with the message and descriptors that the node would send. The required ratio includes
all the time during which an execution occupies its slot, also after the answer: the differences of ``busy_us``. The
latency ratio covers the time until the answer (``slot_us``). ``ratio_static_python`` covers all of ``LinuxBox.run``,
measured in Python.

The gain of a second slot is compared with that of a second spawning process, alternating in stretches of some
milliseconds that begin at the same moment for both. Two meter processes make the requests, so that Python is not
involved. A mean rate would suffer from other load on the host: rates are upper quartiles of the stretches.

The flood is a program that writes 64 MiB to stdout, of which the execution keeps 1 MiB. For the bare one, a process
reads the output through a pipe of the same size into a buffer of the same size, and keeps nothing. The growth is that
of the launcher and of this process's peak, including the megabyte that it returns. The kernel's memory file with that
megabyte belongs to no process and is not counted.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.config.model import Config
from deepoj.operate.bench.meter import BadRunError, metering
from deepoj.operate.bench.sandbox_figures import SandboxFigures
from deepoj.operate.bench.sandbox_rounds import measure_flood, measure_pairs, measure_scaling, ratio, spec_of
from deepoj.words.errors import StartRefused
from deepoj.words.sandbox import RunVerdict

#: of the rounds, how many go to what takes longer
FLOOD_EVERY = 50
SCALING_EVERY = 4
FEWEST = 3
SOURCE = "int main(void) { return 0; }\n"


def trivial_programs(directory: Path) -> dict[str, Path]:
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


async def measure(cfg: Config, programs: dict[str, Path], rounds: int, *, quiet: bool) -> SandboxFigures:
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
        trivial, python_ns, others = await measure_pairs(box, (one, two), programs, rounds, quiet=quiet)
        scaling = measure_scaling((one, two), first, max(FEWEST, rounds // SCALING_EVERY))
        flood = await measure_flood(box, one, max(FEWEST, rounds // FLOOD_EVERY))
        return SandboxFigures(
            isolation=box.isolation,
            rounds=rounds,
            trivial={name: pairs.figures() for name, pairs in trivial.items()},
            ratio_python=ratio(python_ns, next(iter(trivial.values())).bare_ns),
            scaling=scaling,
            flood=flood,
            others=others,
        )


async def _check(box: LinuxBox, program: Path) -> None:
    """Raises StartRefused unless it exits 0 both ways."""
    try:
        outcome = await box.run(spec_of(program))
    except OSError as error:
        raise StartRefused(f"{program} cannot be measured: {error.strerror}", 2) from error
    if outcome.verdict is not RunVerdict.OK:
        raise StartRefused(
            f"{program} cannot be measured, it must exit 0: in the sandbox its verdict is {outcome.verdict} "
            f"(rule {outcome.rule}, exit code {outcome.exit_code}, signal {outcome.exit_signal})",
            2,
        )
    with metering([program]) as meter:
        try:
            meter.run("bare")
        except BadRunError as error:
            raise StartRefused(f"{program} cannot be measured, it must exit 0: run bare, {error}", 2) from error
