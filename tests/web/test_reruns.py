"""A rerun over its page, the API and the command: waiting, files, difference, bytes that are no text, downloads."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner

from deepoj.cli import rerun as command
from deepoj.client import ApiClient
from deepoj.observe import Metrics
from deepoj.pipeline.rerun import settle_rerun
from deepoj.web.reruns import difference, shown_files
from deepoj.words.accounts import UserRole
from deepoj.words.reruns import MAX_UNFINISHED, KeptFile, RerunFailure, RerunFile, RerunOutcome
from deepoj.words.results import Infra, Verdict
from tests.api.house import House, house
from tests.unit.makers import a_report
from tests.web.scene import add_submission
from tests.web.visits import Visit, with_role

INPUT, ANSWER, OUTPUT, ERROR = RerunFile


class Scene:
    """A jury's visit, and a submission with a wrong answer in the test ``1``."""

    def __init__(self, home: House, visit: Visit, job_id: str) -> None:
        self.home, self.visit, self.job_id = home, visit, job_id
        self.path = f"/submissions/{job_id}/reruns"

    async def asked(self) -> str:
        """Ask for the test by the form of the submission's page. Return the path of the rerun's page."""
        page = await self.visit.post(self.path, {"test": "1"})
        assert page.status == 303, page.text
        return page.location

    async def settle(self, outcome: RerunOutcome | Infra) -> None:
        leases = self.home.ports.rerun_leases
        claim = await leases.claim("node", 60.0, 2, ("cpp17",))
        assert claim is not None
        await settle_rerun(leases, Metrics(), claim, outcome)

    async def shown(self, outcome: RerunOutcome | Infra) -> str:
        """Return the text of the page of a rerun with this outcome."""
        path = await self.asked()
        await self.settle(outcome)
        return unescape((await self.visit.get(path)).text)


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    home = house(tmp_path, has_pages=True)
    await home.account("pupil")
    job_id = await add_submission(home, "pupil", await home.problem(), report=a_report(Verdict.WRONG_ANSWER))
    return Scene(home, await with_role(home, "judge", UserRole.JURY), job_id)


def outcome(answer: bytes, output: bytes, *, is_interactive: bool = False) -> RerunOutcome:
    files = {ANSWER: KeptFile(answer, len(answer)), OUTPUT: KeptFile(output, len(output))}
    return RerunOutcome(
        status="Wrong Answer", reason={"rule": "compare"}, cpu_ms=7, files=files, is_interactive=is_interactive
    )


async def test_a_rerun_waits_and_then_shows_output_answer_and_difference(scene: Scene) -> None:
    assert f'action="{scene.path}"' in (await scene.visit.get(f"/submissions/{scene.job_id}")).text
    path = await scene.asked()
    waiting = (await scene.visit.get(path)).text
    assert "Queuing" in waiting
    assert '<meta http-equiv="refresh"' in waiting, "readable without scripts"
    await scene.settle(outcome(b"1\n2\n", b"1\n<b>3\n"))
    page = await scene.visit.get(path)
    assert 'http-equiv="refresh"' not in page.text
    for part in ("This run", "The judging that counts", "<code>2</code>", "<code>&lt;b&gt;3</code>", "Expected output"):
        assert part in page.text
    piece = await scene.visit.get(path, headers={"HX-Request": "true"})
    assert "<html" not in piece.text
    assert "hx-swap-oob" in piece.text
    assert "hx-get" not in piece.text, "it is over"


async def test_tests_that_come_over_the_stream_have_the_button_with_a_token(scene: Scene) -> None:
    stream = await scene.visit.get(f"/submissions/{scene.job_id}/events")
    assert f'action="{scene.path}"' in stream.text
    sent = await scene.visit.post("/preferences", {"theme": "dark"}, form_token=stream.form_token)
    assert sent.status == 303, "each answer masks the token, and each mask is taken"


async def test_a_download_is_the_kept_beginning_unchanged_and_never_a_page(scene: Scene) -> None:
    path = await scene.asked()
    await scene.settle(outcome(b"", b"<script>\n"))
    file = await scene.visit.get(f"{path}/output")
    assert (file.status, file.text) == (200, "<script>\n")
    assert file.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert file.headers["Content-Disposition"].startswith("attachment;")
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("input", "source"):
        assert (await scene.visit.get(f"{path}/{name}")).status == 404


async def test_why_nothing_is_shown_is_said(scene: Scene) -> None:
    assert "no test of this name" in await scene.shown(RerunOutcome(failure=RerunFailure.NO_TEST))
    assert "checker_broken: it <crashed>" in await scene.shown(Infra("checker_broken", "it <crashed>"))
    assert "interactor" in await scene.shown(outcome(b"", b"", is_interactive=True))


async def test_a_rerun_of_another_submission_is_not_found(scene: Scene) -> None:
    number = (await scene.asked()).rpartition("/")[2]
    other = await add_submission(scene.home, "pupil", await scene.home.problem(), report=a_report())
    for rerun_id in (number, "0", "x", "9" * 30):
        assert (await scene.visit.get(f"/submissions/{other}/reruns/{rerun_id}")).status == 404


