"""Who sees a problem, on every page and every route of the API that shows one; tags, languages and groups of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.api.publishing import MAX_GROUPS
from deepoj.judging.languages import LANGUAGES
from deepoj.web.pages import manage_problems
from deepoj.words.accounts import UserRole
from deepoj.words.errors import StoreUnavailable
from deepoj.words.groups import UserGroup
from deepoj.words.problems import ProblemChange, Visibility
from deepoj.words.statements import (
    RENDERER_VERSION,
    StatementFile,
    StatementFileKind,
    StatementKind,
    StatementSet,
    StatementText,
)
from tests.api.house import House, form, house, package
from tests.web.scene import add_submission
from tests.web.visits import Visit, administrator, registered

_D, _P, _L = Visibility.DRAFT, Visibility.PRIVATE, Visibility.LISTED
SEEN_BY: dict[str, set[Visibility]] = {
    "stranger": {_L},
    "other": {_L},
    "member": {_L, _P},
    "owner": {_L, _P, _D},
    "jury": {_L, _P, _D},
    "root": {_L, _P, _D},
}
FILES = tuple(
    StatementFile(kind=kind, name=name, media_type="application/pdf", content=b"%PDF")
    for kind, name in ((StatementFileKind.SHOWN, "a.pdf"), (StatementFileKind.ATTACHMENT, "b.zip"))
)
_LINK = '<p><a href="/api/v1/problems/{0}/attachments/b.zip">b</a> /api/v1/problems</p>'
#: routes of the API and pages that show the problem to those who see it, and are 404 for others
READS = (
    "/problems/{0}",
    "/problems/{0}/run",
    "/problems/{0}/statement/files/a.pdf",
    "/problems/{0}/attachments/b.zip",
    "/api/v1/problems/{0}",
    "/api/v1/problems/{0}/statement",
    "/api/v1/problems/{0}/statement/en",
    "/api/v1/problems/{0}/statement/files/a.pdf",
    "/api/v1/problems/{0}/attachments/b.zip",
)
#: lists that name it for those who see it
LISTS = ("/problems", "/problems?sort=title&search=hidden", "/api/v1/problems", "/users/owner")
PROGRAM = {"language": "cpp17", "code": "int main(){}", "stdin": ""}


class Scene:
    """Pages and API with a problem of the owner's, and a caller of each kind."""

    def __init__(self, home: House, visits: dict[str, Visit], number: int) -> None:
        self.home, self.visits, self.number = home, visits, number

    async def becomes(self, **change: Any) -> None:
        assert await self.home.ports.problems.update_problem(self.number, ProblemChange(**change)) is not None

    async def get(self, caller: str, path: str) -> tuple[int, str]:
        """Ask a page with the caller's session, the API with his token."""
        if not path.startswith("/api/"):
            reply = await self.visits[caller].get(path)
            return (reply.status, reply.text)
        token = None if caller == "stranger" else await self.home.token_of(caller)
        answer = await self.home.ask("GET", path, token=token)
        return answer.status_code, str(await answer.get_data(as_text=True))


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    home = house(tmp_path, has_pages=True)
    visits = {name: await registered(home, name) for name in SEEN_BY if name not in ("stranger", "root")}
    visits |= {"stranger": Visit(home), "root": await administrator(home, "root")}
    accounts = home.ports.accounts
    jury, owner = await accounts.credentials("jury"), await accounts.credentials("owner")
    assert jury is not None
    assert owner is not None
    await accounts.change_rights(jury.user.id, roles=[UserRole.JURY], by=None)
    number = await home.problem()
    problem = await home.ports.problems.problem(number)
    assert problem is not None
    await home.ports.problems.insert_problem(replace(problem, title="Hidden sum", created_by=owner.user.id))
    group = await home.ports.groups.create_group("Class 1", by="root")
    assert isinstance(group, UserGroup)
    await home.ports.groups.add_members(group.id, ["member"], by="root")
    await home.ports.problems.set_problem_groups(number, ["Class 1"])
    text = StatementText(language="en", title="Hidden sum", kind=StatementKind.HTML, html=_LINK.format(number))
    found = StatementSet(texts=(text,), files=FILES)
    assert await home.ports.statements.keep_statements(number, "00", found, renderer=RENDERER_VERSION)
    home.store.marks.clear()
    job = await add_submission(home, "owner", number)
    home.store._mark(replace(home.store.rows[job], status="Accepted"), ())
    return Scene(home, visits, number)


