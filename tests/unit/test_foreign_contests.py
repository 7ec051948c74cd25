"""Contest packages of other systems."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deepoj.client.contests.foreign import PackageError, problem_languages, read_package

_PROBLEM = {"problem.yaml": "name: A", "data/secret/1.in": "1"}
_NOW = {
    "contest.json": """{"id": "wf", "name": "Finals", "formal_name": "The Finals", "duration": "5:00:00.000",
 "scoreboard_freeze_duration": "1:00:00", "penalty_time": "0:20:00",
 "start_time": "2026-01-31T09:00:00.000+08"}""",
    "problems.json": """[
 {"id": "one", "label": "A", "name": "One", "ordinal": 0, "rgb": "#0f8", "color": "green", "time_limit": 1.5},
 {"id": "two", "label": "B", "name": "Two", "ordinal": 1}]""",
    "groups.json": """[{"id": "g", "name": "North"}]""",
    "teams.json": """[{"id": "7", "name": "Owls", "group_ids": ["g"]}]""",
    "accounts.yaml": "- {id: owl, username: owl, password: till-wise-under, type: team, team_id: '7'}",
    "languages.json": """[{"id": "cpp", "name": "C++"}, {"id": "java"}, {"id": "intercal"}]""",
    "persons.json": "[]",
    "organizations/kth/logo.png": "a picture",
    **{f"problems/one/{name}": text for name, text in _PROBLEM.items()},
    "problems/two.zip": "a zip",
}
_OLD = {
    "contest.yaml": """name: Finals
short-name: wf
start-time: 2026-01-31 09:00:00+01:00
duration: 5:00:00
scoreboard-freeze-length: 1:00:00
penalty-time: 20
clar-categories: [General, SysOps]
default-clars: [No comment.]
""",
    "problemset.yaml": """problems:
  - letter: A
    short-name: one
    color: green
    rgb: '#00ff88'
