"""Reads contest packages of other systems: a folder, or a zip of one.

The *Contest Package Format* of the ICPC (2022-07 to 2026-01): ``contest.json`` or ``.yaml``, ``problems.json`` or
``.yaml``, lists of the Contest API, ``accounts.yaml``. The older form: ``contest.yaml`` with ``short-name``,
``problemset.yaml``, ``groups.tsv``, ``teams.tsv``, ``accounts.tsv``.

Each refusal names the file, and the line where it is known.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deepoj.contests.clock import MS_PER_MINUTE, parse_reltime
from deepoj.contests.team_files import TEAM_LISTS, TableRefusal, read_table
from deepoj.packages.formats.kattis import language_keys
from deepoj.packages.formats.texts import parse_yaml

type Folder = Path | zipfile.Path

#: of a file that is read as a whole; packages of problems are not
_MAX_BYTES = 16 * 1024 * 1024
_RGB = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_NUMBER = re.compile(r"[0-9]+")
#: what a broken zip, or a broken text in it, raises
_UNREADABLE = (zipfile.BadZipFile, ValueError, RuntimeError, EOFError, zlib.error)
#: names that older packages have for the fields of a contest
_OLD = {
    "short-name": "id",
    "formal-name": "formal_name",
    "scoreboard-freeze-length": "scoreboard_freeze_duration",
    "penalty-time": "penalty_time",
    "start-time": "start_time",
}


class PackageError(Exception):
    """The package cannot be read. ``str()``: file, line and what is wrong."""

    def __init__(self, file: str, sentence: str, line: int | None = None) -> None:
        super().__init__(f"{file}{'' if line is None else f', line {line}'}: {sentence}")


@dataclass(frozen=True, slots=True)
class ListFile:
    """A list of the Contest API with the file from which it was read."""

    file: str
    entries: list[dict[str, Any]]
    text: str
    #: of the entries of a table
    lines: Sequence[int] = ()

    def line_of(self, number: int) -> int | None:
        """Return the line of an entry, from 1; None: it is not known."""
        return self.lines[number - 1] if self.lines else _line(self.text, number - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProblem:
    """A problem with the bytes of its package, a zip. ``fields``: as the API takes it for a label of a contest."""

    label: str
    name: str
    file: str
    line: int | None
    fields: Mapping[str, Any]
    package: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignContest:
    """A contest of another system. ``rules``: as the API takes it. ``ignored``: files and folders that are not read,
    and languages that we do not have."""

    key: str
    rules: Mapping[str, Any]
    #: None: it has none, or it is not known yet
    start_at: dt.datetime | None
    texts: Mapping[str, list[str]]
    problems: list[ForeignProblem]
    lists: Mapping[str, ListFile] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def read_package(path: Path) -> ForeignContest:
    """Return the contest of a folder or a zip.

    Raises:
      PackageError: a file of it cannot be read.
      zipfile.BadZipFile, OSError: it cannot be opened.
    """
    root: Folder = path if path.is_dir() else zipfile.Path(path)
    inside: list[Folder] = list(root.iterdir())
    if not _first(root, "contest.json", "contest.yaml") and len(inside) == 1 and inside[0].is_dir():
        root = inside[0]
    found = _first(root, "contest.json", "contest.yaml")
    if found is None:
        raise PackageError(path.name, "it has neither contest.json nor contest.yaml")
    file, raw = found
    contest = _map({_OLD.get(name, name): value for name, value in _map(_parsed(file, raw), file).items()}, file)
    read = {file}
    problems = list(_problems(root, contest, read))
    lists = {name: one for name in TEAM_LISTS if (one := _list_of(root, name)) is not None}
    for name, table in _tables(root):
        lists.setdefault(name, table)
    read |= {one.file for one in lists.values()}
    languages, unknown = _languages(root, read)
    ignored = {f"{one.name}/" if one.is_dir() else one.name for one in root.iterdir() if one.name not in read}
    return ForeignContest(
        key=str(contest.get("id") or path.stem),
        rules=_rules(contest, file, raw) | {"languages": languages},
        start_at=_start(contest, file, raw),
        texts={
            "categories": [str(one) for one in contest.get("clar-categories") or ()],
            "answers": [str(one) for one in contest.get("default-clars") or ()],
        },
        problems=problems,
        lists={name: lists[name] for name in TEAM_LISTS if name in lists},
        ignored=tuple(sorted(ignored) + unknown),
    )


def _rules(contest: Mapping[str, Any], file: str, raw: str) -> dict[str, Any]:
    """Return the rules, without the start."""
    duration = _ms(contest, "duration", file, raw)
    if duration is None:
        raise PackageError(file, "it has no duration, such as 5:00:00")
    penalty = contest.get("penalty_time")
    is_minutes = isinstance(penalty, int) or (isinstance(penalty, str) and _NUMBER.fullmatch(penalty))
    name = str(contest.get("name") or contest.get("formal_name") or contest.get("id") or "")
    rules: dict[str, Any] = {
        "name": name,
        "formal_name": str(contest.get("formal_name") or ""),
        "kind": "ioi" if contest.get("scoreboard_type") == "score" else "icpc",
        "duration_ms": duration,
        "freeze_ms": _ms(contest, "scoreboard_freeze_duration", file, raw),
        "is_public": False,
    }
    if penalty is not None:
        rules["penalty_ms"] = int(penalty) * MS_PER_MINUTE if is_minutes else _ms(contest, "penalty_time", file, raw)
    return rules


def _ms(contest: Mapping[str, Any], name: str, file: str, raw: str) -> int | None:
    value = contest.get(name)
    if value is None:
        return None
    try:
        return parse_reltime(str(value))
    except ValueError as error:
        raise PackageError(file, f"{name}: {error}", _line(raw, name)) from error


def _start(contest: Mapping[str, Any], file: str, raw: str) -> dt.datetime | None:
    value = contest.get("start_time")
    if value is None:
        return None
    try:
        start_at = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    except ValueError:
        start_at = None
    if start_at is None or start_at.tzinfo is None:
        line = _line(raw, "start_time")
        raise PackageError(file, f"start_time: '{value}' is no time with a zone, such as 2026-01-31T09:00:00+08", line)
    return start_at


def _languages(root: Folder, read: set[str]) -> tuple[list[str], list[str]]:
    """Return the keys of the contest's languages, none of which means all, and what is said of those we do not have."""
    found = _first(root, "languages.json", "languages.yaml")
    if found is None:
        return [], []
    file, raw = found
    read.add(file)
    keys, unknown = list[str](), list[str]()
    for one in _entries(_parsed(file, raw), file, raw):
        code = str(one.get("id") or "")
        known = language_keys(code)
        keys += known
        unknown += [] if known else [f"{code!r} in {file}"]
    return list(dict.fromkeys(keys)), unknown


