"""``/manage/problems/{id}/statement``: source, preview, saving, conflicts; downloading the package."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from tests.api.house import House, form, house, package
from tests.api.test_statements import package_of, renders
from tests.web.test_manage_problems import HOSTILE, Desk, admin_of

_REVISION = re.compile(r'name="revision" value="([^"]*)"')


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True, render_edits=renders)


async def desk_of(home: House, file: bytes) -> tuple[Desk, str]:
    """Return an administrator's browser and the path of the statement of an uploaded package."""
    desk = await admin_of(home)
    there = await desk.sent("/manage/problems", {"title": "t"}, file=file)
    return desk, f"{there.partition('?')[0]}/statement"


def revision_in(page: str) -> str:
    found = _REVISION.search(page)
    assert found is not None
    return found[1]


async def test_statement_is_previewed_and_saved(home: House) -> None:
    desk, path = await desk_of(home, package_of("# A <b>\n"))
    page = await desk.get(path)
    assert "# A &lt;b&gt;\n</textarea>" in page
    fields = {"lang": "en", "format": "md", "code": "new", "revision": revision_in(page)}
    previewed = await (await desk.post(path, {**fields, "action": "preview"})).get_data(as_text=True)
    assert "<p>new</p>" in previewed
    assert "line 3: no." in unescape(previewed)
    assert "<p>new</p>" not in await desk.get(path.replace("/manage", "").removesuffix("/statement"))
    there = await desk.sent(path, {**fields, "action": "save"})
    page = await desk.get(there)
    assert "Saved." in page
    assert "Go back to the package" in page
    assert "<p>new</p>" in await desk.get(path.replace("/manage", "").removesuffix("/statement"))
    await desk.sent(path, {**fields, "revision": revision_in(page), "action": "restore"})
    assert "# A &lt;b&gt;\n</textarea>" in await desk.get(path)


@pytest.mark.parametrize(
    ("code", "revision", "status", "shown"),
    [(f"{HOSTILE}!", "", 400, "This cannot be rendered"), (HOSTILE, "e7", 409, "has changed since"),
     ("", "", 400, "it is empty")],
)  # fmt: skip
async def test_refused_statement_keeps_what_was_written(
    home: House, code: str, revision: str, status: int, shown: str
) -> None:
    desk, path = await desk_of(home, package_of())
    revision = revision or revision_in(await desk.get(path))
    fields = {"lang": "en", "format": "tex", "code": code, "revision": revision, "action": "save"}
    answer = await desk.post(path, fields)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == status
    assert shown in page
    assert HOSTILE not in page
    assert f"{code}</textarea>" in unescape(page)
    assert revision_in(page) == revision


async def test_preview_that_a_script_asks_for_has_no_error_status(home: House) -> None:
    desk, path = await desk_of(home, package_of())
    body = f"form_token={await desk.token()}&lang=en&format=md&code=no!&action=preview&revision=x"
    cookie = "; ".join(f"{name}={value}" for name, value in desk.cookies.items())
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true"}
    answer = await home.ask("POST", path, headers=headers, data=body)
    assert answer.status_code == 200
    assert "This cannot be rendered" in await answer.get_data(as_text=True)


async def test_previews_of_a_package_fetch_it_once(home: House) -> None:
    desk, path = await desk_of(home, package_of())
    fields = {"lang": "en", "format": "md", "code": "x", "revision": "x", "action": "preview"}
    for _ in range(2):
        await desk.post(path, fields)
    assert len(home.blobs.fetches) == 1
    body, content_type = form({}, package_of("other"))
    number = path.removesuffix("/statement").rpartition("/")[2]
    headers = {"Content-Type": content_type}
    token = await home.token_of("root")
    answer = await home.ask("PUT", f"/api/v1/problems/{number}", token=token, data=body, headers=headers)
    assert answer.status_code == 200
    await desk.post(path, fields)
    assert len(set(home.blobs.fetches)) == 2
    assert len([*home.settings.upload_dir.iterdir()]) == 1, "of the last preview alone"


async def test_language_without_a_statement_begins_empty(home: House) -> None:
    desk, path = await desk_of(home, package())
    assert "\n</textarea>" in await desk.get(f"{path}?lang=zh")
    await desk.get(f"{path}?lang=..", 400)


async def test_package_is_downloaded_from_its_page(home: House) -> None:
    file = package_of()  # once: a zip has the time
    desk, path = await desk_of(home, file)
    there = path.removesuffix("statement") + "package"
    assert f'href="{there}"' in await desk.get(there.removesuffix("/package"))
    answer = await desk.ask("GET", there)
    assert await answer.get_data() == file
    assert answer.headers["Content-Disposition"].startswith("attachment;")
