"""Previews of rejudges: over their page, its event stream, the API and the command, with the same results."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deepoj.cli import rejudging
from deepoj.cli.contest_rejudge import contest_rejudge
from deepoj.cli.problem_preview import problem_preview
from deepoj.client import ApiClient
from deepoj.observe import Metrics
from deepoj.pipeline.preview import settle_preview_job, sweep_previews
from deepoj.words.accounts import UserRole
from deepoj.words.problems import ProblemChange
from deepoj.words.results import Infra, Verdict
from tests.api.house import House, house
from tests.unit.makers import a_report
from tests.web.scene import add_submission
from tests.web.visits import Visit, administrator, with_role

AC, WA = Verdict.ACCEPTED, Verdict.WRONG_ANSWER


class Scene:
    """An administrator, and a problem with submissions of pupils."""

    def __init__(self, home: House, visit: Visit, number: int, jobs: list[str]) -> None:
        self.home, self.visit, self.number, self.jobs = home, visit, number, jobs
        self.rejudge = f"/manage/problems/{number}/rejudge"
        self.route = f"/api/v1/problems/{number}/rejudge-previews"

    async def judge(self, *verdicts: Verdict) -> None:
        """Judge submissions of the preview as a node does, and sweep."""
        leases, metrics = self.home.ports.preview_leases, Metrics()
        for verdict in verdicts:
            claim = await leases.claim("node", 60.0, 2, ("cpp17",))
            assert claim is not None
            await settle_preview_job(leases, metrics, claim, a_report(verdict))
        await sweep_previews(leases, metrics)

    async def ask(self, method: str, path: str = "", status: int = 200) -> dict[str, Any]:
        token = await self.home.token_of("chief")
        answer = await self.home.ask(method, f"{self.route}{path}", token=token)
        assert answer.status_code == status, await answer.get_data()
        body: dict[str, Any] = await answer.get_json()
        return body

    async def started(self, **fields: str) -> str:
        """Start a preview by the page. Return its path."""
        return (await self.visit.post(self.rejudge, {"act": "preview"} | fields)).location


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    home = house(tmp_path, has_pages=True)
    visit, number = await administrator(home, "chief"), await home.problem()
    await home.account("pupil")
    reports = (a_report(WA), a_report(AC), a_report(WA))
    jobs = [await add_submission(home, "pupil", number, code=f"{n}", report=one) for n, one in enumerate(reports)]
    return Scene(home, visit, number, jobs)


async def test_a_setter_has_few_running_previews(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True, background_per_setter=1)
    chief, setter = await administrator(home, "chief"), await with_role(home, "setter", UserRole.SETTER)
    account = await home.ports.accounts.credentials("setter")
    assert account is not None
    await home.account("pupil")
    paths = []
    for number in (await home.problem(), await home.problem()):
        problem = await home.ports.problems.problem(number)
        assert problem is not None
        await home.ports.problems.insert_problem(replace(problem, created_by=account.user.id))
        await add_submission(home, "pupil", number, code=f"{number}", report=a_report(WA))
        paths.append(f"/manage/problems/{number}/rejudge")
    first, second = paths
    started = await setter.post(first, {"act": "preview"})
    assert started.status == 303
    refused = await setter.post(second, {"act": "preview"})
    assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
    assert "1 previews of your problems are being judged" in refused.text
    assert (await chief.post(second, {"act": "preview"})).status == 303, "an administrator has no such limit"


async def verdicts(scene: Scene) -> list[str]:
    return [scene.home.store.rows[job_id].status for job_id in scene.jobs]


async def test_a_preview_is_judged_shown_and_applied_on_its_page(scene: Scene) -> None:
    visit = scene.visit
    asked = (await visit.get(scene.rejudge)).text
    assert "A preview judges them without touching verdicts" in asked
    buttons = re.findall(r"<button([^>]*)>(Preview|Rejudge)", asked)
    assert buttons == [(' class="main" name="act" value="preview"', "Preview"), ("", "Rejudge")] * 2, (
        "Enter sends the first"
    )
    path = await scene.started()
    assert path.startswith(f"/manage/problems/{scene.number}/previews/")
    page = (await visit.get(path)).text
    assert "0 of 3 judged again. Nothing is applied yet." in page
    assert f'data-sse-connect="{path}/events"' in page
    assert 'http-equiv="refresh"' in page
    assert "Apply the new verdicts" not in page
    assert (await visit.post(path, {"act": "apply"})).status == 409
    await scene.judge(AC, AC, WA)
    page = (await visit.get(path)).text
    assert "Ready: 1 of 3 submissions would change. No verdict has changed yet." in page
    assert 'http-equiv="refresh"' not in page
    assert scene.jobs[0][:8] in page
    assert scene.jobs[1][:8] not in page
    assert await verdicts(scene) == ["Wrong Answer", "Accepted", "Wrong Answer"]
    assert (await visit.post(path, {"act": "apply"})).location == path
    assert "Applied: 3 submissions have their new verdicts." in (await visit.get(path)).text
    assert await verdicts(scene) == ["Accepted", "Accepted", "Wrong Answer"]
    assert (await visit.post(path, {"act": "apply"})).location == path, "it counts once"
    assert (await visit.post(path, {"act": "cancel"})).status == 409
    assert (await visit.post(path, {"act": "else"})).status == 400
    history = (await visit.get(scene.rejudge)).text.partition('id="rejudges"')[2]
    assert path in history
    assert "applied" in history


async def test_changes_of_scores_alone_are_counted_in_the_matrix(scene: Scene) -> None:
    path = await scene.started()
    await scene.judge(WA, AC)
    claim = await scene.home.ports.preview_leases.claim("node", 60.0, 2, ("cpp17",))
    assert claim is not None
    assert "another score" not in (await scene.visit.get(path)).text
    report = replace(a_report(WA), score=40.0)
    await settle_preview_job(scene.home.ports.preview_leases, Metrics(), claim, report)
    page = (await scene.visit.get(path)).text
    assert '<td class="number changed">2<br><small>1 with another score</small></td>' in page
    found = await scene.ask("GET", f"/{path.rpartition('/')[2]}")
    assert {(one["before"], one["after"], one["score_changes"]) for one in found["verdicts"]} == {
        ("Wrong Answer", "Wrong Answer", 1), ("Accepted", "Accepted", 0),
    }  # fmt: skip


async def test_a_preview_of_some_is_cancelled_and_one_of_none_is_refused(scene: Scene) -> None:
    page = await scene.visit.post(scene.rejudge, {"act": "preview", "verdict": "Runtime Error"})
    assert page.status == 400
    assert "no submission with a verdict matches them" in page.text
    path = await scene.started(verdict="Wrong Answer", full="1")
    page = await scene.visit.get(path)
    assert "0 of 2 judged again" in page.text
    assert "only Wrong Answer" in page.text
    assert "every test" in page.text
    assert (await scene.visit.post(scene.rejudge, {"act": "preview"})).status == 409, "another one is running"
    assert (await scene.visit.post(path, {"act": "cancel"})).location == path
    assert "Cancelled: no verdict has changed." in (await scene.visit.get(path)).text
    await scene.home.ports.problems.update_problem(scene.number, ProblemChange(time_limit_ms=7))
    path = await scene.started()
    await scene.judge(WA, WA, WA)
    await scene.home.ports.problems.update_problem(scene.number, ProblemChange(time_limit_ms=8))
    page = await scene.visit.get(path)
    assert "this preview cannot be applied" in page.text
    assert "Apply the new verdicts" not in page.text
    assert (await scene.visit.post(path, {"act": "apply"})).status == 409


async def test_the_stream_ends_with_the_preview(scene: Scene) -> None:
    path = await scene.started()
    await scene.judge(AC, AC, WA)
    text = (await scene.visit.get(f"{path}/events")).text
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert names == ["summary", "result", "done"]
    assert "Apply the new verdicts" in text
    assert (await scene.visit.get(f"{path}9/events")).status == 404


async def test_the_api_starts_shows_applies_and_lists(scene: Scene) -> None:
    started = await scene.ask("POST", "?verdict=Wrong+Answer", 202)
    assert (started["state"], started["submissions"], started["verdict"]) == ("running", 2, "Wrong Answer")
    assert (await scene.ask("POST", "?verdict=Wrong+Answer", 202))["id"] == started["id"]
    assert (await scene.ask("POST", "", 409))["code"] == "PREVIEW_RUNNING"
    path = f"/{started['id']}"
    assert (await scene.ask("POST", f"{path}/apply", 409))["code"] == "PREVIEW_RUNNING"
    await scene.judge(AC, WA)
    ready = await scene.ask("GET", path)
    assert (ready["state"], ready["changed"], ready["is_current"]) == ("ready", 1, True)
    assert {(one["before"], one["after"], one["count"]) for one in ready["verdicts"]} == {
        ("Wrong Answer", "Accepted", 1), ("Wrong Answer", "Wrong Answer", 1)
    }  # fmt: skip
    assert [(one["job_id"], one["username"], one["after"]) for one in ready["changes"]] == [
        (scene.jobs[0], "pupil", "Accepted")
    ]
    applied = await scene.ask("POST", f"{path}/apply")
    assert (applied["state"], applied["applied"], applied["left_out"]) == ("applied", 2, 0)
    assert (await scene.ask("POST", f"{path}/cancel", 409))["code"] == "PREVIEW_ENDED"
    await scene.ask("GET", "/none", 404)
    answer = await scene.home.ask(
        "GET", f"/api/v1/problems/{scene.number}/rejudges", token=await scene.home.token_of("chief")
    )
    [past] = (await answer.get_json())["rejudges"]
    assert (past["preview_id"], past["ordered_by"], past["state"], past["rejudged"]) == (
        started["id"], "chief", "applied", 2
    )  # fmt: skip
    kept = scene.home.store.rows[scene.jobs[0]].result
    assert kept is not None
    assert (kept["job_id"], kept["attempt_id"], kept["trace_id"] != "") == (scene.jobs[0], 2, True)


READY: dict[str, Any] = {
    "id": 3, "state": "ready", "problem_version": 2, "submissions": 2, "judged": 2, "changed": 1,
    "verdicts": [{"before": "Wrong Answer", "after": "Accepted", "count": 1}],
    "changes": [{"job_id": "j", "username": "pupil\x1b[2J", "before": "Wrong Answer", "after": "Accepted"}],
}  # fmt: skip
PAST = {"rejudges": [{"preview_id": 3, "ordered_by": "chief", "state": "ready", "submissions": 2}]}


@pytest.mark.parametrize(
    ("answers", "options", "code", "asked"),
    [
        ([{"id": 3, "state": "running"}, READY], ["--verdict", "Wrong Answer"], 0, "GET rejudge-previews/3"),
        ([{"id": 3, "state": "running"}], ["--no-wait"], 0, "POST rejudge-previews?"),
        ([READY | {"state": "outdated"}], [], 1, "POST rejudge-previews?"),
        ([READY | {"state": "applied"}], ["--apply", "3"], 0, "POST rejudge-previews/3/apply"),
        ([READY | {"state": "cancelled"}], ["--cancel", "3"], 0, "POST rejudge-previews/3/cancel"),
        ([READY], ["--show", "3"], 0, "GET rejudge-previews/3"),
        ([PAST], ["--history"], 0, "GET rejudges"),
        ([], ["--apply", "3", "--cancel", "3"], 2, ""),
        ([], ["--apply", "3", "--full"], 2, ""),
    ],
)
def test_command_previews_applies_and_cancels(
    monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]], options: list[str], code: int, asked: str
) -> None:
    sent: list[str] = []
    left = list(answers)

    def ask(_self: object, method: str, path: str) -> dict[str, Any]:
        sent.append(f"{method} {path.removeprefix('/api/v1/problems/7/')}")
        return left.pop(0)

    monkeypatch.setattr(ApiClient, "ask", ask)
    monkeypatch.setattr(rejudging, "_POLL_S", 0.0)
    line = ["7", "--url", "http://127.0.0.1:1", *options]
    done = CliRunner().invoke(problem_preview, [*line, "--json"])
    assert done.exit_code == code, done.output
    assert (sent[-1] if sent else "") == asked
    if code != 2:
        assert json.loads(done.stdout) == answers[-1]
        left[:] = answers
        assert "\x1b" not in CliRunner().invoke(problem_preview, line).stdout


REJUDGE: dict[str, Any] = {
    "id": 3, "state": "ready", "submissions": 2, "judged": 2, "failed": 0, "failures": [], "changed": 1, "applied": 0,
    "effect": {
        "verdicts": [{"submission_id": "9", "team_id": "t\x1b[2J", "problem": "A", "before": "WA", "after": "AC"}],
        "rows": [
            {
                "team_id": "t", "problems": ["A"],
                "before": {"rank": 2, "points": 1234567.25}, "after": {"rank": 1, "points": 1234567.5},
            }
        ],
        "awards": [],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "options", "code", "asked"),
    [
        ([REJUDGE | {"state": "running", "effect": None}, REJUDGE], ["--team", "t"], 0, "GET rejudges/3"),
        ([REJUDGE | {"state": "outdated", "effect": None}], [], 1, "POST rejudges"),
        ([REJUDGE | {"state": "applied", "effect": None}], ["--apply", "3"], 0, "POST rejudges/3/apply"),
        ([], ["--apply", "3", "--history"], 2, ""),
        ([], ["--show", "3", "--problem", "A"], 2, ""),
    ],
)
def test_command_of_a_contest_rejudges_applies_and_cancels(
    monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]], options: list[str], code: int, asked: str
) -> None:
    sent: list[str] = []
    left = list(answers)

    def ask(_self: object, method: str, path: str, **_body: object) -> dict[str, Any]:
        sent.append(f"{method} {path.removeprefix('/api/v1/contests/cup/')}")
        return left.pop(0)

    monkeypatch.setattr(ApiClient, "ask", ask)
    monkeypatch.setattr(rejudging, "_POLL_S", 0.0)
    line = ["cup", "--url", "http://127.0.0.1:1", *options]
    done = CliRunner().invoke(contest_rejudge, [*line, "--json"])
    assert done.exit_code == code, done.output
    assert (sent[-1] if sent else "") == asked
    if code != 2:
        assert json.loads(done.stdout) == answers[-1]
        left[:] = answers
        output = CliRunner().invoke(contest_rejudge, line).stdout
        assert "\x1b" not in output
        if answers[-1]["effect"]:
            assert "rank 2, 1234567.25 points" in output
            assert "rank 1, 1234567.5 points" in output


async def test_reasons_of_failures_are_shown(scene: Scene) -> None:
    path = await scene.started()
    assert "not judged yet</th>" in (await scene.visit.get(path)).text
    leases = scene.home.ports.preview_leases
    claim = await leases.claim("node", 60.0, 2, ("cpp17",))
    assert claim is not None
    await settle_preview_job(leases, Metrics(), claim, Infra("sandbox", "<b>broke"))
    await scene.judge(AC, AC)
    page = (await scene.visit.get(path)).text
    assert "<li>1 × sandbox: &lt;b&gt;broke</li>" in page
    assert "1 submission could not be judged, and Apply leaves it out." in page
    assert "not judged</th>" in page, "nothing will be judged later"
    shown = await scene.ask("GET", f"/{path.rpartition('/')[2]}")
    assert shown["failures"] == [{"why": "sandbox: <b>broke", "count": 1}]
