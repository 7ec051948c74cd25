"""Work that a verdict does not wait for: the program is kept and its directory removed; and the package is fetched
beside the compiler."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from deepoj.execution.compiling import Compiler
from deepoj.execution.deferred import AFTER_S, DeferredWork, StartTask
from deepoj.judging.languages import Toolchain
from deepoj.observe import Metrics
from deepoj.pipeline.judge import judge
from deepoj.words.errors import BlobsUnavailable
from deepoj.words.results import CompileResult, Infra, Report, Verdict
from deepoj.words.sandbox import Policy, RunVerdict
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, outcome
from tests.fakes.settings import judge_settings
from tests.fakes.testdata import PlainTestData
from tests.unit.makers import a_claim


class SlowCache:
    """``ports.CompileCache`` that has nothing and keeps nothing until ``gate`` is set; then it notes the contents."""

    def __init__(self) -> None:
        self.gate = trio.Event()
        self.kept: list[dict[str, bytes]] = []

    def has(self, key: str) -> bool:
        del key
        return False

    async def take(self, key: str, into: Path) -> CompileResult | None:
        await trio.lowlevel.checkpoint()
        return None

    async def keep(self, key: str, result: CompileResult, files: Sequence[Path]) -> None:
        await self.gate.wait()
        self.kept.append({path.name: path.read_bytes() for path in files})


class Attempted:
    """A box, a problem of one test, and a cache that is slow to keep."""

    def __init__(self, directory: Path, metrics: Metrics) -> None:
        self.box, self.cache, self.workspace = ScriptedBox(), SlowCache(), directory / "workspace"
        (directory / "data").mkdir()
        self.data = PlainTestData(directory / "data", [(b"1 2\n", b"3\n")])
        tool = directory / "compiler"
        tool.write_text("")
        self._metrics, self._settings = metrics, judge_settings(toolchain=Toolchain(gxx=str(tool)))

    async def judge(self, start_task: StartTask | None) -> Report | Infra:
        compiler = Compiler(self.box, settings=self._settings, metrics=self._metrics, cache=self.cache)
        context = attempt_context(
            self.box,
            self.workspace,
            self._settings,
            metrics=self._metrics,
            compiler=compiler,
            start_task=start_task,
        )
        with trio.fail_after(60):
            return await judge(context, self.data, a_claim())

    def assert_nothing_left(self) -> None:
        assert not list(self.workspace.iterdir())
        assert self.data.held == 0


@pytest.fixture
def attempted(tmp_path: Path, metrics: Metrics) -> Attempted:
    return Attempted(tmp_path, metrics)


@pytest.mark.parametrize("stops", [False, True])
async def test_program_is_kept_after_the_verdict_and_then_its_directory_is_removed(
    attempted: Attempted, *, stops: bool
) -> None:
    """Also if the node stops meanwhile."""
    async with trio.open_nursery() as tasks:
        report = await attempted.judge(tasks.start_soon)
        assert isinstance(report, Report)
        assert report.status is Verdict.ACCEPTED
        assert [path.name for path in attempted.workspace.iterdir()] == ["job-1-1"]
        if stops:
            tasks.cancel_scope.cancel()
        attempted.cache.gate.set()
    assert [list(files) for files in attempted.cache.kept] == [["main"]]
    attempted.assert_nothing_left()


async def test_deferred_work_begins_after_a_pause_in_the_order_of_adding(autojump_clock: object) -> None:
    """By then a short program has its verdict."""
    done: list[tuple[str, float]] = []
    added_at = trio.current_time()

    async def do(name: str) -> None:
        await trio.lowlevel.checkpoint()
        done.append((name, trio.current_time() - added_at))

    async with trio.open_nursery() as tasks:
        deferred = DeferredWork(tasks.start_soon)
        for name in ("keep", "remove"):
            await deferred.add(partial(do, name))
        await trio.testing.wait_all_tasks_blocked()
        assert done == []
    assert [name for name, _ in done] == ["keep", "remove"]
    assert [after_s for _, after_s in done] == pytest.approx([AFTER_S, AFTER_S])


async def test_attempt_cancelled_in_the_compiler_leaves_nothing(attempted: Attempted) -> None:
    attempted.box.hold()
    async with trio.open_nursery() as tasks, trio.open_nursery() as job:
        job.start_soon(attempted.judge, tasks.start_soon)
        with trio.fail_after(60):
            await attempted.box.wait_running(1)
        job.cancel_scope.cancel()
    assert attempted.cache.kept == []
    attempted.assert_nothing_left()


async def test_package_is_fetched_while_the_compiler_runs(attempted: Attempted) -> None:
    attempted.cache.gate.set()
    attempted.box.hold()
    async with trio.open_nursery() as tasks:
        tasks.start_soon(attempted.judge, tasks.start_soon)
        with trio.fail_after(60):
            await attempted.box.wait_running(1)
            while not attempted.data.prepared:
                await trio.testing.wait_all_tasks_blocked()
        attempted.box.release()
    attempted.assert_nothing_left()
    before = attempted.data.prepared
    async with trio.open_nursery() as tasks:
        await attempted.judge(tasks.start_soon)
    assert attempted.data.prepared == before + 1  # it is there: nothing is fetched beside the compiler


async def test_compile_error_does_not_wait_for_the_package(attempted: Attempted) -> None:
    attempted.cache.gate.set()
    attempted.data.gate = trio.Event()
    attempted.box.on(Policy.COMPILE, b"main", outcome(RunVerdict.RE, exit_code=1))
    async with trio.open_nursery() as tasks:
        report = await attempted.judge(tasks.start_soon)
        assert isinstance(report, Report)
        assert report.status is Verdict.COMPILE_ERROR
        attempted.data.gate.set()
    attempted.assert_nothing_left()


async def test_fetch_that_fails_beside_the_compiler_is_met_by_the_attempt(attempted: Attempted) -> None:
    attempted.cache.gate.set()
    attempted.data.breakage = BlobsUnavailable("away")
    async with trio.open_nursery() as tasks:
        with pytest.raises(BlobsUnavailable):
            await attempted.judge(tasks.start_soon)
    attempted.assert_nothing_left()
