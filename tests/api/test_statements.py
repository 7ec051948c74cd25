"""The routes of statements: languages, samples, files, and headers that keep foreign files harmless."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.datastructures import LanguageAccept

from deepoj.api.routes.statements import best_language
from deepoj.words.statements import (
    RENDERER_VERSION,
    StatementFile,
    StatementFileKind,
    StatementKind,
    StatementSample,
    StatementSet,
    StatementText,
)
from tests.api.house import House, house

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
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
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
