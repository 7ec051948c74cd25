"""The objects of a contest as JSON of the ICPC Contest API 2026-01, for one viewer.

``shown`` is the only way from a ledger to a viewer. It leaves out what the viewer does not see (``views``), and every
reference to something that the viewer does not see, so that what one viewer gets refers to nothing that is missing.

Beyond the specification: a team or group that boards leave out has ``hidden``, and only the jury sees that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from deepoj.contests.board import BoardCell, BoardRow
from deepoj.contests.clics_log import encoded
from deepoj.contests.clock import MS_PER_MINUTE, iso_time, reltime
from deepoj.contests.ledger import ContestLedger, Object, name_of
from deepoj.contests.points_board import is_scored
from deepoj.contests.views import ContestViewer, reads_statements, seen, sees_runs, sees_sources
from deepoj.words.contests import EventType
from deepoj.words.results import Verdict

VERSION = "2026-01"
VERSION_URL = "https://ccs-specs.icpc.io/2026-01/contest_api"

LANGUAGES, JUDGEMENT_TYPES, RUNS, PERSONS = "languages", "judgement-types", "runs", "persons"

#: verdict → id, name
_JUDGEMENT_TYPES: Mapping[str, tuple[str, str]] = {
    Verdict.ACCEPTED: ("AC", "Accepted"),
    Verdict.WRONG_ANSWER: ("WA", "Wrong Answer"),
    Verdict.PRESENTATION_ERROR: ("PE", "Presentation Error"),
    Verdict.COMPILE_ERROR: ("CE", "Compile Error"),
    Verdict.TIME_LIMIT_EXCEEDED: ("TLE", "Time Limit Exceeded"),
    Verdict.MEMORY_LIMIT_EXCEEDED: ("MLE", "Memory Limit Exceeded"),
    Verdict.OUTPUT_LIMIT_EXCEEDED: ("OLE", "Output Limit Exceeded"),
    Verdict.RUNTIME_ERROR: ("RTE", "Run-Time Error"),
    Verdict.PARTIAL: ("RE", "Rejected"),
    Verdict.SYSTEM_ERROR: ("JE", "Judging Error"),
}
#: what is said of a verdict that says nothing about the program
_UNKNOWN = _JUDGEMENT_TYPES[Verdict.SYSTEM_ERROR]

#: the types of the feed, in an order in which what is referred to comes first
TYPES = (
    EventType.CONTEST.value, LANGUAGES, JUDGEMENT_TYPES, EventType.PROBLEMS.value, EventType.GROUPS.value,
    EventType.ORGANIZATIONS.value, EventType.TEAMS.value, PERSONS, EventType.ACCOUNTS.value,
    EventType.SUBMISSIONS.value, EventType.JUDGEMENTS.value, EventType.CLARIFICATIONS.value, EventType.AWARDS.value,
    EventType.COMMENTARY.value, EventType.STATE.value,
)  # fmt: skip
#: types of which there is one object a contest, without an id in the feed
SINGLE = frozenset({EventType.CONTEST.value, EventType.STATE.value})

_PROPERTIES: dict[str, str] = {
    "contest": "id name formal_name start_time countdown_pause_time duration scoreboard_freeze_duration"
    " scoreboard_thaw_time scoreboard_type penalty_time",
    LANGUAGES: "id name entry_point_required extensions",
    JUDGEMENT_TYPES: "id name penalty solved",
    "problems": "id label name ordinal rgb color time_limit test_data_count",
    "groups": "id icpc_id name type",
    "organizations": "id icpc_id name formal_name country",
    "teams": "id icpc_id name label display_name organization_id group_ids",
    PERSONS: "id name role team_ids",
    "accounts": "id username name type team_id person_id",
    "state": "started frozen ended thawed finalized end_of_updates",
    "submissions": "id language_id problem_id team_id time contest_time entry_point files",
    "judgements": "id submission_id judgement_type_id current start_time start_contest_time end_time end_contest_time",
    RUNS: "id judgement_id ordinal judgement_type_id time contest_time run_time",
    "clarifications": "id from_team_id to_team_ids reply_to_id problem_id text time contest_time",
    "awards": "id citation team_ids",
    "commentary": "id time contest_time message tags team_ids problem_ids submission_ids",
    "scoreboard": "time contest_time state rows.rank rows.team_id rows.score.num_solved rows.score.total_time"
    " rows.score.time rows.problems.problem_id rows.problems.num_judged rows.problems.num_pending rows.problems.solved"
    " rows.problems.time",
    "event-feed": "type id data token",
}
#: where points count
_SCORE_PROPERTIES: dict[str, str] = {
    "contest": _PROPERTIES["contest"].removesuffix(" penalty_time"),
    "problems": _PROPERTIES["problems"] + " max_score",
    "judgements": _PROPERTIES["judgements"] + " score",
    "scoreboard": "time contest_time state rows.rank rows.team_id rows.score.score rows.score.time"
    " rows.problems.problem_id rows.problems.num_judged rows.problems.num_pending rows.problems.score"
    " rows.problems.time",
}
_READER_PROPERTIES: Mapping[str, str] = {"problems": " statement"}
_JURY_PROPERTIES: Mapping[str, str] = {
    **_READER_PROPERTIES,
    "groups": " hidden",
    "teams": " hidden",
    "judgements": " max_run_time",
}
#: endings of files whose entry point is a class
_OF_CLASSES = (".java", ".kt", ".scala")
#: … and is the file itself
_OF_FILES = (".py", ".js", ".php", ".rb")
#: what an account of a team may do, and one that runs contests
_TEAM_MAY = ("team_submit", "post_clar")
_JURY_MAY = ("contest_start", "contest_thaw", "post_clar", "post_comment")


def has_endpoint(viewer: ContestViewer, endpoint: str) -> bool:
    """Return whether there is an endpoint for a viewer: whether ``access`` names it."""
    is_of_people = endpoint in {EventType.ACCOUNTS.value, PERSONS}
    return endpoint in _PROPERTIES and (not is_of_people or viewer.is_jury or viewer.team_id is not None)


def references_of(endpoint: str) -> Collection[str]:
    """Return the names of the properties of an endpoint's objects that are ids of others."""
    return [name for name in _PROPERTIES[endpoint].split() if name.endswith("_id")]


