"""The canaries in the real sandbox: right, cheap and compiled once; and a wrong sandbox stops the node."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest
import trio

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.execution.canary import CanaryRound, judge_canaries
from deepoj.judging.canaries import CANARIES
from deepoj.observe import Metrics
from deepoj.words.jobs import State
from deepoj.words.readiness import PartState
from deepoj.words.sandbox import Isolation, Joined, Policy, RunOutcome, RunSpec, RunVerdict
from tests.fakes.node import FakeNode, submitted
from tests.fakes.settings import judge_settings
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream

#: CPU time of a round with compiled programs; 0.3 s on an idle host
ROUND_CPU_S = 4.0
#: ten compilations on a busy machine
PATIENCE_S = 600.0


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of programs for the whole file."""
    return tmp_path_factory.mktemp("canaries") / "shelf"


@dataclass
class Witness:
    """A box that records its runs, and can report a wrong rule."""

    box: LinuxBox
    specs: list[RunSpec] = field(default_factory=list)
    lies_about: str = ""

    @property
    def isolation(self) -> Isolation:
        return self.box.isolation

    @property
    def has_proc(self) -> bool:
        return self.box.has_proc

    def check(self) -> str:
        return self.box.check()

    async def restore(self) -> None:
        await self.box.restore()

    async def run(self, spec: RunSpec) -> RunOutcome:
        self.specs.append(spec)
        told = await self.box.run(spec)
        if told.rule != self.lies_about:
            return told
        return replace(told, verdict=RunVerdict.OK, rule="ok", exit_code=0, exit_signal=0)

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        raise AssertionError("no canary has an interactor")

    @property
    def compiled(self) -> list[str]:
        """Return the compiled sources in order."""
        return [spec.files_in[0].path.read_text() for spec in self.specs if spec.policy is Policy.COMPILE]


async def judged(box: Witness, shelf: Path) -> CanaryRound:
    with trio.fail_after(PATIENCE_S):
        return await judge_canaries(box, cache_dir=shelf, settings=judge_settings())


def cpu_s() -> float:
    """Return the CPU time of this process, the launcher and their ended children."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return float(sum(at.user + at.system + at.children_user + at.children_system for at in times))


async def test_every_canary_is_as_expected_and_a_round_is_cheap(
    box: LinuxBox, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await judged(Witness(box), shelf)
    assert (first.differing, first.unjudged, first.without) == ((), "", ())
    assert first.as_expected == first.of == len(CANARIES)

    witness, before = Witness(box), cpu_s()
    second = await judged(witness, shelf)
    spent = cpu_s() - before
    assert second.clean
    # one that must not compile; nothing else
    assert sum(spec.policy is Policy.COMPILE for spec in witness.specs) == 1
    with capsys.disabled():
        sys.stdout.write(f"\na round of {second.of} canaries: {spent:.2f} s of CPU, {second.duration_ms} ms ")
    assert box.isolation is Isolation.FULL or spent < ROUND_CPU_S  # an emulated machine is as slow as it is
    assert all(len(name) == 32 for name in os.listdir(shelf))  # noqa: PTH208 - programs; the rounds are gone


async def test_a_sandbox_that_lies_stops_a_node_and_a_healed_one_lets_it_go_on(box: LinuxBox, shelf: Path) -> None:
    witness = Witness(box)

    async def judge_round() -> CanaryRound:
        return await judge_canaries(witness, cache_dir=shelf, settings=judge_settings())

    fake = FakeNode(
        store=MemoryStore(), stream=MemoryStream(), metrics=Metrics(), judge_s=0.01, judge_round=judge_round,
        canary_s=0.05,
    )  # fmt: skip
    async with running(fake):
        first = await submitted(fake.store, fake.metrics, "first")
        await until(fake, PartState.UP)
        await until_done(fake, first)
        witness.lies_about = "cpu"
        await until(fake, PartState.DOWN)
        refused = await submitted(fake.store, fake.metrics, "refused")
        why = fake.child_status.readiness().reasons["canary"]
        assert "canary cpu-loop: expected Time Limit Exceeded (rule cpu), found Accepted (rule ok)" in why
        assert "canary late-but-clean" in why
        seen = len(witness.specs)
        while len(witness.specs) < seen + 2 * len(CANARIES):  # more rounds pass
            await trio.sleep(0.05)
        assert fake.store.rows[refused].state is State.PENDING
        assert fake.metrics.canary_failures.labels(case="cpu-loop")._value.get() >= 2
        witness.lies_about = ""
        await until_done(fake, refused)
        assert fake.child_status.readiness().ready


@asynccontextmanager
async def running(fake: FakeNode) -> AsyncIterator[None]:
    stop = trio.Event()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(fake.run, stop)
            yield
            stop.set()


async def until(fake: FakeNode, state: PartState) -> None:
    while fake.child_status.readiness().parts.get("canary") is not state:
        await trio.sleep(0.02)


async def until_done(fake: FakeNode, job_id: str) -> None:
    while fake.store.rows[job_id].state is not State.DONE:
        await trio.sleep(0.02)
