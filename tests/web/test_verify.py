"""Verifying a problem's package: over its page, its event stream and the API, with the same rights and results."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from trio.testing import wait_all_tasks_blocked

from deepoj.api.http.upload import sweep
from deepoj.cli import problem_verify
from deepoj.cli.problem_verify import verify
from deepoj.client import ApiClient
from deepoj.judging.verifications import VerificationDraft, example_of_json
from deepoj.packages import examples
from deepoj.packages.formats import PackageFault, lay_out
from deepoj.packages.formats.entry import Opened
from deepoj.pipeline.verify import settle_example
from deepoj.words.accounts import UserRole
from deepoj.words.problems import ProblemChange
from deepoj.words.results import Report, TestResult, Verdict
from deepoj.words.verifications import ExampleClaim
from tests.api.house import House, house, package
from tests.unit.makers import a_report
from tests.web.scene import report_saying
from tests.web.visits import Visit, administrator, with_role

KATTIS = {
    "problem.yaml": "name: Sum\n",
    "data/secret/1.in": "1 2\n",
    "data/secret/1.ans": "3\n",
    "submissions/accepted/good.cpp": "int main(){}",
    "submissions/wrong_answer/bad.py": "print(4)",
    "submissions/time_limit_exceeded/slow.py": "while 1: pass",
}
LANGUAGES = ("cpp17", "cpp20", "cpp23", "python3")


class Scene:
    """An administrator, and a problem with a package that carries submissions."""

    def __init__(self, home: House, visit: Visit, number: int) -> None:
        self.home, self.visit, self.number = home, visit, number
        self.path = f"/manage/problems/{number}/verify"
        self.route = f"/api/v1/problems/{number}/verification"

    async def claimed(self) -> ExampleClaim | None:
        return await self.home.ports.example_leases.claim("node", 60.0, 2, LANGUAGES)

    async def judge(self, reports: Mapping[str, Report]) -> None:
        """Judge each submission as a node does. ``reports``: by the file's name."""
        while (claim := await self.claimed()) is not None:
            name = example_of_json(claim.example).name
            report = next(report for part, report in reports.items() if part in name)
            await settle_example(self.home.ports.example_leases, claim, report)
        await self.home.ports.example_leases.sweep_verifications(2, 60.0)

    async def ask(self, method: str, status: int = 200) -> dict[str, Any]:
        answer = await self.home.ask(method, self.route, token=await self.home.token_of("chief"))
        assert answer.status_code == status, await answer.get_data()
        body: dict[str, Any] = await answer.get_json()
        return body


async def scene_with(tmp_path: Path, files: Mapping[str, str] = KATTIS, **changes: Any) -> Scene:
    home = house(tmp_path, has_pages=True, **changes)
    visit, number = await administrator(home, "chief"), await home.problem()
    home.blobs.objects[f"problems/{number}.zip"] = package(files)
    return Scene(home, visit, number)


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    return await scene_with(tmp_path)


PROMISED = {
    "good": a_report(Verdict.ACCEPTED),
    "bad": a_report(Verdict.WRONG_ANSWER),
    "slow": a_report(Verdict.TIME_LIMIT_EXCEEDED),
}


async def test_a_package_is_verified_on_its_page(scene: Scene) -> None:
    visit, path = scene.visit, scene.path
    page = (await visit.get(path)).text
    assert "Input validators of the package are not run here" in page
    assert "Not verified yet." in page
    assert "sse-connect" not in page
    assert (await visit.post(path, {"act": "start"})).location == path
    page = (await visit.get(path)).text
    assert "0 of 3 submissions are judged." in page
    assert f'data-sse-connect="{path}/events"' in page
    assert 'http-equiv="refresh"' in page
    assert "Queuing" in page
    await scene.judge(PROMISED)
    page = (await visit.get(path)).text
    assert "3 of 3 submissions are judged as the package promises, and none differs." in page
    assert 'http-equiv="refresh"' not in page
    assert "Slowest accepted" in page
    first = r'<code>accepted/<wbr>good.cpp</code></th>\s*<td><span class="verdict accepted">[^/]*/span> as promised<'
    assert re.search(first, page), "what matters most is seen on a phone without scrolling"
    assert "Time Limit Exceeded" in page
    page = (await visit.get(f"/manage/problems/{scene.number}")).text
    assert "3 of 3 submissions are judged as the package promises" in page
    await scene.home.ports.problems.update_problem(scene.number, ProblemChange(time_limit_ms=7))
    page = (await visit.get(f"/manage/problems/{scene.number}")).text
    assert "Not verified since the tests or limits changed; the last time was version 1." in page
    assert "version 1, " not in page, "the sentence names it already"


