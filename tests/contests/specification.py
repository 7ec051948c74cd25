"""The Contest API 2026-01, restated: the form of its objects, and what has to agree.

Written from https://ccs-specs.icpc.io/2026-01/contest_api and its JSON schemas; stricter than these, because an object
may have no property that is not named here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

COLLECTIONS = (
    "languages", "judgement-types", "problems", "groups", "organizations", "teams", "persons", "accounts",
    "submissions", "judgements", "runs", "clarifications", "awards", "commentary",
)  # fmt: skip

_ID = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,34}[A-Za-z0-9_-])?")
_TIME = re.compile(r"[12]\d{3}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{3}Z")
_RELTIME = re.compile(r"-?([1-9]\d*)?\d:[0-5]\d:[0-5]\d\.\d{3}")
_KNOWN_JUDGEMENT_TYPES = {
    "AC", "RE", "WA", "TLE", "RTE", "CE", "APE", "OLE", "PE", "EO", "IO", "NO", "WTL", "ILE", "TCO", "TWA", "TPE",
    "TEO", "TIO", "TNO", "MLE", "SV", "IF", "RCO", "RWA", "RPE", "REO", "RIO", "RNO", "CTL", "JE", "SE", "CS",
}  # fmt: skip

#: property: type; ``?``: may be null; a missing one is as null; ``!``: may be null and never missing; ``[]``: an array;
#: ``+``: may be missing and never null
_FORMS: Mapping[str, str] = {
    "contest": "id:ID name:string formal_name:string start_time:TIME? countdown_pause_time:POS?"
    " duration:POS scoreboard_freeze_duration:POS? scoreboard_thaw_time:TIME? scoreboard_type:TYPE penalty_time:POS+",
    "state": "started:TIME! frozen:TIME? ended:TIME! thawed:TIME? finalized:TIME! end_of_updates:TIME!",
    "languages": "id:ID name:string entry_point_required:boolean entry_point_name:string+ extensions:string[]",
    "judgement-types": "id:JT name:string penalty:boolean solved:boolean",
    "problems": "id:ID label:string name:string ordinal:integer rgb:RGB+ color:string+ time_limit:MILLI"
    " test_data_count:COUNT max_score:POINTS+ statement:FILE[]?",
    "groups": "id:ID icpc_id:string+ name:string type:string? hidden:boolean+",
    "organizations": "id:ID icpc_id:string+ name:string formal_name:string? country:COUNTRY?",
    "teams": "id:ID icpc_id:string+ name:string label:string display_name:string? organization_id:ID? group_ids:ID[]"
    " hidden:boolean+",
    "persons": "id:ID name:string role:ROLE team_ids:ID[]",
    "accounts": "id:ID username:string name:string type:ACCOUNT team_id:ID? person_id:ID?",
    "submissions": "id:ID language_id:ID problem_id:ID team_id:ID time:TIME contest_time:REL entry_point:string?"
    " files:FILE[]",
    "judgements": "id:ID submission_id:ID judgement_type_id:JT current:boolean start_time:TIME start_contest_time:REL"
    " end_time:TIME end_contest_time:REL max_run_time:MILLI+ score:POINTS+",
    "runs": "id:ID judgement_id:ID ordinal:COUNT judgement_type_id:JT time:TIME contest_time:REL run_time:MILLI",
    "clarifications": "id:ID from_team_id:ID? to_team_ids:ID[]? reply_to_id:ID? problem_id:ID? text:string time:TIME"
    " contest_time:REL",
    "awards": "id:ID citation:string team_ids:ID[]?",
    "commentary": "id:ID time:TIME contest_time:REL message:string tags:string[] team_ids:ID[] problem_ids:ID[]"
    " submission_ids:ID[]",
    "access": "capabilities:string[] endpoints:ENDPOINT[]",
    "scoreboard": "time:TIME contest_time:REL state:STATE rows:ROW[]",
    "ROW": "rank:COUNT team_id:ID score:SCORE problems:CELL[]",
    "SCORE": "num_solved:COUNT+ total_time:POS+ score:POINTS+ time:POS!",
    "CELL": "problem_id:ID num_judged:COUNT num_pending:COUNT solved:boolean+ score:POINTS+ time:POS+",
    "FILE": "href:string filename:string mime:string",
    "ENDPOINT": "type:string properties:string[]",
    "webhook": "id:ID url:string endpoints:string[] contest_ids:ID[] active:boolean",
    "callback": "contest_id:ID notifications:EVENT[]",
    "EVENT": "type:string id:ID! data:ANY! token:string",
}
_CHECKS: Mapping[str, Any] = {
    "ID": lambda value: bool(_ID.fullmatch(value)),
    "JT": lambda value: value in _KNOWN_JUDGEMENT_TYPES,
    "TIME": lambda value: bool(_TIME.fullmatch(value)),
    "REL": lambda value: bool(_RELTIME.fullmatch(value)),
    "POS": lambda value: bool(_RELTIME.fullmatch(value)) and not value.startswith("-"),
    "RGB": lambda value: bool(re.fullmatch("#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})", value)),
    "COUNTRY": lambda value: bool(re.fullmatch("[A-Z]{3}", value)),
    "ROLE": lambda value: value in {"contestant", "coach", "staff", "other"},
    "TYPE": lambda value: value in {"pass-fail", "score"},
    "ACCOUNT": lambda value: value in {"team", "judge", "admin", "analyst", "staff"},
    "string": lambda value: type(value) is str,
    "boolean": lambda value: type(value) is bool,
    "integer": lambda value: type(value) is int,
    "COUNT": lambda value: type(value) is int and value >= 0,
    "MILLI": lambda value: type(value) in {int, float} and value >= 0 and round(value, 3) == value,
    "POINTS": lambda value: type(value) in {int, float} and value >= 0,
    "ANY": lambda _value: True,
    "STATE": lambda value: object_of("state", value),
}
#: property → what it refers to
_REFERENCES: Mapping[str, Sequence[tuple[str, str]]] = {
    "teams": (("organization_id", "organizations"), ("group_ids", "groups")),
    "persons": (("team_ids", "teams"),),
    "accounts": (("team_id", "teams"), ("person_id", "persons")),
    "submissions": (("language_id", "languages"), ("problem_id", "problems"), ("team_id", "teams")),
    "judgements": (("submission_id", "submissions"), ("judgement_type_id", "judgement-types")),
    "runs": (("judgement_id", "judgements"), ("judgement_type_id", "judgement-types")),
    "clarifications": (
        ("from_team_id", "teams"), ("to_team_ids", "teams"), ("reply_to_id", "clarifications"),
        ("problem_id", "problems"),
    ),
    "awards": (("team_ids", "teams"),),
    "commentary": (("team_ids", "teams"), ("problem_ids", "problems"), ("submission_ids", "submissions")),
}  # fmt: skip


def object_of(form: str, value: Any) -> bool:
    """Return whether a value has a form. Raises AssertionError that names the property otherwise."""
    properties = dict(each.split(":") for each in _FORMS[form].split())
    assert isinstance(value, dict), (form, value)
    assert value.keys() <= properties.keys(), (form, value.keys() - properties.keys())
    for name, type_ in properties.items():
        is_array = "[]" in type_
        plain, null, optional = type_.rstrip("?!+[]"), type_.endswith(("?", "!")), type_.endswith("+")
        assert name in value or not type_.endswith("!"), (form, name, value)
        if value.get(name) is None:
            assert null or (optional and name not in value), (form, name, value)
            continue
        items = value[name] if is_array else [value[name]]
        assert isinstance(items, list), (form, name, value)
        assert not is_array or len(items) == len({str(item) for item in items}), (form, name, "twice")
        for item in items:
            assert object_of(plain, item) if plain in _FORMS else _CHECKS[plain](item), (form, name, value)
    return True


def check_all(found: Mapping[str, Any], events: Sequence[Mapping[str, Any]], *, moved: bool = False) -> None:
    """Assert that what one viewer gets is as the specification says: form, references, state, and the feed.

    ``moved``: rules were changed in a way that moves what had happened, so that the order of states may be odd.
    """
    for name in ("contest", "state", "access", "scoreboard"):
        object_of(name, found[name])
    for name in COLLECTIONS:
        for each in found.get(name, []):
            object_of(name, each)
        ids = [each["id"] for each in found.get(name, [])]
        assert len(ids) == len(set(ids)), (name, "an id twice")
    _check_references(found)
    _check_counts(found)
    if not moved:
        _check_state(found)
    _check_feed(found, events)
    _check_scoreboard(found)


def _check_references(found: Mapping[str, Any]) -> None:
    ids = {name: {each["id"] for each in found.get(name, [])} for name in COLLECTIONS}
    for name, references in _REFERENCES.items():
        for each in found.get(name, []):
            for field, target in references:
                assert set(_ids_in(each.get(field))) <= ids[target], (name, each, target)


def _ids_in(value: Any) -> list[str]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _check_counts(found: Mapping[str, Any]) -> None:
    tests = {each["id"]: each["test_data_count"] for each in found["problems"]}
    problem = {each["id"]: each["problem_id"] for each in found["submissions"]}
    judged = {each["id"]: problem[each["submission_id"]] for each in found["judgements"]}
    assert len({each["ordinal"] for each in found["problems"]}) == len(found["problems"])
    for run in found.get("runs", []):
        assert 1 <= run["ordinal"] <= tests[judged[run["judgement_id"]]]
    current = [each["submission_id"] for each in found["judgements"] if each["current"]]
    assert len(current) == len(set(current)), "two current judgements"
    for each in found["clarifications"]:
        assert each["from_team_id"] is None or each["to_team_ids"] is None
    for each in found.get("accounts", []):
        assert each["type"] != "team" or each["team_id"] is not None
    for each in found["judgement-types"]:
        assert not (each["solved"] and each["penalty"])


def _check_state(found: Mapping[str, Any]) -> None:
    state, contest = found["state"], found["contest"]
    times = [state[name] for name in ("started", "frozen", "ended", "thawed") if state[name] is not None]
    assert times == sorted(times)
    assert state["started"] in {None, contest["start_time"]}
    assert state["ended"] is None or state["started"] is not None
    assert state["thawed"] is None or state["frozen"] is not None
    assert state["finalized"] is None or state["ended"] is not None
    if state["end_of_updates"] is not None:
        assert state["finalized"] is not None
        assert state["thawed"] is not None or state["frozen"] is None
        assert state["end_of_updates"] >= max(state["finalized"], state["thawed"] or "")


def _check_feed(found: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> None:
    latest: dict[str, dict[str, Any]] = {}
    tokens = [event["token"] for event in events]
    assert len(tokens) == len(set(tokens))
    for event in events:
        object_of("EVENT", event)
        kind, key, data = event["type"], event["id"], event["data"]
        single = kind in {"contest", "state"}
        assert (key is None) == single
        assert data is None or single or data["id"] == key
        if data is None:
            del latest[kind][key]  # only what was sent is deleted
        else:
            object_of(kind, data)
            latest.setdefault(kind, {})[key or kind] = data
        _check_sent(event, latest)
    for name in COLLECTIONS:
        assert list(latest.get(name, {}).values()) == found.get(name, []) or sorted(
            latest.get(name, {}).values(), key=lambda each: str(each["id"])
        ) == sorted(found.get(name, []), key=lambda each: str(each["id"])), name
    for name in ("contest", "state"):
        assert latest[name] == {name: found[name]}
    if found["state"]["end_of_updates"] is not None:
        assert (events[-1]["type"], events[-1]["data"]) == ("state", found["state"])


def _check_sent(event: Mapping[str, Any], latest: Mapping[str, Mapping[str, Any]]) -> None:
    """Assert that what an object refers to was sent before it, and that nothing refers to what is deleted."""
    if event["data"] is None:
        for kind, references in _REFERENCES.items():
            fields = [field for field, target in references if target == event["type"]]
            for each in latest.get(kind, {}).values() if fields else ():
                assert not any(event["id"] in _ids_in(each.get(field)) for field in fields), (event, kind, each)
    for field, target in _REFERENCES.get(event["type"], ()) if event["data"] is not None else ():
        assert all(each in latest.get(target, {}) for each in _ids_in(event["data"].get(field))), (event, target)


def _check_scoreboard(found: Mapping[str, Any]) -> None:
    names = {each["id"]: each["display_name"] or each["name"] for each in found["teams"]}
    problems = [each["id"] for each in sorted(found["problems"], key=lambda each: each["ordinal"])]
    rows = found["scoreboard"]["rows"]
    assert found["scoreboard"]["state"] == found["state"]
    assert {row["team_id"] for row in rows} <= names.keys()
    keys = [(row["rank"], names[row["team_id"]].casefold(), row["team_id"]) for row in rows]
    assert keys == sorted(keys)
    is_scored = found["contest"]["scoreboard_type"] == "score"
    assert is_scored != ("penalty_time" in found["contest"])
    assert all(("max_score" in each) == is_scored for each in found["problems"])
    assert all(("score" in each) == is_scored for each in found["judgements"])
    for row in rows:
        assert not problems or [cell["problem_id"] for cell in row["problems"]] == problems
        if is_scored:
            assert row["score"].keys() == {"score", "time"}
            assert row["score"]["score"] == pytest.approx(sum(cell["score"] for cell in row["problems"]))
            assert all("solved" not in cell and ("time" in cell) == (cell["score"] > 0) for cell in row["problems"])
            continue
        assert row["score"]["num_solved"] == sum(cell["solved"] for cell in row["problems"])
        assert (row["score"]["time"] is None) == (row["score"]["num_solved"] == 0)
        assert all(("time" in cell) == cell["solved"] for cell in row["problems"])
