"""Statements are stored with their problem: rendered where that is possible, else as text, and rendered later."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from deepoj.execution.compiling import Compiler
from deepoj.observe import Metrics
from deepoj.packages.publish import ProblemRevision, ProblemUpload, Published, publish, revise
from deepoj.packages.statements import pandoc, publisher, rendering
from deepoj.packages.statements.publisher import RenderLater, StatementPublisher
from deepoj.words.errors import BlobsUnavailable, BoxBroken
from deepoj.words.sandbox import Policy, RunOutcome, RunSpec, RunVerdict
from deepoj.words.statements import StatementEdit, StatementIndex, StatementKind
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.box import Reply, ScriptedBox, outcome
from tests.fakes.settings import judge_settings, problem_rules, unzip_limits
from tests.fakes.store import MemoryStore
from tests.unit.packages.makers import Content, zipped

CASE = {"1.in": "1\n", "1.out": "1\n", "sample/1.in": "1\n", "sample/1.out": "1\n"}
SUM = {**CASE, "statement.md": "# Sum\n\nAdd <b>.\n", "statement.zh.md": "# 和\n", "attachments/a.txt": "a"}


def converted(spec: RunSpec, _stdin: bytes) -> RunOutcome:
    """Behave as pandoc for a text of one paragraph."""
    for file in spec.files_out:
        if file.name == "tree":
            title = {"t": "Header", "c": [1, ["", [], []], [{"t": "Str", "c": "Title"}]]}
            blocks = [title, {"t": "Para", "c": [{"t": "Math", "c": [{"t": "InlineMath"}, "x"]}]}]
            file.path.write_text(json.dumps({"pandoc-api-version": [1], "meta": {}, "blocks": blocks}))
        elif file.name == "body.html":
            body = next(one.path for one in spec.files_in if one.name == "body.json").read_text()
            marker = json.loads(body)["blocks"][0]["c"][0]["c"]
            file.path.write_text(f"<p onclick=x>{marker}</p>")
        else:
            file.path.write_text("nothing")
    return outcome()


class Desk:
    """Publishes packages on a node, and shows what readers see."""

    def __init__(self, here: Path, *, has_sandbox: bool = True) -> None:
        self.store, self.blobs, self.box, self.here = MemoryStore(), MemoryBlobs(), ScriptedBox(), here
        self.reply(converted)
        compiler = Compiler(self.box, settings=judge_settings(), metrics=Metrics())

        @asynccontextmanager
        async def bench() -> AsyncIterator[Compiler | str]:
            yield compiler if has_sandbox else "no sandbox"

        self.publisher = StatementPublisher(
            statements=self.store.statements, bench=bench, workdir=here / "rooms", unzip=unzip_limits(),
            metrics=Metrics(),
        )  # fmt: skip
        self.later = RenderLater(statements=self.store.statements, blobs=self.blobs, publisher=self.publisher)

    def reply(self, reply: Reply) -> None:
        self.box.on(Policy.RUN, b"", reply)

    async def bring(self, files: Content) -> int:
        path = self.here / "package.zip"
        path.write_bytes(zipped(files))
        upload = ProblemUpload(package=path, title="x")
        made = await publish(self.store, self.blobs, upload, problem_rules(), statements=self.publisher)
        assert isinstance(made, Published)
        assert not [*(self.here / "rooms").iterdir()], "no directory is left"
        return made.problem.id

    async def index(self, problem: int) -> StatementIndex:
        found = await self.store.statements.statement_index(problem)
        assert found is not None
        return found

    async def html(self, problem: int, language: str = "en") -> tuple[StatementKind, str]:
        found = await self.store.statements.statement_text(problem, language)
        assert found is not None
        return found.kind, found.html


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the converter is installed, as a list of one."""
    is_there = [True]
    for module in (pandoc, publisher, rendering):
        monkeypatch.setattr(module, "is_installed", lambda: is_there[0])
    return is_there


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_upload_renders_and_stores_statements(desk: Desk) -> None:
    problem = await desk.bring(SUM)
    index = await desk.index(problem)
    assert (index.is_pending, index.languages) == (False, (("en", "Title"), ("zh", "Title")))
    assert index.attachments == (("a.txt", 1),)
    assert [one.output for one in index.samples] == ["1\n"]
    assert await desk.html(problem) == (StatementKind.HTML, '<p><code class="st-tex">$x$</code></p>')
    for spec in desk.box.specs:
        assert spec.argv[:2] == ("/bin/sh", "-c")
        assert spec.argv[2].count("/usr/bin/pandoc --sandbox") == spec.argv[2].count("pandoc")
        assert spec.limits.memory_bytes <= 512 * 1024 * 1024
        assert (spec.limits.cpu_ms, spec.limits.processes) <= (10_000, 32)


