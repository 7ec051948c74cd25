"""What one viewer sees of a contest, encoded once for all its readers: the objects as they are, and the event feed.

``SeenContest.follow`` is called with each event after the ledger has taken it in. It encodes what the event may have
changed for this viewer, and what differs from before becomes a line of the feed. So an object of an endpoint is byte
for byte the ``data`` of its last line, and a line depends on nothing but what the viewer sees: a verdict that the
freeze hides gives no line, and the event that ends the freeze gives those of all of them.

The same events give the same lines, on every node and after every restart. The token of a line is its number in the
feed, with which a reader continues after it. The numbers have no gaps, so they do not tell of events that give no line.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

from deepoj.contests.clics import (
    JUDGEMENT_TYPES,
    LANGUAGES,
    PERSONS,
    RUNS,
    SINGLE,
    TYPES,
    access_of,
    has_endpoint,
    ids_of,
    references_of,
    runs_of,
    scoreboard_of,
    shown,
)
from deepoj.contests.ledger import ContestLedger, Object
from deepoj.contests.views import ContestViewer, sees_runs
from deepoj.words.contests import ContestEvent, EventType

_TOKEN = re.compile(r"[0-9]{1,18}", re.ASCII)
#: lines that are compressed together: about a thousandth of a second to read again
_PAGE_LINES = 512
#: between two objects of a collection; JSON has no line break inside of an object
_BETWEEN = b",\n"
_NULL = b"null"
#: of one request
MAX_FILTERS = 8
_STATE = EventType.STATE.value
#: type of an event → the types of the objects that have a name of its account
_NAMED: Mapping[EventType, Sequence[str]] = {
    EventType.ACCOUNTS: (PERSONS, EventType.ACCOUNTS.value), EventType.TEAMS: (EventType.TEAMS.value,),
}  # fmt: skip
#: fields of objects that refer to others by id
_ID = ("team_id", "from_team_id", "organization_id", "problem_id")
_IDS = ("group_ids", "to_team_ids", "team_ids", "problem_ids", "submission_ids")
#: types that refer to problems
_OF_PROBLEMS = (
    EventType.SUBMISSIONS.value, EventType.JUDGEMENTS.value, EventType.CLARIFICATIONS.value,
    EventType.COMMENTARY.value,
)  # fmt: skip


class FeedLog:
    """The lines of a feed, each with the number of its event. Old ones are compressed: they are a tenth as large."""

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._pages: list[bytes] = []
        self._tail: list[bytes] = []

    def add(self, number: int, type_: str, object_id: str | None, data: bytes | None) -> None:
        """Add the line of an object that has changed. ``data``: None if there is no such object any more."""
        self._numbers.append(number)
        head = f'{{"type":"{type_}","id":{encoded(object_id).decode()},"data":'.encode()
        self._tail.append(b'%b%b,"token":"%d"}\n' % (head, data or b"null", self.end))
        if len(self._tail) == _PAGE_LINES:
            self._pages.append(zlib.compress(b"".join(self._tail), 1))
            self._tail.clear()

    def place(self, token: str) -> int | None:
        """Return how many lines a reader has that has read up to a token; None: there is no such line."""
        return int(token) if _TOKEN.fullmatch(token) and 1 <= int(token) <= self.end else None

    @property
    def end(self) -> int:
        """Return how many lines there are."""
        return len(self._numbers)

    def resume(self, number: int, token: str | None) -> int:
        """Return how many lines a reader has that has all lines of the events up to a number, and those up to a token
        of the event after it. A token that this feed does not have is ignored: the viewer has changed."""
        after, at_most = (bisect_right(self._numbers, each) for each in (number, number + 1))
        place = None if token is None else self.place(token)
        return after if place is None or place > at_most else max(after, place)

    def event_of(self, place: int) -> int:
        """Return the number of the event of a line."""
        return self._numbers[place - 1]

    def read(self, place: int) -> tuple[bytes, int]:
        """Return lines from a place on, as many as are kept together, and the place after them."""
        page, start = divmod(place, _PAGE_LINES)
        lines = zlib.decompress(self._pages[page]).splitlines(keepends=True) if page < len(self._pages) else self._tail
        return b"".join(lines[start:]), place + len(lines) - start


class SeenContest:
    """A contest as a viewer sees it. ``languages``: id → the other properties of its object."""

    def __init__(self, viewer: ContestViewer, languages: Mapping[str, Object]) -> None:
        self.viewer = viewer
        self.log = FeedLog()
        #: there is nothing more to come: the end of updates is the last line
        self.is_over = False
        #: time of the last event that the viewer sees
        self.at: dt.datetime | None = None
        self._languages = languages
        self._counts_points = False
        self._objects: dict[str, dict[str, bytes]] = {type_: {} for type_ in TYPES}
        #: of judgements whose runs the viewer sees: how many
        self._run_counts: dict[str, int] = {}
        #: what decides which objects are seen, and their times in the contest (``_types_of``)
        self._times: tuple[Any, ...] | None = None
        #: type → property → JSON of its value → the objects that have it, in order; those that were asked for
        self._indexes: dict[str, dict[str, dict[bytes, list[str]]]] = {}
        #: whole answers, until something changes
        self._answers: dict[str, bytes] = {}

    def follow(self, ledger: ContestLedger, event: ContestEvent) -> None:
        """Take in what an event has changed. The ledger has taken it in already, and no later one."""
        if self.is_over:
            return
        self._answers.clear()
        self._counts_points = ledger.is_scored
        # a name is of now, also in the first event: without a line here the feeds of two nodes had other tokens
        named = _NAMED.get(event.object.type, ())
        changes = [
            (type_, object_id, new)
            for type_, object_id in dict.fromkeys(self._touched(ledger, event))
            if (new := self._encoded(ledger, type_, object_id)) != self._objects[type_].get(object_id)
            or (new is not None and type_ in named and object_id == event.object.id)
        ]
        # what is referred to comes first and goes last; the state says that all of it has happened
        changes.sort(key=lambda change: change[0] == _STATE)
        for type_, object_id, new in changes:
            if new is not None:
                self._put(ledger, event.number, type_, object_id, new)
        for type_, object_id, new in reversed(changes):
            if new is None:
                self._delete(event.number, type_, object_id)
        if changes:
            self.at = event.at
        self.is_over = ledger.state.get("end_of_updates_at") is not None

    def object(self, type_: str, object_id: str) -> bytes | None:
        """Return an object as JSON; None: the viewer sees no such object."""
        return self._objects[type_].get(object_id)

    def collection(self, ledger: ContestLedger, endpoint: str, filters: Mapping[str, str]) -> bytes | None:
        """Return an endpoint that has many objects as JSON; None: the viewer has no such endpoint.

        ``filters``: property → the id that it must have; empty: it must be null. With more than ``MAX_FILTERS``: None.
        """
        wanted = {name: encoded(value or None) for name, value in filters.items() if name.endswith("_id")}
        if endpoint in SINGLE or not has_endpoint(self.viewer, endpoint) or len(wanted) > MAX_FILTERS:
            return None
        if endpoint != RUNS and endpoint not in self._objects:
            return None
        known = {name: wanted.pop(name, None) for name in references_of(endpoint)}
        if any(value != _NULL for value in wanted.values()):
            return b"[]"
        wanted = {name: value for name, value in known.items() if value is not None}
        if wanted:
            return _listed(self._fitting(ledger, endpoint, filters, wanted))
        return self._whole(ledger, endpoint)

    def one(self, ledger: ContestLedger, endpoint: str, object_id: str) -> bytes | None:
        """Return one object of a collection as JSON; None: the viewer has no such endpoint, or sees no such object."""
        if endpoint in SINGLE or not has_endpoint(self.viewer, endpoint):
            return None
        if endpoint == RUNS:
            runs = runs_of(ledger, self.viewer, object_id.rpartition("-")[0])
            return next((encoded(run) for run in runs if run["id"] == object_id), None)
        return self._objects.get(endpoint, {}).get(object_id)

    def scoreboard(self, ledger: ContestLedger, group_id: str | None) -> bytes | None:
        """Return the scoreboard as JSON; None: the viewer sees no such group."""
        if group_id is not None and group_id not in self._objects[EventType.GROUPS]:
            return None
        name = f"scoreboard {group_id or ''}"
        if name not in self._answers:
            self._answers[name] = encoded(scoreboard_of(ledger, self.viewer, self.at, group_id))
        return self._answers[name]

    def access(self) -> bytes:
        """Return what the viewer may see and do, as JSON."""
        return encoded(access_of(self.viewer, counts_points=self._counts_points))

    def _whole(self, ledger: ContestLedger, endpoint: str) -> bytes:
        """Return all objects of a collection as JSON."""
        if endpoint not in self._answers:
            # runs are not kept: there may be a hundred to a submission
            judgements = ledger.of(EventType.JUDGEMENTS) if sees_runs(self.viewer) else ()
            runs = (encoded(run) for each in judgements for run in runs_of(ledger, self.viewer, each))
            self._answers[endpoint] = _listed(runs if endpoint == RUNS else self._objects[endpoint].values())
        return self._answers[endpoint]

    def _fitting(
        self, ledger: ContestLedger, endpoint: str, filters: Mapping[str, str], wanted: Mapping[str, bytes]
    ) -> Iterator[bytes]:
        """Return the objects whose properties have these values, as JSON. Once there is an index, objects of other
        values cost nothing: going through 20,000 submissions held the event loop for 33 ms a filter."""
        if endpoint == RUNS and filters.get("judgement_id"):
            candidates = (encoded(run) for run in runs_of(ledger, self.viewer, filters["judgement_id"]))
        elif endpoint == RUNS:
            candidates = (run for run in self._whole(ledger, endpoint)[1:-1].split(_BETWEEN))
        else:
            found = (self._index(endpoint, name).get(value, ()) for name, value in wanted.items())
            objects = self._objects[endpoint]
            candidates = (objects[each] for each in min(found, key=len))
        return (one for one in candidates if all(_value(one, name) == value for name, value in wanted.items()))

    def _index(self, type_: str, name: str) -> Mapping[bytes, Sequence[str]]:
        """Return the objects of a type by the JSON of a property."""
        indexes = self._indexes.setdefault(type_, {})
        if name not in indexes:
            index = indexes.setdefault(name, {})
            for object_id, data in self._objects[type_].items():
                index.setdefault(_value(data, name), []).append(object_id)
        return indexes[name]

    def _encoded(self, ledger: ContestLedger, type_: str, object_id: str) -> bytes | None:
        object_ = shown(ledger, self.viewer, self._languages, type_, object_id)
        return None if object_ is None else encoded(object_)

    def _put(self, ledger: ContestLedger, number: int, type_: str, object_id: str, data: bytes) -> None:
        former = self._objects[type_].get(object_id)
        for name, index in [*self._indexes.get(type_, {}).items()]:
            value = _value(data, name)
            if former is None:
                index.setdefault(value, []).append(object_id)
            elif _value(former, name) != value:
                del self._indexes[type_][name]
        self._objects[type_][object_id] = data
        self.log.add(number, type_, None if type_ in SINGLE else object_id, data)
        if type_ == EventType.JUDGEMENTS:
            runs = runs_of(ledger, self.viewer, object_id)
            for run in runs:
                self.log.add(number, RUNS, run["id"], encoded(run))
            self._cut_runs(number, object_id, len(runs))

    def _delete(self, number: int, type_: str, object_id: str) -> None:
        if type_ == EventType.JUDGEMENTS:
            self._cut_runs(number, object_id, 0)
        self._indexes.pop(type_, None)
        del self._objects[type_][object_id]
        self.log.add(number, type_, object_id, None)

    def _cut_runs(self, number: int, judgement_id: str, count: int) -> None:
        for ordinal in range(count + 1, self._run_counts.get(judgement_id, 0) + 1):
            self.log.add(number, RUNS, f"{judgement_id}-{ordinal}", None)
        if count or judgement_id in self._run_counts:
            self._run_counts[judgement_id] = count

    def _touched(self, ledger: ContestLedger, event: ContestEvent) -> Iterator[tuple[str, str]]:
        """Return the objects that an event may have changed for the viewer, what is referred to first."""
        kind, object_id = event.object.type, event.object.id
        types: Sequence[str] = ()
        if kind is EventType.REVIEWS:
            yield EventType.SUBMISSIONS.value, object_id
            yield from ((EventType.JUDGEMENTS.value, each) for each in ledger.judgements_of.get(object_id, ()))
            yield from ((EventType.COMMENTARY.value, each) for each in ledger.of(EventType.COMMENTARY))
            return
        if kind is EventType.ACCOUNTS:
            yield PERSONS, object_id
        if kind.value in self._objects:
            yield kind.value, object_id
        if kind in {EventType.CONTEST, EventType.STATE, EventType.INTERVALS}:
            times = ledger.clock, ledger.state.get("started_at"), ledger.freeze_ms, ledger.keeping_back
            types = _types_of(self._times, times)
            self._times = times
            for type_ in (JUDGEMENT_TYPES, LANGUAGES):  # rules of the contest's
                yield from ((type_, each) for each in ids_of(ledger, self._languages, type_))
        elif kind in {EventType.GROUPS, EventType.ORGANIZATIONS}:
            teams = [team for team, data in ledger.of(EventType.TEAMS).items() if _names(data, {object_id})]
            yield from ((EventType.TEAMS.value, team) for team in teams)
            yield from self._seen_through(ledger, EventType.TEAMS, teams)
        elif kind in {EventType.TEAMS, EventType.PROBLEMS}:
            yield from self._seen_through(ledger, kind, [object_id])
        elif kind is EventType.SUBMISSIONS:
            yield from ((EventType.JUDGEMENTS.value, each) for each in ledger.judgements_of.get(object_id, ()))
        if kind is EventType.JUDGEMENTS and event.object.data is not None:
            submission = ledger.of(EventType.SUBMISSIONS).get(event.object.data["submission_id"])
            if submission is not None:  # it may have more tests than were known
                yield EventType.PROBLEMS.value, submission["problem_id"]
            # what is said about a verdict goes with it
            yield from ((EventType.COMMENTARY.value, each) for each in ledger.of(EventType.COMMENTARY))
        for type_ in types:
            # those that are seen no more are only among the former
            yield from ((type_, each) for each in self._objects[type_])
            yield from ((type_, each) for each in ids_of(ledger, self._languages, type_))

    def _seen_through(self, ledger: ContestLedger, kind: EventType, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Return the objects that refer to those of these teams or problems that are seen now and were not before, or
        the other way round, or that are seen through them."""
        objects = self._objects[kind]
        changed = {
            each
            for each in ids
            if (shown(ledger, self.viewer, self._languages, kind, each) is not None) != (each in objects)
        }
        if not changed:
            return
        place = 0 if kind is EventType.TEAMS else 1
        cells = (sent for cell, sent in ledger.submissions_of.items() if cell[place] in changed)
        sent = sorted(itertools.chain(*cells), key=partial(ledger.number_of, EventType.SUBMISSIONS))
        named = changed.union(sent)
        yield from _naming(ledger, EventType.ACCOUNTS, named, PERSONS)
        yield from _naming(ledger, EventType.ACCOUNTS, named)
        yield from ((EventType.SUBMISSIONS.value, each) for each in sent)
        yield from ((EventType.JUDGEMENTS.value, one) for each in sent for one in ledger.judgements_of.get(each, ()))
        for type_ in (EventType.CLARIFICATIONS, EventType.AWARDS, EventType.COMMENTARY):
            yield from _naming(ledger, type_, named)