async def test_a_setter_verifies_few_problems_at_a_time(tmp_path: Path) -> None:
    scene = await scene_with(tmp_path, background_per_setter=1)
    home, setter = scene.home, await with_role(scene.home, "setter", UserRole.SETTER)
    account = await home.ports.accounts.credentials("setter")
    assert account is not None
    paths = []
    for number in (await home.problem(), await home.problem()):
        problem = await home.ports.problems.problem(number)
        assert problem is not None
        await home.ports.problems.insert_problem(replace(problem, created_by=account.user.id))
        home.blobs.objects[f"problems/{number}.zip"] = package(KATTIS)
        paths.append(f"/manage/problems/{number}/verify")
    first, second = paths
    assert (await setter.post(first, {"act": "start"})).status == 303
    stored = dict(home.blobs.objects)
    home.blobs.objects.clear()  # a package is not read for a refusal
    refused = await setter.post(second, {"act": "start"})
    assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
    assert "1 of your problems are being verified" in refused.text
    home.blobs.objects.update(stored)
    assert (await scene.visit.post(second, {"act": "start"})).status == 303, "an administrator has no such limit"
    assert (await setter.post(second, {"act": "cancel"})).status == 303
    assert (await setter.post(first, {"act": "cancel"})).status == 303
    assert (await setter.post(second, {"act": "start"})).status == 303


async def test_what_differs_is_shown_as_text(scene: Scene) -> None:
    hostile = "<script>alert(1)</script>"
    await scene.visit.post(scene.path, {"act": "start"})
    await scene.judge(PROMISED | {"good": report_saying(hostile)})
    page = (await scene.visit.get(scene.path)).text
    assert "1 of 3 submissions differ from what the package promises." in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "符合预期" in (await scene.visit.get(scene.path, {"Accept-Language": "zh"})).text


async def test_the_stream_ends_with_the_verification(scene: Scene) -> None:
    await scene.visit.post(scene.path, {"act": "start"})
    await scene.judge(PROMISED)
    text = (await scene.visit.get(f"{scene.path}/events")).text
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert names == ["summary", "result", "done"]
    assert "bad.py" in text


async def test_the_stream_ends_when_the_problem_is_deleted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.visit.post(scene.path, {"act": "start"})

    async def gone(_number: int) -> None:
        return None

    monkeypatch.setattr(scene.home.ports.problems, "problem", gone)
    text = (await scene.visit.get(f"{scene.path}/events")).text
    assert "event: done" in text


async def test_cancelling_keeps_the_last_result(scene: Scene) -> None:
    await scene.visit.post(scene.path, {"act": "start"})
    await scene.judge(PROMISED)
    await scene.visit.post(scene.path, {"act": "start"})
    assert 'value="cancel"' in (await scene.visit.get(scene.path)).text
    assert (await scene.visit.post(scene.path, {"act": "cancel"})).location == scene.path
    assert await scene.claimed() is None
    assert "3 of 3 submissions are judged as" in (await scene.visit.get(scene.path)).text
    assert (await scene.visit.post(scene.path, {"act": "other"})).status == 400


async def test_a_package_without_submissions_is_refused(tmp_path: Path) -> None:
    scene = await scene_with(tmp_path, {"1.in": "", "1.out": ""})
    reply = await scene.visit.post(scene.path, {"act": "start"})
    assert reply.status == 400
    assert "It carries no submissions" in reply.text
    assert (await scene.ask("POST", 400))["code"] == "INVALID_PACKAGE"
    del scene.home.blobs.objects[f"problems/{scene.number}.zip"]
    assert "missing in the object store" in (await scene.ask("POST", 400))["error"]
    assert list(scene.home.settings.upload_dir.iterdir()) == []


async def test_the_api_gives_the_same(scene: Scene) -> None:
    assert (await scene.ask("GET", 404))["code"] == "NOT_FOUND"
    first = await scene.ask("POST", 202)
    assert (first["state"], first["total"], first["ended"], first["skipped"]) == ("running", 3, 0, 0)
    assert (await scene.ask("POST", 202))["created_at"] == first["created_at"]
    await scene.judge(PROMISED | {"bad": a_report(Verdict.ACCEPTED)})
    body = await scene.ask("GET")
    assert (body["state"], body["checked"], body["matched"], body["is_current"]) == ("done", 3, 2, True)
    by_name = {case["submission"].rpartition("/")[2]: case for case in body["cases"]}
    assert body["suggested_limit_ms"] == 1000, "the slowest takes 0 ms, and the limit is in whole seconds"
    assert by_name["bad.py"]["status"] == "differs"
    assert by_name["bad.py"]["expected"] == ["Wrong Answer"]
    await scene.ask("POST", 202)
    await scene.judge(
        PROMISED
        | {"good": replace(PROMISED["good"], tests=(TestResult(name="1", status=Verdict.ACCEPTED, cpu_ms=270),))}
    )
    assert "accepted submissions need 2.00 s" in (await scene.visit.get(scene.path)).text
    await scene.ask("POST", 202)
    await scene.judge(PROMISED | {"good": a_report(Verdict.TIME_LIMIT_EXCEEDED)})
    assert (await scene.ask("GET"))["suggested_limit_ms"] is None
    assert body["slowest_tests"][0]["submission"].endswith(("good.cpp", "bad.py"))
    await scene.ask("POST", 202)
    assert (await scene.ask("DELETE"))["state"] == "done", "the last result"


