"""Statements that a contest has of its own for its problems."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from deepoj.observe import Metrics
from deepoj.packages.statements.publisher import RenderLater, StatementPublisher
from deepoj.words.problems import Problem
from deepoj.words.statements import (
    RENDERER_VERSION,
    StatementEdit,
    StatementFile,
    StatementFileKind,
    StatementKind,
    StatementSet,
    StatementText,
)
from tests.api.house import package
from tests.contests.scene import HOUR_MS, Scene, ago, opened, scene
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.settings import unzip_limits

__all__ = ["scene"]

_PDF = b"%PDF-1.4\n"
_PATH = "/finals/problems/A/statement"


def statement(html: str, language: str = "en", file: bytes = b"") -> StatementSet:
    """Return rendered statements: one in a language, and one file."""
    text = StatementText(language=language, title="T", kind=StatementKind.HTML, html=html)
    shown = StatementFile(kind=StatementFileKind.SHOWN, name="a.png", media_type="image/png", content=file or b"own")
    return StatementSet(texts=(text,), files=(shown,))


async def keep_own(scene: Scene, html: str = "own") -> Problem:
    """Render the problem's own statement; return the problem."""
    problem = await scene.lab.store.problems.problem(scene.problem_id)
    assert problem is not None
    statements = scene.lab.store.statements
    held = await statements.statement_edits(problem.id)
    assert await statements.keep_statements(
        problem.id, problem.data_hash, statement(html), renderer=RENDERER_VERSION, edition=held.edition
    )
    return problem


async def render_of_contest(scene: Scene, html: str) -> int:
    """Do what a judge node does with the next problem of a contest; return the contest."""
    statements = scene.lab.store.statements
    claimed = await statements.claim_of_contest(60.0, [])
    assert claimed is not None
    contest_id, problem, edition = claimed
    of_contest = statements.of_contest(contest_id)
    assert await of_contest.keep_statements(
        problem.id, problem.data_hash, statement(html, file=b"new"), renderer=RENDERER_VERSION, edition=edition
    )
    await of_contest.release_unrendered(problem.id)
    return contest_id


async def put(scene: Scene, source: str, revision: str, lang: str = "en", **more: Any) -> str:
    """Give problem A a statement in the contest; return its revision."""
    sent = {"format": "md", "source": source, "revision": revision, **more}
    return str((await scene.done("jury", "PUT", f"{_PATH}/{lang}", sent))["revision"])


async def html(scene: Scene, key: str = "finals", who: str = "owl") -> str:
    return str((await scene.done(who, "GET", f"/{key}/problems/A/statement"))["html"])


async def test_a_contests_statement_is_seen_in_that_contest_alone(scene: Scene) -> None:
    await opened(scene)
    problem = await keep_own(scene)
    await scene.done("jury", "POST", "/finals/copy", {"key": "other", "start_at": ago(HOUR_MS), "teams": True})
    await scene.advance()
    first = f"p{problem.data_hash[:16]}"
    revision = await put(scene, "# Contest", first)
    shown = await scene.done("owl", "GET", _PATH)
    assert (shown["html"], shown["pending"]) == ("own", True), "until a judge node has rendered it"
    await render_of_contest(scene, "contest's")
    assert await scene.lab.store.statements.claim_of_contest(60.0, []) is None
    shown = await scene.done("owl", "GET", _PATH)
    assert (shown["html"], shown["pending"]) == ("contest's", False)
    assert await html(scene, "other") == "own"
    own = await scene.lab.store.statements.statement_text(problem.id, "en")
    assert own is not None and own.html == "own"
    assert (await scene.done("jury", "GET", "/finals"))["problems"][0]["statements"] == ["en"]
    files = [await scene.ask("owl", "GET", f"/{key}/problems/A/statement/files/a.png") for key in ("finals", "other")]
    assert files == [(200, "new"), (200, "own")]
    source = await scene.done("jury", "GET", f"{_PATH}/en/source")
    assert (source["source"], source["revision"], source["edited"]) == ("# Contest", revision, True)
    sent = {"format": "md", "source": "x", "revision": first}
    assert (await scene.ask("jury", "PUT", f"{_PATH}/en", sent))[1]["code"] == "STATEMENT_CHANGED"
    await scene.done("jury", "DELETE", f"{_PATH}/en?revision={revision}")
    assert await html(scene) == "own", "at once"
    assert await scene.lab.store.statements.claim_of_contest(60.0, []) is None
    assert (await scene.done("jury", "GET", "/finals"))["problems"][0]["statements"] == []
    logged = "SELECT count(*) FROM admin_events WHERE details ->> 'statement' = 'en' AND act = 'contest_changed'"
    assert scene.lab.sql(logged) == "2"


async def test_content_of_a_contests_file_is_read_unless_its_mark_is_known(scene: Scene) -> None:
    await opened(scene)
    problem = await keep_own(scene)
    statements, shown = scene.lab.store.statements, StatementFileKind.SHOWN
    marks: list[str] = []

    async def content(contest_id: int) -> bytes:
        """Return the content that a reader gets who knows all former ones."""
        of_contest = statements.of_contest(contest_id)
        file = await of_contest.statement_file(problem.id, shown, "a.png", known=marks)
        assert file is not None
        again = await of_contest.statement_file(problem.id, shown, "a.png", known=[file.mark])
        assert again is not None
        assert (again.content, again.mark) == (b"", file.mark)
        marks.append(file.mark)
        return file.content

    first = f"p{problem.data_hash[:16]}"
    await put(scene, "# Contest", first)
    contest_id = await render_of_contest(scene, "contest's")
    assert await content(contest_id) == b"new"
    await scene.done("jury", "DELETE", "/finals/problems/A")
    await scene.done("jury", "PUT", "/finals/problems/A", {"problem_id": problem.id, "name": "Again"})
    assert await content(contest_id) == b"own"
    await put(scene, "# Contest", first)
    await render_of_contest(scene, "contest's")
    assert await content(contest_id) == b"new", "it has the edition of the first one, and may be another file"