async def test_package_without_statement_needs_no_sandbox(desk: Desk) -> None:
    index = await desk.index(await desk.bring(CASE))
    assert (index.is_pending, index.languages, len(index.samples)) == (False, (), 1)
    assert desk.box.specs == []


@pytest.mark.parametrize("lacks", ["sandbox", "converter"])
async def test_node_that_cannot_render_stores_the_source_and_marks_it(
    tmp_path: Path, installed: list[bool], lacks: str
) -> None:
    desk = Desk(tmp_path, has_sandbox=lacks != "sandbox")
    installed[0] = lacks != "converter"
    problem = await desk.bring(SUM)
    index = await desk.index(problem)
    assert index.is_pending
    assert await desk.html(problem) == (
        StatementKind.TEXT,
        '<pre class="st-source"># Sum\n\nAdd &lt;b&gt;.\n</pre>',
    )
    assert index.notes == ((pandoc.MISSING,) if lacks == "converter" else ())
    assert desk.box.specs == []


async def test_judge_node_renders_what_another_could_not(desk: Desk, installed: list[bool]) -> None:
    installed[0] = False
    problem = await desk.bring(SUM)
    assert await desk.later.once() is not None, "its source is stored as text"
    assert await desk.later.once() is None, "no converter here"
    assert (await desk.html(problem))[0] is StatementKind.TEXT
    installed[0] = True
    found = await desk.later.once()
    assert found is not None
    assert found.id == problem
    assert (await desk.html(problem))[0] is StatementKind.HTML
    assert not (await desk.index(problem)).is_pending
    assert await desk.later.once() is None
    assert not [*(desk.here / "rooms").iterdir()]


async def test_statement_that_breaks_our_cleaner_ends_no_node_and_holds_up_no_other(
    desk: Desk, installed: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed[0] = False
    problem = await desk.bring(SUM)
    installed[0] = True

    async def breaks(_self: object) -> None:
        raise RecursionError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(rendering.StatementRenderer, "render", breaks)
        found = await desk.later.once()
        assert found is not None
        assert found.id == problem
        assert await desk.later.once() is None, "not at once"
    assert (await desk.html(problem))[0] is StatementKind.TEXT


@pytest.mark.parametrize("reply", [BoxBroken("it fell"), outcome(RunVerdict.SE)])
async def test_failing_sandbox_leaves_the_source_and_is_tried_later_and_later(
    desk: Desk, reply: Reply, mock_clock: trio.testing.MockClock
) -> None:
    desk.reply(reply)
    problem = await desk.bring(SUM)
    assert (await desk.html(problem))[0] is StatementKind.TEXT
    for pause_s in (publisher.FIRST_PAUSE_S, publisher.FIRST_PAUSE_S * 2):
        assert await desk.later.once() is not None
        mock_clock.jump(pause_s - 1)
        assert await desk.later.once() is None
        mock_clock.jump(2)
    desk.reply(converted)
    assert await desk.later.once() is not None
    assert not (await desk.index(problem)).is_pending


async def test_package_that_always_fails_is_given_up_after_its_tries_until_it_is_edited(
    desk: Desk, mock_clock: trio.testing.MockClock
) -> None:
    desk.reply(BoxBroken("it fell"))
    problem, tries = await desk.bring(SUM), 0
    for _ in range(3 * publisher.MAX_TRIES):
        tries += await desk.later.once() is not None
        mock_clock.jump(publisher.LONGEST_PAUSE_S + 1)
    assert tries == publisher.MAX_TRIES
    edited = StatementEdit(language="en", kind="md", source="x")
    stored = await desk.store.problem(problem)
    assert stored is not None
    statements = desk.store.statements
    assert await statements.edit_statement(problem, "en", edited, since=0, data_hash=stored.data_hash) == 1
    assert await desk.later.once() is not None


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (outcome(RunVerdict.TLE), "rendering it takes too much time"),
        (outcome(RunVerdict.MLE), "rendering it takes too much memory"),
        (outcome(RunVerdict.RE, exit_code=64, stderr=b"Error at source (line 3, column 1)"), "gave up at line 3"),
        (outcome(RunVerdict.RE, exit_code=64), "the converter gave up"),
        (outcome(files_out=()), "rendered it has more than 4194304 bytes"),
    ],
)
async def test_statement_that_cannot_be_rendered_stays_as_its_source(desk: Desk, reply: Reply, why: str) -> None:
    desk.reply(reply)
    problem = await desk.bring({**CASE, "statement.md": "x"})
    index = await desk.index(problem)
    assert not index.is_pending
    assert (await desk.html(problem))[0] is StatementKind.TEXT
    assert len(index.notes) == 1
    assert index.notes[0].startswith("'statement.md' is shown as its source: ")
    assert why in index.notes[0]


