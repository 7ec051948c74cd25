"""``/manage/problems``: who may, what is shown of a package, changing, deleting, rejudging, results."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode

import h11
import pytest
from quart import Response

from deepoj.api.downloads import cell
from deepoj.packages.formats import PackageFault
from deepoj.packages.vetting import Vetted
from deepoj.web.matrix import matrix_of
from deepoj.words.jobs import Claim
from deepoj.words.problems import Visibility
from deepoj.words.rejudges import VerdictChange
from deepoj.words.results import Verdict
from deepoj.words.submissions import ListPlace, SubmissionList, SubmissionQuery
from tests.api.house import PASSWORD, House, form, house, package
from tests.contract.labs import MAX_ATTEMPTS, NODE, draft, entry, report, send

_TOKEN = re.compile(r'name="form_token" value="([^"]*)"')
HOSTILE = "<script>alert(1)</script>\"'&"


@dataclass
class Desk:
    """A browser without scripts over an API on fakes."""

    home: House
    cookies: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, data: bytes = b"", kind: str = "application/x-www-form-urlencoded"
    ) -> Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Accept": "text/html", "Cookie": cookie} | ({"Content-Type": kind} if data else {})
        answer = await self.home.ask(method, path, headers=headers, data=data)
        for line in answer.headers.getlist("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def get(self, path: str, status: int = 200) -> str:
        answer = await self.ask("GET", path)
        text = await answer.get_data(as_text=True)
        assert answer.status_code == status, text
        return text

    async def token(self) -> str:
        found = _TOKEN.search(await self.get("/"))
        assert found is not None
        return found[1]

    async def post(
        self, path: str, fields: Mapping[str, str] | None = None, *, file: bytes | None = None, token: str | None = None
    ) -> Response:
        """Send a form, with a file if there is one; the token comes first, as on our pages."""
        sent = {"form_token": await self.token() if token is None else token} | dict(fields or {})
        if file is None:
            return await self.ask("POST", path, urlencode(sent).encode())
        return await self.ask("POST", path, *form(sent, file))

    async def sent(self, path: str, fields: Mapping[str, str] | None = None, *, file: bytes | None = None) -> str:
        """Send a form that must be taken; return where it leads."""
        answer = await self.post(path, fields, file=file)
        assert answer.status_code == 303, await answer.get_data(as_text=True)
        return answer.headers["Location"]


async def member(home: House, name: str = "alice") -> Desk:
    desk = Desk(home)
    assert await desk.sent("/register", {"username": name, "password": PASSWORD, "email": ""}) == "/problems"
    return desk


async def admin_of(home: House) -> Desk:
    desk = await member(home, "root")
    account = await home.ports.accounts.credentials("root")
    assert account is not None
    await home.ports.accounts.change_rights(account.user.id, is_admin=True, by=None)
    await desk.sent("/login", {"username": "root", "password": PASSWORD, "next": "/"})
    return desk


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    """An administrator."""
    return await admin_of(house(tmp_path, has_pages=True))


async def finish(home: House, job_id: str, verdict: Verdict) -> None:
    answers = await home.ports.leases.claim([entry(job_id)], NODE, 600.0, MAX_ATTEMPTS)
    held = answers["1-1"]
    assert isinstance(held, Claim)
    result = {"score": 50.0, "time_used": 12, "memory_used": 3456}
    assert await home.ports.leases.finalize(held, report(verdict), result) is None


async def jobs_of(home: House, problem: int, count: int, name: str = "bob") -> list[str]:
    user = await home.account(name)
    return [await send(home.ports, draft(user.id, problem, f"// {n}")) for n in range(count)]


def uploads(home: House) -> list[Path]:
    directory = home.settings.upload_dir
    return list(directory.iterdir()) if directory.exists() else []


# -- who may


PATHS = ("", "/{id}", "/{id}/replace", "/{id}/delete", "/{id}/rejudge", "/{id}/results.csv", "/{id}/results.json")
FORMS = ("", "/{id}", "/{id}/replace", "/{id}/delete", "/{id}/rejudge")


async def test_pages_are_for_administrators(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    number = await home.problem()
    stranger, alice, root = Desk(home), await member(home), await admin_of(home)
    for path in (f"/manage/problems{path}".replace("{id}", str(number)) for path in PATHS):
        answer = await stranger.ask("GET", path)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/login?next={path}")
        await alice.get(path, 403)
        await root.get(path)
    for path in (f"/manage/problems{path}".replace("{id}", str(number)) for path in FORMS):
        assert (await alice.post(path, {"title": "theirs", "force": "1"}, file=package())).status_code == 403
    assert "/manage/" not in await alice.get("/problems")
    assert "/manage/problems" in await root.get("/problems")
    assert [one.title for one in await home.store.problems(0, 9)] == ["A+B"]


async def test_forms_without_their_token_change_nothing(desk: Desk) -> None:
    number = await desk.home.problem()
    for path in (f"/manage/problems{path}".replace("{id}", str(number)) for path in FORMS):
        for token in ("", "another"):
            fields = {"title": "theirs", "force": "1"}
            assert (await desk.post(path, fields, token=token)).status_code == 403
            assert (await desk.post(path, fields, token=token, file=package())).status_code == 403
    assert [one.title for one in await desk.home.store.problems(0, 9)] == ["A+B"]
    assert await desk.home.store.rejudge_order(number) is None
    assert desk.home.blobs.objects == {}


async def test_token_is_checked_before_the_file_is_stored(desk: Desk) -> None:
    """The refusal comes at the head of the file's part: the rest is not even sent here."""
    body, kind = form({"title": "A"}, package())
    head = body[: body.index(b"PK")]
    cookie = "; ".join(f"{name}={value}" for name, value in desk.cookies.items())
    async with desk.home.connected() as stream:
        await stream.send_all(
            f"POST /manage/problems HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + head
        )
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 403 ")
    assert uploads(desk.home) == []
    late = form({}, package())[0].removesuffix(b"--frontier--\r\n") + form({"form_token": await desk.token()})[0]
    answer = await desk.ask("POST", "/manage/problems", late, kind)
    assert answer.status_code == 403, "a token after the file is too late"


