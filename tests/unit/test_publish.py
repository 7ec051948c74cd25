"""What an upload leaves out is the package's, and what neither says is the default's; a refused one leaves nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.judging.abilities import BY_PACKAGE
from deepoj.packages.formats import PackageFault
from deepoj.packages.publish import ProblemRevision, ProblemUpload, Published, UploadRefusal, publish, revise
from deepoj.words.problems import Problem
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.settings import problem_rules
from tests.fakes.store import MemoryStore
from tests.unit.packages.makers import Content, zipped

CASE = {"1.in": "1\n", "1.out": "1\n"}
RULES = problem_rules()


class Desk:
    """Publishes, and shows what stands afterwards."""

    def __init__(self, tmp_path: Path) -> None:
        self.store, self.blobs, self._path = MemoryStore(), MemoryBlobs(), tmp_path / "package.zip"

    def package(self, files: Content) -> Path:
        self._path.write_bytes(zipped(files))
        return self._path

    async def bring(self, files: Content, **said: object) -> Published | PackageFault | UploadRefusal:
        self.package(files)
        upload = replace(ProblemUpload(package=self._path), **said)  # type: ignore[arg-type]
        return await publish(self.store, self.blobs, upload, RULES)

    async def problem(self, files: Content, **said: object) -> Problem:
        made = await self.bring(files, **said)
        assert isinstance(made, Published), made
        assert await self.store.problem(made.problem.id) == made.problem
        assert self.blobs.objects[made.problem.data_path] == self._path.read_bytes()
        return made.problem


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def said(yaml: str) -> dict[str, str]:
    return {**CASE, "deepoj.yaml": yaml}


async def test_the_package_rules_where_the_upload_says_nothing(desk: Desk) -> None:
    made = await desk.problem(said("title: Theirs\nlimits: {time_ms: 3000, memory_mb: 200}"))
    assert (made.title, made.time_limit_ms, made.memory_limit_mb) == ("Theirs", 3000, 200)
    assert made.compare == "tokens"


async def test_the_upload_rules_where_it_says_something(desk: Desk) -> None:
    files = said("title: Theirs\nlimits: {time_ms: 3000, memory_mb: 200}")
    made = await desk.problem(files, title="Mine", time_limit_ms=10, memory_limit_mb=20, compare="exact")
    assert (made.title, made.time_limit_ms, made.memory_limit_mb, made.compare) == ("Mine", 10, 20, "exact")


async def test_defaults_hold_where_package_and_upload_say_nothing(desk: Desk) -> None:
    made = await desk.problem(CASE, title="x")
    assert (made.time_limit_ms, made.memory_limit_mb) == (RULES.default_time_limit_ms, RULES.default_memory_limit_mb)


@pytest.mark.parametrize("yaml", ["compare: exact", "checker: {files: [c.py]}"])
async def test_a_package_that_says_how_it_is_judged_says_it_alone(desk: Desk, yaml: str) -> None:
    """Nodes too old to read packages know no such way to compare, and make no verdict."""
    files = {**said(yaml), "c.py": ""}
    assert (await desk.problem(files, title="x")).compare == BY_PACKAGE
    assert await desk.bring(files, title="x", compare="tokens") is UploadRefusal.COMPARE_TWICE


async def test_a_title_out_of_a_package_is_one_line(desk: Desk) -> None:
    files = {"problem.yaml": 'name: "a\\nb\\u202e"', "data/secret/1.in": "", "data/secret/1.ans": ""}
    assert (await desk.problem(files)).title == "a b"


async def test_a_package_brings_its_tags_once_unless_the_upload_names_others(desk: Desk) -> None:
    words = "[Graph, 'two  words', graph, 'a,b', " + "x" * 41 + "]"
    files = {"problem.yaml": f"name: a\nkeywords: {words}", "data/secret/1.in": "", "data/secret/1.ans": ""}
    made = await desk.problem(files)
    assert made.tags == ("graph", "two words")
    assert (await desk.problem(files, tags=())).tags == ()
    revision = ProblemRevision(package=desk.package(files | {"data/secret/1.in": "1"}), tags=("mine",))
    for change in (revision, replace(revision, tags=None)):
        changed = await revise(desk.store, desk.blobs, made.id, change, RULES)
        assert isinstance(changed, Problem)
        assert changed.tags == ("mine",)


async def test_refused(desk: Desk) -> None:
    assert await desk.bring(CASE) is UploadRefusal.NO_TITLE
    for yaml, word in (("limits: {time_ms: 10001}", "time_limit"), ("limits: {memory_mb: 513}", "memory_limit")):
        found = await desk.bring(said(yaml), title="x")
        assert isinstance(found, PackageFault)
        assert word in found.sentence
    assert isinstance(await desk.bring({"1.in": ""}, title="x"), PackageFault)
    assert desk.blobs.objects == {}


async def test_a_limit_that_is_too_high_can_be_overruled(desk: Desk) -> None:
    made = await desk.problem(said("limits: {time_ms: 20000}"), title="x", time_limit_ms=10_000)
    assert made.time_limit_ms == 10_000
