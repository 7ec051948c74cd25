"""``deepoj submit-batch`` against a scripted server: breaks, refusals that pass, and the file of verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from deepoj.cli import submit_batch as command
from deepoj.client.batches import batch_verdicts, send_whole_batch
from deepoj.client.server import ServerAway
from tests.unit.test_client import Cut, Played, refusal

PATH = "/api/v1/submissions/batch"


def lines(*objects: dict[str, Any]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in objects).encode()


def answer(*objects: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, content=lines(*objects))


def verdict(line: int, status: str = "Accepted") -> dict[str, Any]:
    return {"line": line, "job_id": f"job-{line}", "status": status}


TAKEN = [{"line": line, "job_id": f"job-{line}"} for line in (1, 2, 3)]
SUMS = {"batch_id": "b", "lines": 3}
FULL = {"line": 3, "code": "USER_BATCH_QUOTA_REACHED", "error": "Wait.", "retry_after_s": 10}
DONE = httpx.Response(200, json={"lines": 3, "finished": 3})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "night.jsonl"
    path.write_bytes(b"{}\n{}\n{}\n")
    return path


def test_lines_refused_for_now_are_sent_again_under_the_same_key(file: Path) -> None:
    played = Played([answer(*TAKEN[:2], FULL, SUMS), answer(*TAKEN[:2], FULL, SUMS), answer(*TAKEN, SUMS)])
    with played.server() as server:
        sent = send_whole_batch(server, file, "key", notice=played.told.append, clock=lambda: sum(played.slept))
    assert (sent.batch_id, sent.stored, sent.refused) == ("b", 3, [])
    assert played.paths == [f"POST {PATH}"] * 3
    assert {request.headers["Idempotency-Key"] for request in played.asked} == {"key"}
    assert {request.content for request in played.asked} == {b"{}\n{}\n{}\n"}
    assert played.slept == [10, 10]


def test_refusals_that_do_not_pass_end_within_the_budget(file: Path) -> None:
    played = Played([answer(*TAKEN[:2], FULL, SUMS)])
    with played.server() as server:
        sent = send_whole_batch(server, file, "key", notice=played.told.append, clock=lambda: sum(played.slept))
    assert (sent.stored, len(sent.refused), len(played.asked)) == (2, 1, 4)


def test_answer_that_broke_off_is_no_batch(file: Path) -> None:
    played = Played([answer(*TAKEN)])
    with played.server() as server, pytest.raises(ServerAway):
        send_whole_batch(server, file, "key", notice=played.told.append)


def test_verdicts_go_on_after_the_last_token_and_come_once() -> None:
    cut = httpx.Response(200, stream=Cut(lines(verdict(2), {"token": "0.Ag"}, verdict(1))))
    rest = answer(verdict(1), verdict(3), {"token": "3."})
    played = Played([refusal(503, "DB_ERROR"), cut, rest, DONE])
    with played.server() as server:
        found = list(batch_verdicts(server, "b", notice=played.told.append, clock=lambda: sum(played.slept)))
    assert [one["line"] for one in found] == [2, 1, 3]
    assert played.paths == [
        f"GET {PATH}/b/results", f"GET {PATH}/b/results", f"GET {PATH}/b/results?token=0.Ag", f"GET {PATH}/b",
    ]  # fmt: skip


def test_stream_that_ends_early_is_opened_again() -> None:
    """A node that drains ends its streams."""
    played = Played([
        answer(verdict(1), {"token": "1."}), httpx.Response(200, json={"lines": 3, "finished": 1}),
        answer(verdict(2), verdict(3), {"token": "3."}), DONE,
    ])  # fmt: skip
    with played.server() as server:
        assert [one["line"] for one in batch_verdicts(server, "b", notice=played.told.append)] == [1, 2, 3]


def test_command_writes_verdicts_in_the_order_of_the_lines(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"line": 2, "code": "PROBLEM_NOT_FOUND", "error": "There is no such problem."}
    played = Played([
        answer(TAKEN[0], refused, TAKEN[2], SUMS),
        answer(verdict(3), verdict(1, "Wrong Answer"), {"token": "3."}),
        httpx.Response(200, json={"lines": 2, "finished": 2}),
    ])  # fmt: skip
    monkeypatch.setattr(command, "connected", lambda *_: played.server())
    done = CliRunner().invoke(command.submit_batch, [str(file), "--wait", "--json"], standalone_mode=False)
    assert done.exception is None, done.output
    assert done.return_value == 1
    assert json.loads(done.stdout)["verdicts"] == {"Accepted": 1, "Wrong Answer": 1}
    written = [json.loads(line) for line in (file.parent / "night.jsonl.results").read_text().splitlines()]
    assert [(one["line"], one.get("status", one.get("code"))) for one in written] == [
        (1, "Wrong Answer"), (2, "PROBLEM_NOT_FOUND"), (3, "Accepted"),
    ]  # fmt: skip


def test_cancel_command_says_how_many_were_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played([httpx.Response(200, json={"batch_id": "b/1", "cancelled": 1234})] * 2)
    monkeypatch.setattr(command, "connected", lambda *_: played.server())
    done = CliRunner().invoke(command.cancel_batch, ["b/1"])
    assert (done.exit_code, done.output) == (0, "Batch b/1: 1,234 waiting submissions are deleted.\n")
    assert played.paths == [f"POST {PATH}/b%2F1/cancel"]
    as_json = CliRunner().invoke(command.cancel_batch, ["b/1", "--json"])
    assert json.loads(as_json.output)["cancelled"] == 1234
