"""``/manage/problems/{id}/replace``: a package is looked at before it is applied."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepoj.packages.formats import PackageFault
from deepoj.words.problems import Problem
from tests.api.house import form, house, package
from tests.web.test_manage_problems import Desk, admin_of, jobs_of, uploads

OLD = {"1.in": "1 2\n", "1.out": "3\n", "2.in": "4 5\n", "2.out": "9\n"}
NEW = OLD | {"2.out": "10\n", "3.in": "0 0\n", "3.out": "0\n"}
#: made once: a zip holds the time at which it was made
PACKAGE = package(NEW)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    """An administrator."""
    return await admin_of(house(tmp_path, has_pages=True))


async def created(desk: Desk) -> Problem:
    await desk.sent("/manage/problems", {"title": "Sum"}, file=package(OLD))
    [problem] = await desk.home.store.problems(0, 9)
    return problem


async def staged(desk: Desk, problem: Problem, **fields: str) -> str:
    """Upload the new package; return the address of its report."""
    return await desk.sent(f"/manage/problems/{problem.id}/replace", fields, file=PACKAGE)


def hidden(page: str) -> dict[str, str]:
    return dict(
        re.findall(r'<input type="hidden" name="((?!form_token)\w+)" value="([^"]*)">', page.partition("<main")[2])
    )


async def test_report_comes_before_the_change(desk: Desk) -> None:
    home, problem = desk.home, await created(desk)
    place = await staged(desk, problem, time_limit="2000", memory_limit="")
    page = await desk.get(place)
    assert "Tests: 1 added, 0 removed, 1 changed, 0 renamed, 1 unchanged." in page
    assert re.search(r'<th scope="row">2</th><td>changed: answer</td>', page)
    assert re.search(r'<th scope="row">3</th><td>added</td>', page)
    assert '<del><code class="file">9\n</code></del> <ins><code class="file">10\n</code></ins>' in page
    assert '<code class="file">0 0\n</code>' in page
    assert "Submissions of this problem: 0." in page
    assert '<th scope="row">1</th>' not in page
    assert re.search(r'<th scope="row">Time limit</th><td>1000 ms</td><td>2000 ms</td>', page)
    assert await home.store.problem(problem.id) == problem, "nothing has changed yet"
    assert uploads(home) == []
    fields = hidden(page)
    assert (fields["version"], fields["time_limit"]) == ("1", "2000")
    place = await desk.sent(f"/manage/problems/{problem.id}/replace", fields)
    assert place == f"/manage/problems/{problem.id}?changed=2&report=1"
    changed = await home.store.problem(problem.id)
    assert changed is not None
    assert (changed.version, changed.time_limit_ms, changed.title) == (2, 2000, "Sum")
    assert home.blobs.objects[changed.data_path] == PACKAGE
    await jobs_of(home, problem.id, 1)
    assert f'href="/manage/problems/{problem.id}/rejudge">Rejudge the submissions' in await desk.get(place)
    assert uploads(home) == []


async def test_report_shows_digests_of_what_is_no_text_and_of_equal_beginnings(desk: Desk) -> None:
    long = "1 " * 100
    await desk.sent("/manage/problems", {"title": "Sum"}, file=package({"1.in": long + "2", "1.out": HOSTILE}))
    [problem] = await desk.home.store.problems(0, 9)
    new = package({"1.in": long + "3", "1.out": "<b>", "2.in": "a\x00b", "2.out": "y" * 200})
    page = await desk.get(await desk.sent(f"/manage/problems/{problem.id}/replace", {}, file=new))
    row = re.search(r'<th scope="row">1</th>.*?</tr>', page, re.DOTALL)
    assert row is not None
    assert re.search(r"<del><code>[0-9a-f]{16}</code></del> <ins><code>[0-9a-f]{16}</code></ins>", row[0])
    assert "&lt;script&gt;" in row[0]
    assert '<ins><code class="file">&lt;b&gt;</code></ins>' in row[0]
    added = page.partition('<th scope="row">2</th>')[2]
    assert re.search(r"<td><code>[0-9a-f]{16}</code></td>", added)
    assert f'<code class="file">{"y" * 120}…</code>' in added


async def test_report_of_another_node_is_the_same(desk: Desk, tmp_path: Path) -> None:
    """The package is in the object store, and its note lets it be deleted if it is never applied."""
    home, problem = desk.home, await created(desk)
    place = await staged(desk, problem)
    [key] = home.blobs.objects.keys() - {problem.data_path}
    assert key in await home.store.loose_objects(0.0, 9)
    other = house(tmp_path / "other", has_pages=True, store=home.store)
    other.blobs.objects = home.blobs.objects
    there = Desk(other, dict(desk.cookies))
    assert "1 added, 0 removed, 1 changed" in await there.get(place)
    assert other.blobs.fetches == [key, problem.data_path]
    await there.get(place)
    assert len(other.blobs.fetches) == 2, "compared once"


async def test_problem_that_changed_meanwhile_is_compared_again(desk: Desk) -> None:
    problem = await created(desk)
    fields = hidden(await desk.get(await staged(desk, problem)))
    await desk.sent(f"/manage/problems/{problem.id}", {"time_limit": "3000"})
    place = await desk.sent(f"/manage/problems/{problem.id}/replace", fields)
    assert "nothing was replaced" in (page := await desk.get(place))
    changed = await desk.home.store.problem(problem.id)
    assert changed is not None
    assert (changed.version, changed.data_path) == (2, problem.data_path)
    assert hidden(page)["version"] == "2"


async def test_refused_package_says_why_and_keeps_the_fields(desk: Desk) -> None:
    home, problem = desk.home, await created(desk)
    path = f"/manage/problems/{problem.id}/replace"
    home.vetted[0] = PackageFault(f"{HOSTILE}.cpp", "The checker does not compile.")
    answer = await desk.post(path, {"time_limit": "77"}, file=PACKAGE)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert "The checker does not compile." in page
    assert HOSTILE not in page
    assert 'value="77"' in page
    body, kind = form({"form_token": await desk.token()}, b"")
    answer = await desk.ask("POST", path, body.replace(b'filename="p.zip"', b'filename=""'), kind)
    assert answer.status_code == 400
    assert "choose a package" in await answer.get_data(as_text=True)
    assert list(home.blobs.objects) == [problem.data_path]


@pytest.mark.parametrize("token", ["0123456789abcdef.0123456789ab", "../1", "1.zip", "x"])
async def test_package_that_is_not_there_is_refused(desk: Desk, token: str) -> None:
    problem = await created(desk)
    path = f"/manage/problems/{problem.id}/replace"
    await desk.get(f"{path}?package={token}", 400)
    assert (await desk.post(path, {"package": token, "version": "1"})).status_code == 400
    assert await desk.home.store.problem(problem.id) == problem


async def test_package_can_be_applied_where_the_current_one_is_lost(desk: Desk) -> None:
    problem = await created(desk)
    del desk.home.blobs.objects[problem.data_path]
    page = await desk.get(await staged(desk, problem))
    assert "cannot be compared: The problem&#39;s current package is missing" in page.replace("</p>", "")
    await desk.sent(f"/manage/problems/{problem.id}/replace", hidden(page))
    changed = await desk.home.store.problem(problem.id)
    assert changed is not None
    assert changed.version == 2
