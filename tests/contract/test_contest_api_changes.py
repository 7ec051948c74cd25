"""The Contest API over HTTP: what clients change beyond submissions and clarifications, and what every answer has."""

from __future__ import annotations

from deepoj.words.results import Verdict
from tests.contests.specification import check_all
from tests.contract.test_contest_api import BASE, Scene, everything, scene, zipped
from tests.contract.test_store_contests import HOUR_MS

__all__ = ["scene"]


async def test_awards_are_given_changed_and_taken_back(scene: Scene) -> None:
    await scene.change(freeze_ms=None)
    award = {"citation": "Best costumes", "team_ids": ["t-bob"]}
    status, made, answer = await scene.send("POST", "/awards", "root", award)
    assert (status, {**award, "id": made["id"]}) == (200, made)
    assert answer.headers["Location"] == f"{BASE}/awards/{made['id']}"
    best = f"/awards/{made['id']}"
    status, changed, _ = await scene.send("PATCH", best, "root", {"team_ids": ["t-alice", "t-alice"]})
    assert (status, changed) == (200, made | {"team_ids": ["t-alice"]})
    put = {"id": "spirit", "citation": "Spirit", "team_ids": []}
    for _ in range(2):
        assert (await scene.send("PUT", "/awards/spirit", "root", put))[:2] == (200, put)
    assert await scene.get("/awards") == [changed, put]
    check_all(await everything(scene, ""), await scene.feed())
    for method, path, name, body, status in (
        ("POST", "/awards", "", award, 401), ("POST", "/awards", "alice", award, 403),
        ("POST", "/awards", "root", award | {"id": "mine"}, 400), ("POST", "/awards", "root", {"citation": "x"}, 400),
        ("POST", "/awards", "root", {"team_ids": []}, 400),
        ("POST", "/awards", "root", award | {"team_ids": ["none"]}, 400),
        ("PUT", best, "root", award, 400), ("PUT", best, "root", award | {"id": "other"}, 409),
        ("PUT", "/awards/winner", "root", award | {"id": "winner"}, 400),
        ("PUT", "/awards/-x", "root", award | {"id": "-x"}, 400),
        ("PATCH", best, "root", {"citation": None}, 400), ("PATCH", best, "root", {"id": "other"}, 409),
        ("PATCH", "/awards/none", "root", {"citation": "x"}, 404), ("PATCH", best, "bob", {"citation": "x"}, 403),
        ("DELETE", best, "bob", {}, 403), ("DELETE", best, "root", {}, 204), ("DELETE", best, "root", {}, 404),
    ):  # fmt: skip
        assert (await scene.send(method, path, name, body))[0] == status, (method, path, name, body)
    assert await scene.get("/awards") == [put]


async def test_commentary_is_told_to_all_but_about_hidden_verdicts(scene: Scene) -> None:
    _, sent, _ = await scene.submit("bob")
    remark = {"message": "They lead.", "tags": ["accepted"], "team_ids": ["t-bob"], "problem_ids": ["A"]}
    status, made, answer = await scene.send("POST", "/commentary", "root", remark)
    assert (status, {name: made[name] for name in remark}) == (200, remark)
    assert answer.headers["Location"] == f"{BASE}/commentary/1"
    about = {"message": "Solved!", "tags": [], "submission_ids": [sent["id"]]}
    assert (await scene.send("POST", "/commentary", "root", about))[0] == 200
    for name, body, status in (
        ("", remark, 401), ("alice", remark, 403), ("root", remark | {"id": "7"}, 400),
        ("root", remark | {"time": made["time"]}, 400), ("root", remark | {"source_id": "1"}, 400),
        ("root", {"tags": []}, 400), ("root", {"message": "x"}, 400), ("root", remark | {"message": " "}, 400),
        ("root", remark | {"team_ids": ["none"]}, 400), ("root", remark | {"problem_ids": ["Z"]}, 400),
        ("root", remark | {"submission_ids": ["99"]}, 400),
    ):  # fmt: skip
        assert (await scene.send("POST", "/commentary", name, body))[0] == status, (name, body)
    assert [each["id"] for each in await scene.get("/commentary")] == ["1", "2"]
    await scene.change(freeze_ms=5 * HOUR_MS)
    for name, told in (("", ["1"]), ("bob", ["1"]), ("root", ["1", "2"])):
        assert [each["id"] for each in await scene.get("/commentary", name)] == told
        check_all(await everything(scene, name), await scene.feed(name))


async def test_commentary_about_a_verdict_that_is_not_verified_is_told_to_the_jury_alone(scene: Scene) -> None:
    await scene.change(freeze_ms=None, is_verifying=True)
    _, sent, _ = await scene.submit("bob")
    await scene.judge(sent["id"], Verdict.ACCEPTED)
    about = {"message": "Solved!", "tags": [], "submission_ids": [sent["id"]]}
    assert (await scene.send("POST", "/commentary", "root", about))[0] == 200
    for name, told in (("", []), ("bob", []), ("root", ["1"])):
        assert [each["id"] for each in await scene.get("/commentary", name)] == told


async def test_persons_are_the_accounts_of_teams(scene: Scene) -> None:
    (own,) = await scene.get("/persons", "alice")
    assert (own["name"], own["role"], own["team_ids"]) == ("alice", "contestant", ["t-alice"])
    account = await scene.get("/account", "alice")
    assert account["person_id"] == own["id"]
    assert [account] == await scene.get("/accounts", "alice")
    assert {each["name"] for each in await scene.get("/persons", "root")} == {"alice", "bob", "hidden"}


async def test_clarification_goes_to_the_teams_of_groups(scene: Scene) -> None:
    status, sent, _ = await scene.send(
        "POST", "/clarifications", "root", {"text": "North only", "to_group_ids": ["g1"]}
    )
    assert (status, sent["to_team_ids"]) == (200, ["t-alice"])
    assert await scene.get("/clarifications", "bob") == []
    for name, more in (("root", {"to_group_ids": ["none"]}), ("root", {"to_group_ids": []}),
                       ("alice", {"to_group_ids": ["g1"]})):  # fmt: skip
        assert (await scene.send("POST", "/clarifications", name, {"text": "?", **more}))[0] == 400, (name, more)


async def test_submission_of_many_files_names_its_entry_point(scene: Scene) -> None:
    files = {"Main.java": "public class Main {}"} | {f"C{n}.java": f"class C{n} {{}}" for n in range(9)}
    status, java, _ = await scene.submit(
        "alice", language_id="java", files=[{"data": zipped(files)}], entry_point="org.Main"
    )
    assert status == 200, java
    _, one, _ = await scene.submit("alice")

    assert (java["entry_point"], one["entry_point"]) == ("Main", None)


async def test_every_origin_may_ask(scene: Scene) -> None:
    for path in ("/clics/", BASE, f"{BASE}/event-feed", f"{BASE}/none", "/clics/none"):
        answer = await scene.home.ask("GET", path, headers={"Origin": "https://board.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*", path
    asked = {"Origin": "https://board.example", "Access-Control-Request-Method": "PATCH"}
    answer = await scene.home.ask("OPTIONS", BASE, headers=asked)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    other = await scene.home.ask("GET", "/api/v1/contests", headers={"Origin": "https://board.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
