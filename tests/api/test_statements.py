"""The routes of statements: languages, samples, files, and headers that keep foreign files harmless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from werkzeug.datastructures import LanguageAccept

from deepoj.api.statement_answers import best_language
from deepoj.packages.statements.rendering import Rendered
from deepoj.words.problems import Problem
from deepoj.words.statements import (
    RENDERER_VERSION,
    StatementEdit,
    StatementFile,
    StatementFileKind,
    StatementKind,
    StatementSample,
    StatementSet,
    StatementText,
)
from tests.api.house import House, form, house, package

EN = StatementText(language="en", title="Sum", kind=StatementKind.HTML, html="<p>Add</p>", pdf="sum.pdf")
ZH = StatementText(language="zh", title="", kind=StatementKind.TEXT, html="<pre>和</pre>")
PDF = StatementFile(
    kind=StatementFileKind.SHOWN, name="sum.pdf", media_type="application/pdf", content=b"%PDF-1.4 <script>"
)
ZIP = StatementFile(
    kind=StatementFileKind.ATTACHMENT, name="page.html", media_type="text/html", content=b"<script>1</script>"
)
SAMPLE = StatementSample(input="1 2\n", output="3\n")
FOUND = StatementSet(texts=(EN, ZH), samples=(SAMPLE,), files=(PDF, ZIP), notes=("A note.",))


class Reader:
    """An application with a problem that has ``FOUND``, and a reader of it."""

    def __init__(self, home: House, problem: int) -> None:
        self.home, self.path = home, f"/api/v1/problems/{problem}"

    async def json(self, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.home.ask("GET", self.path + path, **more)
        assert answer.status_code == status, await answer.get_data()
        return await answer.get_json()


@pytest.fixture
async def reader(tmp_path: Path) -> Reader:
    home = house(tmp_path)
    problem = await home.problem()
    assert await home.ports.statements.keep_statements(problem, "00", FOUND, renderer=RENDERER_VERSION)
    return Reader(home, problem)


async def test_statement_in_the_preferred_language(reader: Reader) -> None:
    body = await reader.json("/statement", headers={"Accept-Language": "fr, zh-CN;q=0.9, en;q=0.1"})
    assert body == {
        "lang": "zh",
        "langs": ["en", "zh"],
        "title": "A+B",
        "kind": "text",
        "html": "<pre>和</pre>",
        "pdf": None,
        "samples": [{"input": "1 2\n", "output": "3\n", "interaction": None}],
        "attachments": [{"name": "page.html", "bytes": 18}],
        "pending": False,
        "notes": None,
    }
    english = await reader.json("/statement")
    assert (english["lang"], english["title"], english["kind"]) == ("en", "Sum", "html")
    assert english["pdf"] == f"{reader.path}/statement/files/sum.pdf"
    assert await reader.json("/statement/zh") == body


async def test_notes_are_for_administrators(reader: Reader) -> None:
    home = reader.home
    token, other = await home.token("root", is_admin=True), await home.token("other")
    assert (await reader.json("/statement", token=token))["notes"] == ["A note."]
    for caller in (other, "not.a.token", None):
        assert (await reader.json("/statement/en", token=caller))["notes"] is None


@pytest.mark.parametrize("path", ["/statement/fr", "/statement/EN", "/statement/files/no.png", "/attachments/no.png",
                                  "/attachments/sum.pdf", "/statement/files/page.html"])  # fmt: skip
async def test_what_is_not_there_is_not_found(reader: Reader, path: str) -> None:
    assert (await reader.json(path, 404))["code"] == "NOT_FOUND"


@pytest.mark.parametrize("problem", ["99999", "0", "x", "2147483648"])
@pytest.mark.parametrize("path", ["statement", "statement/en", "statement/files/a.png", "attachments/a.png"])
async def test_unknown_problem_is_not_found(tmp_path: Path, problem: str, path: str) -> None:
    answer = await house(tmp_path).ask("GET", f"/api/v1/problems/{problem}/{path}")
    assert answer.status_code == 404


async def test_files_of_strangers_are_sandboxed(reader: Reader) -> None:
    shown = await reader.home.ask("GET", f"{reader.path}/statement/files/sum.pdf")
    attached = await reader.home.ask("GET", f"{reader.path}/attachments/page.html")
    for answer, disposition, media_type in (
        (shown, 'inline; filename="sum.pdf"', "application/pdf"),
        (attached, 'attachment; filename="page.html"', "application/octet-stream"),
    ):
        assert answer.status_code == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        # viewers of PDFs stay empty in a sandbox
        assert policy.startswith("sandbox;") == (media_type != "application/pdf")
        assert "script-src" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"] == disposition
        assert answer.headers["Content-Type"] == media_type
    assert await attached.get_data() == ZIP.content


async def test_problem_without_statement_says_whether_it_is_pending(tmp_path: Path) -> None:
    home = house(tmp_path)
    reader = Reader(home, problem := await home.problem())
    body = await reader.json("/statement")
    assert (body["lang"], body["kind"], body["title"], body["pending"]) == (None, "none", "A+B", True)
    await home.ports.statements.keep_statements(problem, "00", replace(FOUND, texts=()), renderer=RENDERER_VERSION)
    body = await reader.json("/statement")
    assert (body["kind"], body["pending"], len(body["samples"])) == ("none", False, 1)


@pytest.mark.parametrize(
    ("languages", "accepted", "best"),
    [
        (["de", "en"], [], "en"),
        (["de", "fr"], [("zh", 1.0)], "de"),
        (["pt-BR", "en"], [("pt", 1.0)], "pt-BR"),
        (["pt", "en"], [("pt-BR", 1.0)], "pt"),
        (["zh-Hant", "zh-Hans"], [("zh-Hans", 1.0)], "zh-Hans"),
        (["de", "en"], [("de", 0.0), ("*", 0.5)], "en"),
        ([], [("en", 1.0)], None),
    ],
)
def test_best_language(languages: list[str], accepted: list[tuple[str, float]], best: str | None) -> None:
    assert best_language(languages, LanguageAccept(accepted)) == best


def package_of(text: str = "# Sum\n\nAdd.\n") -> bytes:
    return package({"1.in": "1 2\n", "1.out": "3\n", "statement.md": text})


class Setter:
    """An administrator who edits the statement of a problem with a package, on a node that renders."""

    def __init__(self, home: House, problem: int, token: str) -> None:
        self.home, self.path, self.token, self.problem = home, f"/api/v1/problems/{problem}", token, problem

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.home.ask(method, self.path + path, token=self.token, **more)
        assert answer.status_code == status, await answer.get_data()
        return await answer.get_json()

    async def put(self, source: str, revision: str, status: int = 200, *, lang: str = "en") -> Any:
        body = {"format": "md", "source": source, "revision": revision}
        return await self.ask("PUT", f"/statement/{lang}", status, json=body)


async def renders(path: Path, problem: Problem, edits: Sequence[StatementEdit], only: str | None) -> Rendered | None:
    """Render as a node with a sandbox does; what has a ``!`` cannot be rendered, what has a ``?`` not in time."""
    assert await trio.Path(path).exists()
    edit = edits[-1]
    if "?" in edit.source:
        return None
    kind = StatementKind.TEXT if "!" in edit.source else StatementKind.HTML
    text = StatementText(language=edit.language, title="T", kind=kind, html=f"<p>{edit.source}</p>")
    return Rendered(StatementSet(texts=(text,), notes=("'statement.md', line 3: no.",)), is_final=True)


@pytest.fixture
async def setter(tmp_path: Path) -> Setter:
    home = house(tmp_path, render_edits=renders)
    token = await home.token("root", is_admin=True)
    body, content_type = form({"title": "t"}, package_of())
    answer = await home.ask("POST", "/api/v1/problems", token=token, data=body, headers={"Content-Type": content_type})
    return Setter(home, (await answer.get_json())["id"], token)


async def test_statement_is_edited_from_the_source_of_the_package(setter: Setter) -> None:
    source = await setter.ask("GET", "/statement/en/source")
    assert (source["format"], source["source"], source["edited"]) == ("md", "# Sum\n\nAdd.\n", False)
    saved = await setter.put("new", source["revision"])
    assert (saved["pending"], saved["html"], saved["notes"]) == (False, "<p>new</p>", ["'statement.md', line 3: no."])
    assert (await setter.ask("GET", "/statement/en"))["html"] == "<p>new</p>"
    source = await setter.ask("GET", "/statement/en/source")
    assert (source["source"], source["edited"], source["revision"]) == ("new", True, saved["revision"])
    await setter.ask("DELETE", f"/statement/en?revision={saved['revision']}")
    assert (await setter.ask("GET", "/statement/en/source"))["edited"] is False
    assert not [*(setter.home.settings.upload_dir).iterdir()], "no package is left"


async def test_edit_that_cannot_be_rendered_is_refused_by_file_and_line(setter: Setter) -> None:
    revision = (await setter.ask("GET", "/statement/en/source"))["revision"]
    body = await setter.put("wrong!", revision, 400)
    assert (body["code"], body["details"]) == ("INVALID_STATEMENT", ["'statement.md', line 3: no."])
    assert (await setter.ask("GET", "/statement/en/source"))["edited"] is False


async def test_edit_of_what_another_has_saved_or_replaced_is_refused(setter: Setter) -> None:
    revision = (await setter.ask("GET", "/statement/en/source"))["revision"]
    await setter.put("first", revision)
    assert (await setter.put("second", revision, 409))["code"] == "STATEMENT_CHANGED"
    body, content_type = form({}, package_of("other"))
    await setter.ask("PUT", "", data=body, headers={"Content-Type": content_type})
    await setter.put("of the former package", revision, 409, lang="zh")
    for nonsense in ("", "e", "p", "e99999999999999", "x", "p\u0661"):
        await setter.put("second", nonsense, 409)


async def test_edit_on_a_node_that_cannot_render_waits_for_a_judge_node(setter: Setter) -> None:
    revision = (await setter.ask("GET", "/statement/en/source"))["revision"]
    saved = await setter.put("late?", revision)
    assert (saved["pending"], saved["html"]) == (True, "")
    assert (await setter.ask("GET", "/statement/en/source"))["source"] == "late?"


@pytest.mark.parametrize(("lang", "source"), [("EN", "x"), ("e", "x"), ("en", " \n"), ("en", "x" * (1024 * 1024 + 1))])
async def test_edit_without_a_language_or_a_text_is_refused(setter: Setter, lang: str, source: str) -> None:
    assert (await setter.put(source, "e1", 400, lang=lang))["code"] == "INVALID_PARAM"


async def test_package_is_downloaded_as_it_was_uploaded(setter: Setter) -> None:
    answer = await setter.home.ask("GET", f"{setter.path}/package", token=setter.token)
    (stored,) = setter.home.blobs.objects.values()
    assert await answer.get_data() == stored
    assert answer.headers["Content-Disposition"] == f'attachment; filename="problem-{setter.problem}-v1.zip"'
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert not [*(setter.home.settings.upload_dir).iterdir()]
    setter.home.blobs.objects.clear()
    answer = await setter.home.ask("GET", f"{setter.path}/package", token=setter.token)
    assert (answer.status_code, (await answer.get_json())["code"]) == (400, "INVALID_PACKAGE")
