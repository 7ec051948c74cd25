"""What viewers see of a contest, encoded once for all readers: the objects as they are, and the event feed.

``SeenContest.follow`` is called with each event after the ledger has taken it in. It encodes what the event may have
changed for this viewer, and what differs from before becomes a line of the feed. So an object of an endpoint is byte
for byte the ``data`` of its last line, and a line depends on nothing but what the viewer sees: a verdict that the
freeze hides gives no line, and the event that ends the freeze gives those of all of them.

The same events give the same lines, on every node and after every restart. The token of a line is its number in the
feed, with which a reader continues after it. The numbers have no gaps, so they do not tell of events that give no line.

There is one view for the public, one for the jury, and one for all teams (``ANY_TEAM``). The last one keeps beside it
the objects and lines of single teams that differ (``TeamViews``): their own submissions, what the freeze hides from
others, questions. So one fold serves all teams.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import Any

from deepoj.contests.clics import (
    JUDGEMENT_TYPES,
    LANGUAGES,
    PERSONS,
    RUNS,
    SINGLE,
    TYPES,
    access_of,
    encoded_object,
    has_endpoint,
    ids_of,
    references_of,
    runs_of,
    scoreboard_of,
    shown,
)
from deepoj.contests.clics_log import FeedLog, SharedLog, encoded, line_of
from deepoj.contests.clics_teams import Change, TeamViews
from deepoj.contests.ledger import ContestLedger, Object
from deepoj.contests.views import ANY_TEAM, ContestViewer, sees_runs
from deepoj.words.contests import ContestEvent, EventType

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


class SeenContest:
    """A contest as a viewer sees it, or as all teams do. ``languages``: id → the other properties of its object."""

    def __init__(self, viewer: ContestViewer, languages: Mapping[str, Object]) -> None:
        self.viewer = viewer
        self.log = SharedLog()
        #: there is nothing more to come: the end of updates is the last line
        self.is_over = False
        #: time of the last event that the viewer sees
        self.at: dt.datetime | None = None
        self._languages = languages
        self._counts_points = False
        self._objects: dict[str, dict[str, bytes]] = {type_: {} for type_ in TYPES}
        self._teams = TeamViews(self.log) if viewer == ANY_TEAM else None
        #: of judgements whose runs the viewer sees: how many
        self._run_counts: dict[str, int] = {}
        #: what decides which objects are seen, and their times in the contest (``_types_of``)
        self._times: tuple[Any, ...] | None = None
        #: type → property → JSON of its value → the objects that have it; those that were asked for
        self._indexes: dict[str, dict[str, dict[bytes, dict[str, None]]]] = {}
        #: whole answers, until something changes
        self._answers: dict[str, bytes] = {}

    def follow(self, ledger: ContestLedger, event: ContestEvent) -> Iterator[None]:
        """Take in what an event has changed. The ledger has taken it in already, and no later one.

        The end of a freeze tells 5,000 verdicts: between two steps others may do their work, but no one may read
        this view, and all steps must be done.
        """
        if self.is_over:
            return
        self._answers.clear()
        self._counts_points = ledger.is_scored
        changes = []
        for each in dict.fromkeys(self._touched(ledger, event)):
            change = yield from self._change(ledger, event, *each)
            if change.own or change.is_named or change.new != change.former:
                changes.append(change)
            yield
        # what is referred to comes first and goes last; the state says that all of it has happened
        changes.sort(key=lambda change: change.type_ == _STATE)
        before = self.log.end
        for change in changes:
            start = self.log.end
            if change.new is not None and change.has_line(change.former, change.new, is_there=True):
                self._put(ledger, event.number, change.type_, change.object_id, change.new)
            if self._teams is not None and change.own:
                self._teams.add_lines(event.number, change, start, is_there=True)
                self._teams.keep(change)
            yield
        for change in reversed(changes):
            start = self.log.end
            if change.has_line(change.former, change.new, is_there=False):
                self._delete(event.number, change.type_, change.object_id)
            if self._teams is not None and change.own:
                self._teams.add_lines(event.number, change, start, is_there=False)
            yield
        if self.log.end > before:
            self.at = event.at
        self.is_over = ledger.state.get("end_of_updates_at") is not None

    def as_team(self, team_id: str) -> TeamContest:
        """Return the contest as a team sees it now. This view is that of all teams."""
        if self._teams is None:
            raise AssertionError("this view is that of one viewer")
        log = self._teams.logs.get(team_id, self.log)
        return TeamContest(self, log, self._teams.objects.get(team_id, {}))

    def object(self, type_: str, object_id: str) -> bytes | None:
        """Return an object as JSON; None: the viewer sees no such object."""
        return self._objects[type_].get(object_id)

    def collection(
        self,
        ledger: ContestLedger,
        endpoint: str,
        filters: Mapping[str, str],
        own: Mapping[str, bytes] = MappingProxyType({}),
    ) -> bytes | None:
        """Return an endpoint that has many objects as JSON; None: the viewer has no such endpoint.

        ``filters``: property → the id that it must have; empty: it must be null. With more than ``MAX_FILTERS``: None.
        ``own``: objects as the one team sees them that asks.
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
            return _listed(self._fitting(ledger, endpoint, filters, wanted, own))
        return _listed({**self._objects[endpoint], **own}.values()) if own else self._whole(ledger, endpoint)

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
        self,
        ledger: ContestLedger,
        endpoint: str,
        filters: Mapping[str, str],
        wanted: Mapping[str, bytes],
        own: Mapping[str, bytes],
    ) -> Iterator[bytes]:
        """Return the objects whose properties have these values, as JSON. Once there is an index, objects of other
        values cost nothing: going through 20,000 submissions held the event loop for 33 ms a filter."""
        candidates: Iterable[bytes]
        if endpoint == RUNS and filters.get("judgement_id"):
            candidates = (encoded(run) for run in runs_of(ledger, self.viewer, filters["judgement_id"]))
        elif endpoint == RUNS:
            candidates = (run for run in self._whole(ledger, endpoint)[1:-1].split(_BETWEEN))
        else:
            found = (self._index(endpoint, name).get(value, ()) for name, value in wanted.items())
            objects = self._objects[endpoint]
            shared = (objects[each] for each in min(found, key=len) if each not in own)
            candidates = itertools.chain(shared, own.values())
        return (one for one in candidates if all(_value(one, name) == value for name, value in wanted.items()))

    def _index(self, type_: str, name: str) -> Mapping[bytes, Collection[str]]:
        """Return the objects of a type by the JSON of a property."""
        indexes = self._indexes.setdefault(type_, {})
        if name not in indexes:
            index = indexes.setdefault(name, {})
            for object_id, data in self._objects[type_].items():
                index.setdefault(_value(data, name), {})[object_id] = None
        return indexes[name]

    def _reindex(self, type_: str, object_id: str, former: bytes | None, new: bytes | None) -> None:
        """Move an object in the indexes that there are: to make those of 20,000 objects again took 33 ms."""
        for name, index in self._indexes.get(type_, {}).items():
            was, now = (None if data is None else _value(data, name) for data in (former, new))
            if was == now:
                continue
            if was is not None:
                del index[was][object_id]
            if now is not None:
                index.setdefault(now, {})[object_id] = None

    def _change(
        self, ledger: ContestLedger, event: ContestEvent, type_: str, object_id: str
    ) -> Generator[None, None, Change]:
        former = self._objects[type_].get(object_id)
        new = encoded_object(ledger, self.viewer, self._languages, type_, object_id)
        # a name is of now, also in the first event: without a line here the feeds of two nodes had other tokens
        is_named = object_id == event.object.id and type_ in _NAMED.get(event.object.type, ())
        own = {} if self._teams is None else (yield from self._teams.changes(ledger, type_, object_id, former))
        return Change(type_, object_id, former, new, is_named, own)

    def _put(self, ledger: ContestLedger, number: int, type_: str, object_id: str, data: bytes) -> None:
        self._reindex(type_, object_id, self._objects[type_].get(object_id), data)
        self._objects[type_][object_id] = data
        self.log.add(number, line_of(type_, _NULL if type_ in SINGLE else encoded(object_id), data))
        if type_ == EventType.JUDGEMENTS:
            runs = runs_of(ledger, self.viewer, object_id)
            for run in runs:
                self.log.add(number, line_of(RUNS, encoded(run["id"]), encoded(run)))
            self._cut_runs(number, object_id, len(runs))

    def _delete(self, number: int, type_: str, object_id: str) -> None:
        if type_ == EventType.JUDGEMENTS:
            self._cut_runs(number, object_id, 0)
        self._reindex(type_, object_id, self._objects[type_].pop(object_id), None)
        self.log.add(number, line_of(type_, encoded(object_id), None))

    def _cut_runs(self, number: int, judgement_id: str, count: int) -> None:
        for ordinal in range(count + 1, self._run_counts.get(judgement_id, 0) + 1):
            self.log.add(number, line_of(RUNS, encoded(f"{judgement_id}-{ordinal}"), None))
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
        objects, own = self._objects[kind], self._teams if kind is EventType.TEAMS else None
        changed = {
            each
            for each in ids
            if (shown(ledger, self.viewer, self._languages, kind, each) is not None) != (each in objects)
            or (own is not None and own.is_new_or_gone(ledger, each, is_shared=each in objects))
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


@dataclass(frozen=True, slots=True)
class TeamContest:
    """A contest as one team sees it: what all teams see, and what it sees otherwise. It changes with the former, until
    something happens that the team sees otherwise for the first time: ask for it at each reading."""

    _shared: SeenContest
    log: FeedLog
    _own: Mapping[str, Mapping[str, bytes]]

    @property
    def at(self) -> dt.datetime | None:
        """Return the time of the last event that all teams see."""
        return self._shared.at

    @property
    def is_over(self) -> bool:
        """Return whether the end of updates is the last line."""
        return self._shared.is_over

    def object(self, type_: str, object_id: str) -> bytes | None:
        """Return an object as JSON; None: the team sees no such object."""
        return self._own.get(type_, {}).get(object_id) or self._shared.object(type_, object_id)

    def collection(self, ledger: ContestLedger, endpoint: str, filters: Mapping[str, str]) -> bytes | None:
        """Return an endpoint that has many objects as JSON (``SeenContest.collection``)."""
        return self._shared.collection(ledger, endpoint, filters, self._own.get(endpoint, {}))

    def one(self, ledger: ContestLedger, endpoint: str, object_id: str) -> bytes | None:
        """Return one object of a collection as JSON; None: there is no such endpoint, or the team sees no such
        object."""
        return self._own.get(endpoint, {}).get(object_id) or self._shared.one(ledger, endpoint, object_id)

    def scoreboard(self, ledger: ContestLedger, group_id: str | None) -> bytes | None:
        """Return the scoreboard as JSON: that of all teams."""
        return self._shared.scoreboard(ledger, group_id)

    def access(self) -> bytes:
        """Return what a team may see and do, as JSON."""
        return self._shared.access()


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