# -- uploading


async def test_upload_leads_to_the_report(desk: Desk) -> None:
    home = desk.home
    files = {f"{n}.in": "1 2\n" for n in (1, 2, 3)} | {f"{n}.out": "3\n" for n in (1, 2, 3)}
    fields = {"title": HOSTILE, "time_limit": "", "memory_limit": "64", "compare": "", "difficulty": ""}
    place = await desk.sent("/manage/problems", fields, file=package(files))
    [problem] = await home.store.problems(0, 9)
    assert (problem.title, problem.memory_limit_mb, problem.compare) == (HOSTILE, 64, "tokens")
    assert place == f"/manage/problems/{problem.id}?report=1"
    page = await desk.get(place)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert re.search(r"<dt>Tests</dt><dd>3</dd>", page)
    assert "compared by tokens" in page
    assert home.blobs.fetches == [], "this node has just read the package"
    assert uploads(home) == []
    assert HOSTILE not in await desk.get("/manage/problems")
    assert "Package contents</h2>" not in await desk.get(f"/manage/problems/{problem.id}")


async def test_refused_upload_names_file_and_sentence_and_keeps_the_fields(desk: Desk) -> None:
    desk.home.vetted[0] = PackageFault(f"check/{HOSTILE}.cpp", "The checker 'c.cpp' does not compile.")
    answer = await desk.post("/manage/problems", {"title": "Sum", "time_limit": "77"}, file=package())
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert "The test package is invalid: The checker &#39;c.cpp&#39; does not compile." in page
    assert "<code>check/&lt;script&gt;" in page
    assert 'value="Sum"' in page
    assert 'value="77"' in page
    assert await desk.home.store.problems(0, 9) == []
    assert uploads(desk.home) == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "A", "time_limit": "soon"}, "time_limit"),
        ({"title": "A", "compare": "guess"}, "compare"),
    ],
)
async def test_refused_field_is_marked(desk: Desk, fields: dict[str, str], sentence: str) -> None:
    answer = await desk.post("/manage/problems", fields, file=package())
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert re.search(rf'name="{sentence}"[^>]* aria-invalid="true" aria-describedby="new-refusal"', page), page


async def test_upload_without_a_file(desk: Desk) -> None:
    """A browser sends an empty part without a name."""
    body, kind = form({"form_token": await desk.token(), "title": "A"}, b"")
    for sent in (body.replace(b'filename="p.zip"', b'filename=""'), form({"form_token": await desk.token()})[0]):
        answer = await desk.ask("POST", "/manage/problems", sent, kind)
        assert answer.status_code == 400
        assert "the zip of tests is missing" in await answer.get_data(as_text=True)