async def test_nothing_of_it_is_a_submission(scene: Scene) -> None:
    await scene.visit.post(scene.path, {"act": "start"})
    await scene.judge(PROMISED)
    assert scene.home.store.rows == {}
    assert scene.home.store.outbox == {}
    assert "no submissions yet" in (await scene.visit.get(f"/manage/problems/{scene.number}")).text


async def test_too_many_too_large_and_missing_languages_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "MAX_EXAMPLES", 3)
    monkeypatch.setattr(examples, "MAX_SOURCE_BYTES", 150)
    files = {name: text for name, text in KATTIS.items() if "submissions" not in name}
    files |= {f"submissions/accepted/{n}.py": "#" * 100 for n in range(4)}
    scene = await scene_with(tmp_path, files | {"submissions/accepted/2.py": "#" * 201}, submit_code_max_bytes=200)
    scene.home.live[0] = {"python3": ("3",)}
    body = await scene.ask("POST", 202)
    assert body["left_out"] == 1
    assert [case["why"] for case in body["cases"]] == [
        "", "the submissions before it have nearly 150 bytes", "it has more than 200 bytes"
    ]  # fmt: skip
    await scene.ask("DELETE")
    scene.home.live[0] = {}
    body = await scene.ask("POST", 202)
    assert body["cases"][0]["why"] == "no running judge node has Python 3 (CPython)"


async def test_nodes_languages_are_asked_in_trios_thread(scene: Scene) -> None:
    """Their age is measured by Trio's clock, which no other thread may read."""
    reader = examples.ExampleReader(
        blobs=scene.home.blobs, new_path=lambda: scene.home.settings.upload_dir / "x.zip",
        limits=scene.home.settings.problems.unzip, max_bytes=999, is_judged=lambda key: trio.current_time() < 0,
        turn=trio.Lock(),
    )  # fmt: skip
    problem = await scene.home.ports.problems.problem(scene.number)
    assert problem is not None
    draft = await reader.read(problem)
    assert isinstance(draft, VerificationDraft)
    assert all(one.why.startswith("no running judge node has") and one.sources is None for one in draft.examples)


async def test_files_of_a_killed_reader_are_swept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms: list[Path] = []

    def watched(opened: Opened, names: Sequence[str], room: Path) -> Mapping[str, Path] | PackageFault:
        rooms.append(room)
        return lay_out(opened, names, room)

    monkeypatch.setattr(examples, "lay_out", watched)
    await scene.visit.post(scene.path, {"act": "start"})
    (left,) = rooms
    assert not left.exists()
    (left / "folder").mkdir(parents=True)
    sweep(left.parent)
    assert left.exists(), "it may be in use"
    os.utime(left, (1, 1))
    sweep(left.parent)
    assert not left.exists()


CASE = {"submission": "a.py", "expected": ["Accepted"], "got": "Accepted", "status": "ok", "time_ms": 5, "why": ""}
DONE = {
    "state": "done", "is_current": True, "checked": 1, "matched": 1, "skipped": 0, "time_limit_ms": 8,
    "slowest_accepted_ms": 5, "is_tight": True, "cases": [CASE],
}  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "options", "code"),
    [
        ([{"state": "running"}, DONE], [], 0),
        ([DONE | {"cases": [CASE | {"status": "differs"}]}], [], 1),
        ([DONE | {"is_current": False}], [], 1),
        ([DONE | {"state": "cancelled"}], [], 1),
        ([DONE | {"skipped": 1}], [], 1),
        ([DONE | {"skipped": 1}], ["--allow-skips"], 0),
        ([DONE], ["--time-limit", "5"], 2),
        ([DONE], ["x.zip"], 2),
    ],
)
def test_command_waits_for_the_servers_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: list[dict[str, Any]], options: list[str], code: int
) -> None:
    asked: list[tuple[str, str]] = []
    left = list(answers)

    def ask(_self: object, method: str, path: str) -> dict[str, Any]:
        asked.append((method, path))
        return left.pop(0)

    monkeypatch.setattr(ApiClient, "ask", ask)
    monkeypatch.setattr(problem_verify, "_POLL_S", 0.0)
    (package_path := tmp_path / "x.zip").touch()
    options = [str(package_path) if option == "x.zip" else option for option in options]
    line = ["--remote", "7", "--url", "http://127.0.0.1:1", *options]
    done = CliRunner().invoke(verify, [*line, "--json"])
    assert (done.exit_code, bool(asked)) == (code, code != 2), done.output
    if code != 2:
        assert json.loads(done.stdout) == answers[-1]
        assert asked[0] == ("POST", "/api/v1/problems/7/verification")
        left[:] = answers
        assert "little room for a slower machine" in CliRunner().invoke(verify, line).stdout


async def test_a_package_is_read_while_this_node_reads_no_other(scene: Scene) -> None:
    """Routes and pages have readers of their own: packages are large, so all of them take turns."""
    verifications = scene.home.ports.verifications
    async with trio.open_nursery() as nursery, scene.home.context.package_turn:
        nursery.start_soon(scene.ask, "POST", 202)
        await wait_all_tasks_blocked(0.2)
        assert await verifications.verifications(scene.number) == []
    assert len(await verifications.verifications(scene.number)) == 1
