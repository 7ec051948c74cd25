"""Vetting of a package's programs before it is published: refused, unchecked and accepted packages leave no file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.execution.compiling import Compiler
from deepoj.execution.header_cache import HeaderCache
from deepoj.execution.workdir import AttemptDir, sweep
from deepoj.judging import checkers, testlib
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.problem import Plan
from deepoj.observe import Metrics
from deepoj.packages.formats import PackageFault
from deepoj.packages.publish import ProblemRevision, ProblemUpload, Published, UploadRefusal, publish, revise
from deepoj.packages.vetting import NO_SANDBOX, Vetted, Vetting
from deepoj.words.errors import BoxAway, BoxBroken
from deepoj.words.problems import Problem
from deepoj.words.sandbox import FileIn, Policy, RunVerdict, SandboxError
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.box import Reply, ScriptedBox, outcome
from tests.fakes.settings import judge_settings, problem_rules, unzip_limits
from tests.fakes.store import MemoryStore
from tests.unit.packages.makers import Content, zipped

R = RunVerdict
OWN = {"1.in": "1\n", "1.out": "1\n", "deepoj.yaml": "title: x\nchecker: {files: [check.cpp]}"}
CPP = {**OWN, "check.cpp": "// ours\nint main() {}\n"}
SAYS = b"main.cpp: In function 'int main()':\nmain.cpp:2:14: error: 'x' was not\tdeclared\n    2 |\n\nmore\nmost\n"
REFUSED = outcome(R.RE, exit_code=1, stderr=SAYS)
FAR_S = 600.0


class Desk:
    """Uploads packages to a node with a scripted box, and shows the stored problem."""

    def __init__(self, here: Path, *, at_once: int = 1, sandbox: str = "") -> None:
        self.store, self.blobs, self.box, self._here = MemoryStore(), MemoryBlobs(), ScriptedBox(), here
        metrics = Metrics()
        self.cache = DiskCompileCache(here / "cache", metrics=metrics)
        compiler = Compiler(self.box, settings=judge_settings(), metrics=metrics, cache=self.cache)

        @asynccontextmanager
        async def bench() -> AsyncIterator[Compiler | str]:
            yield sandbox or compiler

        self.versions = {"cpp20": "g++ 14", "cpp17": "g++ 14"}
        self.vetting = Vetting(
            bench=bench,
            workdir=here / "rooms",
            unzip=unzip_limits(),
            settings=judge_settings(),
            versions=self.versions,
            at_once=at_once,
        )
        self._brought = 0

    def package(self, files: Content) -> Path:
        self._brought += 1
        path = self._here / f"{self._brought}.zip"
        path.write_bytes(zipped(files))
        return path

    async def bring(self, files: Content) -> Published | PackageFault | UploadRefusal:
        upload = ProblemUpload(package=self.package(files), title="x")
        return await publish(self.store, self.blobs, upload, problem_rules(), vet=self.vetting)

    async def refused(self, files: Content) -> PackageFault:
        found = await self.bring(files)
        assert isinstance(found, PackageFault), found
        assert found.sentence.isprintable()
        assert found.sentence.endswith(".")
        assert await self.store.problems(0, 10) == []
        assert self.blobs.objects == {}
        assert self.rooms() == []
        return found

    async def unchecked(self, files: Content) -> str:
        made = await self.bring(files)
        assert isinstance(made, Published), made
        assert self.rooms() == []
        assert made.problem.data_path in self.blobs.objects
        stored = await self.store.problem(made.problem.id)
        assert stored == made.problem
        assert made.problem.unchecked is not None
        return made.problem.unchecked

    async def taken(self, files: Content) -> None:
        made = await self.bring(files)
        assert isinstance(made, Published), made
        assert made.problem.unchecked is None
        assert self.rooms() == []

    def rooms(self) -> list[Path]:
        return list((self._here / "rooms").iterdir()) if (self._here / "rooms").exists() else []

    def compiled(self) -> int:
        assert self.box.runs(Policy.RUN) == [], "what a setter sends is compiled, never run"
        return len(self.box.runs(Policy.COMPILE))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_checker_that_compiles_is_taken(desk: Desk) -> None:
    await desk.taken(CPP)
    (spec,) = desk.box.runs(Policy.COMPILE)
    assert spec.limits == checkers.compile_limits(judge_settings(), LANGUAGES["cpp20"])


async def test_a_package_without_programs_needs_no_sandbox(desk: Desk) -> None:
    await desk.taken({"1.in": "1\n", "1.out": "1\n"})
    assert desk.compiled() == 0


async def test_a_checker_that_does_not_compile_is_refused_in_its_compilers_words(desk: Desk) -> None:
    desk.box.on(Policy.COMPILE, b"ours", REFUSED)
    found = await desk.refused(CPP)
    assert found.file == "check.cpp"
    assert found.sentence == (
        "The checker 'check.cpp' does not compile (C++20 (GCC)): check.cpp: In function 'int main()': / check.cpp:2:14:"
        " error: 'x' was not declared / 2 | / more."
    )
    assert desk.compiled() == 1


USES_TESTLIB = {**CPP, "check.cpp": '#include "testlib.h"\n// ours\n'}


async def test_a_checker_that_needs_testlib_is_refused_where_there_is_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testlib, "header", lambda: None)
    found = await desk.refused(USES_TESTLIB)
    assert found.file == "check.cpp"
    assert found.sentence.startswith(
        "The checker 'check.cpp' includes testlib.h, and the package has none. testlib.h is"
    )
    assert "Put testlib.h into the package" in found.sentence
    assert desk.compiled() == 0

    files = {
        **USES_TESTLIB,
        "deepoj.yaml": "title: x\nchecker: {files: [check.cpp, testlib.h]}",
        "testlib.h": "// own\n",
    }
    await desk.taken(files)
    assert desk.compiled() == 1


async def test_a_package_s_own_testlib_wins(desk: Desk) -> None:
    files = {
        **USES_TESTLIB,
        "deepoj.yaml": "title: x\nchecker: {files: [check.cpp, testlib.h]}",
        "testlib.h": "// own\n",
    }
    await desk.taken(files)
    (spec,) = desk.box.runs(Policy.COMPILE)
    assert [file.name for file in spec.files_in].count("testlib.h") == 1


async def test_the_next_upload_is_judged_by_itself(desk: Desk) -> None:
    """A cached refusal belongs to another source."""
    desk.box.on(Policy.COMPILE, b"ours", REFUSED)
    await desk.refused(CPP)
    await desk.taken({**CPP, "check.cpp": "// mended"})


async def test_a_failure_of_the_host_is_not_remembered(desk: Desk) -> None:
    desk.box.on(Policy.COMPILE, b"ours", outcome(R.RE, exit_code=1, stderr=b"cc1plus: out of memory"))
    await desk.refused(CPP)
    desk.box.on(Policy.COMPILE, b"ours", outcome())
    await desk.taken(CPP)


KATTIS = {
    "p/problem.yaml": "problem_format_version: 2023-07-draft\nname: x\ntype: interactive",
    "p/data/secret/1.in": "1",
    "p/data/secret/1.ans": "1",
    "p/output_validator/talk.cpp": "// ours",
}
POLYGON = {
    "problem.xml": """<problem><names><name language="english" value="x"/></names><judging><testset name="tests">
      <time-limit>1000</time-limit><memory-limit>268435456</memory-limit><test-count>1</test-count>
      <input-path-pattern>tests/%02d</input-path-pattern><answer-path-pattern>tests/%02d.a</answer-path-pattern>
      <tests><test/></tests></testset></judging><assets>
      <checker type="testlib"><source path="files/check.cpp" type="cpp.g++17"/></checker>
      <interactor><source path="files/interactor.cpp" type="cpp.g++17"/></interactor></assets></problem>""",
    "tests/01": "1", "tests/01.a": "1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "file", "says"),
    [
        (KATTIS, "p/output_validator/talk.cpp", "The interactor 'talk.cpp' does not compile"),
        (
            {**POLYGON, "files/check.cpp": "", "files/interactor.cpp": "// ours"},
            "files/interactor.cpp",
            "The interactor 'interactor.cpp' does not compile",
        ),
        (
            {**POLYGON, "files/check.cpp": "// ours", "files/interactor.cpp": ""},
            "files/check.cpp",
            "The checker 'check.cpp' does not compile",
        ),
    ],
)
async def test_everything_that_judging_compiles(desk: Desk, files: Content, file: str, says: str) -> None:
    desk.box.on(Policy.COMPILE, b"ours", REFUSED)
    found = await desk.refused(files)
    assert found.file == file
    assert says in found.sentence


async def test_a_compilation_without_end_is_refused(desk: Desk) -> None:
    desk.box.on(Policy.COMPILE, b"ours", outcome(R.TLE))
    assert "took longer than 30 s" in (await desk.refused(CPP)).sentence


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({**OWN, "deepoj.yaml": "title: x\nchecker: {files: [c.py2]}", "c.py2": ""}, "is in python2"),
        (
            {**OWN, "deepoj.yaml": "title: x\nchecker: {files: [a/c.cpp, a/b/h.h]}", "a/c.cpp": "",
             "a/b/h.h": ""},
            "sources in subdirectories",
        ),
    ],
)  # fmt: skip
async def test_package_with_programs_that_no_node_can_compile_is_refused(desk: Desk, files: Content, says: str) -> None:
    assert says in (await desk.refused(files)).sentence
    assert desk.compiled() == 0


async def test_a_toolchain_that_is_not_here_is_no_fault_of_the_package(desk: Desk) -> None:
    del desk.versions["cpp20"]
    assert await desk.unchecked(CPP) == (
        "The node that took the package has no C++20 (GCC), in which its checker is written."
    )
    assert desk.compiled() == 0


@pytest.mark.parametrize(
    "reply",
    [
        BoxBroken("it fell"),
        BoxAway("it is away"),
        OSError(28, "No space left on device"),
        outcome(R.SE, sandbox_error=SandboxError("scratch", 28)),
        outcome(R.RE, exit_signal=9),
        outcome(R.TLE, rule="wall"),
    ],
    ids=repr,
)
async def test_a_sandbox_that_fails_is_no_fault_of_the_package(desk: Desk, reply: Reply) -> None:
    desk.box.on(Policy.COMPILE, b"ours", reply)
    assert await desk.unchecked(CPP) == "The node that took the package could not compile its programs."


async def test_without_a_sandbox_nothing_is_compiled(tmp_path: Path) -> None:
    desk = Desk(tmp_path, sandbox="this host offers nothing")
    assert await desk.unchecked(CPP) == NO_SANDBOX.unchecked
    assert desk.compiled() == 0
    upload = ProblemUpload(package=desk.package(CPP), title="x")
    made = await publish(desk.store, desk.blobs, upload, problem_rules())
    assert isinstance(made, Published)
    assert made.problem.unchecked == NO_SANDBOX.unchecked


async def test_a_package_that_cannot_be_used_for_another_reason_is_not_compiled(desk: Desk) -> None:
    await desk.refused({**CPP, "deepoj.yaml": OWN["deepoj.yaml"] + "\nlimits: {time_ms: 60000}"})
    assert desk.compiled() == 0


# ---------------------------------------------------------------------------------------------------------------------


async def test_few_are_compiled_at_a_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, at_once=2)
    desk.box.hold()
    found: list[Published | PackageFault | UploadRefusal] = []

    async def bring(number: int) -> None:
        found.append(await desk.bring({**CPP, "check.cpp": f"// {number}"}))

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(bring, number)
        with trio.fail_after(FAR_S):
            await desk.box.wait_running(2)
            while desk.vetting.waiting < 3:
                await trio.sleep(0.01)
        assert (desk.box.running, len(desk.rooms()), found) == (2, 2, [])
        desk.box.release()
    assert [one.problem.unchecked for one in found if isinstance(one, Published)] == [None] * 5
    assert desk.compiled() == 5


async def test_upload_that_waits_too_long_is_published_unchecked(desk: Desk) -> None:
    """Only the wait for the turn is limited, not the compilation."""
    desk.vetting.patience_s = 0.05
    desk.box.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.taken, {**CPP, "check.cpp": "// first"})
        with trio.fail_after(FAR_S):
            await desk.box.wait_running(1)
            late = await desk.bring(CPP)
        assert isinstance(late, Published)
        assert late.problem.unchecked == "The node that took the package had too many others to compile."
        desk.box.release()


@pytest.mark.parametrize("before", [0, 1])
async def test_a_request_is_not_held_for_long(desk: Desk, before: int) -> None:
    """Neither earlier uploads nor its own compiler delay the answer: a node vets the package later."""
    desk.box.hold()
    files = {**CPP, "check.cpp": "// slow"}
    async with trio.open_nursery() as nursery:
        if before:
            nursery.start_soon(desk.bring, CPP)
            await desk.box.wait_running(1)
        upload = ProblemUpload(package=desk.package(files), title="x")
        with trio.fail_after(FAR_S):
            made = await publish(desk.store, desk.blobs, upload, problem_rules(vet_within_s=0.05), vet=desk.vetting)
        assert isinstance(made, Published)
        assert made.problem.unchecked == "The node that took the package had no time to compile its programs."
        assert len(desk.rooms()) == before
        nursery.cancel_scope.cancel()
    desk.box.release()
    await desk.taken(files)


async def test_a_new_package_is_not_held_for_long_either(desk: Desk) -> None:
    made = await desk.bring({"1.in": "1\n", "1.out": "1\n"})
    assert isinstance(made, Published)
    desk.box.hold()
    change, rules = ProblemRevision(package=desk.package(CPP)), problem_rules(vet_within_s=0.05)
    with trio.fail_after(FAR_S):
        now = await revise(desk.store, desk.blobs, made.problem.id, change, rules, vet=desk.vetting)
    assert isinstance(now, Problem)
    assert now.unchecked is not None
    assert desk.rooms() == []


async def test_cancelled_upload_leaves_nothing_and_frees_its_turn(desk: Desk) -> None:
    desk.box.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.bring, CPP)
        with trio.fail_after(FAR_S):
            await desk.box.wait_running(1)
        assert len(desk.rooms()) == 1
        nursery.cancel_scope.cancel()
    desk.box.release()
    assert (desk.rooms(), desk.blobs.objects, desk.box.cancelled) == ([], {}, 1)
    with trio.fail_after(FAR_S):
        await desk.taken(CPP)


async def test_sweep_removes_directories_of_dead_nodes_only(tmp_path: Path) -> None:
    living = AttemptDir.unnamed(tmp_path)
    (tmp_path / "dead" / "0").mkdir(parents=True)
    assert sweep(tmp_path) == 1
    assert await trio.Path(living.path).is_dir()
    assert not await trio.Path(tmp_path / "dead").exists()
    living.close(keep=False)


# ---------------------------------------------------------------------------------------------------------------------


async def test_a_new_package_that_is_refused_changes_nothing(desk: Desk) -> None:
    made = await desk.bring(CPP)
    assert isinstance(made, Published)
    before = dict(desk.blobs.objects)
    desk.box.on(Policy.COMPILE, b"theirs", REFUSED)
    found = await put(desk, made.problem.id, {**CPP, "check.cpp": "// theirs"})
    assert isinstance(found, PackageFault)
    assert found.file == "check.cpp"
    assert await desk.store.problem(made.problem.id) == made.problem
    assert (desk.blobs.objects, desk.rooms()) == (before, [])


async def test_unchecked_mark_survives_a_new_title_and_ends_with_a_vetted_package(desk: Desk) -> None:
    del desk.versions["cpp20"]
    made = await desk.bring(CPP)
    assert isinstance(made, Published)
    number = made.problem.id
    assert made.problem.unchecked
    said = await revise(desk.store, desk.blobs, number, ProblemRevision(title="y"), problem_rules(), vet=desk.vetting)
    assert said == replace(made.problem, title="y"), "a change of the title says nothing about programs"
    desk.versions["cpp20"] = "g++ 14"
    again = await put(desk, number, CPP)
    assert again == replace(made.problem, title="y", unchecked=None), "the same package, vetted again"


@pytest.mark.parametrize("other", [{"1.in": "2\n", "1.out": "2\n"}, {**CPP, "check.cpp": "// theirs"}])
async def test_a_package_that_comes_while_another_is_looked_at(desk: Desk, other: Content) -> None:
    """The later package is stored, with its object and comparison, also if it equals the earlier one."""
    for mine in ({"1.in": "1\n", "1.out": "1\n"}, CPP):
        made = await desk.bring(mine)
        assert isinstance(made, Published)
        mine_path = desk.package(mine)

        async def vet(package: Path, plan: Plan, number: int = made.problem.id) -> PackageFault | Vetted:
            await put(desk, number, other)
            return await desk.vetting(package, plan)

        change = ProblemRevision(package=mine_path)
        await revise(desk.store, desk.blobs, made.problem.id, change, problem_rules(), vet=vet)
        now = await desk.store.problem(made.problem.id)
        assert now is not None
        assert (now.data_hash, now.compare) == (made.problem.data_hash, made.problem.compare)
        assert desk.blobs.objects[now.data_path] == mine_path.read_bytes()


async def put(desk: Desk, number: int, files: Mapping[str, str | bytes]) -> object:
    change = ProblemRevision(package=desk.package(files))
    return await revise(desk.store, desk.blobs, number, change, problem_rules(), vet=desk.vetting)


async def test_no_header_is_made_for_a_checker(tmp_path: Path) -> None:
    """Only checkers would use it, and making it beside the vetting took both slots of a small node."""
    box, metrics, source = ScriptedBox(), Metrics(), tmp_path / "check.cpp"
    source.write_text("#include <bits/stdc++.h>\nint main() {}\n")
    shelf = HeaderCache(box, tmp_path / "headers", metrics=metrics)
    compiler = Compiler(box, settings=judge_settings(), metrics=metrics, headers=shelf)
    language, ordered = LANGUAGES["cpp20"], trio.Event()

    async def wait() -> None:
        await shelf.next()
        ordered.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        for number, one in enumerate((checkers.with_headers_beside(language), language)):
            assert not ordered.is_set()
            (into := tmp_path / str(number)).mkdir()
            await compiler.compile(one, [FileIn("main.cpp", source)], into=into)
            await trio.testing.wait_all_tasks_blocked()
    assert ordered.is_set(), "a submission's is"