def access_of(viewer: ContestViewer, *, counts_points: bool) -> dict[str, Any]:
    """Return the object of ``access``: what the viewer may do, and which properties it may see."""
    capabilities = _JURY_MAY if viewer.is_jury else _TEAM_MAY if viewer.team_id is not None else ()
    more = _JURY_PROPERTIES if viewer.is_jury else _READER_PROPERTIES if reads_statements(viewer) else {}
    return {
        "capabilities": list(capabilities),
        "endpoints": [
            {"type": endpoint, "properties": (properties + more.get(endpoint, "")).split()}
            for endpoint, properties in (_PROPERTIES | (_SCORE_PROPERTIES if counts_points else {})).items()
            if has_endpoint(viewer, endpoint)
        ],
    }


def ids_of(ledger: ContestLedger, languages: Mapping[str, Object], type_: str) -> Iterable[str]:
    """Return the ids of the objects of a type, in the order of their first event."""
    if type_ in SINGLE:
        return (ledger.key,)
    if type_ == LANGUAGES:
        return languages
    if type_ == JUDGEMENT_TYPES:
        return [type_id for type_id, _ in _JUDGEMENT_TYPES.values()]
    return ledger.of(EventType.ACCOUNTS if type_ == PERSONS else EventType(type_))


def shown(
    ledger: ContestLedger, viewer: ContestViewer, languages: Mapping[str, Object], type_: str, object_id: str
) -> dict[str, Any] | None:
    """Return an object as a viewer sees it now; None: the viewer sees no such object."""
    if type_ == LANGUAGES:
        is_seen = object_id in languages and ledger.has_language(object_id)
        return {"id": object_id, **languages[object_id]} if is_seen else None
    if type_ == JUDGEMENT_TYPES:
        return _judgement_type(ledger, object_id)
    if type_ in SINGLE:
        return contest_of(ledger.key, ledger.contest) if type_ == EventType.CONTEST else state_of(ledger)
    if type_ == PERSONS:
        return _person(ledger, viewer, object_id)
    kind = EventType(type_)
    if not sees(ledger, viewer, kind, object_id):
        return None
    data = ledger.judgement(object_id) if kind is EventType.JUDGEMENTS else ledger.of(kind)[object_id]
    return _OBJECTS[kind](ledger, viewer, object_id, data)


