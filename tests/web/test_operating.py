"""The system's page for operators: running jobs, the last hour, webhooks, audits, and its live parts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from deepoj.api.live.events import SYSTEM_TOPIC
from deepoj.capacity.pressure import LatestPressure
from deepoj.nursery.loops import Pressure
from deepoj.web.charts import history_chart
from deepoj.web.operating import SystemFeed, Watch
from deepoj.wiring.children.keepers import PressureRounds
from deepoj.words.accounts import UserRole
from deepoj.words.errors import StreamUnavailable
from deepoj.words.outbox import OutboxPending
from deepoj.words.problems import ProblemChange, Visibility
from deepoj.words.readiness import PartState
from deepoj.words.roster import CanaryFacts, DiskUse, NodeFacts
from deepoj.words.stream import HISTORY_MINUTES, PressureSnapshot
from deepoj.words.webhooks import HookFailure, HookStatus
from tests.api.house import House, client, served, submission
from tests.api.test_webhooks import TARGET
from tests.contract.labs import entry
from tests.fakes.stream import MemoryStream
from tests.fakes.webhooks import take_due
from tests.web.clicking import Person, member, pages_house

PAGE = "/manage/system"


@pytest.fixture
async def scene(tmp_path: Path) -> tuple[House, Person]:
    home = pages_house(tmp_path)
    admin, _ = await member(home, "root", is_admin=True)
    await member(home, "owner")
    return home, admin


async def claimed(home: House) -> str:
    job_id = await submission(home, await home.token_of("owner"), await home.problem())
    await home.store.claim([entry(job_id)], "node-a", 60.0, 5)
    return job_id


async def test_running_jobs_name_person_problem_node_and_attempt(scene: tuple[House, Person]) -> None:
    home, admin = scene
    assert "Nothing is judged now." in (await admin.get(PAGE)).words
    job_id = await claimed(home)
    shown = await admin.get(PAGE)
    number = home.store.rows[job_id].draft.problem_id
    assert f"{job_id[:8]} {job_id[8:]} owner {number} A+B C++17 (GCC) node-a" in shown.words


async def test_the_title_of_a_hidden_problem_is_not_shown_to_an_operator(scene: tuple[House, Person]) -> None:
    home, admin = scene
    operator, opal = await member(home, "opal")
    await home.ports.accounts.change_rights(opal.id, roles=[UserRole.OPERATOR], by=None)
    job_id = await claimed(home)
    number = home.store.rows[job_id].draft.problem_id
    await home.ports.problems.update_problem(number, ProblemChange(visibility=Visibility.DRAFT, title="A secret"))
    assert f"owner {number} A secret C++17" in (await admin.get(PAGE)).words
    shown = (await operator.get(PAGE)).words
    assert f"owner {number} C++17" in shown
    assert "A secret" not in shown


async def test_lists_of_submissions_name_problems_that_the_reader_sees(scene: tuple[House, Person]) -> None:
    home, _admin = scene
    owner, job_id = Person(home), await claimed(home)
    number = home.store.rows[job_id].draft.problem_id
    token = await home.token_of("owner")
    await owner.log_in("owner")
    for change, title in (
        (ProblemChange(title="A title <b>"), "A title <b>"),
        (ProblemChange(visibility=Visibility.DRAFT), None),
    ):
        await home.ports.problems.update_problem(number, change)
        shown = (await owner.get("/submissions")).words
        assert f"{number} {title or ''}".strip() + " C++17 (GCC)" in shown
        assert ("A title" in shown) is (title is not None)
        [listed] = (await (await home.ask("GET", "/api/v1/submissions", token=token)).get_json())["submissions"]
        assert (listed["problem_id"], listed["problem_title"]) == (number, title)


async def test_statements_do_not_grow_with_what_is_shown(
    scene: tuple[House, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, admin = scene
    asked: list[str] = []
    enter = type(home.store)._enter

    async def counting(store: object, method: str) -> bool:
        asked.append(method)
        return await enter(home.store, method)

    monkeypatch.setattr(type(home.store), "_enter", counting)
    await admin.get(PAGE)
    few = len(asked)
    for _ in range(5):
        await claimed(home)
    asked.clear()
    await admin.get(PAGE)
    assert (len(asked), len(asked) <= 13) == (few, True), asked


async def test_disks_and_version_of_nodes(scene: tuple[House, Person]) -> None:
    home, admin = scene
    disk = DiskUse(directory="work", free_bytes=30 * 2**30, total_bytes=120 * 2**30)
    facts = NodeFacts(version="0.2.0<", roles=("worker",), disks=(disk,))
    await home.store.announce("node-a", {}, 60.0, facts)
    assert "0.2.0< worker work 75 % 30 GiB free" in (await admin.get(PAGE)).words
    await home.store.withdraw("node-a")
    assert "node-a" not in (await admin.get(PAGE)).words


async def test_nodes_over_the_api_say_what_the_page_says(scene: tuple[House, Person]) -> None:
    home, _admin = scene
    canaries = CanaryFacts(state=PartState.UP, since="2026-01-31T09:00:00+00:00")
    disk = DiskUse(directory="work", free_bytes=1, total_bytes=4, free_files=2, total_files=8)
    clock = "2026-01-31T09:00:00+00:00"
    facts = NodeFacts(version="9.9", roles=("worker",), disks=(disk,), isolation="full", canaries=canaries, clock=clock,
                      not_up={"sandbox": "stopped"})  # fmt: skip
    await home.store.announce("node-a", {"cpp17": "g++"}, 60.0, facts)
    await home.store.announce("node-b", {}, 60.0, NodeFacts(roles=("api",), upkeep={"x_total: a": 1}), takes_work=False)
    answer = await home.ask("GET", "/api/v1/admin/nodes", token=await home.token_of("root"))
    first, second = (await answer.get_json())["nodes"]
    assert (first.pop("seen_at") <= second["seen_at"], first) == (
        True,
        {
            "node": "node-a", "roles": ["worker"], "version": "9.9", "live": True, "takes_work": True,
            "isolation": "full", "judged_at": None, "languages": {"cpp17": "g++"},
            "canaries": {"state": "up", "since": "2026-01-31T09:00:00+00:00", "reason": ""},
            "disks": [{"directory": "work", "free_bytes": 1, "total_bytes": 4, "free_files": 2, "total_files": 8}],
            "clock": "2026-01-31T09:00:00+00:00", "upkeep": {},
            "not_up": {"sandbox": "stopped"},
        },
    )  # fmt: skip
    assert (second["canaries"], second["takes_work"], second["upkeep"]) == (None, False, {"x_total: a": 1})


async def test_a_webhook_that_was_given_up_is_sent_again(scene: tuple[House, Person]) -> None:
    home, admin = scene
    job_id = await claimed(home)
    row = home.store.rows[job_id]
    row.draft = replace(row.draft, callback_url=f"{TARGET}/x")
    home.store._call_back(row)
    [hook] = await take_due(home.store)
    await home.store.settle_webhook(hook, HookStatus.GIVEN_UP, http_status=503, failure=HookFailure.HTTP)
    shown = await admin.get(PAGE)
    assert f"{TARGET}" in shown.words
    action = re.search(r'action="(/manage/system/webhooks/[^"]+)"', shown.text)
    assert action is not None
    assert (await admin.post(action[1], {}, form_token="forged")).status == 403
    assert (await admin.post(action[1], {})).location == f"{PAGE}?done=resent"
    assert [one.status for one in home.store.hooks.values()] == [HookStatus.PENDING]


async def test_an_audit_is_ordered_once_and_its_result_shown(scene: tuple[House, Person]) -> None:
    home, admin = scene
    await claimed(home)
    await admin.get(PAGE)
    assert (await admin.post(f"{PAGE}/audit", {})).location == f"{PAGE}?done=audit"
    assert (await admin.post(f"{PAGE}/audit", {})).location == f"{PAGE}?done=busy"
    assert "An audit is under way. 0 submissions are checked. Ordered by root" in (await admin.get(PAGE)).words
    await home.context.audits.run_next(home.store)
    shown = (await admin.get(PAGE)).words
    assert "✓ Each submission has exactly one verdict, or is under way. 1 submission is checked." in shown
    assert (await admin.post(f"{PAGE}/audit", {})).location == f"{PAGE}?done=audit"


async def test_an_audit_names_exceptions_on_the_page_and_over_the_api(scene: tuple[House, Person]) -> None:
    home, admin = scene
    token, job_id = await home.token_of("root"), await claimed(home)
    home.store.rows.pop(job_id)
    assert await (await home.ask("GET", "/api/v1/admin/audit", token=token)).get_json() == {"audit": None}
    ordered = [await home.ask("POST", "/api/v1/admin/audit", token=token) for _ in range(2)]
    assert [(await one.get_json())["repeated"] for one in ordered] == [False, True]
    await home.context.audits.run_next(home.store)
    result = (await (await home.ask("GET", "/api/v1/admin/audit", token=token)).get_json())["audit"]
    assert (result["state"], result["by"], result["by_code"]) == ("faults", "root", {"row_missing": 1})
    assert [one["job_id"] for one in result["exceptions"]] == [job_id]
    assert "✗ 1 exception" in (await admin.get(PAGE)).words


async def test_an_audit_without_a_database_proves_nothing_and_ends(scene: tuple[House, Person]) -> None:
    home, _admin = scene
    home.context.audits.order("root")
    home.store.down = True
    await home.context.audits.run_next(home.store)
    standing = home.context.audits.standing
    assert standing is not None
    assert (standing.state, "cannot be reached" in standing.failure) == ("failed", True)
    assert home.context.audits.order("root"), "another one may be ordered"


async def test_stream_sends_a_piece_when_its_text_has_changed() -> None:
    texts = {"queue": "1 waits", "audit": "none"}
    feed = SystemFeed({"queue": lambda: texts["queue"], "audit": lambda: texts["audit"]})
    assert [event.name for event in await feed.events()] == ["queue", "audit"]
    assert await feed.events() == []
    texts["audit"] = "one"
    assert [(event.name, event.data) for event in await feed.events()] == [("audit", "one")]


async def test_stream_is_answered_as_an_event_stream(scene: tuple[House, Person]) -> None:
    home, admin = scene
    home.streams.close()  # it would not end by itself
    reply = await admin.get(f"{PAGE}/events")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream")


async def test_stream_sends_the_queue_after_each_measurement_also_while_redis_is_away(
    scene: tuple[House, Person],
) -> None:
    class Away(MemoryStream):
        async def pressure(self) -> PressureSnapshot:
            raise StreamUnavailable("no Redis here")

    home, admin = scene
    await submission(home, await home.token_of("owner"), await home.problem())

    async def measured(stream: MemoryStream) -> None:
        pressure = Pressure(outbox=home.store, stream=stream, latest=home.context.pressure, metrics=home.metrics)
        await PressureRounds(pressure, home.context.backpressure, home.streams).once()

    cookie = "; ".join(f"{name}={value}" for name, value in admin.cookies.items())
    async with (
        served(home) as (url, _),
        client(url) as http,
        http.stream("GET", f"{PAGE}/events", headers={"Cookie": cookie}) as answer,
    ):
        lines = answer.aiter_lines()
        assert "Not known at the moment." in await piece(lines, "queue")
        with pytest.raises(StreamUnavailable):
            await measured(Away())
        away = await piece(lines, "queue")
        assert "away for" in away
        assert "Waiting in the database 1: interactive 1" in away
        await measured(MemoryStream())
        assert "away for" not in await piece(lines, "queue")


async def test_stream_sends_what_needs_a_person_when_that_begins_and_when_it_ends(
    scene: tuple[House, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepoj.web.operating.STORED_AGE_S", 0.0)
    home, admin = scene
    home.pressed.append(replace(home.backlog, lag=1, pending=2))
    await home.store.announce("node-a", {}, 60.0)
    cookie = "; ".join(f"{name}={value}" for name, value in admin.cookies.items())
    async with (
        served(home) as (url, _),
        client(url) as http,
        http.stream("GET", f"{PAGE}/events", headers={"Cookie": cookie}) as answer,
    ):
        lines = answer.aiter_lines()
        assert "Data of this node, updated:" in await piece(lines, "clock")
        assert await piece(lines, "symptoms") == "✓ No action needed."
        home.context.pressure.put_outage(OutboxPending({}), None)
        home.streams.notify(SYSTEM_TOPIC)
        assert "The queue (Redis) has been away for 0 s" in await piece(lines, "symptoms")
        home.context.pressure.put(replace(home.backlog, lag=1, pending=2))
        await home.store.announce("node-b", {"cpp17": "g++"}, -5.0)
        home.streams.notify(SYSTEM_TOPIC)
        ended = await piece(lines, "symptoms")
        assert "Node node-b judged within a day and is silent now." in ended
        assert "Redis" not in ended


async def test_watch_keeps_what_was_read_while_the_database_is_away(
    scene: tuple[House, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepoj.web.operating.STORED_AGE_S", 0.0)
    home, _ = scene
    watch = Watch(home.context)
    home.store.down = True
    await watch.refresh()
    assert "No node judges: submissions wait." not in [one.sentence for one in watch.values()["symptoms"]], "unknown"
    home.store.down = False
    await home.store.announce("node-b", {"cpp17": "g++"}, -5.0)
    await watch.refresh()
    home.store.down = True
    await watch.refresh()
    assert "node-b" in [one.params.get("node") for one in watch.values()["symptoms"]]


async def test_streams_that_refresh_at_once_read_once_and_wait_for_no_database(
    scene: tuple[House, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = scene
    watch, count = Watch(home.context), 0

    async def hang(_most: int) -> NoReturn:
        nonlocal count
        count += 1
        await trio.sleep_forever()

    monkeypatch.setattr("deepoj.web.operating.READ_S", 0.0)
    monkeypatch.setattr(home.context.roster, "announced_nodes", hang)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(watch.refresh)
    assert count == 1


async def piece(lines: AsyncIterator[str], name: str) -> str:
    """Return the words of the next event with this name."""
    while await anext(lines) != f"event: {name}":
        pass
    data = []
    while (line := await anext(lines)).startswith("data: "):
        data.append(line.removeprefix("data: "))
    return " ".join(re.sub(r"<[^>]*>", " ", " ".join(data)).split())


async def test_minutes_keep_the_most_and_one_hour(autojump_clock: object) -> None:
    latest, snapshot = LatestPressure(), House.backlog
    for minute in range(100):
        for waiting in (1, minute, 0):
            latest.put(replace(snapshot, ts_ms=minute * 60_000 + waiting, lag=waiting, pending=2))
    history = latest.history()
    assert len(history) == HISTORY_MINUTES
    assert [(one.minute, one.waiting, one.pending) for one in (history[0], history[-1])] == [(40, 40, 2), (99, 99, 2)]
    latest.put(replace(snapshot, ts_ms=120 * 60_000, lag=0))
    assert latest.history()[0].minute == 61


def test_bars_fill_the_height_and_small_values_are_seen() -> None:
    picture = history_chart([0, 1, 1000], bar_width=10)
    assert [(bar.x, bar.y, bar.height) for bar in picture.bars] == [(10, 78, 2), (20, 0, 80)]
    assert picture.width == 30