@pytest.mark.parametrize("visibility", Visibility)
async def test_who_reads_a_problem_in_each_state(scene: Scene, visibility: Visibility) -> None:
    await scene.becomes(visibility=visibility)
    number = scene.number
    for caller, states in SEEN_BY.items():
        sees = visibility in states
        for path in READS:
            status, text = await scene.get(caller, path.format(number))
            assert status in (200, 303) if sees else status == 404, (caller, path, text)
            assert sees or "Hidden" not in text, (caller, path)
        for path in LISTS:
            status, text = await scene.get(caller, path)
            assert (status == 200 and "Hidden sum" in text) is (sees and not _needs_login(caller, path)), (caller, path)
        if caller != "stranger":  # to whom the home page is as it was some seconds ago
            assert ("Hidden sum" in (await scene.get(caller, "/"))[1]) is (visibility is Visibility.LISTED), caller


def _needs_login(caller: str, path: str) -> bool:
    return caller == "stranger" and path.startswith("/users/")


async def test_a_change_that_breaks_off_opens_no_draft_to_former_groups(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.becomes(visibility=Visibility.DRAFT)
    path = f"/problems/{scene.number}"
    assert (await scene.get("member", path))[0] == 404

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    fields = {"visibility": "private", "groups": ""}
    with monkeypatch.context() as patched:
        patched.setattr(scene.home.ports.problems, "set_problem_groups", away)
        assert (await scene.visits["root"].post(f"/manage{path}", fields)).status == 503
    assert (await scene.get("member", path))[0] == 404
    assert (await scene.visits["root"].post(f"/manage{path}", fields)).status == 303
    assert (await scene.get("member", path))[0] == 404


@pytest.mark.parametrize("visibility", Visibility)
async def test_who_submits_to_a_problem_in_each_state(scene: Scene, visibility: Visibility) -> None:
    await scene.becomes(visibility=visibility)
    for caller, states in SEEN_BY.items():
        if caller == "stranger":
            continue
        sees, visit = visibility in states, scene.visits[caller]
        for path in (f"/problems/{scene.number}", f"/problems/{scene.number}/run"):
            assert (await visit.post(path, PROGRAM)).status == (303 if sees else 404), (caller, path)
        assert ((await visit.post(f"/problems/{scene.number}/samples", PROGRAM)).status == 404) is not sees, caller
        body = {"problem_id": scene.number, "language": "cpp17", "code": "// by the API"}
        token = await scene.home.token_of(caller)
        answer = await scene.home.ask("POST", "/api/v1/submit", token=token, json=body)
        assert answer.status_code == (200 if sees else 400), caller
        assert sees or (await answer.get_json())["code"] == "PROBLEM_NOT_FOUND"


async def test_own_submission_of_a_problem_that_is_hidden_now_names_no_title(scene: Scene) -> None:
    job = await add_submission(scene.home, "other", scene.number)
    await scene.becomes(visibility=Visibility.DRAFT)
    status, text = await scene.get("other", f"/submissions/{job}")
    assert (status, "Hidden" in text) == (200, False)


async def test_files_of_a_statement_come_by_the_session(scene: Scene) -> None:
    await scene.becomes(visibility=Visibility.PRIVATE)
    page = (await scene.get("member", f"/problems/{scene.number}"))[1]
    assert f'<a href="/problems/{scene.number}/attachments/b.zip">b</a> /api/v1/problems</p>' in page
    reply = await scene.visits["member"].get(f"/problems/{scene.number}/attachments/b.zip")
    assert reply.headers["Content-Disposition"] == 'attachment; filename="b.zip"'
    assert reply.headers["Content-Security-Policy"].startswith("sandbox")


async def test_a_problem_takes_its_languages_only(scene: Scene) -> None:
    await scene.becomes(languages=("python3", "c17"))
    visit = scene.visits["other"]
    page = (await scene.get("other", f"/problems/{scene.number}"))[1]
    select = page[page.index('<select id="language"') : page.index("</select>", page.index('id="language"'))]
    assert set(re.findall(r'value="(\w+)"', select)) == {"python3", "c17"}
    refused = await visit.post(f"/problems/{scene.number}", PROGRAM)
    assert refused.status == 400
    assert "int main(){}" in refused.text
    python, c17 = LANGUAGES["python3"].name, LANGUAGES["c17"].name
    assert f"it takes {python} (python3), {c17} (c17)." in refused.text
    body = {"problem_id": scene.number, "language": "cpp17", "code": "x"}
    answer = await scene.home.ask("POST", "/api/v1/submit", token=await scene.home.token_of("other"), json=body)
    assert (answer.status_code, (await answer.get_json())["code"]) == (400, "LANGUAGE_NOT_ALLOWED")
    assert (await visit.post(f"/problems/{scene.number}", PROGRAM | {"language": "c17"})).status == 303


async def test_the_list_filters_by_tag(scene: Scene) -> None:
    other = await scene.home.problem()
    await scene.becomes(tags=("dp", "a & b"))
    page = (await scene.get("stranger", "/problems?tag=A+%26+b"))[1]
    assert (f'href="/problems/{scene.number}"' in page, f'href="/problems/{other}"' in page) == (True, False)
    assert '<a href="/problems?tag=a%20%26%20b"><bdi>a &amp; b</bdi></a>' in page
    assert "/problems?tag=a%20%26%20b&amp;sort=title" in page
    assert "No problem has this tag." in (await scene.get("stranger", "/problems?tag=none"))[1]
    listed = json.loads((await scene.get("stranger", "/api/v1/problems?tag=dp"))[1])["problems"]
    assert [(one["id"], one["tags"], one["visibility"]) for one in listed] == [
        (scene.number, ["dp", "a & b"], "listed")
    ]
    assert json.loads((await scene.get("stranger", "/api/v1/problems?tag=,"))[1])["problems"] == []


async def test_an_administrator_sets_all_of_it_on_the_page(scene: Scene) -> None:
    root, path = scene.visits["root"], f"/manage/problems/{scene.number}"
    fields = {
        "title": "Hidden sum", "difficulty": "", "time_limit": "1000", "memory_limit": "128", "description": "A hint.",
        "visibility": "private", "tags": " DP ,  two  words ", "with_groups": "1", "with_languages": "1",
        "language-c17": "1",
    }  # fmt: skip
    box = re.search(
        r'<input type="checkbox" name="(group-\d+)" value="Class 1" checked> <bdi>Class 1</bdi>',
        await page_of(root, path),
    )
    assert box is not None
    assert (await root.post(path, fields)).status == 303
    assert "No group sees this private problem yet" in await page_of(root, path)
    fields[box[1]] = "Class 1"
    assert (await root.post(path, fields)).status == 303
    problem = await scene.home.ports.problems.problem(scene.number)
    assert problem is not None
    assert (problem.visibility, problem.tags, problem.languages) == (_P, ("dp", "two words"), ("c17",))
    page = (await root.get(path)).text
    assert '<option value="private" selected>' in page
    assert 'value="dp, two words"' in page
    assert "No group sees" not in page
    assert page.count(" checked") == 2, "a language and the group"
    assert 'name="groups"' not in page, "all groups are boxes"
    assert "A hint." in (await root.get(f"/problems/{scene.number}")).text, "beside the statement"
    for name, value in (("groups", "no such"), ("tags", "x" * 41), ("visibility", "secret")):
        refused = await root.post(path, fields | {name: value})
        assert refused.status == 400, name
        assert f"Invalid parameter: {name}:" in refused.text
        assert re.search(rf'name="{box[1]}" value="Class 1" checked', refused.text), name
    assert (await root.post(path, {"tags": "", "with_groups": "1", "with_languages": "1"})).status == 303
    assert "No group sees this private problem yet" in (await root.get(path)).text
    problem = await scene.home.ports.problems.problem(scene.number)
    assert problem is not None
    assert (problem.visibility, problem.tags, problem.languages) == (_P, (), ())
    assert await scene.home.ports.problems.problem_groups(scene.number) == []


async def test_groups_that_are_too_many_for_boxes_can_be_typed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manage_problems, "MAX_OFFERED", 1)
    await scene.home.ports.groups.create_group("Class 2", by="root")
    await scene.home.ports.problems.set_problem_groups(scene.number, ["Class 1", "Class 2"])
    root, path = scene.visits["root"], f"/manage/problems/{scene.number}"
    page = await page_of(root, path)
    assert "\nClass 2</textarea>" in page
    box = re.search(r'name="(group-\d+)" value="Class 1" checked', page)
    assert box is not None
    fields = {"with_groups": "1", box[1]: "Class 1", "groups": "Class 2"}
    assert (await root.post(path, fields)).status == 303
    assert await scene.home.ports.problems.problem_groups(scene.number) == ["Class 1", "Class 2"]