def encoded_object(
    ledger: ContestLedger, viewer: ContestViewer, languages: Mapping[str, Object], type_: str, object_id: str
) -> bytes | None:
    """Return an object as JSON as a viewer sees it now; None: the viewer sees no such object."""
    object_ = shown(ledger, viewer, languages, type_, object_id)
    return None if object_ is None else encoded(object_)


def runs_of(ledger: ContestLedger, viewer: ContestViewer, judgement_id: str) -> list[dict[str, Any]]:
    """Return the runs of a judgement that the viewer sees. They end with the judgement: no earlier time is stored."""
    if not (sees_runs(viewer) and sees(ledger, viewer, EventType.JUDGEMENTS, judgement_id)):
        return []
    data = ledger.of(EventType.JUDGEMENTS)[judgement_id]
    return [
        {
            "id": f"{judgement_id}-{ordinal}",
            "judgement_id": judgement_id,
            "ordinal": ordinal,
            "judgement_type_id": _type_id(verdict),
            **_times(ledger, data["ended_at"]),
            "run_time": (cpu_ms or 0) / 1000,
        }
        for ordinal, (verdict, cpu_ms) in enumerate(data.get("runs") or (), 1)
    ]


def state_of(ledger: ContestLedger) -> dict[str, Any]:
    """Return the object of ``state``."""
    return {name: ledger.state.get(f"{name}_at") for name in _PROPERTIES["state"].split()}


def scoreboard_of(
    ledger: ContestLedger, viewer: ContestViewer, at: dt.datetime | None, group_id: str | None = None
) -> dict[str, Any]:
    """Return the object of ``scoreboard``: of all teams that are shown, or of a group's, ranked among themselves.

    ``at``: time of the last event that the viewer sees.
    """
    teams = ledger.of(EventType.TEAMS)
    board = ledger.jury_board if viewer.is_jury else ledger.public_board
    rows = [row for row in board.rows() if group_id is None or group_id in (teams[row.team_id].get("group_ids") or ())]
    names = {row.team_id: name_of(teams, row.team_id) for row in rows}
    standings = [row.standing for row in rows]
    ranks = {standing: rank for rank, standing in reversed(list(enumerate(standings, 1)))}
    places = [ranks[standing] for standing in standings]
    ranked = sorted(
        zip(places, rows, strict=True), key=lambda each: (each[0], names[each[1].team_id].casefold(), each[1].team_id)
    )
    time = iso_time(at)
    return {
        **(_times(ledger, time) if time is not None else {}),
        "state": state_of(ledger),
        "rows": [_row(rank, row) for rank, row in ranked],
    }


def _row(rank: int, row: BoardRow) -> dict[str, Any]:
    last = reltime(row.last_minute * MS_PER_MINUTE) if row.has_result else None
    if row.points is None:
        score = {"num_solved": row.solved, "total_time": reltime(row.penalty * MS_PER_MINUTE), "time": last}
    else:
        score = {"score": row.points, "time": last}
    return {
        "rank": rank,
        "team_id": row.team_id,
        "score": score,
        "problems": [_cell(problem, cell) for problem, cell in row.cells.items()],
    }


