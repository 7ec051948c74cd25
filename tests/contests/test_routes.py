"""``/api/v1/contests`` on PostgreSQL: a contest from its creation to its awards, and lists of teams."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from deepoj.words.contests import MAX_QUESTIONS
from deepoj.words.groups import UserGroup
from deepoj.words.results import Verdict
from tests.contests.scene import HOUR_MS, TEAMS, Scene, ago, finals, opened, scene
from tests.contract.labs import new_problem

__all__ = ["scene"]


async def test_a_contest_from_its_creation_to_its_awards(scene: Scene) -> None:
    await opened(scene)
    shown = await scene.done("owl", "GET", "/finals")
    assert (shown["team_id"], [problem["label"] for problem in shown["problems"]]) == ("1", ["A"])
    assert shown["problems"][0]["problem_id"] is None
    await scene.verdict("lark", Verdict.WRONG_ANSWER, "1")
    await scene.verdict("owl", Verdict.ACCEPTED, "2")
    question = await scene.done("lark", "POST", "/finals/clarifications", {"text": "Why?", "problem": "A"})
    assert (await scene.done("owl", "GET", "/finals/clarifications"))["clarifications"] == []
    # the freeze begins now
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": 3 * HOUR_MS, "freeze_ms": HOUR_MS + 60_000})
    await scene.advance()
    await scene.verdict("lark", Verdict.ACCEPTED, "3")
    boards = {who: await scene.done(who, "GET", "/finals/scoreboard") for who in ("jury", "lark", "stranger")}
    solved = {who: {row["team_id"]: row["solved"] for row in board["rows"]} for who, board in boards.items()}
    assert solved["jury"] == {"1": 1, "2": 1, "3": 0}
    assert solved["lark"] == solved["stranger"] == {"1": 0, "2": 0, "3": 0}
    assert (boards["jury"]["is_frozen"], boards["lark"]["is_frozen"]) == (False, True)
    status, body = await scene.ask("jury", "POST", "/finals/finalize", {})
    assert (status, body["code"]) == (409, "CONTEST_NOT_OVER")
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": 2 * HOUR_MS, "freeze_ms": 60_000})
    await scene.advance()
    status, body = await scene.ask("jury", "POST", "/finals/finalize", {})
    assert (status, body["code"], "1 questions" in body["error"]) == (409, "CONTEST_UNANSWERED", True)
    answer = {"text": "So.", "reply_to": question["id"]}
    assert (await scene.done("jury", "POST", "/finals/clarifications", answer))["to_team_ids"] == ["2"]
    done = await scene.done("jury", "POST", "/finals/finalize", {"gold": 1, "silver": 1, "bronze": 0})
    assert done["state"]["finalized_at"] is not None
    status, body = await scene.ask("jury", "PATCH", "/finals", {"name": "Late"})
    assert (status, body["code"]) == (409, "CONTEST_FINALIZED")
    assert (await scene.done("owl", "GET", "/finals/awards"))["awards"] == []
    await scene.done("jury", "PATCH", "/finals", {"thaw_at": ago(0)})
    await scene.advance()
    assert (await scene.done("owl", "GET", "/finals"))["state"]["end_of_updates_at"] is not None


async def test_a_board_is_made_again_after_each_event(scene: Scene) -> None:
    """Also of an event that is one of the jury's alone, or of the contest's state."""
    await opened(scene)

    async def boards() -> list[tuple[int, bool]]:
        found = [await scene.done(who, "GET", "/finals/scoreboard") for who in ("jury", "owl")]
        return [(sum(cell["judged"] for row in board["rows"] for cell in row["cells"]), board["is_frozen"])
                for board in found]  # fmt: skip

    assert await boards() == [(0, False), (0, False)]
    await scene.verdict("owl", Verdict.WRONG_ANSWER, "1")
    assert await boards() == [(1, False), (1, False)]
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": 3 * HOUR_MS, "freeze_ms": HOUR_MS + 60_000})
    await scene.advance()
    assert await boards() == [(1, False), (0, True)]
    await scene.verdict("owl", Verdict.WRONG_ANSWER, "2")
    assert await boards() == [(2, False), (0, True)]


async def test_awards_are_seen_after_the_thaw_and_name_ranks_firsts_and_groups(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    await scene.verdict("lark", Verdict.WRONG_ANSWER, "1")
    await scene.verdict("owl", Verdict.ACCEPTED, "2")
    await scene.verdict("lark", Verdict.ACCEPTED, "3")
    scene.lab.sql("UPDATE contests SET ended_at = now()")
    await scene.done("jury", "POST", "/finals/finalize", {"gold": 1, "silver": 4, "bronze": 4})
    awards = (await scene.done("stranger", "GET", "/finals/awards"))["awards"]
    assert {award["id"]: award["team_ids"] for award in awards} == {
        "winner": ["1"], "gold-medal": ["1"], "silver-medal": ["2"], "first-to-solve-A": ["1"],
        "group-winner-day": ["1"], "group-winner-night": ["1"], "rank-1": ["1"], "rank-2": ["2"],
    }  # fmt: skip
    text = await scene.done("stranger", "GET", "/finals/scoreboard.csv")
    heads, first, second, last = csv.reader(io.StringIO(text))
    assert heads == ["rank", "team_id", "team", "organization", "solved", "penalty", "A tries", "A minute"]
    assert first == ["1", "1", "Owls", "Uni of Night", "1", "120", "1", "120"]
    assert (second[2], second[5:], last[6:]) == ("'=Larks", ["140", "2", "120"], ["0", ""])


async def test_an_unjudged_submission_keeps_a_contest_from_being_finalized(scene: Scene) -> None:
    await opened(scene)
    await scene.done("owl", "POST", "/finals/submit", {"problem": "A", "language": "cpp17", "code": "x"})
    scene.lab.sql("UPDATE contests SET ended_at = now()")
    status, body = await scene.ask("jury", "POST", "/finals/finalize", {})
    assert (status, body["code"], body["error"].startswith("1 submissions")) == (409, "CONTEST_UNJUDGED", True)


@pytest.mark.parametrize(
    ("sent", "place", "says"),
    [
        ({"format": "csv", "text": "1,Owls\n1,Larks"}, 2, "twice"),
        ({"format": "csv", "text": "id,team,who\n1,Owls,x"}, 1, "no column"),
        ({"format": "csv", "text": "1,Owls,,,maybe"}, 1, "neither yes nor no"),
        ({"format": "csv", "text": "1,Owls\na b,Larks"}, 2, "no id"),
        ({"format": "csv", "text": "1,Owls,,,,ghost"}, 1, "no account"),
        ({"format": "csv", "text": '1,"Owls'}, 1, "quotation mark"),
        ({"format": "csv", "text": "\n"}, 1, "no entry"),
        ({"format": "teams", "text": '[{"id": "1", "name": "Owls", "group_ids": ["x"]}]'}, 1, "no group"),
        ({"format": "teams", "text": '[{"id": "1", "name": "Owls"}, {"id": "2"}]'}, 2, "no text"),
        ({"format": "teams", "text": '{"id": "1"}'}, 1, "no list"),
        ({"format": "accounts", "text": "- {username: owl, team_id: 9}"}, 1, "no team"),
        ({"format": "groups", "text": '[{"id": "' + "x" * 24 + '", "name": "x"}]'}, 1, "no id of a group"),
    ],
)
async def test_a_list_with_a_fault_imports_nothing(scene: Scene, sent: dict[str, Any], place: int, says: str) -> None:
    await scene.done("admin", "POST", "", finals())
    status, body = await scene.ask("admin", "POST", "/finals/teams", sent)
    assert (status, body["details"][0]["place"]) == (400, place), body
    assert says in body["details"][0]["problem"]
    assert (await scene.done("admin", "GET", "/finals/teams"))["teams"] == []


@pytest.mark.parametrize(
    ("known", "place", "says"),
    [
        pytest.param({"owl", "ghost"}, 2, "no account “ghost”", id="an account was erased"),
        pytest.param(set(), 1, "“owl” cannot be made", id="an account was made"),
        pytest.param(None, 0, "", id="the contest was removed"),
    ],
)
async def test_an_import_that_is_refused_at_its_end_leaves_no_new_account(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, known: set[str] | None, place: int, says: str
) -> None:
    """``known``: the accounts that the import sees at first, which are others when it writes."""
    await scene.done("admin", "POST", "", finals())

    async def first_look(_names: Sequence[str]) -> frozenset[str]:
        if known is None:
            (row,) = scene.lab.rows("SELECT id, created_by FROM contests")
            assert await scene.lab.pg_store.contests.remove_contest(row["id"], by=row["created_by"])
        return frozenset(known or ())

    monkeypatch.setattr(scene.lab.store.accounts, "taken_names", first_look)
    sent = {"format": "csv", "text": "1,Owls,,,,owl\n2,Crows,,,,crow;ghost", "create_accounts": True}
    status, body = await scene.ask("admin", "POST", "/finals/teams", sent)
    assert scene.lab.rows("SELECT username FROM users WHERE username IN ('crow', 'ghost')") == []
    assert status == (404 if known is None else 400), body
    if known is not None:
        (detail,) = body["details"]
        assert (detail["place"], says in detail["problem"]) == (place, True), detail
        assert (await scene.done("admin", "GET", "/finals/teams"))["teams"] == []


async def test_teams_json_and_accounts_yaml_of_the_contest_api(scene: Scene) -> None:
    await scene.done("admin", "POST", "", finals())

    async def imported(list_format: str, text: object, **more: Any) -> Any:
        raw = text if isinstance(text, str) else json.dumps(text)
        return await scene.done("admin", "POST", "/finals/teams", {"format": list_format, "text": raw, **more})

    await imported("organizations", [{"id": "mit", "name": "MIT", "formal_name": "Massachusetts …", "country": "USA"}])
    await imported("groups", [{"id": "g1", "name": "Open", "hidden": True}])
    team = {"id": "7", "name": "Crows", "organization_id": "mit", "group_ids": ["g1"], "hidden": False, "icpc_id": "1"}
    await imported("teams", [team])
    accounts = "- {id: crow, username: crow, password: a good one, type: team, team_id: 7}\n" + (
        "- {id: owl, username: OWL, type: team, team_id: 7}\n- {id: boss, username: boss, type: judge}\n"
    )
    done = await imported("accounts", accounts, create_accounts=True)
    assert done["accounts"] == 2
    assert {one["username"]: one["password"] for one in done["created"]}["crow"] == "a good one"
    (shown,) = (await scene.done("admin", "GET", "/finals/teams"))["teams"]
    assert (shown["organization"], shown["group_ids"], shown["accounts"]) == ("MIT", ["g1"], ["crow", "owl"])
    assert (await scene.done("stranger", "GET", "/finals/teams"))["teams"] == [], "its group is hidden"
    assert (await scene.done("owl", "GET", "/finals"))["team_id"] == "7"
    login = {"username": "crow", "password": "a good one"}
    assert (await scene.home.ask("POST", "/api/v1/auth/login", json=login)).status_code == 200


async def test_a_contest_that_is_not_public_is_not_there_for_others(scene: Scene) -> None:
    await opened(scene, is_public=False)
    for who in ("stranger", "member", "setter", "operator"):
        assert (await scene.ask(who, "GET", "/finals"))[0] == 404
        assert (await scene.done(who, "GET", ""))["contests"] == []
    for who in ("owl", "jury", "admin"):
        assert len((await scene.done(who, "GET", ""))["contests"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "a b"}, {"key": ""}, {"name": " "}, {"name": "a\nb"}, {"duration_ms": 0}, {"duration_ms": 2**63},
        {"freeze_ms": 6 * HOUR_MS}, {"freeze_ms": -1}, {"penalty_ms": -1}, {"start_at": "tomorrow"},
        {"start_at": "1970-01-01T00:00:00Z"}, {"thaw_at": "9999-12-31T23:59:59Z"},
    ],
)  # fmt: skip
async def test_rules_out_of_their_bounds_are_refused(scene: Scene, changes: dict[str, Any]) -> None:
    status, body = await scene.ask("jury", "POST", "", finals(**changes))
    assert (status, next(iter(changes)) in body["error"]) == (400, True), body


async def test_what_cannot_change_any_more_is_refused(scene: Scene) -> None:
    await opened(scene)
    other = (await new_problem(scene.lab.store)).id
    assert (await scene.ask("jury", "POST", "", finals()))[1]["code"] == "CONTEST_KEY_TAKEN"
    assert (await scene.ask("jury", "PATCH", "/finals", {"start_at": ago(0)}))[1]["code"] == "CONTEST_STARTED"
    twice = {"problem_id": scene.problem_id}
    assert (await scene.ask("jury", "PUT", "/finals/problems/B", twice))[1]["code"] == "CONTEST_PROBLEM_TWICE"
    await scene.verdict("owl", Verdict.ACCEPTED, "1")
    replaced = await scene.ask("jury", "PUT", "/finals/problems/A", {"problem_id": other})
    assert replaced[1]["code"] == "CONTEST_PROBLEM_USED"
    assert (await scene.ask("jury", "DELETE", "/finals/problems/A"))[1]["code"] == "CONTEST_PROBLEM_USED"
    assert (await scene.ask("jury", "DELETE", "/finals"))[1]["code"] == "CONTEST_STARTED"
    shown = await scene.done("jury", "PUT", "/finals/problems/B", {"problem_id": other, "name": "Second"})
    assert [(one["label"], one["ordinal"]) for one in shown["problems"]] == [("A", 1), ("B", 2)]
    assert len((await scene.done("jury", "DELETE", "/finals/problems/B"))["problems"]) == 1
    assert (await scene.done("jury", "DELETE", "/finals?force=true"))["status"] == "deleted"
    assert (await scene.ask("jury", "GET", "/finals"))[0] == 404


async def test_problems_are_not_seen_before_the_start(scene: Scene) -> None:
    await scene.done("jury", "POST", "", finals(start_at=ago(-HOUR_MS)))
    await scene.done("jury", "PUT", "/finals/problems/A", {"problem_id": scene.problem_id})
    await scene.done("jury", "POST", "/finals/teams", {"format": "csv", "text": TEAMS})
    for who in ("owl", "stranger"):
        assert (await scene.done(who, "GET", "/finals"))["problems"] == []
        board = await scene.done(who, "GET", "/finals/scoreboard")
        assert (board["problems"], board["rows"][0]["cells"]) == ([], [])
    answers = [
        await scene.ask("owl", "POST", "/finals/submit", {"problem": label, "language": "cpp17", "code": "x"})
        for label in ("A", "Z")
    ]
    assert answers[0] == answers[1], "it does not say which labels there are"
    asked = await scene.ask("owl", "POST", "/finals/clarifications", {"text": "x", "problem": "A"})
    assert asked[0] == 400


async def test_team_with_as_many_questions_as_may_wait_is_told_to_wait(scene: Scene) -> None:
    await opened(scene)
    asked = [await scene.done("owl", "POST", "/finals/clarifications", {"text": "?"}) for _ in range(MAX_QUESTIONS)]
    for path, shape in (("/api/v1", ("code", "error")), ("/clics", ("code", "message"))):
        answer = await scene.home.ask(
            "POST", f"{path}/contests/finals/clarifications", token=scene.tokens["owl"], json={"text": "?"}
        )
        body = json.loads(await answer.get_data())
        said = 409 if path == "/clics" else "CONTEST_QUESTIONS_FULL"
        assert (answer.status_code, body[shape[0]], "20 questions" in body[shape[1]]) == (409, said, True), body
    await scene.done("jury", "POST", "/finals/clarifications", {"text": "!", "reply_to": asked[7]["id"]})
    await scene.done("owl", "POST", "/finals/clarifications", {"text": "?"})


async def test_homework_of_a_group_is_scored_from_its_creation_to_its_csv(scene: Scene) -> None:
    sent = finals(kind="homework", freeze_ms=None, late_ms=HOUR_MS, late_percent=50, duration_ms=2 * HOUR_MS)
    await scene.done("jury", "POST", "", sent)
    problem = {"problem_id": scene.problem_id, "max_score": 40}
    shown = await scene.done("jury", "PUT", "/finals/problems/A", problem)
    assert shown["problems"][0]["max_score"] == 40
    groups = scene.lab.pg_store.groups
    group = await groups.create_group("Class 7", by="root")
    assert isinstance(group, UserGroup)
    await groups.add_members(group.id, ["owl", "lark"], by="root")
    members = {"format": "members", "text": "class 7"}
    assert (await scene.done("jury", "POST", "/finals/teams", members))["teams"] == 2
    assert (await scene.done("jury", "POST", "/finals/teams", members))["teams"] == 2, "it may be done again"
    named = "SELECT object_id FROM contest_events WHERE type = 'teams' AND data -> 'name' IS NOT NULL"
    assert scene.lab.rows(named) == [], "the ledger has no names of people"
    page = await scene.done("jury", "GET", "/finals/teams")
    assert [(team["name"], team["accounts"]) for team in page["teams"]] == [("lark", ["lark"]), ("owl", ["owl"])]
    assert {one["name"] for one in page["groups"] if one["id"] in page["teams"][0]["group_ids"]} == {"Class 7"}
    await scene.done("jury", "PATCH", "/finals", {"start_at": ago(HOUR_MS)})
    await scene.advance()
    await scene.verdict("owl", Verdict.ACCEPTED, "1", score=40)

    async def points() -> list[tuple[str, int, float, float]]:
        board = await scene.done("stranger", "GET", "/finals/scoreboard")
        return [(row["name"], row["rank"], row["points"], row["cells"][0]["points"]) for row in board["rows"]]

    assert await points() == [("owl", 1, 40, 40), ("lark", 2, 0, 0)]
    # now the deadline is in the past
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": HOUR_MS // 2})
    await scene.advance()
    await scene.verdict("lark", Verdict.PARTIAL, "2", score=30)
    assert await points() == [("owl", 1, 20, 20), ("lark", 2, 15, 15)]
    lines = list(csv.reader(io.StringIO(await scene.done("stranger", "GET", "/finals/scoreboard.csv"))))
    assert [line[2:] for line in lines] == [
        ["team", "organization", "points", "A"], ["owl", "", "20.0", "20.0"], ["lark", "", "15.0", "15.0"],
    ]  # fmt: skip


async def test_only_homework_takes_late_submissions_and_members_of_other_teams_stay(scene: Scene) -> None:
    status, body = await scene.ask("jury", "POST", "", finals(late_ms=1))
    assert (status, "late_ms" in body["error"]) == (400, True)
    await opened(scene)
    group = await scene.lab.pg_store.groups.create_group("Class 7", by="root")
    assert isinstance(group, UserGroup)
    await scene.lab.pg_store.groups.add_members(group.id, ["owl", "member"], by="root")
    done = await scene.done("jury", "POST", "/finals/teams", {"format": "members", "text": "Class 7"})
    assert (done["teams"], done["accounts"], len(done["notes"])) == (1, 1, 1)
    assert "“owl” is in another team" in done["notes"][0]
    status, _ = await scene.ask("jury", "POST", "/finals/teams", {"format": "members", "text": "No class"})
    assert status == 400


async def test_a_cell_opens_what_is_behind_it(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("lark", Verdict.WRONG_ANSWER, "1")
    job_id = await scene.verdict("lark", Verdict.ACCEPTED, "2")
    cells = {who: await scene.done(who, "GET", "/finals/scoreboard/2/A") for who in ("stranger", "owl", "lark", "jury")}
    assert [one["effect"] for one in cells["owl"]["attempts"]] == ["rejected", "solved"]
    assert cells["owl"]["penalty"] == cells["owl"]["solved_ms"] // 60_000 + 20
    assert {who: cell["attempts"][1]["job_id"] for who, cell in cells.items()} == {
        "stranger": None, "owl": None, "lark": job_id, "jury": job_id,
    }  # fmt: skip
    hosts = {who: cell["attempts"][1]["judgements"][0]["host"] for who, cell in cells.items()}
    assert {who for who, host in hosts.items() if host} == {"jury"}
    for who in ("stranger", "owl", "lark"):
        for attempt in cells[who]["attempts"]:
            assert [one["event"] for one in (attempt, *attempt["judgements"])] == [None, None], who
    events = await scene.lab.pg_store.contests.events(1, 0, 1000)
    numbers = [one["event"] for one in cells["jury"]["attempts"]]
    numbers += [one["judgements"][0]["event"] for one in cells["jury"]["attempts"]]
    told = [(events[number - 1].object.type.value, events[number - 1].object.id) for number in numbers]
    assert [type_ for type_, _ in told] == ["submissions"] * 2 + ["judgements"] * 2
    for path in ("/finals/scoreboard/2/Z", "/finals/scoreboard/9/A"):
        assert (await scene.ask("jury", "GET", path))[0] == 404


async def test_submissions_are_listed_in_pages_and_by_team(scene: Scene) -> None:
    await opened(scene)
    for number in range(101):
        data = {"job_id": "j", "team_id": str(1 + number % 2), "problem_id": "A", "language": "cpp17", "at": ago(0)}
        scene.lab.sql(f"SELECT tell_contest(1, 'submissions', '{number}', '{json.dumps(data)}')")
    first = await scene.done("stranger", "GET", "/finals/submissions")
    assert [len(first["submissions"]), first["submissions"][0]["id"], first["next_before"]] == [100, "100", 1]
    assert {one["event"] for one in first["submissions"]} == {None}
    assert all(one["event"] for one in (await scene.done("jury", "GET", "/finals/submissions"))["submissions"])
    rest = await scene.done("stranger", "GET", f"/finals/submissions?before={first['next_before']}")
    assert ([one["id"] for one in rest["submissions"]], rest["next_before"]) == (["0"], None)
    of_team = await scene.done("stranger", "GET", "/finals/submissions?team=2")
    assert {one["team_id"] for one in of_team["submissions"]} == {"2"}
    assert (await scene.done("stranger", "GET", "/finals/submissions?problem=Z"))["submissions"] == []


async def test_a_list_goes_on_after_a_submission_whether_its_reader_sees_it_or_not(scene: Scene) -> None:
    await opened(scene)
    await scene.done("jury", "PATCH", "/finals/teams/3", {"hidden": True})
    # two that were sent at once are not in the order of their ids
    for submission_id, team in (("4", "1"), ("9", "3"), ("6", "2"), ("12", "1")):
        data = {"job_id": "j", "team_id": team, "problem_id": "A", "language": "cpp17", "at": ago(0)}
        scene.lab.sql(f"SELECT tell_contest(1, 'submissions', '{submission_id}', '{json.dumps(data)}')")

    async def listed(who: str, before: int) -> list[str]:
        page = await scene.done(who, "GET", f"/finals/submissions?before={before}")
        return [one["id"] for one in page["submissions"]]

    assert await listed("jury", 6) == ["9", "4"]
    of_stranger = {before: await listed("stranger", before) for before in (99, 12, 10, 9, 6, 4, 3)}
    assert of_stranger == {
        99: ["12", "6", "4"], 12: ["6", "4"], 10: ["6", "4"], 9: ["4"], 6: ["4"], 4: [], 3: [],
    }  # fmt: skip


async def test_a_board_is_a_file_without_scripts(scene: Scene) -> None:
    await opened(scene)
    await scene.verdict("lark", Verdict.ACCEPTED, "1")
    name = "<script>alert(1)</script>"
    await scene.done("jury", "PATCH", "/finals", {"formal_name": name})
    await scene.done("jury", "POST", "/finals/teams", {"format": "csv", "text": f"3,{name}"})
    page = await scene.done("stranger", "GET", "/finals/scoreboard.html")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3
    assert '<td class="solved first">★+<small>120</small></td>' in page