""",
    "groups.tsv": "groups\t1\n3\tNorth\n",
    "teams.tsv": "teams\t1\n007\t1234\t3\tOwls\tUniversity of Night\tNight\tSWE\n8\t1235\t\tLarks\t\t\t\n",
    "accounts.tsv": "accounts\t1\nteam\tOwls\tteam007\ttill-wise-under\njudge\tJ\tjudge1\tanother-password\n",
    **{f"one/{name}": text for name, text in _PROBLEM.items()},
}


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def zipped(path: Path, files: Mapping[str, str], below: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{below}{name}", text)
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "zip of a folder"])
def test_a_package_is_read_from_a_folder_and_from_a_zip(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        path = written(tmp_path / "wf", _NOW)
    else:
        path = zipped(tmp_path / "wf.zip", _NOW, "wf/" if kind == "zip of a folder" else "")
    found = read_package(path)
    assert (found.key, found.rules["name"], found.rules["kind"]) == ("wf", "Finals", "icpc")
    assert [found.rules[name] for name in ("duration_ms", "freeze_ms", "penalty_ms")] == [
        18_000_000,
        3_600_000,
        1_200_000,
    ]
    assert [(one.label, one.name) for one in found.problems] == [("A", "One"), ("B", "Two")]
    first = {"ordinal": 1, "rgb": "#00ff88", "color": "green", "time_limit_ms": 1500, "name": "One"}
    assert found.problems[0].fields == first
    with zipfile.ZipFile(io.BytesIO(found.problems[0].package())) as archive:
        assert sorted(archive.namelist()) == sorted(_PROBLEM)
    assert found.problems[1].package() == b"a zip"
    assert list(found.lists) == ["groups", "teams", "accounts"], "in the order in which they name each other"
    assert found.lists["accounts"].entries[0]["team_id"] == "7"
    assert found.start_at == dt.datetime(2026, 1, 31, 1, tzinfo=dt.UTC)
    assert found.rules["languages"] == ["cpp17", "cpp20", "cpp23", "java"]
    assert found.ignored == ("organizations/", "persons.json", "'intercal' in languages.json")


def test_a_package_of_the_older_form_is_read(tmp_path: Path) -> None:
    found = read_package(written(tmp_path, _OLD))
    assert (found.key, found.rules["penalty_ms"], found.rules["freeze_ms"]) == ("wf", 1_200_000, 3_600_000)
    assert (found.start_at, found.rules["languages"]) == (dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC), [])
    assert found.texts == {"categories": ["General", "SysOps"], "answers": ["No comment."]}
    assert [(one.label, one.fields["rgb"]) for one in found.problems] == [("A", "#00ff88")]
    assert list(found.lists) == ["groups", "organizations", "teams", "accounts"]
    owls, larks = found.lists["teams"].entries
    assert (owls["id"], owls["group_ids"], owls["organization_id"]) == ("7", ["3"], "o-fa208cc36b86")
    assert (larks["id"], larks["group_ids"], larks["organization_id"]) == ("8", [], None)
    assert [one.get("team_id") for one in found.lists["accounts"].entries] == ["7", None]
    assert [one["icpc_id"] for one in (*found.lists["groups"].entries, owls, larks)] == ["3", "1234", "1235"]


@pytest.mark.parametrize(
    ("base", "file", "text", "sentence"),
    [
        (_NOW, "contest.json", "{\n\n oops", "contest.json, line 3: "),
        (_NOW, "contest.json", "[]", "contest.json: it is no object"),
        (_NOW, "contest.json", '{"id": "x",\n "duration": "5h"}', "contest.json, line 2: duration: '5h' is no time"),
        (_NOW, "contest.json", '{"id": "x"}', "contest.json: it has no duration"),
        (_NOW, "contest.json", '{"id": "x", "duration": "5:00:00",\n "start_time": "2026-01-31T09:00:00"}',
         "contest.json, line 2: start_time: '2026-01-31T09:00:00' is no time with a zone"),
        (_NOW, "languages.json", '[7]', "languages.json, line 1: this is no object"),
        (_NOW, "problems.json", '[{"id": "one", "label": "A"},\n {"id": "none", "label": "B"}]',
         "problems.json, line 2: no package of none"),
        (_NOW, "problems.json", '[\n {"id": "../one", "label": "A"}]', "problems.json, line 2: '../one' is no id"),
        (_NOW, "problems.json", '[\n\n {"id": "one"}]', "problems.json, line 3: a problem needs id and label"),
        (_NOW, "problems.json", '[{"id": "one", "label": "A", "rgb": "red"}]', "problems.json, line 1: rgb: 'red'"),
        (_NOW, "problems.json", '[{"id": "one", "label": "A", "time_limit": 0}]', "problems.json, line 1: time_limit"),
        (_NOW, "teams.json", "{}", "teams.json: it is no list"),
        (_NOW, "groups.json", "[{},\n 7]", "groups.json, line 2: this is no object"),
        (_NOW, "accounts.yaml", "- {\n", "accounts.yaml: "),
        (_OLD, "problemset.yaml", "problems:\n\n  - letter: A\n", "problemset.yaml, line 3: a problem needs"),
        (_OLD, "contest.yaml", "short-name: x\npenalty-time: 20\nduration: soon", "contest.yaml, line 3: duration"),
        (_OLD, "teams.tsv", "7\n", "teams.tsv, line 1: the first line names"),
        (_OLD, "teams.tsv", "teams\t1\n\n7\tx\n", "teams.tsv, line 3: 7 columns"),
        (_OLD, "accounts.tsv", "accounts\t1\nteam\tOwls\towls\tx\n", "accounts.tsv, line 2: the account “owls”"),
    ],
)  # fmt: skip
def test_a_refusal_names_file_and_line(
    tmp_path: Path, base: Mapping[str, str], file: str, text: str, sentence: str
) -> None:
    with pytest.raises(PackageError) as raised:
        read_package(written(tmp_path, {**base, file: text}))
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("languages: [java, python3, intercal]", ["java", "python3", "pypy3"]),
        ("languages: c java", ["c17", "java"]),
        ("languages: all", []),
        ("name: A", []),
        ("languages: [", []),
    ],
)
def test_problem_languages_of_a_package_are_our_keys(tmp_path: Path, text: str, keys: list[str]) -> None:
    assert problem_languages(zipped(tmp_path / "p.zip", {"problem.yaml": text}, "one/").read_bytes()) == keys
    assert problem_languages(b"no zip") == []


def test_a_link_in_a_problem_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a key")
    root = written(tmp_path / "wf", _NOW)
    found = read_package(root)
    [folder] = [one.parent for one in root.rglob("problem.yaml")]
    (folder / "note").symlink_to(tmp_path / "secret")
    with pytest.raises(PackageError, match="links are not followed"):
        found.problems[0].package()


def test_a_folder_without_a_contest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"neither contest\.json nor contest\.yaml"):
        read_package(tmp_path)