def _naming(
    ledger: ContestLedger, type_: EventType, ids: Collection[str], shown_as: str | None = None
) -> Iterator[tuple[str, str]]:
    """Return the objects of a type that refer to one of these."""
    return ((shown_as or type_.value, each) for each, data in ledger.of(type_).items() if _names(data, ids))


def _names(data: Object, ids: Collection[str]) -> bool:
    return any(data.get(name) in ids for name in _ID) or any(
        each in ids for name in _IDS for each in data.get(name) or ()
    )


def _types_of(before: tuple[Any, ...] | None, now: tuple[Any, ...]) -> Sequence[str]:
    """Return the types whose objects depend on what has changed of start, being started, freeze, and keeping back."""
    if before is None or before[0] != now[0]:
        return TYPES
    types: tuple[str, ...] = ()
    if before[1] != now[1]:
        types = (EventType.PROBLEMS.value, *_OF_PROBLEMS)
    if before[2:] != now[2:]:
        types += (EventType.JUDGEMENTS.value, EventType.AWARDS.value, EventType.COMMENTARY.value)
    return types


def _listed(objects: Iterable[bytes]) -> bytes:
    return b"[" + _BETWEEN.join(objects) + b"]"


def _value(one: bytes, name: str) -> bytes:
    """Return the JSON of a property that is an id or null; null if the object, as JSON, has none of the name.

    The object is not parsed: to parse 20,000 submissions took 0.17 s. A quote inside of a text has a backslash before
    it, and no object with such properties is in another one.
    """
    match = _pattern_of(name).search(one)
    return _NULL if match is None else match[1]


@cache
def _pattern_of(name: str) -> re.Pattern[bytes]:
    return re.compile(encoded(name) + rb':("(?:[^"\\]|\\.)*"|null)')


def encoded(value: Any) -> bytes:
    """Return JSON in UTF-8, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
