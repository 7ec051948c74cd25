"""Contests by command, on a real node: ``demo`` plays one, and the others make, change and show one."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contests.feeds import ODD, feed_of
from tests.e2e.nodes import ACCEPTED, VERDICT_S, Node, until
from tests.e2e.typed import typed


@pytest.fixture(scope="module")
def environ(node: Node) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DEEPOJ_HOME": str(node.log.with_suffix("")),
        "DEEPOJ_URL": node.base,
        "DEEPOJ_TOKEN": node.token(),
    }


def said(environ: dict[str, str], *words: str) -> dict[str, Any]:
    """Run ``deepoj contest WORDS --json``, which must succeed with one line."""
    done = typed("contest", *words, "--json", env=environ)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    body: dict[str, Any] = json.loads(line)
    return body


def test_the_demo_is_a_finished_contest_with_a_thawed_board(
    node: Node, environ: dict[str, str], tmp_path: Path
) -> None:
    made = said(environ, "demo")
    assert {"contest_id", "user", "password"} <= made.keys()
    shown = said(environ, "show", made["contest_id"])
    assert None not in shown["state"].values(), shown["state"]
    account = {"username": made["user"], "password": made["password"]}
    token = node.client.post("/api/v1/auth/login", json=account).json()["token"]
    boards = [
        node.client.get(f"/api/v1/contests/{made['contest_id']}/scoreboard", headers=headers).json()
        for headers in ({}, {"Authorization": f"Bearer {token}"})
    ]
    assert boards[0]["rows"] == boards[1]["rows"], "the public board shows all verdicts"
    assert [(row["rank"], row["team_id"], row["solved"]) for row in boards[0]["rows"]] == [
        (1, "owls", 3), (2, "crows", 2), (2, "larks", 2), (4, "gulls", 1),
    ]  # fmt: skip
    assert len(said(environ, "clarify", made["contest_id"])["clarifications"]) == 5
    results = typed("contest", "results", made["contest_id"], env=environ).stdout.splitlines()
    assert [line.split("\t")[:3] for line in results] == [
        ["results", "1"], ["owls", "1", "Gold Medal"], ["crows", "2", "Silver Medal"], ["larks", "2", "Silver Medal"],
        ["gulls", "", "Honorable"],
    ]  # fmt: skip
    awards = node.client.get(f"/api/v1/contests/{made['contest_id']}/awards").json()["awards"]
    assert {"winner", "first-to-solve-C", "group-winner-graduates"} <= {award["id"] for award in awards}
    api = f"/clics/contests/{made['contest_id']}"
    assert [problem["test_data_count"] for problem in node.client.get(f"{api}/problems").json()[1:]] == [3, 3]
    team = node.client.get(f"{api}/account", auth=(made["team_user"], made["team_password"])).json()
    assert team["team_id"] == "owls"
    assert node.client.get(f"{api}/commentary").json()[0]["team_ids"] == ["owls"]
    feed = tmp_path / "event-feed.ndjson"
    feed.write_bytes(node.client.get(f"/clics/contests/{made['contest_id']}/event-feed").content)
    replayed = said(environ, "replay", str(feed), "--board", str(tmp_path / "board.json"))
    assert (replayed["teams"], replayed["differences"]) == (4, [])
    board = json.loads((tmp_path / "board.json").read_text())
    assert [(row["rank"], row["team_id"], row["penalty"]) for row in board] == [
        (row["rank"], row["team_id"], row["penalty"]) for row in boards[0]["rows"]
    ]


def test_a_contest_is_made_and_changed_by_commands(node: Node, environ: dict[str, str], tmp_path: Path) -> None:
    node.token("alice")
    teams = tmp_path / "teams.tsv"
    teams.write_text("id\tname\taccounts\n1\tOwls\talice;bob\n", encoding="utf-8")
    made = said(environ, "create", "class", "--name", "Class", "--duration", "2:00:00", "--freeze", "0:30:00")
    assert (made["duration_ms"], made["freeze_ms"], made["start_at"]) == (7_200_000, 1_800_000, None)
    changed = said(environ, "set", "class", "--freeze", "none", "--private", "--start", "2199-01-31T09:00:00+08:00")
    assert (changed["freeze_ms"], changed["is_public"], changed["start_at"]) == (
        None, False, "2199-01-31T01:00:00.000Z",
    )  # fmt: skip
    problem_id = str(node.problem(node.token()))
    assert said(environ, "problem", "class", "A", problem_id, "--color", "red")["problems"][0]["color"] == "red"
    refused = typed("contest", "teams", "class", str(teams), env=environ)
    assert (refused.returncode, "line 2: there is no account “bob”" in refused.stderr) == (2, True), refused.stderr
    imported = said(environ, "teams", "class", str(teams), "--create-accounts")
    assert [one["username"] for one in imported["created"]] == ["bob"]
    assert said(environ, "teams", "class")["teams"][0]["accounts"] == ["alice", "bob"]
    groups = tmp_path / "groups.tsv"
    groups.write_text("groups\t1\n902\tNorth America\n", encoding="utf-8")
    imported = said(environ, "teams", "class", str(groups))
    assert (imported["teams"], imported["groups"]) == (0, 1)
    recolored = said(environ, "problem", "class", "A", "--rgb", "#ff0000")["problems"][0]
    assert (recolored["color"], recolored["rgb"]) == ("red", "#ff0000")
    said(environ, "clarify", "class", "Welcome")
    assert said(environ, "scoreboard", "class")["rows"][0]["team_id"] == "1"
    as_csv = typed("contest", "scoreboard", "class", "--csv", env=environ)
    assert as_csv.stdout.splitlines()[1] == "1,1,Owls,,0,0,0,"
    assert typed("contest", "finalize", "class", env=environ).returncode == 2, "it is not over"
    said(environ, "clock", "class", "extend", "--team", "1", "--extra", "0:10:00", "--reason", "Their machine broke")
    paused = said(environ, "clock", "class", "pause")
    assert (paused["start_at"], paused["extensions"][0]["extra_ms"]) == (None, 600_000)
    assert paused["countdown_pause_ms"] > 0
    for words in (
        ("list",),
        ("show", "class"),
        ("teams", "class"),
        ("clarify", "class"),
        ("scoreboard", "class"),
        ("clock", "class"),
    ):
        done = typed("contest", *words, env=environ)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert done.stdout
    said(environ, "texts", "class", "--answer", "Yes.", "--category", "Statements")
    own = tmp_path / "own.md"
    own.write_text("Add *three* numbers.\n", "utf-8")
    said(environ, "statement", "class", "A", str(own), "--lang", "zh")
    assert said(environ, "export", "class", str(tmp_path / "class.zip"))["problems"] == 1
    copied = said(environ, "import", str(tmp_path / "class.zip"), "--key", "class2")
    assert (copied["problems"], copied["teams"], copied["created"]) == (1, 1, [])
    exported, copy = (said(environ, "teams", key) for key in ("class", "class2"))
    assert exported == copy
    assert said(environ, "texts", "class2") == {"categories": ["Statements"], "answers": ["Yes."]}
    assert said(environ, "statement", "class2", "A", "--lang", "zh")["source"] == "Add *three* numbers.\n"
    copy = said(environ, "show", "class2")
    assert copy["problems"][0]["statements"] == ["zh"]
    assert (copy["is_public"], copy["start_at"], copy["problems"][0]["color"]) == (False, None, "red")
    assert said(environ, "problem", "class", "A", "--remove")["problems"] == []
    said(environ, "delete", "class")
    assert "class" not in [one["key"] for one in said(environ, "list")["contests"]]


def test_a_contest_package_of_another_system_is_imported(node: Node, environ: dict[str, str], tmp_path: Path) -> None:
    admin = {"Authorization": f"Bearer {environ['DEEPOJ_TOKEN']}"}

    def kept() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = node.client.get("/api/v1/problems?limit=200", headers=admin).json()["problems"]
        return found

    files = {
        "contest.yaml": "id: foreign\nname: Foreign\nduration: 5:00:00\nscoreboard_freeze_duration: 1:00:00\n"
        "start_time: 2100-01-31T09:00:00+08:00\n",
        "problems.yaml": "- {id: sum, label: A, name: Sum, ordinal: 1, rgb: '#0f8', time_limit: 2}\n",
        "problems/sum/problem.yaml": "name: Sum\nlanguages: [python3]\n",
        "problems/sum/data/secret/1.in": "1 2\n",
        "problems/sum/data/secret/1.ans": "3\n",
        "problems/sum/submissions/accepted/sum.py": "print(sum(map(int, input().split())))\n",
        "groups.json": '[{"id": "g", "name": "North"}]',
        "teams.json": '[{"id": "7", "name": "Owls", "group_ids": ["g"]}]',
        "accounts.yaml": "- {id: o, username: foreign-owl, password: till-wise-under, type: team, team_id: '7'}\n",
        "languages.json": '[{"id": "python3"}, {"id": "intercal"}]',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    done = said(environ, "import", str(tmp_path), "--create-accounts")
    assert (done["key"], done["problems"], done["teams"], done["ignored"]) == (
        "foreign", 1, 1, ["'intercal' in languages.json"],
    )  # fmt: skip
    shown = said(environ, "show", "foreign")
    assert (shown["duration_ms"], shown["freeze_ms"], shown["start_at"]) == (
        18_000_000,
        3_600_000,
        "2100-01-31T01:00:00.000Z",
    )
    assert shown["languages"] == ["python3", "pypy3"]
    problem = shown["problems"][0]
    assert [problem[name] for name in ("label", "name", "rgb", "time_limit_ms")] == ["A", "Sum", "#00ff88", 2000]
    assert said(environ, "teams", "foreign")["teams"][0]["accounts"] == ["foreign-owl"]
    problems = kept()
    assert problems[-1]["languages"] == ["python3", "pypy3"]
    (tmp_path / "teams.json").write_text('[{"id": "8", "name": "Larks"},\n {"id": "?", "name": "x"}]', "utf-8")
    refused = typed("contest", "import", str(tmp_path), "--key", "foreign2", env=environ)
    assert (refused.returncode, "teams.json, line 2: " in refused.stderr) == (1, True), refused.stderr
    assert "Deleted again: the contest foreign2, the problem " in refused.stderr
    assert typed("contest", "show", "foreign2", env=environ).returncode == 2, "nothing is left of it"
    assert kept() == problems


def test_a_member_of_a_team_submits_by_command(node: Node, environ: dict[str, str], tmp_path: Path) -> None:
    alice = environ | {"DEEPOJ_TOKEN": node.token("alice")}
    (tmp_path / "main.cpp").write_text(ACCEPTED)
    (tmp_path / "teams.csv").write_text("1,Owls,,,,alice\n")
    start = dt.datetime.now(dt.UTC).isoformat()
    said(environ, "create", "open", "--name", "Open", "--duration", "5:00:00", "--start", start)
    said(environ, "problem", "open", "A", str(node.problem(node.token())))
    said(environ, "teams", "open", str(tmp_path / "teams.csv"))
    words = ("submit", str(tmp_path / "main.cpp"), "--contest", "open", "--problem", "A", "--wait", "--json")

    def accepted() -> bool:
        done = typed(*words, env=alice)
        assert done.returncode == 0 or "CONTEST_NOT_RUNNING" in done.stderr, done.stderr
        return done.returncode == 0

    until(accepted, within_s=VERDICT_S, what="the contest has started")
    assert said(environ, "scoreboard", "open")["rows"][0]["solved"] == 1
    without = typed("submit", str(tmp_path / "main.cpp"), "--problem", "A", env=alice)
    assert (without.returncode, "--contest" in without.stderr) == (2, True)


@pytest.mark.full
def test_a_feed_is_rehearsed_with_stand_in_programs(environ: dict[str, str], tmp_path: Path) -> None:
    feed = tmp_path / "feed.ndjson"
    feed.write_text("\n".join(feed_of(ODD, "2026-01", 1)), encoding="utf-8")
    report = said(environ, "replay", str(feed), "--judge", "--speed", "600")
    assert (report["sent"], report["judged"], report["teams"], report["problems"]) == (10, 10, 5, 4)
    assert (report["lost"], report["wrong_verdicts"], report["differences"]) == ([], [], [])
    waits = report["waits"]
    assert waits["count"] == 10
    assert 0 < waits["wait_p50_ms"] <= waits["wait_p99_ms"]
    assert waits["compile_percent"] + waits["run_percent"] + waits["other_percent"] in range(98, 103)
    assert report["frozen_at"] < report["thawed_at"]
    shown = said(environ, "show", report["key"])
    assert shown["state"]["frozen_at"] < shown["state"]["ended_at"] <= shown["state"]["thawed_at"]
    assert (shown["is_public"], shown["state"]["started_at"] is not None) == (False, True)
    refused = typed("contest", "replay", str(feed), "--judge", "--json", env=environ | {"DEEPOJ_TOKEN": ""})
    assert refused.returncode == 2, refused.stderr


@pytest.mark.full
def test_an_administrator_starts_a_rehearsal_from_a_page(node: Node, environ: dict[str, str]) -> None:
    feed = "\n".join(feed_of(ODD, "2026-01", 1))
    with httpx.Client(base_url=node.base, follow_redirects=True, timeout=60) as browser:

        def sent(path: str, fields: dict[str, str], **more: Any) -> httpx.Response:
            token = re.search(r'name="form_token" value="([^"]+)"', browser.get(path).text)
            assert token is not None
            return browser.post(path, data={"form_token": token[1], **fields}, **more)

        named = said(environ, "demo")
        assert sent("/login", {"username": named["user"], "password": named["password"]}).status_code == 200
        files = {"feed": ("feed.ndjson", feed.encode())}
        started = sent("/manage/rehearsal", {"act": "start", "speed": "60", "minutes": "10"}, files=files)
        assert (started.status_code, "Under way" in started.text) == (200, True), started.text
        until(lambda: "Under way" not in browser.get("/manage/rehearsal").text, within_s=VERDICT_S, what="its end")
        page = browser.get("/manage/rehearsal").text
        assert ">Passed<" in page, page
        (key,) = set(re.findall(r"/manage/contests/(rehearsal-[0-9a-f]+)\"", page)[:1])
        waits = browser.get(f"/manage/contests/{key}/waits")
        assert (waits.status_code, "Of judging: compilers" in waits.text) == (200, True)


def test_a_contest_is_copied_and_its_teams_are_set_up_by_command(environ: dict[str, str], tmp_path: Path) -> None:
    key = said(environ, "demo")["contest_id"]
    copy = said(environ, "copy", key, "copied", "--name", "Copied", "--teams")
    assert (copy["name"], copy["start_at"], len(copy["problems"])) == ("Copied", None, 3)
    bound = said(environ, "team", "copied", "owls", "--network", "10.1.0.0/16", "--hide")
    assert bound == {"id": "owls", "hidden": True, "networks": ["10.1.0.0/16"]}
    assert said(environ, "team", "copied", "gulls", "--remove")["status"] == "deleted"
    slips = tmp_path / "slips.csv"
    answer = said(environ, "credentials", "copied", "--team", "owls", "--csv", str(slips))
    made = answer["credentials"]
    assert [one["team_id"] for one in made] == ["owls"] * len(made)
    (waits,) = said(environ, "credentials", "copied", "--pending")["sets"]
    assert (waits["set_id"], waits["applied_at"]) == (answer["set_id"], None)
    applied = said(environ, "credentials", "copied", "--apply", answer["set_id"])["usernames"]
    assert sorted(applied) == sorted(one["username"] for one in made)
    assert slips.read_text("utf-8").splitlines()[0] == "team_id,team,username,password"
    assert slips.stat().st_mode & 0o077 == 0
    own = tmp_path / "own.md"
    own.write_text("# Another name\n\nAdd *three* numbers.\n", "utf-8")
    saved = said(environ, "statement", "copied", "A", str(own))
    assert (saved["title"], "<em>three</em>" in saved["html"]) == ("Another name", True), saved
    assert said(environ, "statement", "copied", "A")["edited"]
    assert said(environ, "statement", "copied", "A", "--restore")["status"] == "restored"
    assert set(said(environ, "practice", key)["opened"]) <= {"A", "B", "C"}
    refused = typed("contest", "rejudge", key, env=environ)
    assert (refused.returncode != 0, "finalized" in refused.stderr) == (True, True), refused.stderr
    assert said(environ, "rejudge", key, "--history")["rejudges"] == []
