"""Exports a contest as one file, with its problems and teams, and imports it or a package of another system.

The file is a zip: ``contest.json`` (rules, problems, categories of questions, usual answers), ``problems/LABEL.zip``,
``statements/LABEL/LANGUAGE.md`` (``.tex``, ``.pdf``: those that the contest has of its own), and ``groups.json``,
``organizations.json``, ``teams.json`` and ``accounts.json`` as the Contest API has them, without passwords. It has no
submissions, clarifications and verdicts: it is for another contest with the same problems and teams.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from deepoj.client import ApiClient, ServerAway, ServerRefused
from deepoj.client.contests.foreign import PackageError, problem_languages, read_package
from deepoj.client.contests.problems import file_of
from deepoj.client.contests.requests import path_of, statement_body, statement_path
from deepoj.client.shown import shown
from deepoj.words.exits import CheckFailed

_CONTEST = "contest.json"
#: folder of the statements that the contest has of its own: LABEL/LANGUAGE.md, .tex or .pdf
_STATEMENTS = "statements/"
#: lists of texts of the director
_TEXTS = ("categories", "answers")
#: in the order in which they are imported: a team names its groups, an account its team
_LISTS = ("groups", "organizations", "teams", "accounts")
#: rules that another contest gets, too; its start only if that is to come
_RULES = (
    "kind", "name", "formal_name", "is_public", "duration_ms", "freeze_ms", "penalty_ms", "is_compile_error_free",
    "feedback", "is_verifying", "allows_custom_runs", "late_ms", "late_step_ms", "late_percent", "languages",
    "registration",
)  # fmt: skip
#: the number of an entry in the server's refusal of a list
_PLACE = re.compile(r"(?:[Ll]ine|[Ee]ntry) ([0-9]+)")
_SHOWN = ("label", "ordinal", "name", "rgb", "color", "max_score")
#: of a problem in the contest, and of the problem itself
_LIMITS = {"time_limit_ms": "time_limit", "memory_limit_mb": "memory_limit"}
#: of problems: how the package itself decides what is right
_BY_PACKAGE = "package"
_FIELDS = ("title", "time_limit", "memory_limit", "compare")


def export_contest(server: ApiClient, key: str, file: Path) -> dict[str, Any]:
    """Write a contest to a file, and return its key and how many problems and teams it has.

    Raises ServerAway, ServerRefused, OSError.
    """
    part = file.with_name(f"{file.name}.part")  # the file itself is whole or not there
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        contest = server.ask("GET", path_of(key))
        problems = []
        for one in contest["problems"]:
            problem = server.problem(int(one["problem_id"]))
            with archive.open(_package_of(one["label"]), "w", force_zip64=True) as package:
                server.download(f"/api/v1/problems/{one['problem_id']}/package", package.write)
            fields = {name: problem[name] for name in _FIELDS if problem[name] != _BY_PACKAGE}
            fields["languages"] = ",".join(problem["languages"])
            limits = {
                name: one[name] for name, own in _LIMITS.items() if one[name] != problem[own]
            }  # those that count in the contest alone
            for language in one["statements"]:
                own = server.ask("GET", f"{statement_path(key, one['label'], language)}/source")
                content = own["source"].encode() if own["pdf"] is None else base64.b64decode(own["pdf"])
                archive.writestr(f"{_STATEMENTS}{one['label']}/{language}.{own['format']}", content)
            problems.append({**{name: one[name] for name in _SHOWN}, **limits, "problem": fields})
        said = {**{name: contest[name] for name in (*_RULES, "start_at")}, "key": contest["key"], "problems": problems}
        texts = server.ask("GET", path_of(key, "/texts"))
        said["texts"] = {name: texts[name] for name in _TEXTS}
        archive.writestr(_CONTEST, json.dumps(said, ensure_ascii=False, indent=1))
        lists = _lists(server.ask("GET", path_of(key, "/teams")))
        for name in _LISTS:
            archive.writestr(f"{name}.json", json.dumps(lists[name], ensure_ascii=False, indent=1))
    part.replace(file)
    return {"key": contest["key"], "problems": len(problems), "teams": len(lists["teams"])}


def import_contest(
    server: ApiClient, file: Path, key: str | None, *, create_accounts: bool, notice: Callable[[str], None]
) -> dict[str, Any]:
    """Make a contest of a file, with ``key`` instead of its own. Return its key, what was made and what is ignored.

    If the import ends in the middle, what it had made is deleted, and ``notice`` gets a sentence about it.

    Raises CheckFailed: the file cannot be read, or the server refuses a part of it; ServerAway, ServerRefused.
    """
    if not _is_ours(file):
        return _import_foreign(server, file, key, create_accounts=create_accounts, notice=notice)
    try:
        with zipfile.ZipFile(file) as archive, _ImportRecord(server, notice) as made:
            said = json.loads(archive.read(_CONTEST))
            lists = {name: json.loads(archive.read(f"{name}.json")) for name in _LISTS}
            start_at = None if said.get("start_at") is None else dt.datetime.fromisoformat(said["start_at"])
            made.contest({name: said[name] for name in _RULES} | {"key": key or said["key"]}, start_at)
            if any(said.get("texts", {}).values()):
                server.ask("PUT", path_of(made.key, "/texts"), body=said["texts"])
            for one in said["problems"]:
                _import_problem(made, archive, one)
            created = _import_lists(server, made.key, lists, create_accounts=create_accounts)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise CheckFailed(f"{file} was not written by `deepoj contest export`: {error}") from error
    return {"key": made.key, "problems": len(said["problems"]), "teams": len(lists["teams"]), "created": created}


@dataclass(slots=True)
class _ImportRecord:
    """What an import has made so far. As a context manager it deletes that if the import ends in the middle."""

    server: ApiClient
    #: gets a sentence about what is deleted again
    notice: Callable[[str], None]
    #: empty: no contest yet
    key: str = ""
    problem_ids: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.take_back()

    def contest(self, body: Mapping[str, Any], start_at: dt.datetime | None) -> None:
        """Make the contest, with its start if that is to come."""
        sent = dict(body)
        if start_at is not None and start_at > dt.datetime.now(dt.UTC):
            sent["start_at"] = start_at.isoformat()
        self.key = str(self.server.ask("POST", "/api/v1/contests", body=sent, repeatable=False)["key"])

    def problem(self, fields: Mapping[str, str], content: bytes) -> int:
        """Make a problem as a draft. Return its number."""
        sent = {**fields, "visibility": "draft"}
        with file_of(content) as package:
            made = self.server.ask("POST", "/api/v1/problems", body=sent, package=package, repeatable=False)
        self.problem_ids.append(int(made["id"]))
        return self.problem_ids[-1]

    def take_back(self) -> None:
        """Delete the contest, then the problems, which it uses. Say what became of them."""
        things = {f"the contest {shown(self.key)}": f"{path_of(self.key)}?force=true"} if self.key else {}
        things |= {f"the problem {each}": f"/api/v1/problems/{each}" for each in self.problem_ids}
        gone = []
        for thing, path in things.items():
            try:
                self.server.ask("DELETE", path)
            except (ServerAway, ServerRefused) as error:
                self.notice(f"This import ended in the middle and leaves {thing}: delete it. {error}")
            else:
                gone.append(thing)
        if gone:
            self.notice(f"This import ended in the middle. Deleted again: {', '.join(gone)}.")


def _is_ours(file: Path) -> bool:
    """Return whether `deepoj contest export` has written a file."""
    if file.is_dir() or not zipfile.is_zipfile(file):
        return not file.is_dir()
    with zipfile.ZipFile(file) as archive:
        if _CONTEST not in archive.namelist():
            return False
        try:
            said = json.loads(archive.read(_CONTEST))
        except ValueError:
            return False
    return isinstance(said, dict) and "kind" in said and "problems" in said


def _import_foreign(
    server: ApiClient, file: Path, key: str | None, *, create_accounts: bool, notice: Callable[[str], None]
) -> dict[str, Any]:
    """Make a contest of a package of another system. Everything is read before anything is made."""
    try:
        found = read_package(file)
    except (PackageError, zipfile.BadZipFile, OSError) as error:
        raise CheckFailed(f"{file}: {error}") from error
    with _ImportRecord(server, notice) as made:
        made.contest({**found.rules, "key": key or found.key}, found.start_at)
        if any(found.texts.values()):
            server.ask("PUT", path_of(made.key, "/texts"), body=dict(found.texts))
        for problem in found.problems:
            try:
                content = problem.package()
                fields = {"title": problem.name}
                if languages := problem_languages(content):
                    fields["languages"] = ",".join(languages)
                sent = {**problem.fields, "problem_id": made.problem(fields, content)}
                server.ask("PUT", path_of(made.key, f"/problems/{quote(problem.label, safe='')}"), body=sent)
            except (ServerRefused, PackageError, OSError) as refused:
                fault = PackageError(problem.file, f"{problem.label}: {refused}", problem.line)
                raise CheckFailed(str(fault)) from refused
        created: list[dict[str, Any]] = []
        notes: list[str] = []
        for name, entries in found.lists.items():
            sent = {"format": name, "text": json.dumps(entries.entries), "create_accounts": create_accounts}
            try:
                if entries.entries:
                    done = server.ask("POST", path_of(made.key, "/teams"), body=sent, repeatable=False)
                    created += done["created"]
                    notes += [f"{entries.file}: {note}" for note in done["notes"]]
            except ServerRefused as refused:
                place = _PLACE.search(str(refused))
                line = None if place is None else entries.line_of(int(place[1]))
                raise CheckFailed(str(PackageError(entries.file, str(refused), line))) from refused
    teams = found.lists.get("teams")
    return {
        "key": made.key,
        "problems": len(found.problems),
        "teams": 0 if teams is None else len(teams.entries),
        "created": created,
        "ignored": [*found.ignored, *notes],
    }


def _import_problem(made: _ImportRecord, archive: zipfile.ZipFile, one: Mapping[str, Any]) -> None:
    server, key = made.server, made.key
    fields = {name: str(value) for name, value in one["problem"].items() if value != ""}
    problem_id = made.problem(fields, archive.read(_package_of(one["label"])))
    sent = {name: one[name] for name in (*_SHOWN, *_LIMITS) if name != "label" and name in one}
    sent |= {"problem_id": problem_id}
    server.ask("PUT", path_of(key, f"/problems/{one['label']}"), body=sent)
    below = f"{_STATEMENTS}{one['label']}/"
    for name in archive.namelist():
        if name.startswith(below):
            file = Path(name.removeprefix(below))
            path = statement_path(key, one["label"], file.stem)
            revision = server.ask("GET", f"{path}/source")["revision"]
            body = statement_body(file.suffix, archive.read(name), name)
            server.ask("PUT", path, body={**body, "revision": revision})


def _import_lists(
    server: ApiClient, key: str, lists: Mapping[str, Any], *, create_accounts: bool
) -> list[dict[str, Any]]:
    """Import the lists that are not empty, in their order. Return the accounts that were made."""
    created: list[dict[str, Any]] = []
    for name in _LISTS:
        if lists[name]:
            sent = {"format": name, "text": json.dumps(lists[name]), "create_accounts": create_accounts}
            created += server.ask("POST", path_of(key, "/teams"), body=sent, repeatable=False)["created"]
    return created


def _lists(page: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the lists of the Contest API that a contest's teams are."""
    teams = [
        {
            "id": team["id"],
            "icpc_id": team["icpc_id"],
            "name": team["name"],
            "display_name": team["display_name"],
            "label": team["label"],
            "organization_id": team["organization_id"],
            "group_ids": team["group_ids"],
            "hidden": team["is_hidden"],
        }
        for team in page["teams"]
    ]
    accounts = [
        {"id": name, "username": name, "type": "team", "team_id": team["id"]}
        for team in page["teams"]
        for name in team["accounts"]
    ]
    return {
        "groups": page["groups"], "organizations": page["organizations"], "teams": teams, "accounts": accounts,
    }  # fmt: skip


def _package_of(label: str) -> str:
    return f"problems/{label}.zip"
