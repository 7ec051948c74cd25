"""Batches over HTTP: a result per line, the key, the quota, backpressure, and the stream of verdicts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import pytest
import trio
import trio.testing

from deepoj.api.batches import BatchFeed, BatchIntake, LineSplitter, ResultPlace
from deepoj.api.body import parse_object
from deepoj.api.errors import ApiError, Refused
from deepoj.judging.result import as_result
from deepoj.words.batches import MAX_LINES
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.outbox import Priority
from deepoj.words.submissions import Draft
from tests.api.house import House, house
from tests.contract.labs import entry
from tests.fakes.batches import MemoryBatches
from tests.unit.makers import a_report
from tests.web.visits import registered

PATH = "/api/v1/submissions/batch"


def lines_of(problem_id: int, *codes: str, language: str = "cpp17") -> bytes:
    lines = [{"problem_id": problem_id, "language": language, "code": code} for code in codes]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


async def post(home: House, token: str, body: bytes, key: str = "night-1", **headers: str) -> Any:
    sent = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key, **headers}
    return await home.ask("POST", PATH, token=token, data=body, headers=sent)


async def results_of(answer: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the result lines and the sums."""
    assert answer.status_code == 200, await answer.get_data()
    *lines, sums = [json.loads(line) for line in (await answer.get_data()).splitlines()]
    return lines, sums


async def finish(home: House, job_id: str) -> None:
    answers = await home.ports.leases.claim([entry(job_id, job_id)], "node", 60.0, 5)
    won = answers[job_id]
    assert isinstance(won, Claim)
    report = a_report()
    assert await home.ports.leases.finalize(won, report, as_result(won, report)) is None