async def test_a_contests_statement_is_not_seen_before_the_start(scene: Scene) -> None:
    await opened(scene, start_at=ago(-HOUR_MS))
    problem = await keep_own(scene)
    await put(scene, "# Contest", f"p{problem.data_hash[:16]}")
    await render_of_contest(scene, "contest's")
    assert (await scene.ask("owl", "GET", _PATH))[0] == 404
    assert (await scene.ask("owl", "GET", f"{_PATH}/files/a.png"))[0] == 404
    assert await html(scene, who="jury") == "contest's"


async def test_a_copy_keeps_statements_and_another_problem_drops_them(scene: Scene) -> None:
    await opened(scene)
    problem = await keep_own(scene)
    await put(scene, "# Contest", f"p{problem.data_hash[:16]}")
    await render_of_contest(scene, "contest's")
    await scene.done("jury", "POST", "/finals/copy", {"key": "other", "start_at": ago(HOUR_MS), "teams": True})
    await scene.advance()
    assert await html(scene, "other") == "contest's"
    await scene.done("jury", "PUT", "/other/problems/A", {"problem_id": problem.id, "name": "Renamed"})
    assert (await scene.done("jury", "GET", "/other"))["problems"][0]["statements"] == ["en"]
    made = scene.lab.sql(
        "INSERT INTO problems (title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES ('Next', 1000, 64, 'x', 'x') RETURNING id"
    ).split()[0]
    await scene.done("jury", "PUT", "/other/problems/A", {"problem_id": int(made)})
    assert (await scene.done("jury", "GET", "/other"))["problems"][0]["statements"] == []
    assert await html(scene, "finals") == "contest's"
    assert scene.lab.sql("SELECT count(*) FROM contest_files") == "1"


async def test_an_edit_of_the_problem_or_another_package_renders_the_contests_statements_again(scene: Scene) -> None:
    await opened(scene)
    problem = await keep_own(scene)
    await put(scene, "# Contest", f"p{problem.data_hash[:16]}")
    await render_of_contest(scene, "first")
    statements = scene.lab.store.statements
    await statements.edit_statement(
        problem.id, "zh", StatementEdit(language="zh", kind="md", source="题"), since=0, data_hash=problem.data_hash
    )
    contest_id = await render_of_contest(scene, "second")
    held = await statements.of_contest(contest_id).statement_edits(problem.id)
    assert [(one.language, one.source, one.version > 0) for one in held.edits] == [
        ("en", "# Contest", True),
        ("zh", "题", False),
    ]
    scene.lab.sql(f"UPDATE problems SET testcase_hash = 'another' WHERE id = {problem.id}")
    assert await html(scene) == "second", "the former one, until it is rendered"
    outdated = await statements.of_contest(contest_id).keep_statements(
        problem.id, problem.data_hash, statement("late"), renderer=RENDERER_VERSION, edition=held.edition
    )
    assert not outdated
    await render_of_contest(scene, "third")
    assert await html(scene) == "third"


async def test_a_pdf_is_a_contests_statement(scene: Scene, tmp_path: Path) -> None:
    await opened(scene)
    problem = await keep_own(scene)
    first = f"p{problem.data_hash[:16]}"
    for pdf in ("", "!", base64.b64encode(b"GIF89a").decode()):
        sent = {"format": "pdf", "pdf": pdf, "revision": first}
        status, body = await scene.ask("jury", "PUT", f"{_PATH}/zh", sent)
        assert (status, body["code"]) == (400, "INVALID_PARAM"), body
    pdf = base64.b64encode(_PDF).decode()
    await put(scene, "", first, "zh", format="pdf", pdf=pdf)
    source = await scene.done("jury", "GET", f"{_PATH}/zh/source")
    assert (source["format"], source["pdf"]) == ("pdf", pdf)
    statements, blobs = scene.lab.store.statements, MemoryBlobs()
    (tmp_path / "package.zip").write_bytes(package())
    await blobs.put(problem.data_path, tmp_path / "package.zip")
    renderer = StatementPublisher(
        statements=statements, bench=None, workdir=tmp_path / "rooms", unzip=unzip_limits(), metrics=Metrics()
    )
    later = RenderLater(statements=statements, blobs=blobs, publisher=renderer)
    rendered = await later.once()
    assert rendered is not None and rendered.id == problem.id
    assert await later.once() is None, "it is final: a PDF needs no converter"
    shown = await scene.done("owl", "GET", f"{_PATH}?lang=zh")
    assert (shown["kind"], shown["pdf"]) == ("pdf", f"/api/v1/contests{_PATH}/files/statement.zh.pdf")
    assert await scene.ask("owl", "GET", f"{_PATH}/files/statement.zh.pdf") == (200, _PDF.decode())
    contest_id = int(scene.lab.sql("SELECT id FROM contests"))
    (edit,) = (await scene.lab.store.statements.of_contest(contest_id).statement_edits(problem.id)).edits
    assert (edit.kind, edit.pdf) == ("pdf", _PDF)


async def test_a_finalized_contest_keeps_its_statements(scene: Scene) -> None:
    await opened(scene)
    problem = await keep_own(scene)
    scene.lab.sql("UPDATE contests SET ended_at = now(), finalized_at = now()")
    sent = {"format": "md", "source": "x", "revision": f"p{problem.data_hash[:16]}"}
    assert (await scene.ask("jury", "PUT", f"{_PATH}/en", sent))[1]["code"] == "CONTEST_FINALIZED"
