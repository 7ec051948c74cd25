"""Compilations that begin before their job is claimed: what they run, who gets the result, and what they leave."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from deepoj.execution import early as early_module
from deepoj.execution.compiling import EARLY_S, Compiled, Compiler
from deepoj.execution.deferred import AFTER_S, StartTask
from deepoj.execution.early import UNSETTLED_S, UNUSED_S, IdleSlotCompiler
from deepoj.execution.header_cache import WANTED, HeaderCache
from deepoj.execution.workdir import AttemptDir
from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.observe import Metrics
from deepoj.ports.early import EarlyCompilation
from deepoj.words.errors import BoxBroken
from deepoj.words.results import CompileResult
from deepoj.words.sandbox import FileIn, Policy, RunOutcome, RunSpec, RunVerdict
from deepoj.words.sources import SourceFile
from deepoj.words.submissions import Draft
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, outcome
from tests.fakes.settings import judge_settings
from tests.unit.test_compiling import Headers, Shelf, counted

DRAFT = Draft(code="int main(){}", user_id=1, problem_id=1, language="cpp17", trace_id="t")


class Place:
    """A node's compiler, with the tasks that it starts."""

    def __init__(self, directory: Path, metrics: Metrics, start: StartTask, headers: HeaderCache | None = None) -> None:
        self.box, self.shelf, self.metrics, self.room = ScriptedBox(), Shelf(), metrics, 1
        self.workspace, self.attempt = directory / "workspace", directory / "attempt"
        self.attempt.mkdir()
        tool = directory / "compiler"
        tool.write_text("")
        settings = judge_settings(toolchain=Toolchain(gxx=str(tool)))
        self.compiler = Compiler(self.box, settings=settings, metrics=metrics, cache=self.shelf, headers=headers)
        context = attempt_context(self.box, self.workspace, settings, metrics=metrics, compiler=self.compiler)
        self.early = IdleSlotCompiler(context=context, start_task=start, has_room=lambda count: count < self.room)

    async def begin(self, draft: Draft = DRAFT, *, is_stored: bool | None = None) -> EarlyCompilation:
        """Begin, and wait until nothing more happens. ``is_stored``: settle it before the compiler ends."""
        early = await self.early.begin(draft)
        assert early is not None
        if is_stored is not None:
            early.settle(is_stored=is_stored)
        await early.begun.wait()
        await trio.testing.wait_all_tasks_blocked()
        return early

    async def compile(self, text: str = DRAFT.code) -> Compiled:
        """As the attempt at judging ``DRAFT`` does."""
        source = self.attempt / "main.cpp"
        source.write_text(text)
        made = await self.compiler.compile(
            LANGUAGES["cpp17"], [FileIn("main.cpp", source)], "main.cpp", into=self.attempt, user_id=1
        )
        assert isinstance(made, Compiled)
        return made

    async def compile_held(self) -> Compiled:
        """``compile`` while runs are held, which are released once it waits."""
        made: list[Compiled] = []

        async def call() -> None:
            made.append(await self.compile())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()
            assert not made
            self.box.release()
        return made[0]

    @property
    def count(self) -> int:
        return len(self.box.runs(Policy.COMPILE))

    def counted(self, result: str) -> float:
        return counted(self.metrics, "worker_compile_early_total", result)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded host is no disk that hangs."""
    monkeypatch.setattr(early_module, "BEGIN_S", 60.0)


@pytest.fixture
def clock() -> MockClock:
    """The usual clock, but it can jump."""
    return MockClock(rate=1)


@asynccontextmanager
async def place_in(directory: Path, metrics: Metrics, headers: HeaderCache | None = None) -> AsyncIterator[Place]:
    with trio.fail_after(2000):
        async with trio.open_nursery() as tasks:
            yield Place(directory, metrics, tasks.start_soon, headers)
            tasks.cancel_scope.cancel()
    assert not list((directory / "workspace").iterdir())


async def test_the_call_takes_over_the_result_as_its_own(tmp_path: Path, metrics: Metrics, clock: MockClock) -> None:
    async with place_in(tmp_path, metrics) as place:
        place.box.hold()
        await place.begin(is_stored=True)
        assert place.count == 1
        compiled = await place.compile_held()
        assert compiled.result == CompileResult(ok=True, time_ms=200, output="")
        assert compiled.wall_ms == 250
        assert compiled.isolation is place.box.isolation
        assert (place.attempt / "main").read_bytes() == b"int main(){}"
        again = await place.compile()
        assert again.result == replace(compiled.result, cached=True)
        assert place.count == 1
        await trio.testing.wait_all_tasks_blocked()
        assert (place.counted("used"), place.counted("unused")) == (1, 0)
        clock.jump(2 * AFTER_S)
        await trio.testing.wait_all_tasks_blocked()
        await place.begin(replace(DRAFT, code="int main(){} //"), is_stored=True)
        assert len(list(place.workspace.iterdir())) == 1, "its directory is used again"


async def test_the_compiler_of_a_draft_that_is_not_stored_is_ended(
    tmp_path: Path, metrics: Metrics, clock: MockClock
) -> None:
    async with place_in(tmp_path, metrics) as place:
        place.box.hold()
        early = await place.begin()
        assert (place.count, place.box.running) == (1, 1)
        early.settle(is_stored=False)
        await trio.testing.wait_all_tasks_blocked()
        assert (place.box.cancelled, place.box.running, place.compiler.early_count) == (1, 0, 0)
        clock.jump(2 * AFTER_S)
        await trio.testing.wait_all_tasks_blocked()
        place.box.release()
        await place.begin(is_stored=True)
        assert (await place.compile()).wall_ms == 250
        assert place.count == 2
        assert len(list(place.workspace.iterdir())) == 1, "its directory is used again"


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_disk_that_hangs_keeps_no_draft_from_being_stored(
    tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, is_stored: bool
) -> None:
    answers, make = threading.Event(), AttemptDir.unnamed

    def hang(workdir: Path) -> AttemptDir:
        assert answers.wait(60)
        return make(workdir)

    monkeypatch.setattr(AttemptDir, "unnamed", hang)
    monkeypatch.setattr(early_module, "BEGIN_S", 0.01)
    async with place_in(tmp_path, metrics) as place:
        early = await place.early.begin(DRAFT)
        assert early is not None
        assert not early.begun.is_set()
        early.settle(is_stored=is_stored)
        answers.set()
        await early.begun.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert place.count == is_stored


async def test_the_compiler_of_a_request_that_is_cancelled_is_ended(tmp_path: Path, metrics: Metrics) -> None:
    async with place_in(tmp_path, metrics) as place:
        place.box.hold()
        with trio.CancelScope() as scope:
            scope.cancel()
            await place.early.begin(DRAFT)
        while place.early.beginning:  # a thread makes the first directory
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert (place.count, place.compiler.early_count) == (0, 0)


async def test_a_result_that_no_call_takes_is_dropped(tmp_path: Path, metrics: Metrics, clock: MockClock) -> None:
    async with place_in(tmp_path, metrics) as place:
        await place.begin(is_stored=True)
        await place.compile("int main(){} // another")
        assert (place.count, place.compiler.early_count) == (2, 1)
        clock.jump(EARLY_S)
        await trio.testing.wait_all_tasks_blocked()
        assert (place.compiler.early_count, place.counted("unused")) == (0, 1)
        assert (await place.compile()).wall_ms == 250
        assert place.count == 3


@pytest.mark.parametrize(
    "broken", [BoxBroken("it fell"), OSError(5, "no"), outcome(RunVerdict.SE)], ids=["fell", "disk", "ours"]
)
async def test_the_call_compiles_what_broke_early(
    tmp_path: Path, metrics: Metrics, broken: BoxBroken | OSError | RunOutcome
) -> None:
    replies = iter([broken, outcome(wall_ms=7)])

    def reply(_spec: RunSpec, _stdin: bytes) -> RunOutcome:
        one = next(replies)
        if isinstance(one, Exception):
            raise one
        return one

    async with place_in(tmp_path, metrics) as place:
        place.box.on(Policy.COMPILE, b"int", reply)
        place.box.hold()
        await place.begin(is_stored=True)
        assert (await place.compile_held()).wall_ms == 7
        assert place.count == 2


async def test_a_call_that_was_first_is_not_repeated(tmp_path: Path, metrics: Metrics) -> None:
    async with place_in(tmp_path, metrics) as place:
        place.box.hold()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.compile)
            while not place.count:
                await trio.lowlevel.checkpoint()
            await place.begin(is_stored=True)
            place.box.release()
        assert place.count == 1
        await place.begin(is_stored=True)
        assert place.count == 1, "it is in the cache"


async def test_a_draft_that_is_refused_ends_the_compilation_of_an_identical_one_only_for_itself(
    tmp_path: Path, metrics: Metrics
) -> None:
    """Of two requests with one program the second may begin to compile first, and is refused as a twin."""
    async with place_in(tmp_path, metrics) as place:
        place.box.hold()
        twin = await place.begin()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.compile)
            await trio.testing.wait_all_tasks_blocked()
            twin.settle(is_stored=False)
            while place.count == 1:
                await trio.lowlevel.checkpoint()
            place.box.release()
        assert (place.box.cancelled, place.count) == (1, 2)


async def test_a_cancelled_call_ends_the_compilation(tmp_path: Path, metrics: Metrics) -> None:
    async with place_in(tmp_path, metrics) as place:
        place.box.hold()
        await place.begin(is_stored=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.compile)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert (place.box.cancelled, place.box.running, place.compiler.early_count) == (1, 0, 0)
        place.box.release()
        assert (await place.compile()).wall_ms == 250
        assert place.count == 2


async def test_draft_of_several_files_is_compiled_with_their_names(tmp_path: Path, metrics: Metrics) -> None:
    several = replace(DRAFT, entry_point="a.cpp", beside=(SourceFile("b.h", "int f();"),))
    async with place_in(tmp_path, metrics) as place:
        await place.begin(several, is_stored=True)
        (spec,) = place.box.runs(Policy.COMPILE)
        assert [file.name for file in spec.files_in] == ["a.cpp", "b.h"]


async def test_problem_whose_jobs_ask_for_another_compilation_is_left_alone_for_a_while(
    tmp_path: Path, metrics: Metrics, clock: MockClock
) -> None:
    async with place_in(tmp_path, metrics) as place:
        place.room = 2
        await place.begin(is_stored=True)
        clock.jump(EARLY_S)
        await trio.testing.wait_all_tasks_blocked()
        assert await place.early.begin(DRAFT) is None
        assert await place.early.begin(replace(DRAFT, problem_id=2)) is not None
        clock.jump(UNUSED_S)
        assert await place.early.begin(DRAFT) is not None


@pytest.mark.parametrize("broken", [True, False])
async def test_directories_are_used_again_after_breakages_and_refusals(
    tmp_path: Path, metrics: Metrics, clock: MockClock, broken: bool
) -> None:
    async with place_in(tmp_path, metrics) as place:
        if broken:
            place.box.on(Policy.COMPILE, b"int", OSError(24, "Too many open files"))
        else:
            place.box.hold()
        for _ in range(4):
            await place.begin(is_stored=False)
            clock.jump(2 * AFTER_S)
            await trio.testing.wait_all_tasks_blocked()
        assert place.count == 4
        assert len(list(place.workspace.iterdir())) == 1


async def test_a_draft_is_stored_once_its_compiler_runs(tmp_path: Path, metrics: Metrics, clock: MockClock) -> None:
    async with place_in(tmp_path, metrics) as place:
        await place.begin(is_stored=False)
        clock.jump(2 * AFTER_S)
        await trio.testing.wait_all_tasks_blocked()
        place.box.hold()
        assert await place.early.begin(DRAFT) is not None
        assert place.count == 2


async def test_a_draft_that_is_not_stored_soon_is_compiled_by_its_job(
    tmp_path: Path, metrics: Metrics, clock: MockClock
) -> None:
    async with place_in(tmp_path, metrics) as place:
        place.box.hold()
        early = await place.begin()
        clock.jump(UNSETTLED_S)
        await trio.testing.wait_all_tasks_blocked()
        assert (place.box.cancelled, place.box.running) == (1, 0)
        early.settle(is_stored=True)
        place.box.release()
        assert (await place.compile()).wall_ms == 250
        assert await place.early.begin(replace(DRAFT, code="x")) is not None, "its problem is not left alone"


async def test_a_draft_orders_no_header_before_it_is_stored(tmp_path: Path, metrics: Metrics) -> None:
    headers = Headers(tmp_path, metrics).cache
    async with place_in(tmp_path, metrics, headers) as place:
        place.box.hold()
        for number in range(WANTED):
            (await place.begin(replace(DRAFT, code=f"#include <vector>\n// {number}"))).settle(is_stored=False)
            await trio.testing.wait_all_tasks_blocked()
        assert not headers._orders
        place.box.release()
        for number in range(WANTED):
            await place.compile(f"#include <vector>\n// {number}")
        assert headers._orders


async def test_the_call_compiles_what_it_cannot_move(tmp_path: Path, metrics: Metrics) -> None:
    async with place_in(tmp_path, metrics) as place:
        await place.begin(is_stored=True)
        (made,) = place.workspace.glob("*/main")
        made.unlink()
        assert (await place.compile()).wall_ms == 250
        assert place.count == 2


@pytest.mark.parametrize(
    ("draft", "room"),
    [
        (DRAFT, 0),
        (replace(DRAFT, language="outputs"), 1),
        (replace(DRAFT, language="none such"), 1),
        (replace(DRAFT, language="python3"), 1),
    ],
    ids=["no slot", "outputs", "unknown", "runs the source"],
)
async def test_draft_is_compiled_after_its_claim(tmp_path: Path, metrics: Metrics, draft: Draft, room: int) -> None:
    async with trio.open_nursery() as tasks:
        place = Place(tmp_path, metrics, tasks.start_soon)
        place.room = room
        assert await place.early.begin(draft) is None


async def test_a_second_one_needs_a_second_slot(tmp_path: Path, metrics: Metrics) -> None:
    async with place_in(tmp_path, metrics) as place:
        early = await place.early.begin(DRAFT)
        assert early is not None
        assert await place.early.begin(replace(DRAFT, code="x")) is None, "one begins or has begun"
        await early.begun.wait()
        assert await place.early.begin(replace(DRAFT, code="x")) is None, "one has no call yet"
        await place.compile()
        assert await place.early.begin(replace(DRAFT, code="x")) is not None
