"""The Contest API over HTTP, on a real store: callers, objects, feed, submitting, times; and silence in the freeze."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import re
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import httpx
import pytest
import trio
from quart import Response

from deepoj.api.contest_ledgers import topic_of
from deepoj.api.routes import clics
from deepoj.contests import clics as objects
from deepoj.contests import views
from deepoj.contests.clics import TYPES
from deepoj.contests.clics_feed import SeenContest
from deepoj.contests.feed import read_events
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.replay import board_fields, replay
from deepoj.contests.views import JURY
from deepoj.words.contests import (
    Contest,
    ContestKind,
    ContestMember,
    ContestObject,
    ContestProblem,
    ContestRules,
    EventType,
)
from deepoj.words.results import Verdict
from deepoj.words.statements import (
    RENDERER_VERSION,
    StatementEdit,
    StatementFile,
    StatementFileKind,
    StatementKind,
    StatementSample,
    StatementSet,
    StatementText,
    attachment_path,
    shown_path,
)
from tests.api.house import House, house_on, served
from tests.contests.specification import COLLECTIONS, check_all
from tests.contract.labs import PgLab, claim, new_problem, report
from tests.contract.test_store_contests import HOUR_MS, new_contest, rules, team
from tests.fakes.ports import Store

PASSWORD = "correct horse"
BASE = "/clics/contests/finals"
RESULT = {"tests": [{"status": "Accepted", "cpu_ms": 12}, {"status": "Wrong Answer", "cpu_ms": 7}]}


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@dataclass
class Scene:
    """A contest with teams of alice and bob, and one that is hidden; ``root`` runs it, ``carol`` is in no team."""

    real: PgLab
    home: House[Store]
    contest: Contest
    root: int
    problem_id: int

    async def get(self, path: str, name: str = "") -> Any:
        answer = await self.home.ask("GET", f"{BASE}{path}", headers=basic(name) if name else None)
        body = await answer.get_data()
        assert answer.status_code == 200, (path, body)
        return json.loads(body)

    async def send(self, method: str, path: str, name: str, body: Mapping[str, Any]) -> tuple[int, Any, Response]:
        answer = await self.home.ask(method, f"{BASE}{path}", headers=basic(name) if name else None, json=body)
        raw = await answer.get_data()
        return answer.status_code, json.loads(raw) if raw else None, answer

    async def submit(self, name: str, code: str = "int main(){}", **more: Any) -> tuple[int, Any, Response]:
        body = {"language_id": "cpp20", "problem_id": "A", "files": [{"data": zipped({"main.cpp": code})}], **more}
        return await self.send("POST", "/submissions", name, body)

    async def judge(self, submission_id: str, verdict: Verdict) -> None:
        ((job_id,),) = (
            tuple(row.values()) for row in self.real.rows(f"SELECT job_id FROM submissions WHERE id = {submission_id}")
        )
        won = await claim(self.real, job_id, entry_id=f"{submission_id}-1")
        assert await self.real.store.leases.finalize(won, report(verdict), RESULT) is None

    async def change(self, **changes: Any) -> None:
        contest = await self.real.pg_store.contests.contest("finals")
        assert contest is not None
        changed = await self.real.pg_store.contests.change_contest(
            contest.id, replace(contest.rules, **changes), by=self.root
        )
        assert isinstance(changed, Contest), changed
        await self.real.pg_store.contests.advance()

    async def feed(self, name: str = "", token: str | None = None) -> list[dict[str, Any]]:
        """The lines that there are: the streams of these tests do not wait for more."""
        path = f"{BASE}/event-feed" + ("" if token is None else f"?since_token={token}")
        answer = await self.home.ask("GET", path, headers=basic(name) if name else None)
        assert answer.status_code == 200, await answer.get_data()
        return [json.loads(line) for line in (await answer.get_data()).splitlines() if line]


def zipped(files: Mapping[str, str]) -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return base64.b64encode(packed.getvalue()).decode()


async def arrange(real: PgLab, tmp_path: Path, said: ContestRules) -> Scene:
    home = house_on(tmp_path, real.store, admin_users=frozenset({"root"}), admin_registration_open=True)
    users = {}
    for name in ("root", "alice", "bob", "carol", "hidden"):
        made = await home.ask("POST", "/api/v1/auth/register", json={"username": name, "password": PASSWORD})
        assert made.status_code == 201, await made.get_data()
        users[name] = json.loads(await made.get_data())["id"]
    contests, problem = real.pg_store.contests, await new_problem(real.store)
    contest = await new_contest(real, users["root"], said)
    objects = [
        ContestObject(EventType.GROUPS, "g1", {"name": "North", "type": "site", "hidden": False, "sortorder": 1}),
        ContestObject(EventType.ORGANIZATIONS, "o1", {"name": "KTH", "formal_name": "", "country": "SWE"}),
        team("t-alice", group_ids=["g1"], organization_id="o1"),
        team("t-bob"),
        team("t-hidden", is_hidden=True),
    ]
    members = [ContestMember(name, f"t-{name}") for name in ("alice", "bob", "hidden")]
    assert await contests.put_objects(contest.id, objects, members, by=users["root"]) == frozenset()
    shown = ContestProblem(label="A", problem_id=problem.id, ordinal=1, rgb="#00ff00", color="green")
    assert await contests.put_problem(contest.id, shown, by=users["root"]) is None
    await contests.advance()
    return Scene(real, home, contest, users["root"], problem.id)


@pytest.fixture
async def scene(real: PgLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """It runs since ten minutes. Feeds end after the lines that there are."""
    monkeypatch.setattr("deepoj.api.live.events.MAX_AGE_S", 0.0)
    monkeypatch.setattr(clics, "_NDJSON", replace(clics._NDJSON, is_endless=False))
    return await arrange(real, tmp_path, rules())


async def test_root_document_and_contests(scene: Scene) -> None:
    root = json.loads(await (await scene.home.ask("GET", "/clics/")).get_data())
    assert (root["version"], set(root)) == ("2026-01", {"version", "version_url", "provider"})
    assert (await scene.home.ask("GET", "/clics")).status_code == 200
    listed = json.loads(await (await scene.home.ask("GET", "/clics/contests")).get_data())
    assert listed == [await scene.get("")]
    await scene.change(is_public=False)
    listing = {}
    for name in ("", "carol", "alice", "root"):
        headers = basic(name) if name else None
        listing[name] = json.loads(await (await scene.home.ask("GET", "/clics/contests", headers=headers)).get_data())
        known = name in {"alice", "root"}
        for path in ("", "/access", "/teams", "/event-feed", "/nothing"):
            status = (await scene.home.ask("GET", f"{BASE}{path}", headers=headers)).status_code
            assert status == (404 if not known or path == "/nothing" else 200), (name, path)
    assert [len(each) for each in listing.values()] == [0, 0, 1, 1]
    await new_contest(scene.real, scene.root, rules(), key="points", kind=ContestKind.IOI)
    listed = json.loads(await (await scene.home.ask("GET", "/clics/contests")).get_data())
    assert [(each["id"], each["scoreboard_type"]) for each in listed] == [("points", "score")]


async def test_a_password_is_hashed_once_until_the_epoch_changes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    auth = scene.home.app.auth
    verify = auth.verify

    async def counted(attempt: Any, account: Any, password: str) -> bool:
        hashed.append(password)
        return await verify(attempt, account, password)

    monkeypatch.setattr(auth, "verify", counted)
    for _ in range(3):
        assert (await scene.get("/account", "alice"))["team_id"] == "t-alice"
    assert hashed == [PASSWORD]
    assert (await scene.home.ask("GET", f"{BASE}/account")).status_code == 404
    others = [{"Authorization": sent} for sent in ("Basic !", "Digest x")]
    for wrong in (basic("alice", "wrong"), basic("unknown"), *others):
        answer = await scene.home.ask("GET", f"{BASE}/account", headers=wrong)
        body = json.loads(await answer.get_data())
        assert (answer.status_code, body["code"], set(body)) == (401, 401, {"code", "message"})
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    scene.real.sql("UPDATE users SET token_epoch = token_epoch + 1 WHERE username = 'alice'")
    await scene.get("/account", "alice")
    assert hashed.count(PASSWORD) == 3, "of the unknown name, and of alice again"
    scene.real.sql("UPDATE users SET is_disabled = true WHERE username = 'alice'")
    assert (await scene.home.ask("GET", f"{BASE}/account", headers=basic("alice"))).status_code == 403
    token = await scene.home.token_of("bob")
    answer = await scene.home.ask("GET", f"{BASE}/account", token=token)
    assert json.loads(await answer.get_data())["username"] == "bob"


async def everything(scene: Scene, name: str) -> dict[str, Any]:
    found = {"contest": await scene.get("", name)}
    for endpoint in ("state", "access", "scoreboard", *COLLECTIONS):
        answer = await scene.home.ask("GET", f"{BASE}/{endpoint}", headers=basic(name) if name else None)
        if answer.status_code == 200:
            found[endpoint] = json.loads(await answer.get_data())
    return found


async def test_a_contest_from_submission_to_the_end_of_updates(scene: Scene) -> None:
    status, sent, answer = await scene.submit("alice")
    assert (status, sent["team_id"], sent["problem_id"]) == (200, "t-alice", "A"), sent
    assert answer.headers["Location"] == f"{BASE}/submissions/{sent['id']}"
    assert await scene.get(f"/submissions/{sent['id']}", "bob") == sent | {"files": []}
    await scene.judge(sent["id"], Verdict.WRONG_ANSWER)
    _, hidden, _ = await scene.submit("hidden", "int x;")
    await scene.judge(hidden["id"], Verdict.ACCEPTED)
    status, asked, _ = await scene.send("POST", "/clarifications", "bob", {"text": "why?", "problem_id": "A"})
    assert (status, asked["from_team_id"]) == (200, "t-bob")
    reply = {"text": "because", "reply_to_id": asked["id"], "to_team_ids": ["t-bob"]}
    assert (await scene.send("POST", "/clarifications", "root", reply))[0] == 200
    assert [each["text"] for each in await scene.get("/clarifications", "bob")] == ["why?", "because"]
    assert await scene.get("/clarifications", "alice") == []
    for name in ("", "alice", "bob", "root"):
        found = await everything(scene, name)
        check_all(found, await scene.feed(name))
        seen = {sent["id"], hidden["id"]} if name == "root" else {sent["id"]}
        assert {each["id"] for each in found["submissions"]} == seen
    assert len(await scene.get("/runs", "root")) == 4
    ran = await scene.get("/runs", "root")
    assert await scene.get(f"/runs/{ran[0]['id']}", "root") == ran[0]
    files = await scene.home.ask("GET", f"{BASE}/submissions/{sent['id']}/files", headers=basic("root"))
    with zipfile.ZipFile(io.BytesIO(await files.get_data(as_text=False))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"main.cpp": b"int main(){}"}
    path = f"{BASE}/submissions/{sent['id']}/files"
    assert (await scene.home.ask("GET", path, headers=basic("alice"))).status_code == 200
    for name in ("", "bob"):
        assert (await scene.home.ask("GET", path, headers=basic(name) if name else None)).status_code == 404
    token = (await scene.feed("bob"))[-1]["token"]
    await scene.change(duration_ms=60_000, freeze_ms=None)
    contests = scene.real.pg_store.contests
    last = (await contests.events(scene.contest.id, 0, 1000))[-1].number
    winner = ContestObject(EventType.AWARDS, "winner", {"citation": "Winner", "team_ids": ["t-alice", "t-hidden"]})
    assert isinstance(await contests.finalize(scene.contest.id, [winner], last, by=scene.root), Contest)
    await contests.advance()
    for name in ("", "bob", "root"):
        check_all(await everything(scene, name), await scene.feed(name))
    assert (await scene.get("/awards"))[0]["team_ids"] == ["t-alice"]
    rest = await scene.feed("bob", token)
    assert rest == (await scene.feed("bob"))[-len(rest) :]
    jury = [json.dumps(line) for line in await scene.feed("root")]
    board = [
        {"rank": row["rank"], "team_id": row["team_id"], "solved": row["score"]["num_solved"]}
        for row in (await scene.get("/scoreboard", "root"))["rows"]
    ]
    rows = board_fields(replay(read_events(jury, "feed")).rows)
    assert board == [{key: row[key] for key in ("rank", "team_id", "solved")} for row in rows]


async def test_statements_are_files_for_teams_and_the_jury(scene: Scene) -> None:
    problem, statements = scene.problem_id, scene.real.pg_store.statements
    image, attachment = shown_path(problem, "a.png"), attachment_path(problem, "t.py")
    found = StatementSet(
        texts=(
            StatementText(
                language="en",
                title="A & B",
                kind=StatementKind.HTML,
                html=f'<p>Add.</p><img src="{image}"><a href="{attachment}">t</a>',
            ),
            StatementText(language="zh", title="", kind=StatementKind.PDF, html="", pdf="zh.pdf"),
        ),
        samples=(StatementSample(input="1 <2", output="3"),),
        files=(
            StatementFile(kind=StatementFileKind.SHOWN, name="a.png", media_type="image/png", content=b"png"),
            StatementFile(kind=StatementFileKind.SHOWN, name="zh.pdf", media_type="application/pdf", content=b"%PDF"),
        ),
    )
    contests = scene.real.pg_store.contests
    taken = await contests.taken_problem(scene.contest.id, problem)
    assert taken is not None
    assert "statement" not in await scene.get("/problems/A", "alice"), "there is none"
    assert await statements.keep_statements(problem, taken.data_hash, found, renderer=RENDERER_VERSION)
    again = ContestProblem(label="A", problem_id=problem, ordinal=1)
    assert await contests.put_problem(scene.contest.id, again, by=scene.root) is None
    for name in ("", "carol", "alice", "root"):
        check_all(await everything(scene, name), await scene.feed(name))
        (problems,) = (one for one in (await scene.get("/access", name))["endpoints"] if one["type"] == "problems")
        has_file = name in {"alice", "root"}
        assert ("statement" in problems["properties"]) is has_file, "access is truthful"
        assert ("statement" in (await scene.get("/problems", name))[0]) is has_file
        answer = await scene.home.ask("GET", f"{BASE}/problems/A/statement/en", headers=basic(name) if name else None)
        assert answer.status_code == (200 if has_file else 404)
    files = (await scene.get("/problems/A", "alice"))["statement"]
    assert [(one["filename"], one["mime"]) for one in files] == [
        ("A.en.html", "text/html"),
        ("A.zh.pdf", "application/pdf"),
    ]
    en, zh = [await scene.home.ask("GET", f"/clics/{one['href']}", headers=basic("alice")) for one in files]
    assert (zh.content_type, await zh.get_data(as_text=False)) == ("application/pdf", b"%PDF")
    shown = await en.get_data(as_text=True)
    assert "<h1>A &amp; B</h1>" in shown
    assert 'src="data:image/png;base64,cG5n"' in shown, "it needs no other request"
    assert 'href="/api/v1/contests/finals/problems/A/attachments/t.py"' in shown
    assert "1 &lt;2" in shown
    assert "default-src 'none'" in en.headers["Content-Security-Policy"]
    edit = StatementEdit(language="zh", kind="md", source="加")
    of_contest = statements.of_contest(scene.contest.id)
    edited = await of_contest.edit_statement(problem, "zh", edit, since=0, data_hash=taken.data_hash)
    assert isinstance(edited, int)
    files = (await scene.get("/problems/A", "alice"))["statement"]
    assert [one["mime"] for one in files] == ["text/html", "text/html"], "the contest's own counts"
    assert (await scene.home.ask("GET", f"{BASE}/problems/A/statement/sv", headers=basic("alice"))).status_code == 404


async def test_contests_that_were_dropped_are_folded_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepoj.api.contest_ledgers._KEPT", 0)
    await scene.get("/teams", "root")
    for code in ("1;", "2;"):
        _, sent, _ = await scene.submit("bob", code)
        await scene.judge(sent["id"], Verdict.WRONG_ANSWER)
        for name in ("root", "alice", ""):
            found = await everything(scene, name)
            check_all(found, await scene.feed(name))
            assert sent["id"] in {each["id"] for each in found["submissions"]}
            assert sent["id"] in {each["submission_id"] for each in found["judgements"]}


async def test_clients_of_teams_that_read_and_submit_share_one_view(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mock(side_effect=SeenContest)
    monkeypatch.setattr("deepoj.api.contest_ledgers.SeenContest", made)
    for name in ("alice", "bob", "hidden"):
        for path in ("", *(f"/{each}" for each in COLLECTIONS), "/access", "/state", "/scoreboard", "/problems/A"):
            assert await scene.get(path, name) is not None, path
        assert await scene.feed(name)
        status, sent, _ = await scene.submit(name)
        assert (status, sent["team_id"], len(sent["files"])) == (200, f"t-{name}", 1)
        status, asked, _ = await scene.send("POST", "/clarifications", name, {"text": "Why?", "problem_id": "A"})
        assert (status, asked["from_team_id"]) == (200, f"t-{name}")
    assert made.call_count == 1


@pytest.mark.parametrize("is_left", [False, True])
async def test_feed_lines_of_an_erased_account_lose_its_name_at_once(
    scene: Scene, tmp_path: Path, *, is_left: bool
) -> None:
    (account,) = scene.real.rows("SELECT id FROM users WHERE username = 'alice'")
    if is_left:  # the account was taken out of the contest
        scene.real.sql(f"DELETE FROM contest_members WHERE user_id = {account['id']}")
        scene.real.sql(f"SELECT tell_contest({scene.contest.id}, 'accounts', '{account['id']}', NULL)")
    before = await scene.feed("root")
    assert "alice" in json.dumps(before)
    await scene.real.store.account_data.erase(account["id"], by=None)
    after = await scene.feed("root")
    names = {line["data"]["username"] for line in after if line["type"] == "accounts" and line["data"]}
    assert names == {f"deleted-{account['id']}", "bob", "hidden"}, "also in lines of earlier events"
    other = replace(scene, home=house_on(tmp_path, scene.real.store))
    assert await other.feed("root") == after, "a node that knew nothing has the same lines and tokens"
    assert await scene.feed("root", before[-1]["token"]) == after[len(before) :]


async def test_what_is_not_there_is_an_error_of_the_specification(scene: Scene) -> None:
    for path, status in (
        ("/doesnt-exist", 404), ("/doesnt-exist/42", 404), ("/submissions/999999", 404), ("/submissions/XYZ-999", 404),
        ("/event-feed?since_token=999999", 400), ("/event-feed?since_id=xY-99_", 400), ("/contest", 404),
        ("/state/finals", 404), ("/persons", 404), ("/accounts", 404), ("/scoreboard?group_id=none", 400),
    ):  # fmt: skip
        answer = await scene.home.ask("GET", f"{BASE}{path}")
        body = json.loads(await answer.get_data())
        assert (answer.status_code, body["code"], type(body["message"])) == (status, status, str), path
        assert set(body) == {"code", "message"}
    assert (await scene.home.ask("DELETE", f"{BASE}/teams/t-bob", headers=basic("root"))).status_code == 405
    assert [each["id"] for each in await scene.get("/teams?organization_id=o1&x=y")] == ["t-alice"]
    assert [each["id"] for each in await scene.get("/teams?organization_id=")] == ["t-bob"]
    rows = (await scene.get("/scoreboard?group_id=g1"))["rows"]
    assert [row["team_id"] for row in rows] == ["t-alice"]


async def test_a_program_in_a_language_that_the_contest_does_not_take(scene: Scene) -> None:
    await scene.change(languages=("python3",))
    status, answer, _ = await scene.submit("alice")
    assert (status, "Python" in answer["message"]) == (400, True), answer
    assert [each["id"] for each in await scene.get("/languages", "alice")] == ["python3"]


async def test_submissions_and_clarifications_that_are_refused(scene: Scene) -> None:
    for name, more, status in (
        ("", {}, 401), ("carol", {}, 403), ("root", {}, 403), ("alice", {"team_id": "t-bob"}, 400),
        ("alice", {"id": "1"}, 400), ("alice", {"time": "2026-01-01T00:00:00Z"}, 400),
        ("alice", {"language_id": "klingon"}, 400), ("alice", {"problem_id": "B"}, 400),
        ("alice", {"files": []}, 400), ("alice", {"files": [{"data": "no zip"}]}, 400),
        ("alice", {"files": [{"data": zipped({"main.cpp": "x"}), "mime": "text/plain"}]}, 400),
    ):  # fmt: skip
        assert (await scene.submit(name, **more))[0] == status, (name, more)
    for name, body, status in (
        ("", {"text": "?"}, 401), ("carol", {"text": "?"}, 403), ("alice", {"text": " "}, 400), ("alice", {}, 400),
        ("alice", {"text": "?", "to_team_ids": ["t-bob"]}, 400), ("alice", {"text": "?", "from_team_id": "t-bob"}, 400),
        ("alice", {"text": "?", "problem_id": "Z"}, 400), ("root", {"text": "?", "from_team_id": "t-bob"}, 400),
        ("root", {"text": "?", "to_team_ids": ["unknown"]}, 400), ("root", {"text": "?", "reply_to_id": "9"}, 400),
    ):  # fmt: skip
        assert (await scene.send("POST", "/clarifications", name, body))[0] == status, (name, body)
    assert await scene.get("/clarifications", "root") == []
    assert await scene.get("/submissions", "root") == []


async def test_start_and_thaw_are_set_by_those_who_run_the_contest(
    real: PgLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await arrange(real, tmp_path, rules(started_min=-10))
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat(timespec="seconds")
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=20)).isoformat(timespec="seconds")
    for name, body, status in (
        ("", {"id": "finals", "start_time": later}, 401), ("alice", {"id": "finals", "start_time": later}, 403),
        ("root", {"id": "semis", "start_time": later}, 409), ("root", {"start_time": later}, 400),
        ("root", {"id": "finals"}, 400), ("root", {"id": "finals", "start_time": "noon"}, 400),
        ("root", {"id": "finals", "start_time": "2026-01-01T00:00:00"}, 400),
        ("root", {"id": "finals", "start_time": soon}, 403),
        ("root", {"id": "finals", "start_time": None, "countdown_pause_time": "soon"}, 400),
        ("root", {"id": "finals", "start_time": later, "countdown_pause_time": "0:01:00"}, 400),
        ("root", {"id": "finals", "scoreboard_thaw_time": later}, 403),
        ("root", {"id": "finals", "start_time": later, "scoreboard_thaw_time": later}, 400),
    ):  # fmt: skip
        assert (await scene.send("PATCH", "", name, body))[0] == status, (name, body)
    status, told, _ = await scene.send("PATCH", "", "root", {"id": "finals", "start_time": later})
    assert (status, told) == (200, await scene.get(""))
    assert dt.datetime.fromisoformat(told["start_time"]) == dt.datetime.fromisoformat(later)
    assert (await scene.send("PATCH", "", "root", {"id": "finals", "start_time": None}))[0] == 200
    assert (await scene.get(""))["start_time"] is None
    for left in ("0:10:00.000", "0:05:00.000"):
        paused = {"id": "finals", "start_time": None, "countdown_pause_time": left}
        status, told, _ = await scene.send("PATCH", "", "root", paused)
        assert (status, told["start_time"], told["countdown_pause_time"]) == (200, None, left)
        assert await scene.get("") == told
    status, told, _ = await scene.send("PATCH", "", "root", {"id": "finals", "start_time": later})
    assert (status, told["countdown_pause_time"]) == (200, None)
    ago = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    await scene.change(start_at=ago, duration_ms=60_000, freeze_ms=30_000)
    assert (await scene.send("PATCH", "", "root", {"id": "finals", "start_time": later}))[0] == 403
    body = {"id": "finals", "scoreboard_thaw_time": later}
    status, told, _ = await scene.send("PATCH", "", "root", body)
    assert (status, told, (await scene.get("/state"))["thawed"]) == (204, None, None)
    past = (ago + dt.timedelta(minutes=5)).isoformat()
    status, told, _ = await scene.send("PATCH", "", "root", {**body, "scoreboard_thaw_time": past})
    state = await scene.get("/state")
    assert (status, state["thawed"]) == (200, told["scoreboard_thaw_time"])
    assert (await scene.send("PATCH", "", "root", body))[0] == 403


async def test_feed_goes_on_with_what_happens_and_keeps_alive(
    real: PgLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepoj.api.live.events.MAX_AGE_S", 0.0)  # it has none
    monkeypatch.setattr("deepoj.api.live.events.KEEP_ALIVE_S", 0.3)
    scene = await arrange(real, tmp_path, rules())
    with trio.fail_after(60):
        async with (
            served(scene.home) as (url, _),
            httpx.AsyncClient(base_url=url) as http,
            http.stream("GET", f"{BASE}/event-feed") as response,
        ):
            assert response.headers["Content-Type"] == "application/x-ndjson"
            async with aclosing(cast("AsyncGenerator[str]", response.aiter_lines())) as lines:
                before = [line async for line in _until(lines, lambda line: line == "")]
                status, sent, _ = await scene.submit("alice")
                assert status == 200
                scene.home.streams.notify(topic_of(scene.contest))
                after = [line async for line in _until(lines, lambda line: '"submissions"' in line)]
    assert json.loads(before[0])["type"] == "contest"
    assert json.loads(after[-1])["data"] == sent | {"files": []}
    assert {json.loads(line)["type"] for line in before if line} <= set(TYPES)


async def _until(lines: AsyncIterator[str], is_last: Any) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if is_last(line):
            return


def paths_of(scene: Scene, ids: Mapping[str, list[str]]) -> list[str]:
    """Every path of a GET route under /clics, from the table of routes; a new part of a path fails here."""
    endpoints = [*COLLECTIONS, "access", "account", "state", "scoreboard"]
    paths = []
    for rule in scene.home.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.rule.startswith("/clics"):
            parts = set(re.findall(r"<(\w+)>", rule.rule)) - {"contest_id"}
            choices: list[dict[str, str]] = [{"contest_id": "finals"}]
            for part in sorted(parts):
                given = {
                    "endpoint": endpoints,
                    "object_id": ids["all"],
                    "submission_id": ids["submissions"],
                    "webhook_id": ["1"],
                    "label": ["A"],
                    "lang": ["en"],
                }[part]
                choices = [{**choice, part: each} for choice in choices for each in given]
            paths += [re.sub(r"<(\w+)>", r"{\1}", rule.rule).format(**choice) for choice in choices]
    return paths


#: what may differ between two answers of the same world
_OWN = {"x-request-id", "date"}


async def world(scene: Scene, tmp_path: Path, paths: list[str], name: str) -> dict[str, Any]:
    """All answers of a node that knows nothing yet."""
    fresh = house_on(tmp_path, scene.real.store)
    found = {}
    for path in paths:
        answer = await fresh.ask("GET", path, headers=basic(name) if name else None)
        headers = sorted((key, value) for key, value in answer.headers.items() if key.lower() not in _OWN)
        found[path] = (answer.status_code, headers, await answer.get_data())
    return found


async def frozen(scene: Scene) -> tuple[list[str], list[str]]:
    """Let bob submit in the freeze and be judged, twice. Return all paths, and the ids of his submissions."""
    await scene.change(freeze_ms=5 * HOUR_MS)
    ids = []
    for code, verdict in (("1;", Verdict.WRONG_ANSWER), ("2;", Verdict.COMPILE_ERROR)):
        _, sent, _ = await scene.submit("bob", code)
        await scene.judge(sent["id"], verdict)
        ids.append(sent["id"])
    told = [[each["id"] for each in await scene.get(f"/{name}", "root")][:4] for name in ("judgements", "runs")]
    return paths_of(scene, {"all": ["A", "t-bob", *ids, *told[0], *told[1]], "submissions": ids}), ids


async def retell(scene: Scene) -> None:
    """Let every verdict have been another, and have had another number of tests."""
    scene.real.sql("""
        ALTER TABLE contest_events DISABLE TRIGGER USER;
        UPDATE contest_events SET data = data || '{"verdict": "Accepted", "runs": [["Accepted", 1], ["Accepted", 2],
            ["Accepted", 3]]}' WHERE type = 'judgements';
        ALTER TABLE contest_events ENABLE TRIGGER USER;
        ALTER TABLE submissions DISABLE TRIGGER USER;
        UPDATE submissions SET status = 'Accepted', result = '{"tests": []}' WHERE contest_id IS NOT NULL;
        ALTER TABLE submissions ENABLE TRIGGER USER""")


async def leaks(scene: Scene, tmp_path: Path, name: str) -> list[str]:
    """Return the paths that answer otherwise in the world with other verdicts."""
    paths, _ = await frozen(scene)
    before = await world(scene, tmp_path / "1", paths, name)
    await retell(scene)
    after = await world(scene, tmp_path / "2", paths, name)
    assert len(paths) > 100
    return [path for path in paths if before[path] != after[path]]


@pytest.mark.parametrize("name", ["", "carol", "alice", "hidden"])
async def test_frozen_verdicts_change_no_answer(scene: Scene, tmp_path: Path, name: str) -> None:
    assert await leaks(scene, tmp_path, name) == []


@pytest.mark.parametrize("name", ["bob", "root"])
async def test_frozen_verdicts_change_the_answers_of_their_team_and_the_jury(
    scene: Scene, tmp_path: Path, name: str
) -> None:
    found = set(await leaks(scene, tmp_path, name))
    assert found >= {f"{BASE}/judgements", f"{BASE}/event-feed"}
    assert (f"{BASE}/scoreboard" in found) is (name == "root")


def _tell_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    told = objects._problem
    leaking = {**objects._OBJECTS, EventType.PROBLEMS: lambda ledger, _viewer, *rest: told(ledger, JURY, *rest)}
    monkeypatch.setattr(objects, "_OBJECTS", leaking)


def _tell_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "sees_runs", lambda _viewer: True)
    monkeypatch.setattr(objects, "sees", lambda *_: True)


def _tell_judgements(monkeypatch: pytest.MonkeyPatch) -> None:
    rules_ = {kind: rule for kind, rule in views._RULES.items() if kind is not EventType.JUDGEMENTS}
    monkeypatch.setattr(views, "_RULES", rules_)


#: faults that tell what the freeze hides
_LEAKS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "judgements are seen": _tell_judgements,
    "the board is the jury's": lambda patch: patch.setattr(ContestLedger, "public_board", ContestLedger.jury_board),
    "runs are seen": _tell_runs,
    "tests are counted": _tell_tests,
    "nothing is withheld": lambda patch: patch.setattr(ContestLedger, "is_withheld", lambda *_: False),
}


@pytest.mark.parametrize("leak", _LEAKS)
async def test_an_answer_that_leaks_is_found(
    scene: Scene, tmp_path: Path, leak: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _LEAKS[leak](monkeypatch)
    assert await leaks(scene, tmp_path, "alice") != []
