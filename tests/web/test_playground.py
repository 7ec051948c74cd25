"""Pages of playground runs: ordering one, what is kept of the form, and what its author sees."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pytest

from deepoj.words.playground import CustomClaim, CustomStatus
from tests.api.house import House, house
from tests.api.test_runs import MEASURES
from tests.fakes.settings import run_rules
from tests.web.surfer import Surfer, member

CODE = "\n#include <a>\nint main() { return 1 < 2; } // </textarea><script>alert(1)</script>"
FORM = {"language": "cpp17", "code": CODE, "stdin": "\n1 2"}


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True)


def events_of(stream: str) -> list[tuple[str, str]]:
    """Return the names and data of the events in a stream."""
    blocks = (block.splitlines() for block in stream.split("\n\n") if "event: " in block)
    return [
        (
            next(line.removeprefix("event: ") for line in block if line.startswith("event: ")),
            "\n".join(line.removeprefix("data: ") for line in block if line.startswith("data: ")),
        )
        for block in blocks
    ]


async def ended(home: House, stdout: bytes = b"3\n", stderr: bytes = b"", **changes: Any) -> CustomClaim:
    """Let a node end the run that waits."""
    claim = await home.store.claim_run("node-a", 60.0, 2, {"cpp17", "python3"})
    assert claim is not None
    measures = MEASURES | changes
    status = CustomStatus(str(measures["status"]))
    refusal = await home.store.finish_run(claim, status, measures, stdout, stderr, user_max_bytes=10**6)
    assert refusal is None
    return claim


async def test_a_run_keeps_the_form_and_shows_its_output(home: House) -> None:
    alice = await member(home, "alice")
    assert ">Playground</a>" in alice.text
    await alice.get("/playground")
    path = await alice.post("/playground", FORM)
    assert path.startswith("/playground/run-")
    waiting = await alice.get(path.partition("#")[0])
    assert '<noscript><meta http-equiv="refresh"' in waiting
    assert "Queuing" in waiting
    assert f'data-sse-connect="{path.partition("#")[0]}/events"' in waiting
    claim = await ended(home, b"\n<b>3</b>\n", b"\x1b[31mwarned\0", truncated_stdout=True, stdout_len=77)
    assert (claim.code, claim.stdin, claim.language) == (CODE, b"\n1 2", "cpp17")
    shown = await alice.get(path.partition("#")[0])
    assert "http-equiv" not in shown
    assert "data-sse-connect" not in shown
    assert 'role="status" aria-atomic="true"><span class="verdict system">Finished' in shown
    assert f"\n{escape(CODE, quote=False)}</textarea>" in shown.replace("&#34;", '"')
    assert "<script>alert" not in shown
    assert "\n\n1 2</textarea>" in shown
    assert '<option value="cpp17" selected>' in shown
    assert "\n\n&lt;b&gt;3&lt;/b&gt;\n</pre>" in shown
    assert "Only the beginning of 77 bytes was kept." in shown
    assert "\u241b[31mwarned\u2400</pre>" in shown


async def test_a_file_takes_the_place_of_the_code(home: House) -> None:
    alice = await member(home, "alice")
    path = await alice.post("/playground", {"language": "python3", "code": "", "stdin": ""}, file=b"print(1)\r\n")
    assert (await ended(home)).code == "print(1)\n"
    assert "\nprint(1)\n</textarea>" in await alice.get(path.partition("#")[0])
    answer = await alice.post("/playground", {**FORM, "stdin": "7"}, file=b"\xff\xfe", status=400)
    assert "file must be Unicode text without NUL." in answer


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code": ""}, "“Program”: write one, or choose a file."),
        ({"language": "klingon"}, "Unknown language"),
        ({"stdin": "x" * 300_000}, "input"),
    ],
)
async def test_a_refused_run_keeps_what_was_written(home: House, changes: dict[str, str], sentence: str) -> None:
    alice = await member(home, "alice")
    sent = {"language": "python3", "code": "print(7)", "stdin": "12345", **changes}
    shown = await alice.post("/playground", sent, status=400)
    assert sentence in shown
    assert f"\n{sent['code']}</textarea>" in shown
    assert f"\n{sent['stdin']}</textarea>" in shown
    assert home.store.runs == {}


async def test_a_run_that_the_queue_cannot_take_keeps_what_was_written(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    home.stream.server.down = True
    for path in ("/playground", f"/problems/{number}/run"):
        sent = {"language": "cpp17", "code": "int main() { return 7; }", "stdin": "8 9"}
        shown = await alice.post(path, sent, status=503)
        assert "The queue is unreachable at the moment" in shown
        assert f"\n{sent['code']}</textarea>" in shown


async def test_runs_that_are_switched_off_are_on_no_page(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True, runs=run_rules(is_enabled=False))
    alice, number = await member(home, "alice"), await home.problem()
    assert "/playground" not in alice.text
    assert "formaction" not in await alice.get(f"/problems/{number}")
    await alice.get("/playground", status=403)
    await alice.post("/playground", FORM, status=403)


async def test_a_run_is_shown_to_its_author_alone(home: House) -> None:
    alice, bob, stranger = await member(home, "alice"), await member(home, "bob"), Surfer(home)
    path = (await alice.post("/playground", FORM)).partition("#")[0]
    for page in (path, f"{path}/events"):
        await bob.get(page, status=403)
        await stranger.get(page, status=303)
    for unknown in (f"{path}0", path[:-1], "/playground/run-%2e"):
        await alice.get(unknown, status=404)
        await alice.get(f"{unknown}/events", status=404)


async def test_a_run_without_the_forms_token_is_refused(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    await alice.post("/playground", {**FORM, "form_token": "x"}, status=403)
    await alice.post(f"/problems/{number}/run", {**FORM, "form_token": "x"}, status=403)
    assert home.store.runs == {}


async def test_events_are_pieces_and_end_with_done(home: House) -> None:
    alice = await member(home, "alice")
    path = (await alice.post("/playground", FORM)).partition("#")[0]
    await ended(home, b"3 < 4\n", status="Runtime Error", exit_code=3, explanation=[{"rule": "exit", "exit_code": 3}])
    events = events_of(await alice.get(f"{path}/events"))
    assert [name for name, _ in events] == ["verdict", "output", "done"]
    assert events[0][1].startswith('<span class="verdict runtime">Runtime Error')
    assert "3 &lt; 4" in events[1][1]
    assert "It ended with an exit code that means failure." in events[1][1]
    assert events[2][1] == ""


async def test_a_run_beside_a_problem_has_its_limits_and_keeps_the_form(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    page = await alice.get(f"/problems/{number}")
    assert f'formaction="/problems/{number}/run"' in page
    path = await alice.post(f"/problems/{number}/run", FORM)
    assert path.startswith(f"/problems/{number}?run=run-")
    waiting = await alice.get(path.partition("#")[0])
    assert '<noscript><meta http-equiv="refresh"' in waiting
    claim = await ended(home)
    assert (claim.time_limit_ms, claim.memory_limit_kb) == (1000, 128 * 1024)
    shown = await alice.get(path.partition("#")[0])
    assert "\n3\n</pre>" in shown
    assert "\n\n1 2</textarea>" in shown
    assert home.store.rows == {}, "a run is no submission"
    job = await alice.post(f"/problems/{number}", FORM)
    assert job.startswith("/submissions/")
    refused = await alice.post(f"/problems/{number}/run", {**FORM, "code": ""}, status=400)
    assert "“Program”: write one, or choose a file." in refused


async def test_the_address_of_a_run_form_leads_to_the_problem(home: House) -> None:
    """The login and the choice of a language lead to the path of the form that was sent."""
    alice, number = await member(home, "alice"), await home.problem()
    answer = await home.ask("GET", f"/problems/{number}/run")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/problems/{number}")
    await alice.get("/problems/x/run", status=404)


async def test_a_run_that_is_no_longer_kept_leaves_the_problem(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    shown = await alice.get(f"/problems/{number}?run=run-{'0' * 36}", status=404)
    assert "A+B" in shown
    assert 'class="refused"' in shown
    assert "A+B" in await Surfer(home).get(f"/problems/{number}?run=x")


async def test_a_submission_over_the_rate_keeps_what_was_written(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    home.pressed.append(home.backlog)
    alice, number = await member(home, "alice"), await home.problem()
    for path in (f"/problems/{number}", f"/problems/{number}/run", "/playground"):
        shown = await alice.post(path, FORM, status=429)
        assert "int main() { return 1 &lt; 2; }" in shown


async def test_the_playground_speaks_chinese(home: House) -> None:
    alice = await member(home, "alice", language="zh")
    path = await alice.post("/playground", FORM)
    await ended(home, b"", status="System Error", error_code=None)
    shown = await alice.get(path.partition("#")[0])
    for word in ("在线运行", "运行结果", "输入", "退出码"):
        assert word in shown


async def test_the_language_of_a_run_is_remembered(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    assert '<option value="cpp17" selected>' in await alice.get("/playground")
    await alice.post("/playground", {**FORM, "language": "python3"})
    assert '<option value="python3" selected>' in await alice.get("/playground")
    assert '<option value="python3" selected>' in await alice.get(f"/problems/{number}")
    await alice.post(f"/problems/{number}/run", {**FORM, "language": "go"})
    assert '<option value="go" selected>' in await alice.get("/playground")
