"""What an upload leaves out is the package's, and what neither says is the default's; a refused one leaves nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.judging.abilities import BY_PACKAGE
from deepoj.judging.format_defaults import DEFAULTS
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


DATA = {"data/secret/1.in": "1\n", "data/secret/1.ans": "1\n"}
POLYGON = (
    "<problem><judging><testset>{limits}<input-path-pattern>%d</input-path-pattern><answer-path-pattern>%d.a"
    '</answer-path-pattern><tests><test/></tests></testset></judging><assets><checker name="std::wcmp.cpp" '
    'type="testlib"/></assets></problem>'
)
UOJ = (
    "use_builtin_judger on\nuse_builtin_checker ncmp\nn_tests 1\n"
    "input_pre a\ninput_suf in\noutput_pre a\noutput_suf out\n"
)
DOMJUDGE = {**DATA, "problem.yaml": "name: x", "domjudge-problem.ini": "name = x"}
SCORED = {
    **DATA,
    "problem.yaml": "name: x",
    "submissions/accepted/a.c": "/* @EXPECTED_SCORE@: 1 */",
}


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({**DATA, "problem.yaml": "name: x"}, (1000, 1024)),
        ({**DATA, "problem.yaml": "name: x\nlimits: {output: 9}"}, (1000, 1024)),
        ({**DATA, "problem.yaml": "name: x\nlimits: {memory: 300}"}, (1000, 300)),
        ({**DATA, "problem.yaml": "name: x\nproblem_format_version: 2023-07"}, (1000, 1024)),
        ({**DATA, "problem.yaml": "name: x\nproblem_format_version: 2025-09"}, (1000, 1024)),
        (DOMJUDGE, (10_000, 2048)),
        (SCORED, (10_000, 2048)),
        ({**DOMJUDGE, "domjudge-problem.ini": "timelimit = 3"}, (3000, 2048)),
        ({**DOMJUDGE, ".timelimit": "4"}, (4000, 2048)),
        ({**DOMJUDGE, "problem.yaml": "name: x\nlimits: {memory: 64}"}, (10_000, 64)),
        ({**CASE, "init.yml": "test_cases: [{in: 1.in, out: 1.out, points: 1}]"}, (2000, 64)),
        ({**CASE, "config.yaml": "type: default"}, (1000, 256)),
        ({**CASE, "config.yaml": "type: default\ntime: 3s"}, (3000, 256)),
        ({"a1.in": "", "a1.out": "", "problem.conf": UOJ}, (1000, 256)),
        ({"a1.in": "", "a1.out": "", "problem.conf": UOJ + "memory_limit 16"}, (1000, 16)),
        ({"1": "1", "1.a": "1", "problem.xml": POLYGON.format(limits="")}, (1000, 256)),
        ({"1": "1", "1.a": "1", "problem.xml": POLYGON.format(limits="<time-limit>7</time-limit>")}, (7, 256)),
        (CASE, (1000, 128)),
    ],
)
async def test_limit_that_a_package_does_not_name_is_the_default_of_its_judge(
    desk: Desk, files: Content, limits: tuple[int, int]
) -> None:
    rules = replace(RULES, max_memory_limit_mb=2048)
    upload = ProblemUpload(package=desk.package(files), title="x")
    made = await publish(desk.store, desk.blobs, upload, rules)
    assert isinstance(made, Published), made
    assert (made.problem.time_limit_ms, made.problem.memory_limit_mb) == limits
    assert "is the maximum" not in " ".join(made.plan.unsupported)
    given = replace(upload, time_limit_ms=5, memory_limit_mb=6)
    made = await publish(desk.store, desk.blobs, given, rules)
    assert isinstance(made, Published), made
    assert (made.problem.time_limit_ms, made.problem.memory_limit_mb) == (5, 6)


async def test_default_beyond_the_maximum_is_cut_and_the_import_says_so(desk: Desk) -> None:
    made = await desk.bring(DOMJUDGE)
    assert isinstance(made, Published), made
    assert (made.problem.time_limit_ms, made.problem.memory_limit_mb) == (10_000, 512)
    (note,) = [sentence for sentence in made.plan.unsupported if "maximum" in sentence]
    assert "DOMjudge's default of 2048 MB" in note
    assert "SUBMIT_MAX_MEMORY_LIMIT_KB" in note


async def test_new_package_without_limits_keeps_those_of_the_problem(desk: Desk) -> None:
    made = await desk.problem({**DATA, "problem.yaml": "name: x\nlimits: {memory: 300, time_limit: 3}"})
    revision = ProblemRevision(package=desk.package(DOMJUDGE))
    changed = await revise(desk.store, desk.blobs, made.id, revision, RULES)
    assert isinstance(changed, Problem)
    assert (changed.time_limit_ms, changed.memory_limit_mb) == (3000, 300)


def test_document_shows_the_default_of_each_judge() -> None:
    rows = [
        line.split("|")[1:5]
        for line in (Path(__file__).parents[2] / "deploy/docs/packages.md").read_text().splitlines()
        if line.startswith("| `") and line.count("|") == 6
    ]
    told = {
        key: (judge.strip(), time.strip(), memory.strip())
        for keys, judge, time, memory in rows
        for key in re.findall(r"`([\w-]+)`", keys)
        if judge.strip() in {one.judge for one in DEFAULTS.values()}
    }
    assert told.keys() == DEFAULTS.keys()
    for key, one in DEFAULTS.items():
        time = f"{one.time_ms} ms" if one.time_factor is None else f"slowest accepted run × {one.time_factor:g}"
        assert told[key] == (one.judge, time, f"{one.memory_mb} MB")