def problem_languages(package: bytes) -> list[str]:
    """Return the keys of the languages that a problem's package takes; empty: it takes all, or does not say."""
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            name = min((one for one in archive.namelist() if one.split("/")[-1] == "problem.yaml"), key=len)
            if archive.getinfo(name).file_size > _MAX_BYTES:
                return []
            found = parse_yaml(archive.read(name).decode("utf-8-sig"))
    except _UNREADABLE:  # the server says what is wrong with it
        return []
    said = found.get("languages", "all") if isinstance(found, dict) else "all"
    codes = said.split() if isinstance(said, str) else said if isinstance(said, list) else ["all"]
    return [] if "all" in codes else list(dict.fromkeys(key for code in codes for key in language_keys(str(code))))


def _problems(root: Folder, contest: Mapping[str, Any], read: set[str]) -> Iterator[ForeignProblem]:
    found = _first(root, "problems.json", "problems.yaml", "problemset.yaml")
    if found is None:
        return
    file, raw = found
    read |= {file, "problems"}
    value = _parsed(file, raw)
    place: tuple[str, ...] = ()
    if isinstance(value, dict):
        place = ("problems",) if "problems" in value else ("problemset",)
        value = value.get(place[0])
    for number, one in enumerate(_entries(value, file, raw)):
        line = _line(raw, *place, number)
        problem_id = str(one.get("id") or one.get("short-name") or "")
        label = str(one.get("label") or one.get("letter") or "")
        if not problem_id or not label:
            raise PackageError(file, "a problem needs id and label (older: short-name and letter)", line)
        fields: dict[str, Any] = {"ordinal": number + 1, "color": str(one.get("color") or "")}
        if one.get("rgb"):
            fields["rgb"] = _rgb(str(one["rgb"]), file, line)
        if one.get("time_limit") is not None:
            fields["time_limit_ms"] = _limit_ms(one["time_limit"], file, line)
        name = str(one.get("name") or "")
        if name:
            fields["name"] = name
        package = _package_of(root, problem_id, file, line)
        read |= {problem_id, f"{problem_id}.zip"}
        yield ForeignProblem(label=label, name=name or problem_id, file=file, line=line, fields=fields, package=package)