async def test_a_form_with_every_box_is_taken(scene: Scene) -> None:
    root, path = scene.visits["root"], f"/manage/problems/{scene.number}"
    boxes = {f"group-{number}": "Class 1" for number in range(MAX_GROUPS)}
    languages = {f"language-{key}": "1" for key in LANGUAGES}
    assert (await root.post(path, {"with_groups": "1", "with_languages": "1"} | boxes | languages)).status == 303


async def page_of(visit: Visit, path: str) -> str:
    return (await visit.get(path)).text


async def test_an_administrator_sets_all_of_it_over_the_api(scene: Scene) -> None:
    token = await scene.home.token_of("root")
    fields = {"title": "t", "visibility": "private", "tags": "a,b", "languages": "c17", "groups": "Class 1"}

    async def send(method: str, path: str, more: dict[str, str]) -> tuple[int, Any]:
        body, kind = form(more) if method == "PUT" else form(fields | more, package())
        answer = await scene.home.ask(method, path, token=token, data=body, headers={"Content-Type": kind})
        return answer.status_code, await answer.get_json()

    status, created = await send("POST", "/api/v1/problems", {})
    assert status == 200
    path = f"/api/v1/problems/{created['id']}"
    shown = json.loads((await scene.get("root", path))[1])
    wanted = {"visibility": "private", "tags": ["a", "b"], "languages": ["c17"], "groups": ["Class 1"]}
    assert {name: shown[name] for name in wanted} == wanted
    assert json.loads((await scene.get("member", path))[1])["groups"] is None
    status, changed = await send("PUT", path, {"visibility": "draft", "languages": "", "tags": ""})
    assert (status, changed["visibility"], changed["languages"], changed["tags"]) == (200, "draft", [], [])
    for name, value in (("languages", "1"), ("visibility", "x"), ("groups", "no such"), ("tags", "," + "t," * 21)):
        status, refused = await send("PUT", path, {name: value})
        assert (status, refused["code"]) == (400, "INVALID_PARAM"), name
        assert name in refused["error"]


async def test_home_shows_the_newest_listed_problems(scene: Scene) -> None:
    numbers = [await scene.home.problem() for _ in range(11)]
    await scene.home.ports.problems.update_problem(numbers[-1], ProblemChange(visibility=Visibility.DRAFT))
    page = (await scene.get("root", "/"))[1]
    assert [int(one) for one in re.findall(r'<li><a href="/problems/(\d+)"', page)] == numbers[-2::-1][:10]