def _cell(problem: str, cell: BoardCell) -> dict[str, Any]:
    told: dict[str, Any] = {
        "problem_id": problem,
        "num_judged": cell.judged,
        "num_pending": cell.pending,
        **({"solved": cell.solved_ms is not None} if cell.points is None else {"score": cell.points}),
    }
    at_ms = cell.solved_ms if cell.points is None else cell.improved_ms
    if at_ms is not None:
        told["time"] = reltime(at_ms // MS_PER_MINUTE * MS_PER_MINUTE)
    return told


# -- what refers to what


def sees(ledger: ContestLedger, viewer: ContestViewer, kind: EventType, object_id: str | None) -> bool:
    """Return whether there is an object and the viewer sees it, and what it cannot be without."""
    data = None if object_id is None else ledger.of(kind).get(object_id)
    if data is None or object_id is None or not seen(ledger, viewer, kind, object_id, data):
        return False
    if kind is EventType.SUBMISSIONS and ledger.is_ignored(object_id):
        return False  # the Contest API has no mark for it, and a board that a reader computes must be ours
    return all(sees(ledger, viewer, needed, data[field]) for field, needed in _NEEDS.get(kind, ()))


#: type → its fields that refer to an object without which it is not shown
_NEEDS: Mapping[EventType, Sequence[tuple[str, EventType]]] = {
    EventType.ACCOUNTS: (("team_id", EventType.TEAMS),),
    EventType.SUBMISSIONS: (("team_id", EventType.TEAMS), ("problem_id", EventType.PROBLEMS)),
    EventType.JUDGEMENTS: (("submission_id", EventType.SUBMISSIONS),),
}


def _seen_id(ledger: ContestLedger, viewer: ContestViewer, kind: EventType, object_id: str | None) -> str | None:
    return object_id if sees(ledger, viewer, kind, object_id) else None


def _seen_ids(
    ledger: ContestLedger, viewer: ContestViewer, kind: EventType, ids: Iterable[str] | None
) -> list[str] | None:
    return None if ids is None else [each for each in dict.fromkeys(ids) if sees(ledger, viewer, kind, each)]


# -- objects


def contest_of(key: str, data: Object) -> dict[str, Any]:
    """Return the object of a contest."""
    freeze_ms, countdown_ms = data.get("freeze_ms"), data.get("countdown_pause_ms")
    return {
        "id": key,
        "name": data["name"],
        "formal_name": data.get("formal_name") or data["name"],
        "start_time": data.get("start_at"),
        "countdown_pause_time": None if countdown_ms is None else reltime(countdown_ms),
        "duration": reltime(data["duration_ms"]),
        "scoreboard_freeze_duration": None if freeze_ms is None else reltime(freeze_ms),
        "scoreboard_thaw_time": data.get("thaw_at"),
        "scoreboard_type": "score" if is_scored(data.get("kind")) else "pass-fail",
        **({} if is_scored(data.get("kind")) else {"penalty_time": reltime(data["penalty_ms"])}),
    }


def _judgement_type(ledger: ContestLedger, type_id: str) -> dict[str, Any] | None:
    name = next((name for known, name in _JUDGEMENT_TYPES.values() if known == type_id), None)
    if name is None:
        return None
    is_free = type_id in {"AC", "JE"} or (type_id == "CE" and bool(ledger.contest.get("is_compile_error_free")))
    return {"id": type_id, "name": name, "penalty": not is_free, "solved": type_id == "AC"}


def _problem(ledger: ContestLedger, viewer: ContestViewer, label: str, data: Object) -> dict[str, Any]:
    # the number of tests is only told from judgements to those who see them all: it must not depend on hidden ones
    tests = max(data.get("tests") or 0, ledger.tests_of.get(label, 0) if viewer.is_jury else 0)
    told = data.get("statement_files") or () if reads_statements(viewer) else ()
    files = [
        {
            "href": f"contests/{ledger.key}/problems/{label}/statement/{language}",
            "filename": f"{label}.{language}.{'pdf' if is_pdf else 'html'}",
            "mime": "application/pdf" if is_pdf else "text/html",
        }
        for language, is_pdf in told
    ]
    return {
        "id": label,
        "label": data["label"],
        "name": data["name"],
        "ordinal": data["ordinal"],
        **{name: data[name] for name in ("rgb", "color") if data.get(name)},
        "time_limit": data["time_limit_ms"] / 1000,
        "test_data_count": tests,
        **({"max_score": ledger.max_score(label)} if ledger.is_scored else {}),
        **({"statement": files} if files else {}),
    }


def _icpc_id(data: Object) -> dict[str, str]:
    """Return the id that the ICPC has given to a team, a group or an organization, if there is one."""
    return {"icpc_id": data["icpc_id"]} if data.get("icpc_id") else {}


def _group(_ledger: ContestLedger, _viewer: ContestViewer, group_id: str, data: Object) -> dict[str, Any]:
    hidden = {"hidden": True} if data.get("hidden") else {}
    return {"id": group_id, **_icpc_id(data), "name": data["name"], "type": data.get("type") or None, **hidden}


def _organization(_ledger: ContestLedger, _viewer: ContestViewer, organization_id: str, data: Object) -> dict[str, Any]:
    return {
        "id": organization_id,
        **_icpc_id(data),
        "name": data["name"],
        "formal_name": data.get("formal_name") or None,
        "country": data.get("country") or None,
    }


def _team(ledger: ContestLedger, viewer: ContestViewer, team_id: str, data: Object) -> dict[str, Any]:
    hidden = {"hidden": True} if viewer.is_jury and data.get("is_hidden") else {}
    return {
        "id": team_id,
        **_icpc_id(data),
        "name": data["name"],
        "label": data.get("label") or team_id,
        "display_name": data.get("display_name") or None,
        "organization_id": _seen_id(ledger, viewer, EventType.ORGANIZATIONS, data.get("organization_id")),
        "group_ids": _seen_ids(ledger, viewer, EventType.GROUPS, data.get("group_ids") or ()),
        **hidden,
    }


def _account(_ledger: ContestLedger, _viewer: ContestViewer, account_id: str, data: Object) -> dict[str, Any]:
    username = data.get("username") or account_id  # the account may be deleted
    return {
        "id": account_id,
        "username": username,
        "name": data.get("name") or username,
        "type": data["type"],
        "team_id": data.get("team_id"),
        "person_id": account_id if data.get("team_id") is not None else None,
    }


def _person(ledger: ContestLedger, viewer: ContestViewer, account_id: str) -> dict[str, Any] | None:
    """Return the person of an account in a team; None: the viewer does not see the account, or it is in none."""
    if not sees(ledger, viewer, EventType.ACCOUNTS, account_id):
        return None
    data = ledger.of(EventType.ACCOUNTS)[account_id]
    if data.get("team_id") is None:
        return None
    name = data.get("name") or data.get("username") or account_id
    return {"id": account_id, "name": name, "role": "contestant", "team_ids": [data["team_id"]]}


def _submission(ledger: ContestLedger, viewer: ContestViewer, submission_id: str, data: Object) -> dict[str, Any]:
    file = {
        "href": f"contests/{ledger.key}/submissions/{submission_id}/files",
        "filename": "files.zip",
        "mime": "application/zip",
    }
    return {
        "id": submission_id,
        "language_id": data["language"],
        "problem_id": data["problem_id"],
        "team_id": data["team_id"],
        **_times(ledger, data["at"]),
        "entry_point": _entry_point(data),
        # required by the specification's schema, also where nothing may be read
        "files": [file] if sees_sources(viewer, data) else [],
    }


def _entry_point(data: Object) -> str | None:
    """Return what is run first of a submission of files: a class or a file, by its language. None: it needs no word."""
    entry_point = str(data.get("entry_point") or "")
    name = entry_point.rpartition(".")[0] if entry_point.endswith(_OF_CLASSES) else entry_point
    return name if entry_point.endswith(_OF_CLASSES + _OF_FILES) else None


def _judgement(ledger: ContestLedger, viewer: ContestViewer, judgement_id: str, data: Object) -> dict[str, Any]:
    longest_ms = max((cpu_ms or 0 for _, cpu_ms in data.get("runs") or ()), default=None)
    most = {} if longest_ms is None or not sees_runs(viewer) else {"max_run_time": longest_ms / 1000}
    return {
        "id": judgement_id,
        "submission_id": data["submission_id"],
        "judgement_type_id": _type_id(data["verdict"]),
        "current": bool(data["is_current"]),
        **_times(ledger, data["began_at"], "start_"),
        **_times(ledger, data["ended_at"], "end_"),
        **({"score": data.get("score") or 0} if ledger.is_scored else {}),
        **most,
    }


def _clarification(ledger: ContestLedger, viewer: ContestViewer, clarification_id: str, data: Object) -> dict[str, Any]:
    return {
        "id": clarification_id,
        "from_team_id": _seen_id(ledger, viewer, EventType.TEAMS, data.get("from_team_id")),
        "to_team_ids": _seen_ids(ledger, viewer, EventType.TEAMS, data.get("to_team_ids")),
        "reply_to_id": _seen_id(ledger, viewer, EventType.CLARIFICATIONS, data.get("reply_to_id")),
        "problem_id": _seen_id(ledger, viewer, EventType.PROBLEMS, data.get("problem_id")),
        "text": data["text"],
        **_times(ledger, data["at"]),
    }


def _award(ledger: ContestLedger, viewer: ContestViewer, award_id: str, data: Object) -> dict[str, Any]:
    return {
        "id": award_id,
        "citation": data["citation"],
        "team_ids": _seen_ids(ledger, viewer, EventType.TEAMS, data.get("team_ids")),
    }


def _commentary(ledger: ContestLedger, viewer: ContestViewer, commentary_id: str, data: Object) -> dict[str, Any]:
    return {
        "id": commentary_id,
        **_times(ledger, data["at"]),
        "message": data["message"],
        "tags": list(data.get("tags") or ()),
        "team_ids": _seen_ids(ledger, viewer, EventType.TEAMS, data.get("team_ids")),
        "problem_ids": _seen_ids(ledger, viewer, EventType.PROBLEMS, data.get("problem_ids")),
        "submission_ids": _seen_ids(ledger, viewer, EventType.SUBMISSIONS, data.get("submission_ids")),
    }


_OBJECTS: Mapping[EventType, Callable[[ContestLedger, ContestViewer, str, Object], dict[str, Any]]] = {
    EventType.PROBLEMS: _problem,
    EventType.GROUPS: _group,
    EventType.ORGANIZATIONS: _organization,
    EventType.TEAMS: _team,
    EventType.ACCOUNTS: _account,
    EventType.SUBMISSIONS: _submission,
    EventType.JUDGEMENTS: _judgement,
    EventType.CLARIFICATIONS: _clarification,
    EventType.AWARDS: _award,
    EventType.COMMENTARY: _commentary,
}


def _type_id(verdict: str) -> str:
    return _JUDGEMENT_TYPES.get(verdict, _UNKNOWN)[0]


def _times(ledger: ContestLedger, at: str, prefix: str = "") -> dict[str, str]:
    """Return the two properties of a time: absolute, and in the contest."""
    return {f"{prefix}time": at, f"{prefix}contest_time": reltime(ledger.contest_time_ms(at))}
