"""Objects and lines of single teams that differ from those that all teams share.

A team sees all that ``ANY_TEAM`` does, and maybe more of it: its own submissions' files, questions and accounts, what
the freeze hides from others, and itself if it is hidden.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deepoj.contests.clics import JUDGEMENT_TYPES, LANGUAGES, PERSONS, encoded_object, sees
from deepoj.contests.clics_log import SharedLog, TeamLog, encoded, line_of
from deepoj.contests.ledger import ContestLedger, Object
from deepoj.contests.views import ANY_TEAM, ContestViewer
from deepoj.words.contests import EventType

#: types of objects that the rules of the contest give
_OF_RULES = frozenset({LANGUAGES, JUDGEMENT_TYPES})


@dataclass(slots=True)
class Change:
    """What an event may have made of an object."""

    type_: str
    object_id: str
    former: bytes | None
    new: bytes | None
    #: it has a line in any case
    is_named: bool
    #: team → what it saw otherwise than other teams, and what it sees now
    own: Mapping[str, tuple[bytes | None, bytes | None]]

    def has_line(self, former: bytes | None, new: bytes | None, *, is_there: bool) -> bool:
        """Return whether there is a line of an object that is there, or is there no more."""
        return (new is not None) == is_there and (new != former or (new is not None and self.is_named))


class TeamViews:
    """What each team sees otherwise, and its feed."""

    def __init__(self, shared: SharedLog) -> None:
        self._shared = shared
        #: team → its feed
        self.logs: dict[str, TeamLog] = {}
        #: team → type → object → as the team sees it
        self.objects: dict[str, dict[str, dict[str, bytes]]] = {}
        #: object → the teams that have it in ``objects``
        self._holders: dict[tuple[str, str], Collection[str]] = {}

    def changes(
        self, ledger: ContestLedger, type_: str, object_id: str, former: bytes | None
    ) -> Generator[None, None, dict[str, tuple[bytes | None, bytes | None]]]:
        """Return what teams saw and see that may see another object than other teams: team → former, new.

        Between two steps others may do their work: a message to 500 hidden teams is encoded 500 times, each time with
        500 looks at who sees whom.
        """
        held = frozenset(self._holders.get((type_, object_id), ()))
        groups = [*_teams_apart(ledger, type_, object_id)]
        # those that saw it apart and do so no more see what all teams see
        groups += [(team,) for team in sorted(held.difference(*groups))]
        changes = {}
        for group in groups:
            new = encoded_object(ledger, ContestViewer(team_id=group[0]), {}, type_, object_id)
            for team in group:
                was = self.objects[team][type_][object_id] if team in held else former
                changes[team] = was, new
            yield
        return changes

    def is_new_or_gone(self, ledger: ContestLedger, team_id: str, *, is_shared: bool) -> bool:
        """Return whether a team has come or gone: it sees itself even if no other team does. ``is_shared``: all teams
        saw it."""
        was_there = is_shared or team_id in self.objects.get(team_id, {}).get(EventType.TEAMS, {})
        return was_there != (team_id in ledger.of(EventType.TEAMS))

    def keep(self, change: Change) -> None:
        """Keep what teams see otherwise now."""
        for team, (_, new) in change.own.items():
            objects = self.objects.setdefault(team, {}).setdefault(change.type_, {})
            objects.pop(change.object_id, None)
            if new is not None and new != change.new:
                objects[change.object_id] = new
        held = tuple(team for team in change.own if change.object_id in self.objects[team][change.type_])
        key = change.type_, change.object_id
        if held:
            self._holders[key] = held
        else:
            self._holders.pop(key, None)

    def add_lines(self, number: int, change: Change, start: int, *, is_there: bool) -> None:
        """Add what the feeds of teams have otherwise than the shared one, whose lines of the change begin at a place.
        ``number``: of the event."""
        stop = self._shared.end
        lines: dict[bytes | None, bytes] = {}  # teams that are told the same share a line
        for team, (was, now) in change.own.items():
            is_told = change.has_line(was, now, is_there=is_there)
            if (stop > start) == is_told and (not is_told or now == change.new):
                continue
            if is_told and now not in lines:
                lines[now] = line_of(change.type_, encoded(change.object_id), now)
            if team not in self.logs:
                self.logs[team] = TeamLog(self._shared)
            self.logs[team].patch(number, start, stop, lines[now] if is_told else None)


def _teams_apart(ledger: ContestLedger, type_: str, object_id: str) -> Iterable[Sequence[str]]:
    """Return the teams that may see another object than ``ANY_TEAM`` does, or one at all, as the contest is now. All
    teams of a group see the same: 300 receivers of a message that names all of them would take 90,000 looks."""
    kind = EventType.ACCOUNTS if type_ == PERSONS else EventType.CONTEST if type_ in _OF_RULES else EventType(type_)
    data = ledger.of(kind).get(object_id) or {}
    apart: Iterable[str | None] = ()
    match kind:
        case EventType.TEAMS:
            apart = (object_id,) if data else ()
        case EventType.ACCOUNTS | EventType.SUBMISSIONS:
            apart = (data.get("team_id"),)
        case EventType.JUDGEMENTS if data and not sees(ledger, ANY_TEAM, kind, object_id):
            apart = (ledger.of(EventType.SUBMISSIONS).get(data["submission_id"], {}).get("team_id"),)
        case EventType.CLARIFICATIONS:
            return _readers_apart(ledger, data)
        case EventType.AWARDS | EventType.COMMENTARY:
            sent = (ledger.of(EventType.SUBMISSIONS).get(each, {}) for each in data.get("submission_ids") or ())
            named = [*(data.get("team_ids") or ()), *(each.get("team_id") for each in sent)]
            apart = (team for team in named if team is not None and ledger.is_hidden(team))
    return [(team,) for team in dict.fromkeys(apart) if team is not None]


def _readers_apart(ledger: ContestLedger, clarification: Object) -> Iterable[Sequence[str]]:
    named = _named_teams(clarification)
    replied = _named_teams(ledger.of(EventType.CLARIFICATIONS).get(clarification.get("reply_to_id") or "", {}))
    # by whether they see it, and what was replied to; a hidden team sees its own name, too
    groups: dict[tuple[bool, bool, str], list[str]] = {}
    for team in dict.fromkeys([*named, *replied]):
        key = team in named, team in replied, team if ledger.is_hidden(team) else ""
        groups.setdefault(key, []).append(team)
    return groups.values()


def _named_teams(clarification: Object) -> Collection[str]:
    sender = clarification.get("from_team_id")
    return dict.fromkeys([*(() if sender is None else (sender,)), *(clarification.get("to_team_ids") or ())])
