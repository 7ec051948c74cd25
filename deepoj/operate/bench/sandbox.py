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

The gain of a second slot is compared with that of a second process that spawns, all in turn, in stretches of some
milliseconds that begin at the same moment for both. The two are asked by two such processes, so no Python stands
between them. A rate is a mean, which whatever else the host does spoils: rates are upper quartiles of the stretches.

The flood is a program that writes 64 MiB to stdout, of which the run keeps 1 MiB; bare, a process reads it through a
pipe of the same size into a buffer of the same size, and keeps nothing. The growth is this process's peak, of which the
megabyte that it returns is a part, and the launcher's; the memory file in which the kernel holds that megabyte
meanwhile is no process's and not counted.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.config import Config
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
            f"{program} cannot be measured, it must exit 0: in the sandbox it comes to {outcome.verdict} "
            f"(rule {outcome.rule}, exit code {outcome.exit_code}, signal {outcome.exit_signal})",
            2,
        )
    with metering([program]) as meter:
        try:
            meter.run("bare")
        except BadRunError as error:
            raise StartRefused(f"{program} cannot be measured, it must exit 0: run bare, {error}", 2) from error
