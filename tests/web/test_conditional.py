"""ETags of pages and of files of statements: what a browser has already is not sent again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deepoj.words.statements import RENDERER_VERSION, StatementFile, StatementFileKind, StatementSet
from tests.api.house import client, house, served
from tests.web.scene import add_problem
from tests.web.visits import Visit, registered

FILES = tuple(
    StatementFile(kind=kind, name=name, media_type=media_type, content=name.encode())
    for kind, name, media_type in (
        (StatementFileKind.SHOWN, "a.png", "image/png"),
        (StatementFileKind.ATTACHMENT, "b.zip", "application/zip"),
    )
)


@pytest.fixture
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each page be of another minute."""
    times = (dt.datetime(2026, 11, 29, 9, minute, 17, tzinfo=dt.UTC) for minute in range(60))
    clock = SimpleNamespace(now=lambda _zone: next(times))
    monkeypatch.setattr("deepoj.web.render.dt", SimpleNamespace(datetime=clock, UTC=dt.UTC))


@pytest.mark.usefixtures("_clock")
@pytest.mark.parametrize("path", ["/", "/problems", "/submissions", "/account", "/runbook", "/runbook/4"])
async def test_page_that_the_browser_has_is_304(tmp_path: Path, path: str) -> None:
    visit = await registered(house(tmp_path, has_pages=True), "alice")
    first = await visit.get(path)
    etag = first.headers["ETag"]
    assert (first.status, etag[:3], first.headers["Cache-Control"]) == (200, 'W/"', "private, no-cache")
    again = await visit.get(path, {"If-None-Match": etag})
    assert (again.status, again.text, again.headers["ETag"]) == (304, "", etag)
    for name in ("Cache-Control", "Vary", "Content-Security-Policy"):
        assert again.headers[name] == first.headers[name]
    other = await visit.get(path, {"If-None-Match": '"other"'})
    assert (other.status, other.headers["ETag"]) == (200, etag)


async def test_page_that_has_changed_is_sent(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    visit = await registered(home, "alice")
    before = (await visit.get("/problems")).headers["ETag"]
    await add_problem(home, title="Another")
    after = await visit.get("/problems", {"If-None-Match": before})
    assert (after.status, "Another" in after.text) == (200, True)
    await visit.post("/preferences", {"next": "/", "theme": "dark"})
    dark = await visit.get("/problems", {"If-None-Match": after.headers["ETag"]})
    assert (dark.status, 'data-theme="dark"' in dark.text) == (200, True)


async def test_page_whose_nonce_form_token_or_answer_is_of_one_time_has_no_etag(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    number = await home.problem()
    stranger, visit = Visit(home), await registered(home, "alice")
    assert "ETag" not in (await stranger.get("/problems")).headers, "the first page sets the cookie of the form token"
    assert "ETag" in (await stranger.get("/problems")).headers
    for path in (f"/problems/{number}", "/playground", "/nowhere"):
        assert "ETag" not in (await visit.get(path)).headers, path
    refused = await visit.post("/account/password", {"password": "wrong", "new_password": "a new password"})
    assert "ETag" not in refused.headers


async def test_file_of_a_statement_that_the_browser_has_is_304(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(tmp_path, has_pages=True)
    number, visit = await home.problem(), Visit(home)
    statements, found = home.ports.statements, StatementSet(files=FILES)
    assert await statements.keep_statements(number, "00", found, renderer=RENDERER_VERSION)
    read: list[bytes] = []
    statement_file = statements.statement_file

    async def noted(*args: Any, **options: Any) -> StatementFile | None:
        file = await statement_file(*args, **options)
        read.append(b"" if file is None else file.content)
        return file

    monkeypatch.setattr(statements, "statement_file", noted)
    for below in ("statement/files/a.png", "attachments/b.zip"):
        for path in (f"/problems/{number}/{below}", f"/api/v1/problems/{number}/{below}"):
            first = await visit.get(path)
            again = await visit.get(path, {"If-None-Match": first.headers["ETag"]})
            assert (first.status, again.status, again.text) == (200, 304, "")
            assert read[-1] == b"", "the content is not even read"
            assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]
            assert (await visit.get(path, {"If-None-Match": '"other"'})).text == below.rpartition("/")[2]


async def test_node_answers_get_and_head_with_304_and_the_connection_goes_on(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    async with served(home) as (base, _), client(base) as asks:
        await asks.get("/runbook/2")  # for the cookie
        first, head = await asks.get("/runbook/2"), await asks.head("/runbook/2")
        assert (head.status_code, head.headers["ETag"]) == (200, first.headers["ETag"])
        known = {"If-None-Match": first.headers["ETag"]}
        for answer in (await asks.get("/runbook/2", headers=known), await asks.head("/runbook/2", headers=known)):
            assert (answer.status_code, answer.content, "Content-Length" in answer.headers) == (304, b"", False)
        assert (await asks.get("/runbook/2")).status_code == 200
