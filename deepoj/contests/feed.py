"""The objects of a contest, folded from an event feed of the Contest API, 2020-03 to 2026-01.

An event says what an object is from now on. What the versions differ in:

- 2020-03: ``{"id": number of the event, "type", "op": create|update|delete, "data": the object}``.
- Since 2021-11: ``{"type", "id": of the object, "data": the object, or null when it is deleted}``. Without an id
  ``data`` is a whole collection, or the one object of its type.

Published feeds also send objects again, have types and properties of their own, and leave out what was withheld. An
object of the wrong form is an error with its line, never left out: a board without it would be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deepoj.contests.clock import MS_PER_MINUTE, parse_reltime, parse_time

Object = Mapping[str, Any]

#: types of which there is one object a contest
_SINGLE = {"contest": "contest", "contests": "contest", "state": "state"}


class FeedError(Exception):
    """A feed that cannot be read: what, where, and what to do."""


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """What an object, or a whole collection (a list, without ``object_id``), is from now on; None: it is deleted."""

    type: str
    object_id: str | None
    data: Any


def parse_event(line: str, where: str) -> FeedEvent:
    """Return the event of a line. ``where`` names the line in an error.

    Raises FeedError.
    """
    try:
        event = json.loads(line)
    except ValueError as error:
        raise FeedError(f"{where}: this is no JSON: {error}") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise FeedError(f'{where}: an event is an object with a "type"; is this an event feed of the Contest API?')
    data: Any = event.get("data")
    if data is not None and not isinstance(data, dict | list):
        raise FeedError(f'{where}: "data" of an event is an object, a list or null')
    own = _id(data.get("id")) if isinstance(data, dict) else None
    if "op" in event:
        return FeedEvent(event["type"], own, None if event["op"] == "delete" else data)
    return FeedEvent(event["type"], _id(event.get("id")) or own, data)


def read_events(lines: Iterable[str], name: str) -> Iterator[FeedEvent]:
    """Return the events of a feed's lines. Blank ones keep a connection alive, and are none.

    Raises FeedError.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield parse_event(line, f"{name}, line {number}")


def parse_collection(kind: str, text: str, where: str) -> FeedEvent:
    """Return an endpoint's whole JSON as the event that sets it: of ``teams``, all teams.

    Raises FeedError.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise FeedError(f"{where}: this is no JSON: {error}") from None
    return FeedEvent(kind, None, data)


@dataclass(slots=True)
class ContestObjects:
    """The objects of a contest by type and id, in the order of their first event."""

    contest: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    collections: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def apply(self, event: FeedEvent) -> None:
        """Take one event in.

        Raises FeedError: an object without an id in a collection.
        """
        match _SINGLE.get(event.type):
            case "contest":
                self.contest = _single(event) or self.contest
            case "state":
                self.state = _single(event)
            case _:
                self._apply_to_collection(event)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the objects of a type, such as ``teams``, by id."""
        return self.collections.get(kind, {})

    def _apply_to_collection(self, event: FeedEvent) -> None:
        objects = self.collections.setdefault(event.type, {})
        if isinstance(event.data, list):
            objects.clear()
            for item in event.data:
                object_id = _id(item.get("id")) if isinstance(item, dict) else None
                if object_id is None:
                    raise FeedError(f'an object of "{event.type}" has no id')
                objects[object_id] = item
        elif event.object_id is None:
            objects.clear()
        elif event.data is None:
            objects.pop(event.object_id, None)
        else:
            objects[event.object_id] = event.data


@dataclass(frozen=True, slots=True)
class ContestTimes:
    """What of a contest decides which submissions count, and how much a rejected one costs. In milliseconds."""

    start_ms: int | None
    duration_ms: int
    penalty_ms: int
    #: how long before the end the board freezes; None: it does not
    freeze_ms: int | None = None

    @classmethod
    def of(cls, contest: Object) -> ContestTimes:
        """Return the times of a contest object.

        Raises FeedError.
        """
        if contest.get("duration") is None:
            raise FeedError("the feed has no contest with a duration: is it whole?")
        penalty = contest.get("penalty_time")
        start, freeze = contest.get("start_time"), contest.get("scoreboard_freeze_duration")
        try:
            return cls(
                start_ms=None if start is None else parse_time(start),
                duration_ms=parse_reltime(contest["duration"]),
                penalty_ms=_penalty_ms(20 if penalty is None else penalty),
                freeze_ms=None if freeze is None else parse_reltime(freeze),
            )
        except (ValueError, TypeError) as error:
            raise FeedError(f"the contest's times cannot be read: {error}") from None


def time_of(item: Object, times: ContestTimes, what: str, name: str = "contest_time") -> int:
    """Return the contest time of an object in milliseconds: ``contest_time``, else ``time`` less the start.

    Raises FeedError.
    """
    try:
        if item.get(name) is not None:
            return parse_reltime(item[name])
        if item.get("time") is not None and times.start_ms is not None:
            return parse_time(item["time"]) - times.start_ms
    except (ValueError, TypeError) as error:
        raise FeedError(f"{what}: {error}") from None
    raise FeedError(f"{what} has no contest_time")


def _penalty_ms(penalty: Any) -> int:
    """Minutes until 2023-06, a RELTIME since 2026-01."""
    return parse_reltime(penalty) if isinstance(penalty, str) else int(penalty * MS_PER_MINUTE)


def _id(value: Any) -> str | None:
    """Some published feeds have numbers for ids."""
    return None if value is None else str(value)


def _single(event: FeedEvent) -> dict[str, Any]:
    data = event.data[0] if isinstance(event.data, list) and event.data else event.data
    return data if isinstance(data, dict) else {}
