"""What a run's tasks have waited for a core, read from a made-up /proc: a real host starves no task on order."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "sandbox_ext"
#: taken off of every delay: CPU times of a process are read in ticks
TICKS_US = 40_000


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("waits") / "waits"
    sources = [HERE / "waits.c", *SOURCES.glob("sampler*.c"), SOURCES / "proctext.c", SOURCES / "sys.c"]
    command: list[str | Path] = ["gcc", "-std=gnu11", "-O1", f"-I{SOURCES}", "-o", path, *sources]
    subprocess.run(command, check=True, timeout=600)
    return path


@dataclass(frozen=True)
class Run:
    """A run in a /proc of files, and the sampler that looks at it."""

    proc: Path
    sampler: subprocess.Popen[str]

    def set_task(self, pid: int, state: str, ran_us: int, waited_us: int) -> None:
        process = self.proc / str(pid)
        (process / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
        (process / "stat").write_text(f"{pid} (main) {state} 1" + " 0" * 48)
        (process / "schedstat").write_text(f"{ran_us * 1000} {waited_us * 1000} 0")

    def delay_us(self, now_us: int, cpu_us: int) -> int:
        assert self.sampler.stdin is not None
        assert self.sampler.stdout is not None
        self.sampler.stdin.write(f"{now_us} {cpu_us}\n")
        self.sampler.stdin.flush()
        return int(self.sampler.stdout.readline())


@contextmanager
def sampled(program: Path, proc: Path) -> Iterator[Run]:
    command = (program, proc)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sampler:
        yield Run(proc, sampler)
        assert sampler.stdin is not None
        sampler.stdin.close()


@pytest.fixture
def run(program: Path, tmp_path: Path) -> Iterator[Run]:
    with sampled(program, tmp_path) as run:
        yield run


def test_delay_of_a_task_that_still_waits_is_seen(run: Run) -> None:
    run.set_task(7, "R", ran_us=50_000, waited_us=0)

    assert run.delay_us(100_000, cpu_us=50_000) == 0
    assert run.delay_us(1_100_000, cpu_us=50_000) == 1_000_000 - TICKS_US
    assert run.delay_us(2_100_000, cpu_us=50_000) == 2_000_000 - TICKS_US


@pytest.mark.parametrize(("state", "ran_us"), [("R", 51_000), ("S", 50_000)])
def test_delay_of_a_task_that_ran_or_sleeps_is_none(run: Run, state: str, ran_us: int) -> None:
    run.set_task(7, "R", ran_us=50_000, waited_us=0)
    run.delay_us(100_000, cpu_us=50_000)
    run.set_task(7, state, ran_us=ran_us, waited_us=0)

    assert run.delay_us(1_100_000, cpu_us=ran_us) == 0


def test_delay_by_other_tasks_of_the_run_is_none(run: Run) -> None:
    run.set_task(7, "R", ran_us=50_000, waited_us=0)
    run.set_task(8, "R", ran_us=100_000, waited_us=0)
    run.delay_us(100_000, cpu_us=150_000)
    run.set_task(8, "R", ran_us=1_100_000, waited_us=0)

    assert run.delay_us(1_100_000, cpu_us=1_150_000) == 0


def test_delay_is_counted_once_when_the_task_has_run(run: Run) -> None:
    run.set_task(7, "R", ran_us=50_000, waited_us=0)
    run.delay_us(100_000, cpu_us=50_000)
    run.delay_us(1_100_000, cpu_us=50_000)
    run.set_task(7, "R", ran_us=60_000, waited_us=1_000_000)

    assert run.delay_us(1_200_000, cpu_us=60_000) == 1_000_000 - TICKS_US