def _rgb(text: str, file: str, line: int | None) -> str:
    match = _RGB.fullmatch(text)
    if match is None:
        raise PackageError(file, f"rgb: {text!r} is no color such as #ff8000", line)
    return "#" + (match[1] if len(match[1]) == 6 else "".join(char * 2 for char in match[1])).lower()


def _limit_ms(value: object, file: str, line: int | None) -> int:
    try:
        limit_ms = round(float(str(value)) * 1000)
    except (ValueError, OverflowError):
        limit_ms = 0
    if limit_ms <= 0:
        raise PackageError(file, f"time_limit: {value!r} is no number of seconds", line)
    return limit_ms


def _package_of(root: Folder, problem_id: str, file: str, line: int | None) -> Callable[[], bytes]:
    """Return what reads a problem's package: a zip, or a folder with a problem.yaml, which is packed."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", problem_id):
        raise PackageError(file, f"{problem_id!r} is no id of a problem", line)
    for folder in (root / "problems" / problem_id, root / problem_id):
        if (folder / "problem.yaml").is_file():
            return lambda: _packed(folder)
        zips = [one for one in folder.iterdir() if one.name.endswith(".zip")] if folder.is_dir() else []
        if len(zips) == 1:
            return zips[0].read_bytes
    for archive in (root / "problems" / f"{problem_id}.zip", root / f"{problem_id}.zip"):
        if archive.is_file():
            return archive.read_bytes
    sentence = f"no package of {problem_id}: expected problems/{problem_id}/ with a problem.yaml, or a zip there"
    raise PackageError(file, sentence, line)


def _packed(folder: Folder) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, one in _walked(folder, ""):
            archive.writestr(name, one.read_bytes())
    return packed.getvalue()


def _walked(folder: Folder, below: str) -> Iterator[tuple[str, Folder]]:
    for one in folder.iterdir():
        if isinstance(one, Path) and one.is_symlink():
            raise PackageError(f"{below}{one.name}", "links are not followed: replace it by the file that it names")
        if one.is_dir():
            yield from _walked(one, f"{below}{one.name}/")
        elif one.is_file():
            yield f"{below}{one.name}", one


def _list_of(root: Folder, name: str) -> ListFile | None:
    found = _first(root, f"{name}.json", f"{name}.yaml")
    return None if found is None else ListFile(found[0], _entries(_parsed(*found), *found), found[1])


def _tables(root: Folder) -> Iterator[tuple[str, ListFile]]:
    """Yield the lists of the tables of the older form."""
    for name in ("groups.tsv", "institutions.tsv", "teams.tsv", "accounts.tsv"):
        found = _first(root, name)
        if found is None:
            continue
        lists = read_table(found[1])
        if isinstance(lists, TableRefusal):
            raise PackageError(name, lists.sentence, lists.line)
        for kind, entries in lists.items():
            yield kind, ListFile(name, [entry for _line, entry in entries], found[1], [line for line, _ in entries])


def _first(root: Folder, *names: str) -> tuple[str, str] | None:
    """Return name and text of the first of these files that is there."""
    for name in names:
        file = root / name
        if file.is_file():
            with file.open("rb") as opened:
                content = opened.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise PackageError(name, f"it has more than {_MAX_BYTES} bytes")
            try:
                return name, content.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise PackageError(name, "it is not text in UTF-8", content[: error.start].count(b"\n") + 1) from error
    return None


def _parsed(file: str, raw: str) -> object:
    if file.endswith(".json"):
        try:
            value: object = json.loads(raw)
        except json.JSONDecodeError as error:
            raise PackageError(file, error.msg, error.lineno) from error
        except RecursionError as error:
            raise PackageError(file, "it is nested too deeply") from error
        return value
    try:
        return parse_yaml(raw)
    except ValueError as error:
        raise PackageError(file, str(error)) from error


def _map(value: object, file: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PackageError(file, "it is no object")
    return {str(name): one for name, one in value.items()}


def _entries(value: object, file: str, raw: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise PackageError(file, "it is no list of objects")
    for number, one in enumerate(value):
        if not isinstance(one, dict):
            raise PackageError(file, "this is no object", _line(raw, number))
    return value


def _line(raw: str, *path: str | int) -> int | None:
    """Return the line of a value in JSON or YAML; None: it is not known."""
    try:
        node = yaml.compose(raw, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None  # JSON with tabs
    line = None
    for step in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for name, value in node.value if _OLD.get(name.value, name.value) == step), None)
        else:
            node = None
        if node is None:
            return line
        line = node.start_mark.line + 1
    return line
