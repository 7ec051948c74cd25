"""A submission's progress as pieces of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trio

from deepoj.api.live.events import LiveEvent
from deepoj.web.live import PieceFeed, SoFar
from tests.api.house import client, house, served
from tests.web.visits import administrator, registered


class Told:
    """A feed of portions that were written down."""

    def __init__(self, *portions: Sequence[LiveEvent]) -> None:
        self._portions = list(portions)

    @property
    def is_over(self) -> bool:
        return not self._portions

    async def events(self) -> Sequence[LiveEvent]:
        return self._portions.pop(0)


def state(word: str) -> LiveEvent:
    return LiveEvent("state", "1-1-0", {"status": word})


def ended(index: int, count: int, name: str) -> LiveEvent:
    return LiveEvent("test", f"1-1-{index}", {"index": index, "count": count, "test": {"name": name}})


def pieces(*portions: Sequence[LiveEvent], before: Sequence[int | None] = (), away: Sequence[bool] = ()) -> PieceFeed:
    places, outages = iter(before), iter(away)

    def verdict(progress: SoFar) -> str:
        place = "" if progress.before is None else f" behind {progress.before}"
        delayed = ", delayed" if progress.is_delayed else ""
        return f"{progress.status} {len(progress.ended)}/{progress.count}{place}{delayed}"

    def tests(progress: SoFar) -> str:
        return " ".join("?" if test is None else test["name"] for test in progress.squares)

    def changed(ended: Mapping[int, Mapping[str, Any]]) -> str:
        return " ".join(f"{index}={test['name']}" for index, test in ended.items())

    def result(body: Mapping[str, Any]) -> tuple[str, str]:
        return body["status"], "all"

    async def place() -> int | None:
        return next(places, None)

    return PieceFeed(
        feed=Told(*portions),
        verdict=verdict,
        tests=tests,
        changed=changed,
        result=result,
        before=place,
        is_queue_away=lambda: next(outages, False),
    )


async def told(feed: PieceFeed) -> list[tuple[str, object]]:
    return [(event.name, event.data) for event in await feed.events()]


async def test_a_portion_has_only_the_tests_that_have_ended_since() -> None:
    feed = pieces(
        [state("Judging")], [ended(1, 3, "a")], [ended(3, 3, "c")], [], [ended(2, 3, "b")], [ended(2, 4, "e")]
    )
    assert await told(feed) == [("verdict", "Judging 0/0"), ("tests", "")]
    assert await told(feed) == [("verdict", "Judging 1/3"), ("tests", "a ? ?")], "the squares appear"
    assert await told(feed) == [("verdict", "Judging 2/3"), ("changed", "3=c")]
    assert await told(feed) == []
    assert await told(feed) == [("verdict", "Judging 3/3"), ("changed", "2=b")]
    assert await told(feed) == [("verdict", "Judging 3/4"), ("tests", "a e c ?")], "of another number"


async def test_a_stream_begins_with_everything() -> None:
    feed = pieces([state("Judging"), ended(1, 3, "a"), ended(2, 3, "b")])
    assert await told(feed) == [("verdict", "Judging 2/3"), ("tests", "a b ?")]


async def test_a_new_attempt_begins_without_tests() -> None:
    feed = pieces([state("Judging"), ended(1, 3, "a")], [state("Queuing")], [])
    await feed.events()
    assert await told(feed) == [("verdict", "Queuing 0/0"), ("tests", "")]
    assert await told(feed) == []


async def test_a_place_in_the_queue_is_sent_when_it_changes_and_while_it_waits() -> None:
    feed = pieces([state("Queuing")], [], [], [state("Judging")], [], before=[7, 7, 3, 1])
    assert await told(feed) == [("verdict", "Queuing 0/0 behind 7"), ("tests", "")]
    assert await told(feed) == []
    assert await told(feed) == [("verdict", "Queuing 0/0 behind 3")]
    assert await told(feed) == [("verdict", "Judging 0/0"), ("tests", "")]
    assert await told(feed) == []


async def test_a_delay_is_sent_when_it_begins_and_ends_and_only_while_it_waits() -> None:
    feed = pieces([state("Queuing")], [], [], [], [state("Judging")], away=[False, True, True, False, True])
    assert await told(feed) == [("verdict", "Queuing 0/0"), ("tests", "")]
    assert await told(feed) == [("verdict", "Queuing 0/0, delayed")]
    assert await told(feed) == []
    assert await told(feed) == [("verdict", "Queuing 0/0")]
    assert await told(feed) == [("verdict", "Judging 0/0"), ("tests", "")]


async def test_the_end_closes_the_stream_of_the_browser() -> None:
    done = LiveEvent("done", "1-1-3", {"status": "Accepted"})
    feed = pieces([state("Judging"), ended(1, 1, "a"), done])
    assert await told(feed) == [("verdict", "Accepted"), ("tests", "all"), ("done", "")]
    assert feed.is_over


def test_a_text_of_several_lines_is_one_event() -> None:
    assert (
        LiveEvent("tests", "7", "<p>\n\n</p>\n").encoded() == b"id: 7\nevent: tests\ndata: <p>\ndata: \ndata: </p>\n\n"
    )
    assert LiveEvent("done", "8", "").encoded() == b"id: 8\nevent: done\ndata: \n\n"


async def test_pages_are_counted_by_group_and_the_api_is_not(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    visit = await registered(home, "alice")
    for path in ("/", "/problems", "/problems/999", "/manage/system", "/api/v1/health", "/nothing"):
        await visit.get(path)
    counted = {
        (sample.labels["group"], sample.labels["status"]): int(sample.value)
        for family in home.metrics.web_requests.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    wanted = {("problems", "200"): 1, ("problems", "404"): 1, ("manage", "403"): 1}
    assert {key: counted.get(key) for key in wanted} == wanted
    assert {group for group, _ in counted} == {"home", "problems", "manage", "register"}


async def test_a_stream_of_a_page_counts_while_it_is_open_and_never_as_a_slow_page(tmp_path: Path) -> None:
    home = house(tmp_path, has_pages=True)
    chief = await administrator(home, "chief")
    cookie = "; ".join(f"{name}={value}" for name, value in chief.cookies.items())

    def is_open() -> float:
        return sum(sample.value for family in home.metrics.web_live_streams.collect() for sample in family.samples)

    async with served(home) as (url, _), client(url) as http:
        async with http.stream("GET", "/manage/system/events", headers={"Cookie": cookie}) as answer:
            lines = answer.aiter_lines()
            while "event: audit" not in await anext(lines):
                pass
            assert is_open() == 1
        with trio.fail_after(60):
            while is_open():
                await trio.sleep(0.01)
    families = home.metrics.web_request_duration_seconds.collect()
    assert "manage" not in {sample.labels["group"] for family in families for sample in family.samples}