async def test_a_setter_sees_no_test_of_the_problem_of_another_by_a_submission_of_its_own(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    setter, problem = await with_role(home, "setter", UserRole.SETTER), await home.problem()
    path = f"/submissions/{await add_submission(home, 'setter', problem, report=a_report())}"
    assert "reruns" not in (await setter.get(path)).text
    assert (await setter.post(f"{path}/reruns", {"test": "1"})).status == 403


async def test_the_bound_of_an_account_is_answered_429(scene: Scene) -> None:
    token = await scene.home.token_of("judge")
    for number in range(MAX_UNFINISHED + 1):
        sent = {"test": f"secret/{number}"}
        answer = await scene.home.ask("POST", f"/api/v1{scene.path}", token=token, json=sent)
        assert answer.status_code == (202 if number < MAX_UNFINISHED else 429)


async def test_a_refusal_is_said_on_the_page_of_the_submission(scene: Scene) -> None:
    for number in range(MAX_UNFINISHED):
        assert (await scene.visit.post(scene.path, {"test": f"secret/{number}"})).status == 303
    page = await scene.visit.post(scene.path, {"test": "1"})
    assert page.status == 429
    assert "wait for one of them" in page.text
    assert 'name="test" value="1"' in page.text, "the form is still there"
    assert (await scene.visit.get(scene.path)).location == f"/submissions/{scene.job_id}"


async def test_output_is_not_offered_where_the_program_was_erased(scene: Scene) -> None:
    path = f"/submissions/{scene.job_id}"
    assert "Show output" in (await scene.visit.get(path)).text
    account = await scene.home.ports.accounts.credentials("pupil")
    assert account is not None
    await scene.home.ports.account_data.erase(account.user.id, by=None)
    while await scene.home.ports.account_data.erase_sources(9):
        pass
    page = (await scene.visit.get(path)).text
    assert "The source was deleted" in page
    assert "Show output" not in page


def test_the_difference_begins_before_the_first_line_that_differs() -> None:
    same = "".join(f"{number}\n" for number in range(500)).encode()
    lines = difference(outcome(same + b"a\n", same + b"b\n"))
    assert [line[0] for line in lines] == ["=", "=", "=", "≠"]
    assert lines[-1] == ("≠", "a", "b")
    assert difference(outcome(b"1 \n", b"1\n\n")) == [], "space at the end of a line does not count"
    assert difference(outcome(b"\xff", b"1")) == [], "bytes that are no text"


def test_bytes_that_are_no_text_are_dumped_within_bounds() -> None:
    (output, _) = shown_files(outcome(b"", bytes(range(256)) * 8))
    assert not output.is_text
    assert output.is_cut
    assert output.content.splitlines()[0].startswith("00000000  00 01 02 03")
    assert output.content.splitlines()[4].endswith("@ABCDEFGHIJKLMNO")
    assert len(output.content.splitlines()) == 64
    cut = RerunOutcome(files={OUTPUT: KeptFile("é".encode() * 9 + b"\xc3", 70_000)})
    assert shown_files(cut)[0].content == "é" * 9, "a character that the bound cuts in two is left out"


REPLY = {
    "id": 3, "state": "done", "failure": None, "status": "Wrong Answer", "time_ms": 7, "memory_kb": 900,
    "judged": {"status": "Wrong Answer", "time_ms": 6, "memory_kb": 800}, "message": "token 1", "compile_output": "",
    "interactive": False,
    "files": [{"name": "output", "text": None, "base64": "G1sy", "size": 3, "truncated": False}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reply", "code", "printed"),
    [
        ([], REPLY, 0, "--- output (3 bytes)\n␛[2\n"),
        (["--only", "output"], REPLY, 0, "\x1b[2"),
        (["--json"], REPLY, 0, '"memory_kb"'),
        (["--only", "input"], REPLY | {"failure": "no_test", "files": []}, 1, ""),
    ],
)
def test_command_waits_and_shows(
    line: list[str], reply: dict[str, object], code: int, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [{"id": 3, "state": "waiting"}, {"id": 3, "state": "running"}, reply]
    asked: list[str] = []

    def ask(_self: ApiClient, method: str, path: str, **_more: object) -> dict[str, object]:
        asked.append(f"{method} {path}")
        return replies.pop(0)

    monkeypatch.setattr(ApiClient, "ask", ask)
    monkeypatch.setattr(command, "_POLL_S", 0.0)
    done = CliRunner().invoke(command.rerun, ["job/1", "secret/1", "--url", "http://judge.test", *line])
    assert done.exit_code == code or (code and done.exception is not None), done.output
    assert printed in done.stdout
    path = "/api/v1/submissions/job%2F1/reruns"
    assert asked == [f"POST {path}", f"GET {path}/3", f"GET {path}/3"]
