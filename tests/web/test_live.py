"""A submission's progress as pieces of its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepoj.api.live.events import LiveEvent
from deepoj.web.live import PieceFeed, SoFar


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


def pieces(*portions: Sequence[LiveEvent]) -> PieceFeed:
    def verdict(progress: SoFar) -> str:
        return f"{progress.status} {len(progress.tests)}/{progress.count}"

    def tests(progress: SoFar) -> str:
        return " ".join(test["name"] for test in progress.tests)

    def result(body: Mapping[str, Any]) -> tuple[str, str]:
        return body["status"], "all"

    return PieceFeed(feed=Told(*portions), verdict=verdict, tests=tests, result=result)


async def told(feed: PieceFeed) -> list[tuple[str, object]]:
    return [(event.name, event.data) for event in await feed.events()]


async def test_each_portion_gives_everything_so_far() -> None:
    feed = pieces([state("Judging")], [ended(1, 3, "a")], [ended(3, 3, "c"), ended(2, 3, "b")])
    assert await told(feed) == [("verdict", "Judging 0/0"), ("tests", "")]
    assert await told(feed) == [("verdict", "Judging 1/3"), ("tests", "a")]
    assert await told(feed) == [("verdict", "Judging 3/3"), ("tests", "a b c")]


async def test_a_new_attempt_begins_without_tests() -> None:
    feed = pieces([state("Judging"), ended(1, 3, "a")], [state("Queuing")], [])
    await feed.events()
    assert await told(feed) == [("verdict", "Queuing 0/0"), ("tests", "")]
    assert await told(feed) == []


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