async def test_remarks_about_programs_are_shown(desk: Desk) -> None:
    home = desk.home
    home.vetted[0] = Vetted(unchecked="The node has no compiler.")
    place = await desk.sent("/manage/problems", {"title": "A"}, file=package())
    assert "The node has no compiler." in await desk.get(place)
    [problem] = await home.store.problems(0, 9)
    assert "programs not compiled yet" in await desk.get("/manage/problems")
    await home.store.tell_programs(problem.id, problem.data_hash, "The checker does not compile.")
    assert "The checker does not compile. Replace the package." in await desk.get(place)
    assert "cannot be judged" in await desk.get("/manage/problems")


async def test_report_of_a_package_that_came_another_way(desk: Desk) -> None:
    home, number = desk.home, await desk.home.problem()
    assert "missing in the object store" in await desk.get(f"/manage/problems/{number}?report=1")
    home.blobs.objects[f"problems/{number}.zip"] = package()
    for _ in range(2):
        assert "<dt>Tests</dt><dd>1</dd>" in await desk.get(f"/manage/problems/{number}?report=1")
    assert len(home.blobs.fetches) == 2, "the second report is cached; that it was missing is not"
    assert uploads(home) == []


# -- changing


async def test_changing_fields(desk: Desk) -> None:
    home, number = desk.home, await desk.home.problem()
    fields = {
        "title": "Sum", "description": "one\r\ntwo", "difficulty": "", "time_limit": "2000", "memory_limit": "128",
        "compare": "floats:abs=1e-9",
    }  # fmt: skip
    assert await desk.sent(f"/manage/problems/{number}", fields) == f"/manage/problems/{number}?changed=2"
    problem = await home.store.problem(number)
    assert problem is not None
    assert (problem.title, problem.description, problem.difficulty) == ("Sum", "one\ntwo", "")
    assert (problem.time_limit_ms, problem.memory_limit_mb, problem.compare) == (2000, 128, "floats:abs=1e-9")
    page = await desk.get(f"/manage/problems/{number}?changed=2")
    assert "Saved." in page
    assert "until you rejudge" not in page, "there are no submissions"
    assert 'value="floats:abs=1e-9"' in page
    await jobs_of(home, number, 1)
    assert "until you rejudge" in await desk.get(f"/manage/problems/{number}?changed=2")
    answer = await desk.post(f"/manage/problems/{number}", fields | {"title": "", "difficulty": "hard"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert 'value="hard"' in page
    assert await home.store.problem(number) == problem
    await desk.get("/manage/problems/999999", 404)


async def test_fields_that_a_form_leaves_alone_stay_as_somebody_else_has_made_them(desk: Desk) -> None:
    number = await desk.home.problem()
    problem = await desk.home.store.problem(number)
    assert problem is not None
    path = f"/manage/problems/{number}"
    page = await desk.get(path)
    shown = html.unescape(page.partition('name="shown" value="')[2].partition('"')[0])
    form = {"title": problem.title, "difficulty": problem.difficulty, "time_limit": f"{problem.time_limit_ms}",
            "memory_limit": f"{problem.memory_limit_mb}", "compare": problem.compare, "visibility": "listed",
            "tags": "", "with_languages": "1", "with_groups": "1", "description": problem.description,
            "shown": shown}  # fmt: skip
    await desk.sent(path, {**form, "title": "Totals", "tags": "sum", "language-cpp17": "1"})
    await desk.sent(path, {**form, "difficulty": "hard"})
    after = await desk.home.store.problem(number)
    assert after == replace(problem, title="Totals", tags=("sum",), languages=("cpp17",), difficulty="hard")
    refused = await (await desk.post(path, {**form, "time_limit": "x"})).get_data(as_text=True)
    assert ('value="Totals"' in refused, 'value="x"' in refused) == (True, True)
    assert 'name="language-cpp17" value="1" checked' in refused


async def test_saving_who_sees_a_problem_asks_for_no_rejudge(desk: Desk) -> None:
    number = await desk.home.problem()
    await jobs_of(desk.home, number, 1)
    where = await desk.sent(f"/manage/problems/{number}", {"visibility": "private"})
    assert where == f"/manage/problems/{number}?saved=1"
    page = await desk.get(where)
    assert "Saved." in page
    assert "until you rejudge" not in page


async def test_uploaded_problem_is_a_draft_until_its_page_opens_it(desk: Desk) -> None:
    assert '<option value="draft" selected>' in await desk.get("/manage/problems")
    place = await desk.sent("/manage/problems", {"title": "A", "visibility": "draft"}, file=package())
    page = await desk.get(place)
    assert "This problem is a draft" in page
    assert '<button name="visibility" value="listed">' in page
    [problem] = await desk.home.store.problems(0, 9)
    await desk.sent(f"/manage/problems/{problem.id}", {"visibility": "listed"})
    assert "This problem is a draft" not in await desk.get(place)
    assert await desk.home.store.problem(problem.id) == replace(problem, visibility=Visibility.LISTED)


async def test_form_changes_nothing_that_it_does_not_name(desk: Desk) -> None:
    number = await desk.home.problem()
    before = await desk.home.store.problem(number)
    sent = {
        "id": "1",
        "version": "9",
        "data_path": "problems/1.zip",
        "data_hash": "ff",
        "broken": "x",
        "unchecked": "y",
    }
    await desk.sent(f"/manage/problems/{number}", sent)
    assert await desk.home.store.problem(number) == before


# -- deleting


async def test_deleting_says_what_goes(desk: Desk) -> None:
    home, number = desk.home, await desk.home.problem()
    path = f"/manage/problems/{number}/delete"
    assert "no submissions" in await desk.get(path)
    jobs = await jobs_of(home, number, 3)
    await finish(home, jobs[0], Verdict.ACCEPTED)
    page = await desk.get(path)
    assert "3 submissions with their sources" in page
    assert "2 of them are not judged yet" in page
    answer = await desk.post(path)
    assert answer.status_code == 409
    assert await home.store.problem(number) is not None
    assert await desk.sent(path, {"force": "1"}) == f"/manage/problems?deleted={number}"
    assert await home.store.problem(number) is None
    assert home.store.rows == {}
    assert f"Problem {number} was deleted." in await desk.get(f"/manage/problems?deleted={number}")
    assert "was deleted" not in await desk.get("/manage/problems?deleted=<b>")
    await desk.get(path, 404)


# -- rejudging


async def test_rejudging_shows_progress_and_changes(desk: Desk) -> None:
    home, number = desk.home, await desk.home.problem()
    path = f"/manage/problems/{number}/rejudge"
    assert "There are no submissions yet." in await desk.get(path)
    jobs = await jobs_of(home, number, 3)
    for job_id in jobs[:2]:
        await finish(home, job_id, Verdict.WRONG_ANSWER)
    assert "Rejudge 3 submissions" in await desk.get(path)
    assert await desk.sent(path, {"full": "1"}) == path
    page = await desk.get(path)
    assert "0 of 3 submissions are queued to be judged again." in page
    assert "This rejudge is under way." in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert "every test" in page
    while (order := await home.store.go_on_rejudging(9, "k")) is not None and not order.finished:
        pass
    assert "2 of 2 submissions are still to be judged again." in await desk.get(path)
    await finish(home, jobs[0], Verdict.ACCEPTED)
    await finish(home, jobs[1], Verdict.WRONG_ANSWER)
    page = await desk.get(path)
    assert "Done: 2 of 3 submissions were judged again." in page
    assert "This rejudge is under way." not in page
    assert "<noscript>" not in page
    page, _, history = page.partition('id="rejudges"')
    assert "queued" in history
    heads = re.findall(r'<th scope="col" class="number">([^<]*)</th>', page)
    assert heads == ["Accepted", "Wrong Answer"]
    assert re.findall(r'<td class="number([^"]*)">([^<]*)</td>', page) == [(" changed", "1"), ("", "1")]


async def test_rejudging_some_submissions(desk: Desk) -> None:
    home, number = desk.home, await desk.home.problem()
    path = f"/manage/problems/{number}/rejudge"
    for job_id, verdict in zip(await jobs_of(home, number, 2), (Verdict.WRONG_ANSWER, Verdict.ACCEPTED), strict=True):
        await finish(home, job_id, verdict)
    fields = {"verdict": "Wrong Answer", "language": "", "since": "1970-01-01", "until": ""}
    assert await desk.sent(path, fields) == path
    page = await desk.get(path)
    assert "0 of 1 submissions are queued" in page
    assert "only Wrong Answer since 1970-01-01" in page
    assert re.findall(r'<option value="([^"]*)">', page.partition('id="verdict"')[2].partition("</select>")[0]) == [
        "", "Accepted", "Wrong Answer",
    ]  # fmt: skip
    for wrong in ({"since": "soon"}, {"verdict": "Wrong"}, {"language": "latin"}):
        assert (await desk.post(path, fields | wrong)).status_code == 400


def test_matrix_has_verdicts_in_their_order_and_unjudged_last() -> None:
    changes = [
        VerdictChange("Wrong Answer", None, 5), VerdictChange("Wrong Answer", "Accepted", 2),
        VerdictChange("Accepted", "Wrong Answer", 1),
    ]  # fmt: skip
    matrix = matrix_of(changes)
    assert list(matrix.after) == ["Accepted", "Wrong Answer", None]
    assert {old: list(row) for old, row in matrix.rows.items()} == {
        "Accepted": [0, 1, 0],
        "Wrong Answer": [2, 0, 5],
    }
    assert list(matrix.rows) == ["Accepted", "Wrong Answer"]
    assert matrix.waiting == 5
    assert matrix_of([]).waiting == 0


# -- results


async def test_counts_by_verdict(desk: Desk) -> None:
    home, number = desk.home, await desk.home.problem()
    jobs = await jobs_of(home, number, 3)
    await finish(home, jobs[0], Verdict.WRONG_ANSWER)
    page = await desk.get(f"/manage/problems/{number}")
    assert f'href="/submissions?all=1&amp;problem_id={number}&amp;verdict=Wrong%20Answer"' in page
    assert "Queuing" in page
    assert re.findall(r'<td class="number">(\d+)</td>', page)[:2] == ["2", "1"]


async def test_times_are_a_chart_and_a_table(desk: Desk) -> None:
    """The limit is 1 s: 12 ms is in the first tenth."""
    home, number = desk.home, await desk.home.problem()
    assert "<svg" not in (await desk.get(f"/manage/problems/{number}")).partition("<main")[2]
    jobs = await jobs_of(home, number, 3)
    for job_id, verdict in zip(jobs, (Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.COMPILE_ERROR), strict=True):
        await finish(home, job_id, verdict)
    page = await desk.get(f"/manage/problems/{number}")
    assert re.findall(r'<rect class="(\w+)" x="(\d+)" y="(\d+)"[^>]* height="(\d+)"', page) == [
        ("accepted", "3", "50", "50"), ("others", "3", "0", "50"),
    ]  # fmt: skip
    first = re.search(r'<th scope="row">0 ms – 100 ms</th><td[^>]*>(\d+)</td><td[^>]*>(\d+)</td>', page)
    assert first is not None
    assert first.groups() == ("1", "1")
    assert '<th scope="row">1.00 s or more</th>' in page


async def test_results_as_files(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepoj.web.pages.manage_problems._ROWS", 2)
    home, number = desk.home, await desk.home.problem()
    path = f"/manage/problems/{number}/results"
    assert json.loads(await desk.get(f"{path}.json")) == []
    assert len((await desk.get(f"{path}.csv")).splitlines()) == 1
    jobs = await jobs_of(home, number, 5)
    await finish(home, jobs[0], Verdict.ACCEPTED)
    await jobs_of(home, await home.problem(), 1, "carol")
    rows = json.loads(await desk.get(f"{path}.json"))
    assert sorted(row["job_id"] for row in rows) == sorted(jobs)
    [row] = [row for row in rows if row["job_id"] == jobs[0]]
    assert (row["username"], row["verdict"], row["score"], row["time_ms"]) == ("bob", "Accepted", 50.0, 12)
    answer = await desk.ask("GET", f"{path}.csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="problem-{number}.csv"'
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    table = list(csv.DictReader(io.StringIO((await answer.get_data(as_text=True)).removeprefix("\ufeff"), newline="")))
    assert [line["job_id"] for line in table] == [row["job_id"] for row in rows]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\n=1", "＝1+1", "＋1", "－1", "＠x"])
def test_formula_becomes_a_text(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell("bob") == "bob"
    assert cell(-1.5) == -1.5
    assert cell(None) is None


async def test_download_that_breaks_off_is_no_whole_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepoj.web.pages.manage_problems._ROWS", 2)
    home, number = desk.home, await desk.home.problem()
    await jobs_of(home, number, 5)
    read, calls = home.store.submissions, itertools.count()

    async def submissions(query: SubmissionQuery, limit: int, before: ListPlace | None = None) -> SubmissionList:
        home.store.down = next(calls) == 1
        return await read(query, limit, before)

    monkeypatch.setattr(home.store, "submissions", submissions)
    with pytest.RaisesGroup(
        pytest.RaisesExc(h11.RemoteProtocolError, match="without sending complete message body"),
        flatten_subgroups=True,
    ):
        await desk.ask("GET", f"/manage/problems/{number}/results.json")