async def test_upload_waits_for_rendering_no_longer_than_its_time(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    desk.box.hold()
    problem = await desk.bring(SUM)
    assert trio.current_time() == pytest.approx(publisher.RENDER_WITHIN_S, abs=1)
    assert (await desk.index(problem)).is_pending
    assert (await desk.html(problem))[0] is StatementKind.TEXT
    assert desk.box.running == 0


async def test_statements_of_a_new_package_replace_the_former(desk: Desk) -> None:
    problem = await desk.bring(SUM)
    path = desk.here / "other.zip"
    path.write_bytes(zipped({**CASE, "statement.de.md": "x"}))
    rules = problem_rules()
    await revise(desk.store, desk.blobs, problem, ProblemRevision(package=path), rules, statements=desk.publisher)
    assert [language for language, _ in (await desk.index(problem)).languages] == ["de"]
    await revise(desk.store, desk.blobs, problem, ProblemRevision(title="y"), rules, statements=desk.publisher)
    assert not (await desk.index(problem)).is_pending


async def test_problem_is_published_though_its_statements_cannot_be_stored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(StatementPublisher):
        async def publish(self, *_: object) -> bool:
            raise OSError(28, "No space left on device")

    full = Full(
        statements=desk.store.statements, bench=None, workdir=desk.here, unzip=unzip_limits(), metrics=Metrics()
    )
    monkeypatch.setattr(desk, "publisher", full)
    (desk.here / "rooms").mkdir()
    assert (await desk.index(await desk.bring(SUM))).is_pending


async def test_one_object_that_cannot_be_fetched_delays_no_other(
    desk: Desk, installed: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed[0] = False
    first, second = await desk.bring(SUM), await desk.bring(SUM)
    installed[0] = True
    stored, fetch = await desk.store.problem(first), desk.blobs.fetch
    assert stored is not None

    async def but_one(key: str, target: Path) -> None:
        if key == stored.data_path:
            raise BlobsUnavailable("no right to read it")
        await fetch(key, target)

    monkeypatch.setattr(desk.blobs, "fetch", but_one)
    for _ in range(2):
        await desk.later.once()
    assert [(await desk.index(problem)).is_pending for problem in (first, second)] == [True, False]


async def test_object_store_that_is_away_is_asked_again(
    desk: Desk, installed: list[bool], mock_clock: trio.testing.MockClock
) -> None:
    installed[0] = False
    problem = await desk.bring(SUM)
    installed[0] = True
    desk.blobs.down = True
    assert await desk.later.once() is not None
    desk.blobs.down = False
    assert await desk.later.once() is None
    mock_clock.jump(publisher.AWAY_PAUSE_S + 1)
    assert await desk.later.once() is not None
    assert not (await desk.index(problem)).is_pending