async def test_each_line_has_its_result_in_order(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    body = b"".join([
        lines_of(problem, "one"),
        b"\n",
        b"{no json\n",
        lines_of(987_654, "two"),
        lines_of(problem, "x" * 70_000),
        lines_of(problem, "three", "one"),
    ])  # fmt: skip
    lines, sums = await results_of(await post(home, token, body))
    assert [(line["line"], line.get("code", "taken")) for line in lines] == [
        (1, "taken"), (3, "BAD_REQUEST"), (4, "PROBLEM_NOT_FOUND"), (5, "CODE_TOO_LARGE"), (6, "taken"), (7, "taken"),
    ]  # fmt: skip
    assert lines[0]["job_id"] == lines[5]["job_id"] != lines[4]["job_id"]
    assert lines[1]["error"] == "The body is not valid JSON in UTF-8."
    assert sums == {"batch_id": sums["batch_id"], "lines": 6, "accepted": 2, "repeated": 1, "refused": 3}
    answer = await home.ask("GET", f"{PATH}/{sums['batch_id']}", token=token)
    view = await answer.get_json()
    assert (view["lines"], view["finished"], view["states"]["pending"], view["verdicts"]) == (3, 0, 3, {})
    assert await (await home.ask("GET", PATH, token=token)).get_json() == {
        "batches": [{"batch_id": sums["batch_id"], "created_at": view["created_at"]}]
    }
    assert 'submission_batch_lines_total{instance="",result="refused",service="deep-oj-api"} 3.0' in (
        home.metrics.render().decode()
    )


@pytest.mark.parametrize("applied", [True, False])
async def test_batch_sent_again_after_a_death_between_chunks_answers_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    body = lines_of(problem, *map(str, range(1200)))
    store, calls = home.store.batches, []
    whole = MemoryBatches.submit_lines

    async def breaks(batches: MemoryBatches, *args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            home.store.break_next("submit_lines", applied=applied)
        return await whole(batches, *args, **options)

    monkeypatch.setattr(MemoryBatches, "submit_lines", breaks)
    answer = await post(home, token, body)
    assert (answer.status_code, (await answer.get_json())["code"]) == (503, "DB_ERROR")
    kept = dict(store.lines)
    [(batch_id, before)] = kept.items()
    assert len(before) == (1000 if applied else 500)
    before = dict(before)
    lines, sums = await results_of(await post(home, token, body))
    assert (sums["batch_id"], sums["accepted"], sums["repeated"]) == (batch_id, 1200 - len(before), len(before))
    assert {line["line"]: line["job_id"] for line in lines if line["line"] in before} == before
    assert len(home.store.rows) == 1200
    again, _ = await results_of(await post(home, token, body))
    assert again == lines


async def test_next_chunk_is_read_while_one_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    whole = MemoryBatches.submit_lines
    lines_read, read_before, read_meanwhile = 0, [], []

    def counted(raw: bytes) -> Any:
        nonlocal lines_read
        lines_read += 1
        return parse_object(raw)

    async def slow(batches: MemoryBatches, *args: Any, **options: Any) -> Any:
        read_before.append(lines_read)
        await trio.testing.wait_all_tasks_blocked()
        read_meanwhile.append(lines_read)
        return await whole(batches, *args, **options)

    monkeypatch.setattr("deepoj.api.batches.parse_object", counted)
    monkeypatch.setattr(MemoryBatches, "submit_lines", slow)
    lines, _ = await results_of(await post(home, token, lines_of(problem, *map(str, range(1200)))))
    assert [line["line"] for line in lines] == list(range(1, 1201))
    assert read_meanwhile == [1000, 1200, 1200]
    assert read_before[0] < 600, "the reader leaves turns to others"


@dataclass
class Stalling:
    """A body of 500 lines that never ends, or ends too late."""

    body: bytes
    refused: Refused | None

    def excuse(self, seconds: float) -> None:
        del seconds

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.body:
            whole, self.body = self.body, b""
            return whole
        if self.refused is None:
            await trio.sleep_forever()
        raise self.refused


@pytest.mark.parametrize("later", [None, Refused(ApiError.TOO_SLOW)], ids=["stalls", "too slow"])
async def test_chunk_that_cannot_be_stored_answers_at_once_whatever_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: Refused | None
) -> None:
    home = house(tmp_path)
    user, problem = await home.account("alice"), await home.problem()

    async def down(*_args: Any, **_options: Any) -> Any:
        await trio.testing.wait_all_tasks_blocked()
        raise StoreUnavailable("the database is away")

    async def is_valid() -> bool:
        await trio.lowlevel.checkpoint()
        return True

    monkeypatch.setattr(MemoryBatches, "submit_lines", down)
    intake = BatchIntake(
        home.context,
        "batch",
        chinese=False,
        draft_of=lambda _: Draft(code="x", user_id=user.id, problem_id=problem, language="cpp17", trace_id="t"),
        backpressure=lambda: None,
        recheck=is_valid,
    )
    with trio.fail_after(60), pytest.raises(StoreUnavailable):
        await intake.take(cast(Any, Stalling(lines_of(problem, *map(str, range(500))), later)))


async def test_key_names_the_batch_and_no_key_a_new_one(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    first = await post(home, token, lines_of(problem, "one"))
    _, sums = await results_of(first)
    assert first.headers["Location"] == f"{PATH}/{sums['batch_id']}"
    lines, again = await results_of(await post(home, token, lines_of(problem, "two")))
    assert (again["batch_id"], lines[0]["code"]) == (sums["batch_id"], "IDEMPOTENCY_KEY_REUSED")
    plain = {"Content-Type": "application/x-ndjson"}
    answer = await home.ask("POST", PATH, token=token, data=lines_of(problem, "two"), headers=plain)
    assert (await results_of(answer))[1]["batch_id"] != sums["batch_id"]


async def test_lines_beyond_the_quota_say_when_to_send_them_again(tmp_path: Path) -> None:
    home = house(tmp_path, user_batch_quota=2)
    token, problem = await home.token("alice"), await home.problem()
    body = lines_of(problem, "1", "2", "3")
    lines, sums = await results_of(await post(home, token, body))
    assert [line.get("code") for line in lines] == [None, None, "USER_BATCH_QUOTA_REACHED"]
    assert lines[2]["retry_after_s"] > 0
    assert lines[2]["error"].startswith("2 submissions of your batches are unfinished")
    answer = await post(home, token, lines_of(problem, "4"), key="another")
    assert (answer.status_code, (await answer.get_json())["code"]) == (429, "USER_BATCH_QUOTA_REACHED")
    assert int(answer.headers["Retry-After"]) > 0
    await finish(home, lines[0]["job_id"])
    lines, sums = await results_of(await post(home, token, body))
    assert (sums["accepted"], sums["repeated"], sums["refused"]) == (1, 2, 0)


async def test_backpressure_refuses_a_batch_before_anything_is_stored(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    home.pressed.append(home.backlog)
    answer = await post(home, token, lines_of(problem, "1"))
    assert (answer.status_code, (await answer.get_json())["code"]) == (429, "BACKPRESSURE")
    assert not home.store.rows


def after_each_chunk(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], Awaitable[None]]) -> None:
    """Call ``act`` with the user's id whenever a chunk has been stored."""
    whole = MemoryBatches.submit_lines

    async def then_act(batches: MemoryBatches, *args: Any, **options: Any) -> Any:
        answers = await whole(batches, *args, **options)
        await act(args[1])
        return answers

    monkeypatch.setattr(MemoryBatches, "submit_lines", then_act)


async def test_backpressure_refuses_the_lines_that_come_after_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()

    async def press(_user_id: int) -> None:
        home.pressed.append(home.backlog)

    after_each_chunk(monkeypatch, press)
    lines, sums = await results_of(await post(home, token, lines_of(problem, *map(str, range(600)))))
    assert (sums["accepted"], sums["refused"], len(home.store.rows)) == (500, 100, 500)
    assert {line.get("code") for line in lines[500:]} == {"BACKPRESSURE"}
    assert all(line["retry_after_s"] > 0 for line in lines[500:])


async def test_batch_waits_in_its_lane_and_takes_no_place_of_single_submissions(tmp_path: Path) -> None:
    home = house(tmp_path, user_inflight_cap=1, inflight_cap=1)
    token, problem = await home.token("alice"), await home.problem()
    await results_of(await post(home, token, lines_of(problem, "1", "2", "3")))
    body = {"problem_id": problem, "language": "cpp17", "code": "single"}
    assert (await home.ask("POST", "/api/v1/submit", token=token, json=body)).status_code == 200
    events = sorted(home.store.outbox.values(), key=lambda event: event.id)
    assert [event.priority for event in events] == [*[Priority.BATCH] * 3, Priority.INTERACTIVE]


async def test_lines_after_the_ten_thousandth_are_refused_once(tmp_path: Path) -> None:
    home = house(tmp_path)
    token = await home.token("alice")
    lines, sums = await results_of(await post(home, token, b"{}\n" * (MAX_LINES + 50)))
    assert (len(lines), lines[-1]["line"], lines[-1]["code"]) == (MAX_LINES + 1, MAX_LINES + 1, "BATCH_TOO_LONG")
    assert lines[-2]["code"] == "INVALID_PARAM"
    assert sums["refused"] == MAX_LINES + 1


async def test_empty_lines_end_as_well(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    lines, sums = await results_of(await post(home, token, lines_of(problem, "1") + b"\n" * (3 * MAX_LINES)))
    assert [line.get("code") for line in lines] == [None, "BATCH_TOO_LONG"]
    assert (sums["accepted"], sums["refused"]) == (1, 1)


async def test_account_that_is_disabled_meanwhile_stores_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()

    async def disable(user_id: int) -> None:
        await home.ports.accounts.change_rights(user_id, is_disabled=True, by=None)

    after_each_chunk(monkeypatch, disable)
    answer = await post(home, token, lines_of(problem, *map(str, range(600))))
    assert answer.status_code == 401
    assert len(home.store.rows) == 500


async def test_line_or_body_that_is_too_long_is_refused(tmp_path: Path) -> None:
    home = house(tmp_path, submit_body_max_bytes=200, batch_body_max_bytes=1000)
    token, problem = await home.token("alice"), await home.problem()
    body = lines_of(problem, "x" * 300, "short")
    lines, _ = await results_of(await post(home, token, body))
    assert [line.get("code") for line in lines] == ["BODY_TOO_LARGE", None]
    answer = await post(home, token, body * 9)
    assert (answer.status_code, (await answer.get_json())["code"]) == (413, "BODY_TOO_LARGE")
    answer = await post(home, token, body, **{"Content-Type": "application/json"})
    assert answer.status_code == 415


async def test_verdicts_are_streamed_once_and_go_on_after_a_token(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, other, problem = await home.token("alice"), await home.token("bob"), await home.problem()
    lines, sums = await results_of(await post(home, token, lines_of(problem, "1", "2", "3")))
    path = f"{PATH}/{sums['batch_id']}"
    assert (await home.ask("GET", f"{path}/results", token=other)).status_code == 403
    assert (await home.ask("GET", path, token=other)).status_code == 403
    assert (await home.ask("GET", f"{path}/results?token=nonsense", token=token)).status_code == 400
    for line in lines:
        await finish(home, line["job_id"])
    streamed = (await (await home.ask("GET", f"{path}/results", token=token)).get_data()).splitlines()
    *found, last = [json.loads(one) for one in streamed if one.strip()]
    assert [(one["line"], one["job_id"]) for one in found] == [(line["line"], line["job_id"]) for line in lines]
    assert {one["status"] for one in found} == {"Accepted"}
    assert last == {"token": "3."}
    # a stream that broke off after the second line
    token_of_two = ResultPlace(0, {2}).token
    answer = await home.ask("GET", f"{path}/results?token={token_of_two}", token=token)
    assert [json.loads(one).get("line") for one in (await answer.get_data()).splitlines()] == [1, 3, None]
    view = await (await home.ask("GET", path, token=token)).get_json()
    assert (view["finished"], view["verdicts"]) == (3, {"Accepted": 3})


async def test_verdict_of_an_earlier_line_comes_after_that_of_a_later_one(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    lines, sums = await results_of(await post(home, token, lines_of(problem, "1", "2", "3")))
    feed = BatchFeed(
        home.ports.batches, sums["batch_id"], ResultPlace(), is_whole=True, steps=home.settings.hidden_steps
    )
    came = []
    for number in (1, 0, 2):
        await finish(home, lines[number]["job_id"])
        [found] = await feed.events()
        came += [json.loads(line) for line in found.encoded().splitlines()]
        assert feed.is_over == (number == 2)
        assert await feed.events() == []
    assert [one.get("line", one.get("token")) for one in came] == [2, "0.Ag", 1, "2.", 3, "3."]


def test_place_token_is_read_back() -> None:
    for place in (ResultPlace(), ResultPlace(7, {9, 12}), ResultPlace(0, set(range(2, MAX_LINES + 1)))):
        assert ResultPlace.of(place.token) == place
        assert len(place.token) < 1700
    for malformed in ("", "x.", "5", "99999.", "-1.", "1.!", "0." + "_" * 1695, "0.é", "9" * 5000 + ".AA", "٣."):
        assert ResultPlace.of(malformed) is None


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_splitter_finds_lines_in_any_pieces_and_drops_long_ones(size: int) -> None:
    body, splitter = b"ab\n\n" + b"x" * 9 + b"\nabcde\nlast", LineSplitter(5)
    lines = [line for at in range(0, len(body), size) for line in splitter.take(body[at : at + size])]
    assert lines + splitter.rest() == [b"ab", b"", None, b"abcde", b"last"]


async def test_owner_cancels_what_waits_by_api_and_page(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    visit = await registered(home, "alice")
    token, problem = await home.token_of("alice"), await home.problem()
    lines, sums = await results_of(await post(home, token, lines_of(problem, "one", "two", "three")))
    await finish(home, lines[0]["job_id"])
    path, page = f"{PATH}/{sums['batch_id']}", f"/batches/{sums['batch_id']}"
    other = await registered(home, "bob")
    assert (await other.post(page, {"act": "cancel"})).status == 403
    assert "2 submissions wait" in (await visit.get(page)).text
    assert (await visit.post(page, {"act": "none"})).status == 400
    answer = await home.ask("POST", f"{path}/cancel", token=token)
    assert await answer.get_json() == {"batch_id": sums["batch_id"], "cancelled": 2}
    view = await (await home.ask("GET", path, token=token)).get_json()
    assert (view["lines"], view["finished"]) == (1, 1)
    again, sums = await results_of(await post(home, token, lines_of(problem, "one", "two", "three")))
    assert (sums["accepted"], sums["repeated"]) == (2, 1)
    assert (await visit.post(page, {"act": "cancel"})).location == page
    assert (await home.ask("GET", f"/api/v1/status/{again[1]['job_id']}", token=token)).status_code == 404
    assert "submissions wait" not in (await visit.get(page)).text
