"""Pages of contests that count points: forms of each kind, boards, own points, and late homework."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepoj.words.contests import ContestFeedback, ContestKind, ContestRegistration, EventType
from deepoj.words.groups import UserGroup
from deepoj.words.results import Verdict
from tests.contract.labs import PgLab, claim, report
from tests.web.contest_scene import HOUR_MS, JURY, MEMBER, OTHER, TEAM, arena, at, draft_problem, rules

_FORM = {"name": "Made", "length": "3:00", "feedback": "hidden", "is_public": "1"}
_FIELDS = ("freeze", "penalty", "late", "late_step", "late_percent", "is_compile_error_free")


@pytest.mark.parametrize(
    ("kind", "fields", "wanted"),
    [
        (ContestKind.ICPC, {"freeze": "60", "penalty": "20", "is_compile_error_free": "1"}, (HOUR_MS, 0, 0)),
        (ContestKind.IOI, {"freeze": ""}, (None, 0, 0)),
        (ContestKind.HOMEWORK, {"late": "48:00", "late_percent": "20", "late_step": "24:00"}, (None, 48 * HOUR_MS, 20)),
    ],
)
async def test_a_form_of_a_kind_has_its_fields_and_no_others(
    tmp_path: Path, real: PgLab, kind: ContestKind, fields: dict[str, str], wanted: tuple[int | None, int, int]
) -> None:
    place = await arena(tmp_path, real)
    jury = place.visits[JURY]
    shown = (await jury.get(f"/manage/contests?kind={kind}")).text
    assert {name for name in _FIELDS if f'name="{name}"' in shown} == {*fields}
    made = await jury.post("/manage/contests", {**_FORM, **fields, "key": "made", "kind": kind.value})
    assert made.location == "/manage/contests/made?done=made", made.text
    contest = await real.pg_store.contests.contest("made")
    assert contest is not None
    said = contest.rules
    assert (contest.kind, said.feedback) == (kind, ContestFeedback.HIDDEN)
    assert (said.freeze_ms, said.late_ms, said.late_percent) == wanted
    assert ('name="max_score"' in (await jury.get(made.location)).text) == (kind is not ContestKind.ICPC)
    changed = {**_FORM, **fields, "act": "rules", "name": "Other", "length": "4:00"}
    assert (await jury.post("/manage/contests/made", changed)).status == 303
    again = await real.pg_store.contests.contest("made")
    assert again is not None
    assert (again.kind, again.rules.name, again.rules.late_ms) == (kind, "Other", said.late_ms)


async def test_points_by_subtask_are_on_the_board_and_in_the_teams_pages(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(270.0), [await draft_problem(place)], kind=ContestKind.IOI)
    for number, minute, first, second in ((1, 10, 30, 0), (2, 20, 0, 45.5), (3, 250, 30, 70)):
        place.submitted(contest, number, "red", "A", minute)
        place.judged(contest, number, "Partial", score=first + second, groups=[["1", first], ["2", second]])
    board = (await place.visits[OTHER].get("/contests/finals/scoreboard")).text
    assert re.search(
        r'<td class="share-3 waits" title="1: 30 · 2: 45.5"><a href="board/red/A" aria-label="[^"]*">75.5 \?', board
    )
    assert "<td>75.5<td" in board
    assert "Penalty" not in board
    opened = (await place.visits[OTHER].get("/contests/finals/board/red/A")).text
    assert "Of each subtask the best counts: 1: 30 · 2: 45.5" in opened
    own = await place.visits[TEAM].get("/contests/finals")
    assert "<strong>100</strong> / 100<br><small>1: 30 · 2: 70</small>" in own.text, "it sees its own verdicts"
    listed = await place.visits[TEAM].get("/contests/finals/submissions")
    assert re.findall(r'<td class="number">([\d.]+)</td>\s*<td><a', listed.text) == ["100", "45.5", "30"]
    other = await place.visits[OTHER].get("/contests/finals")
    assert "<strong>100" not in other.text


async def test_late_homework_is_taken_and_the_page_says_what_it_loses(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    said = rules(330.0, freeze_ms=None, late_ms=HOUR_MS, late_step_ms=HOUR_MS // 4, late_percent=15)
    contest = await place.hold("finals", said, [await draft_problem(place)], kind=ContestKind.HOMEWORK)
    mine = place.visits[TEAM]
    shown = await mine.get("/contests/finals/problems/A")
    assert "now loses 45 % of its points" in shown.text
    assert "late submissions end:" in shown.text
    sent = await mine.post("/contests/finals/problems/A", {"language": "cpp17", "code": "int main(){}"})
    assert sent.location.startswith("/submissions/"), sent.text
    won = await claim(real, sent.location.removeprefix("/submissions/"), entry_id="1-1")
    assert (
        await real.store.leases.finalize(
            won, report(Verdict.ACCEPTED), {"score": 100, "tests": [], "groups": [{"name": "", "score": 100}]}
        )
        is None
    )
    assert "On the board it counts 55 points." in (await mine.get(sent.location)).text
    assert 'name="confirm"' not in (await place.visits[JURY].get("/manage/contests/finals/finalize")).text
    rule = (await mine.get("/contests/finals")).text
    assert "they lose 15 % of their points" in rule
    place.submitted(contest, 900, "blue", "A", 310)
    place.judged(contest, 900, "Accepted", score=100, groups=[])
    board = (await place.visits[OTHER].get("/contests/finals/scoreboard")).text
    assert "<td>85<td" in board
    place.tell(contest, EventType.EXTENSIONS, "blue", {"extra_ms": HOUR_MS // 3, "reason": "illness", "by": 1})
    extended = await place.visits[OTHER].get("/contests/finals/problems/A")
    assert "now loses 15 % of its points" in extended.text, "its deadline was ten minutes ago"
    board = (await place.visits[OTHER].get("/contests/finals/scoreboard")).text
    assert "<td>100<td" in board
    gone = {"start_at": at(contest, 305), "end_at": at(contest, 325), "is_restored": False, "reason": "power", "by": 1}
    place.tell(contest, EventType.INTERVALS, "1", gone)
    assert "now loses 15 % of its points" in (await mine.get("/contests/finals/problems/A")).text, "it is 10 min late"


async def test_the_members_of_a_group_become_teams_of_one(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(-10.0), [], kind=ContestKind.HOMEWORK)
    group = await real.pg_store.groups.create_group("Class <7>", by="chief")
    assert isinstance(group, UserGroup)
    await real.pg_store.groups.add_members(group.id, [MEMBER, TEAM], by="chief")
    jury, here = place.visits[JURY], f"/manage/contests/{contest.key}/teams"
    assert '<option value="Class &lt;7&gt;">' in (await jury.get(here)).text
    done = await jury.post(here, {"act": "members", "members": "class <7>"})
    assert done.status == 200, done.text
    assert "“team” is in another team, and stays there" in done.text
    user = await real.pg_store.accounts.credentials(MEMBER)
    assert user is not None
    assert await real.pg_store.contests.team_of(contest.id, user.user.id) == f"u{user.user.id}"
    refused = await jury.post(here, {"act": "members", "members": "No class"})
    assert refused.status == 400
    assert "the name of a group of accounts" in refused.text


async def test_a_problem_names_the_running_contest_that_takes_its_submissions(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    number = await draft_problem(place)
    await place.hold("past", rules(310.0), [number])
    contest = await place.hold("finals", rules(100.0), [number])
    real.sql("UPDATE problems SET visibility = 'listed'")
    link, path = 'href="/contests/finals/problems/A">Submit it there</a>', f"/problems/{number}"
    shown = (await place.visits[TEAM].get(path)).text
    assert "This problem is part of “<bdi>City Finals</bdi>”, which is running." in shown
    assert shown.index(link) < shown.index('id="code"')
    refused = await place.visits[TEAM].post(path, {"language": "cpp17", "code": "int main(){}"})
    assert refused.status == 403
    assert link in refused.text
    assert "is part of" not in (await place.visits[MEMBER].get(path)).text, "it is in no team"
    real.sql(f"UPDATE contests SET start_at = start_at - interval '300 min' WHERE id = {contest.id}")
    await real.pg_store.contests.advance()
    assert "is part of" not in (await place.visits[TEAM].get(path)).text
    real.sql(f"UPDATE contests SET feedback = 'hidden' WHERE id = {contest.id}")
    real.sql(f"UPDATE contests SET closed_at = NULL WHERE id = {contest.id}")
    hidden = (await place.visits[TEAM].get(path)).text
    assert "It takes no submissions until then." in hidden
    assert "Submit it there" not in hidden
    assert (await place.visits[TEAM].post(path, {"language": "cpp17", "code": "int main(){}"})).status == 403, (
        "as the page says"
    )


async def test_withdraw_is_not_offered_to_a_team_that_the_jury_has_grouped(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    said = rules(-10.0, registration=ContestRegistration.OPEN)
    contest = await place.hold("finals", said, [], kind=ContestKind.HOMEWORK)
    group = await real.pg_store.groups.create_group("Class", by="chief")
    assert isinstance(group, UserGroup)
    await real.pg_store.groups.add_members(group.id, [MEMBER], by="chief")
    mine = place.visits[MEMBER]
    await mine.post(f"/contests/{contest.key}/registration", {"act": "register"})
    assert 'value="withdraw"' in (await mine.get(f"/contests/{contest.key}")).text, "it has registered by itself"
    await place.visits[JURY].post(f"/manage/contests/{contest.key}/teams", {"act": "members", "members": "Class"})
    assert 'value="withdraw"' not in (await mine.get(f"/contests/{contest.key}")).text
