"""The pages of contests: who gets what and when, and that the freeze leaks nothing."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from quart import Response

from deepoj.api.contest_ledgers import topic_of
from deepoj.contests.views import JURY as JURY_VIEW
from deepoj.contests.views import PUBLIC, ContestViewer
from deepoj.web.assets import Assets
from deepoj.web.boards import BoardFeed, BoardRendering, Boards
from deepoj.web.contests import ContestReading
from deepoj.web.render import Pages
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import MAX_QUESTIONS, ClarificationDraft, Contest, ContestMember, EventType
from deepoj.words.statements import StatementSample, StatementSet
from tests.api.house import client, house_on, served
from tests.contract.labs import PgLab, claim, report
from tests.fakes.ports import Store
from tests.web.browser import PATIENCE_MS, chromium
from tests.web.contest_scene import (
    ADMIN,
    JURY,
    MEMBER,
    OTHER,
    STAGES,
    STRANGER,
    TEAM,
    Arena,
    arena,
    draft_problem,
    group,
    rules,
    team,
)
from tests.web.pages import LOGIN
from tests.web.site import BUNDLE
from tests.web.test_database_budget import Counted
from tests.web.visits import Reply, Visit

WHO = (STRANGER, MEMBER, TEAM, OTHER, JURY, ADMIN)
_EVERYBODY = (200,) * 6
_CODE = {"language": "cpp17", "code": "int main(){}"}
#: method and path → statuses of ``WHO``, at all stages or at each; a path is below the contest's
TABLE: Mapping[tuple[str, str], tuple[int, ...] | Mapping[str, tuple[int, ...]]] = {
    ("GET", ""): _EVERYBODY,
    ("GET", "/board"): (303,) * 6,
    ("GET", "/scoreboard"): _EVERYBODY,
    ("GET", "/scoreboard?tv=1"): _EVERYBODY,
    ("GET", "/scoreboard/events"): _EVERYBODY,
    ("GET", "/events"): (LOGIN, 404, 200, 200, 200, 200),
    ("GET", "/submissions"): _EVERYBODY,
    ("GET", "/submissions?team="): _EVERYBODY,
    ("GET", "/board/red/A"): {**dict.fromkeys(STAGES, _EVERYBODY), "before": (404, 404, 404, 404, 200, 200)},
    ("GET", "/board/none/A"): (404,) * 6,
    ("GET", "/clarifications"): _EVERYBODY,
    ("POST", "/clarifications"): {
        **dict.fromkeys(STAGES, (LOGIN, 403, 303, 303, 403, 403)),
        "finalized": (LOGIN, 403, 409, 409, 403, 403),
    },
    ("GET", "/problems/A"): {
        **dict.fromkeys(STAGES, (LOGIN, 403, 200, 200, 200, 200)),
        "before": (LOGIN, 403, 404, 404, 200, 200),
    },
    ("GET", "/problems/Z"): (LOGIN, 403, 404, 404, 404, 404),
    ("GET", "/problems/A/statement/files/none.png"): (LOGIN, 403, 404, 404, 404, 404),
    ("GET", "/problems/A/attachments/none.txt"): (LOGIN, 403, 404, 404, 404, 404),
    ("GET", "/problems/A/samples"): {
        **dict.fromkeys(STAGES, (LOGIN, 403, 303, 303, 303, 303)),
        "before": (LOGIN, 403, 404, 404, 303, 303),
    },
    ("GET", "/problems/A/run"): {
        **dict.fromkeys(STAGES, (LOGIN, 403, 303, 303, 303, 303)),
        "before": (LOGIN, 403, 404, 404, 303, 303),
    },
    # the problem has no samples
    ("POST", "/problems/A/samples"): {
        **dict.fromkeys(STAGES, (LOGIN, 403, 400, 400, 400, 400)),
        "before": (LOGIN, 403, 404, 404, 400, 400),
    },
    ("POST", "/problems/A"): {
        **dict.fromkeys(("running", "frozen"), (LOGIN, 403, 303, 303, 403, 403)),
        **dict.fromkeys(("over", "finalized"), (LOGIN, 403, 403, 403, 403, 403)),
        "before": (LOGIN, 403, 404, 404, 403, 403),
    },
}  # fmt: skip
#: what a contest that is not public answers those who are not in it
_PRIVATE = {STRANGER: 404, MEMBER: 404}


async def held(place: Arena, stage: str, **changes: Any) -> Contest:
    """Hold a contest that has come to a stage."""
    contest = await place.hold("finals", rules(STAGES[stage], **changes), [await draft_problem(place)])
    if stage != "finalized":
        return contest
    contests = place.real.pg_store.contests
    last = (await contests.events(contest.id, 0, 1000))[-1].number
    done = await contests.finalize(contest.id, [], last, by=place.director)
    assert isinstance(done, Contest), done
    return done


@pytest.mark.parametrize(("stage", "is_public"), [*((stage, True) for stage in STAGES), ("running", False)])
async def test_a_visitor_gets_what_the_table_says(tmp_path: Path, real: PgLab, stage: str, is_public: bool) -> None:
    place = await arena(tmp_path, real)
    contest = await held(place, stage, is_public=is_public)
    place.home.streams.close()
    wrong = []
    for (method, path), statuses in TABLE.items():
        row = statuses[stage] if isinstance(statuses, Mapping) else statuses
        for who, public_status in zip(WHO, row, strict=True):
            status = public_status if is_public or public_status == LOGIN else _PRIVATE.get(who, public_status)
            there = f"/contests/{contest.key}{path}"
            visit = place.visits[who]
            fields = {"text": "why?"} if "clarifications" in path else {**_CODE, "code": f"// {who} {stage}"}
            reply = await visit.get(there) if method == "GET" else await visit.post(there, fields)
            got = LOGIN if reply.location.startswith("/login") else reply.status
            if got != status:
                wrong.append((method, path, who, got, status))
    assert wrong == []


async def test_the_list_shows_what_a_visitor_may_see(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    for key, since in (("soon", -10.0), ("now", 10.0), ("past", 1000.0)):
        await place.hold(key, rules(since, name=f"The {key} one", is_public=key == "now"), [])
    for who, seen in {STRANGER: 1, MEMBER: 1, TEAM: 3, JURY: 3}.items():
        text = (await place.visits[who].get("/contests")).text
        assert len(re.findall(r"<bdi>The \w+ one</bdi></a>", text)) == seen, who


async def test_problems_are_secret_until_the_start(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await held(place, "before")
    for who in (STRANGER, MEMBER, TEAM):
        for path in ("", "/scoreboard", "/submissions", "/clarifications"):
            assert "Problem A of" not in (await place.visits[who].get(f"/contests/finals{path}")).text, (who, path)
    assert "Problem A of" in (await place.visits[JURY].get("/contests/finals")).text


async def test_a_team_submits_and_reads_its_submission_and_others_do_not(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await held(place, "running")
    mate = place.visits[MEMBER]
    await real.pg_store.contests.put_objects(contest.id, [], [ContestMember(MEMBER, "red")], by=place.director)
    sent = await place.visits[TEAM].post("/contests/finals/problems/A", _CODE)
    job_id = sent.location.removeprefix("/submissions/")
    won = await claim(real, job_id)
    real.sql(f"UPDATE contest_problems SET time_limit_ms = 4321 WHERE contest_id = {contest.id}")
    test = {"name": "1", "status": "Accepted", "cpu_ms": 12, "memory_kb": 900, "sample": True}
    assert await real.store.leases.finalize(won, report(), {"tests": [test]}) is None
    for visit in (place.visits[TEAM], mate):
        listed = await visit.get("/contests/finals/submissions")
        assert f'href="{sent.location}"' in listed.text
        assert "Accepted" in listed.text
        shown = await visit.get(sent.location)
        assert shown.status == 200
        assert '<meter min="0" max="4321" ' in shown.text, "by the limit of the contest"
        assert f'href="/contests/finals/problems/A?from={job_id}#solve"' in shown.text
    assert (await place.visits[OTHER].get(sent.location)).status == 403
    assert sent.location not in (await place.visits[OTHER].get("/contests/finals/submissions")).text
    for visit in (place.visits[TEAM], mate):
        assert "int main(){}" in (await visit.get(f"/contests/finals/problems/A?from={job_id}")).text
    for who, status in ((MEMBER, 200), (OTHER, 403)):
        token = await place.home.token_of(who)
        assert (await place.home.ask("GET", f"/api/v1/status/{job_id}", token=token)).status_code == status, who


async def test_a_team_runs_a_program_on_the_samples_unless_the_rules_say_no(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    number = await draft_problem(place)
    samples = StatementSet(samples=(StatementSample(input="1 2\n", output="3\n"),))
    assert await real.pg_store.statements.keep_statements(number, "00", samples, renderer=1)
    for key, allows in (("open", True), ("closed", False)):
        await place.hold(key, rules(100.0, name=key, allows_custom_runs=allows), [number])
        path = f"/contests/{key}/problems/A"
        page = await place.visits[TEAM].get(path)
        assert (f'formaction="{path}/samples"' in page.text) == allows
        reply = await place.visits[TEAM].post(f"{path}/samples", _CODE)
        assert reply.status == (303 if allows else 403)
        if allows:
            assert reply.location.startswith(f"{path}?samples=run-")
            shown = await place.visits[TEAM].get(reply.location.partition("#")[0])
            assert f'data-hx-get="{path}/samples?samples=run-' in shown.text
            assert "int main(){}" in shown.text, "the program stays in the form"
        assert (f'formaction="{path}/run"' in page.text) == allows
        reply = await place.visits[TEAM].post(f"{path}/run", {**_CODE, "stdin": "5 6"})
        assert reply.status == (303 if allows else 403)
        assert ("This contest allows no runs." in reply.text) == (not allows), "it is about samples and own inputs"
        if allows:
            assert reply.location.startswith(f"{path}?run=run-")
            shown = await place.visits[TEAM].get(reply.location.partition("#")[0])
            assert 'data-sse-connect="/playground/run-' in shown.text
            assert "5 6</textarea>" in shown.text, "the input stays in the form"
    assert real.sql("SELECT count(*) FROM submissions").strip() == "0", "a run is no submission"


async def test_a_refused_submission_keeps_what_was_written(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await held(place, "running")
    reply = await place.visits[TEAM].post("/contests/finals/problems/A", {"language": "none", "code": "// my program"})
    assert reply.status == 400
    assert "// my program" in reply.text


async def test_a_submission_after_the_end_shows_what_was_written_and_one_sentence(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await held(place, "over")
    reply = await place.visits[TEAM].post("/contests/finals/problems/A", {**_CODE, "code": "// 1 < 2"})
    assert reply.status == 403
    assert "// 1 &lt; 2</pre>" in reply.text
    assert reply.text.count('role="alert"') == 1
    assert "takes no more submissions" not in reply.text, "the refusal says it"
    real.sql("UPDATE problems SET visibility = 'listed'")
    reply = await place.visits[TEAM].post("/contests/finals/problems/A", {**_CODE, "code": "// 1 < 2"})
    [path] = re.findall(r'href="(/problems/\d+[?]draft=[^"]+)"', reply.text)
    page = await place.visits[TEAM].get(path)
    assert re.search(r'data-former-draft="\d+:finals:A"', page.text)


async def test_a_run_that_the_end_overtakes_shows_what_was_written(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    number = await draft_problem(place)
    samples = StatementSet(samples=(StatementSample(input="1 2\n", output="3\n"),))
    assert await real.pg_store.statements.keep_statements(number, "00", samples, renderer=1)
    contest = await place.hold("finals", rules(100.0), [number])
    asks, sent = place.visits[TEAM], {**_CODE, "code": "// 1 < 2"}
    runs = [await asks.post(f"/contests/finals/problems/A/{action}", sent) for action in ("run", "samples")]
    real.sql(f"UPDATE contests SET start_at = start_at - interval '300 min' WHERE id = {contest.id}")
    await real.pg_store.contests.advance()
    for run in runs:
        page = await asks.get(run.location.partition("#")[0])
        assert "takes no more submissions" in page.text
        assert "// 1 &lt; 2</pre>" in page.text, run.location


async def test_practice_takes_a_draft_only_of_the_same_problem_in_an_own_contest_that_is_over(
    tmp_path: Path, real: PgLab
) -> None:
    place = await arena(tmp_path, real)
    first, second = await draft_problem(place), await draft_problem(place)
    await place.hold("past", rules(310.0), [first, second])
    await place.hold("finals", rules(100.0), [first, second])
    longer = await place.hold("longer", rules(310.0), [first])
    real.sql(f"INSERT INTO contest_extensions VALUES ({longer.id}, 'red', 3600000)")
    real.sql("UPDATE problems SET visibility = 'listed'")

    async def taken(who: str, draft: str) -> list[str]:
        page = await place.visits[who].get(f"/problems/{first}?draft={draft}")
        return re.findall(r'data-former-draft="\d+:([^"]+)"', page.text)

    assert await taken(TEAM, "past:A") == ["past:A"]
    assert await taken(OTHER, "longer:A") == ["longer:A"]
    assert await taken(TEAM, "longer:A") == [], "its team has more time"
    assert await taken(MEMBER, "past:A") == [], "it is in no team"
    for draft in ("past:B", "finals:A", "none:A", "past", ":", "%00:A", f"{second}"):
        assert await taken(TEAM, draft) == [], draft
    page = await place.visits[TEAM].get("/contests/finals/problems/A?draft=past:A")
    assert "data-former-draft" not in page.text, "drafts of contests stay in their contests"


async def test_an_answer_is_new_until_it_is_read(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await held(place, "running")
    contests, asks = real.pg_store.contests, place.visits[TEAM]
    await asks.post("/contests/finals/clarifications", {"text": "Is it <rooted>?", "problem": "A"})
    assert " new" not in _tab(await asks.get("/contests/finals")), "its own question is no news"
    await contests.clarify(contest.id, ClarificationDraft(to_team_ids=("red",), reply_to_id="1", text="Read again."))
    assert "1 new" in _tab(await asks.get("/contests/finals"))
    assert " new" not in _tab(await place.visits[OTHER].get("/contests/finals")), "it is for another team"
    page = await asks.get("/contests/finals/clarifications")
    assert "Read again." in page.text
    assert "Is it &lt;rooted&gt;?" in page.text
    assert " new" not in _tab(await asks.get("/contests/finals"))
    for who in (STRANGER, MEMBER, OTHER):
        assert "rooted" not in (await place.visits[who].get("/contests/finals/clarifications")).text


async def test_question_that_may_not_wait_too_stays_in_its_form(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await held(place, "running")
    for _ in range(MAX_QUESTIONS):
        await real.pg_store.contests.clarify(contest.id, ClarificationDraft(from_team_id="red", text="Why?"))
    page = await place.visits[TEAM].post("/contests/finals/clarifications", {"text": "And how?"})
    assert (page.status, "20 questions of your team wait" in page.text, "And how?" in page.text) == (409, True, True)


async def test_the_jury_asks_itself_nothing_also_in_a_team(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await held(place, "running")
    own, members = [team("own", "Own")], [ContestMember(JURY, "own")]
    assert not await real.pg_store.contests.put_objects(contest.id, own, members, by=place.director)
    page = "/contests/finals/clarifications"
    forms = {who: 'id="text"' in (await place.visits[who].get(page)).text for who in (MEMBER, TEAM, JURY)}
    assert forms == {MEMBER: False, TEAM: True, JURY: False}


async def test_the_freeze_leaks_nothing_to_the_public_and_other_teams(tmp_path: Path, real: PgLab) -> None:
    """Two contests that differ in their keys and in what the freeze hides."""
    place = await arena(tmp_path, real)
    problem = await draft_problem(place)
    said = rules(270.0)
    for key, verdict in (("world-a", "Accepted"), ("world-b", "Wrong Answer")):
        contest = await place.hold(key, said, [problem], [team("third", "Third")])
        for number, (team_id, minute) in enumerate(
            [("red", 10), ("third", 20), ("red", 250), ("third", 250), ("red", 255)]
        ):
            place.submitted(contest, number, team_id, "A", minute)
        place.judged(contest, 0, "Wrong Answer")
        place.judged(contest, 1, "Accepted")
        place.judged(contest, 2, verdict)
        place.judged(contest, 3, verdict)
    own = await place.visits[TEAM].get("/contests/world-a/submissions")
    assert "Accepted" in own.text, "the worlds differ"
    await place.visits[STRANGER].get("/")  # gets its cookie
    for who in (STRANGER, MEMBER, OTHER):
        for method, path in TABLE:
            if method == "GET" and not path.endswith("/events"):
                worlds = [await place.visits[who].get(f"/contests/{key}{path}") for key in ("world-a", "world-b")]
                first, second = map(_as_seen, worlds)
                assert first == second, (who, path)
    async with served(place.home) as (url, _):
        for who in (STRANGER, MEMBER, OTHER):
            paths = [f"/contests/{key}/scoreboard/events" for key in ("world-a", "world-b")]
            before, after = [_neutral(await _first_events(url, place.visits[who], path)) for path in paths]
            assert "event: board" in before
            assert before == after, who
    board = (await place.visits[STRANGER].get("/contests/world-a/scoreboard")).text
    assert board.count('<td class="pending">') == 1, "red"
    ledger = await place.home.context.ledgers.ledger(contest)
    assert ledger.jury_board.rows() != ledger.public_board.rows(), "the freeze hides something"


async def test_a_board_sends_only_the_rows_that_have_changed(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    teams = [team(f"t{number}", f"Team {number}") for number in range(20)]
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)], teams)
    boards = _boards(place)
    shared = [await _feed(place, boards, contest), await _feed(place, boards, contest)]
    for feed in shared:
        (whole,) = await feed.events()
        assert (whole.name, str(whole.data).count("<tr ")) == ("board", 22)
    place.submitted(contest, 1, "t19", "A", 50)
    place.judged(contest, 1, "Wrong Answer")
    (rows,), (same,) = [await feed.events() for feed in shared]
    assert (rows.name, str(rows.data).count("<tr ")) == ("rows", 1)
    assert rows.data is same.data, "it is rendered once"
    assert "Team 19" in str(rows.data)
    assert not await shared[0].events()
    place.tell(contest, EventType.TEAMS, "late", {"name": "Latecomers", "group_ids": [], "is_hidden": False})
    (whole,) = await shared[0].events()
    assert whole.name == "board"


async def test_streams_of_boards_are_counted_to_the_account_or_to_the_address_alone(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    counted: list[int | None] = []

    def answer(user_id: int | None, *_: object) -> Response:
        counted.append(user_id)
        return Response(b"")

    monkeypatch.setattr(place.home.streams, "answer", answer)
    for who in (STRANGER, TEAM):
        assert (await place.visits[who].get("/contests/finals/scoreboard/events")).status == 200
    team_user = await place.home.ports.accounts.credentials(TEAM)
    assert team_user is not None
    assert counted == [None, team_user.user.id], "None: without an account, with or without cookies"


async def test_changes_since_any_earlier_board_give_the_board(tmp_path: Path, real: PgLab) -> None:
    """Rows move past each other, join ties and leave them, and come back to where they were."""
    place = await arena(tmp_path, real)
    teams = [team(f"t{number}", f"Team {number}") for number in range(6)]
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place) for _ in range(3)], teams)
    boards, states = _boards(place), []

    async def render() -> BoardRendering:
        ledger = await place.home.context.ledgers.ledger(contest)
        return boards.rendering(ContestReading(contest, ledger, PUBLIC), _STRANGER, "")

    states.append(await render())
    for number, (team_id, label, minute) in enumerate(
        [("t5", "A", 9), ("t4", "A", 9), ("t3", "B", 5), ("t0", "C", 1), ("t3", "A", 90), ("red", "A", 9)]
    ):
        place.submitted(contest, number, team_id, label, minute)
        states.append(await render())
        place.judged(contest, number, "Accepted")
        states.append(await render())
    for number in (1, 0):
        place.judged(contest, number, "Wrong Answer")
        states.append(await render())
    last = states[-1]
    for former in states[-8:]:
        event = last.since(former)
        assert (event is None) == (former is last)
        changed = _applied(_rows_of(former), "" if event is None else str(event.data))
        assert changed == _rows_of(last), former.last
    assert boards.earlier(ContestReading(contest, await place.home.context.ledgers.ledger(contest), PUBLIC),
                          _STRANGER, "", states[-8].id) is states[-8]  # fmt: skip


async def test_verdicts_in_the_freeze_change_no_id_of_the_public_board(tmp_path: Path, real: PgLab) -> None:
    """There are more of them than earlier boards are kept, and a node that has seen none has the same id."""
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(250.0), [await draft_problem(place)])
    boards = _boards(place)

    async def ids(viewer: ContestViewer) -> tuple[str, str]:
        reading = ContestReading(contest, await place.home.context.ledgers.ledger(contest), viewer)
        rendering = boards.rendering(reading, _STRANGER, "")
        assert boards.earlier(reading, _STRANGER, "", rendering.id) is rendering
        return rendering.id, _boards(place).rendering(reading, _STRANGER, "").id

    for number in range(10):
        place.submitted(contest, number, "red", "A", 245)
    public, jury = await ids(PUBLIC), await ids(JURY_VIEW)
    assert public[0] == public[1]
    shown = boards.earlier(
        ContestReading(contest, await place.home.context.ledgers.ledger(contest), PUBLIC), _STRANGER, "", public[0]
    )
    for number in range(10):
        place.judged(contest, number, "Wrong Answer")
        assert await ids(PUBLIC) == public
        assert await ids(JURY_VIEW) != jury
    feed = await _feed(place, boards, contest)
    feed.shown = shown
    assert await feed.events() == [], "the page shows it already"


async def test_a_page_says_which_board_it_shows_and_gets_what_has_changed_since(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    page = (await place.visits[TEAM].get("/contests/finals/scoreboard")).text
    assert page.count('<tr id="team-red" class="own">') == 1
    found = re.search(r'data-sse-connect="([^"]+)"', page)
    assert found is not None
    place.submitted(contest, 1, "red", "A", 50)
    async with served(place.home) as (url, _):
        changed = await _first_events(url, place.visits[TEAM], unescape(found[1]), until="event: own")
        whole = await _first_events(url, place.visits[TEAM], "/contests/finals/scoreboard/events?since=1")
    assert "event: rows" in changed
    assert "event: board" not in changed
    assert "event: board" in whole, "a board that is not known any more is sent again"


async def test_a_cell_says_how_its_number_comes_about(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    for number, (minute, verdict) in enumerate([(10, "Wrong Answer"), (30, "Accepted"), (40, "Wrong Answer")]):
        place.submitted(contest, number, "red", "A", minute)
        place.judged(contest, number, verdict)
    board = (await place.visits[STRANGER].get("/contests/finals/scoreboard")).text
    assert 'href="board/red/A"' in board
    for who, links in ((STRANGER, 0), (OTHER, 0), (TEAM, 3), (JURY, 3)):
        page = (await place.visits[who].get("/contests/finals/board/red/A")).text
        assert "30 + 1 × 20 = <strong>50</strong>" in page, who
        assert page.count('href="/submissions/00000000') == links, who
        assert bool(re.search(r"event \d", page)) == (">Event</th>" in page) == (who is JURY), who


async def test_the_board_of_a_group_has_its_teams_and_hides_hidden_groups(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    groups = [group("north", "North"), group("south", "South"), group("staff", "Staff", hidden=True)]
    await place.hold("finals", rules(100.0), [await draft_problem(place)], [team("s", "Staff team", "staff")], groups)
    visit = place.visits[STRANGER]
    for query, seen, unseen in (
        ("", ["Red Pandas", "Blue Whales"], ["Staff"]),
        ("?group=north", ["Red Pandas"], ["Blue Whales", "Staff"]),
        ("?group=staff", ["Red Pandas", "Blue Whales"], ["Staff"]),
    ):
        text = (await visit.get(f"/contests/finals/scoreboard{query}")).text
        assert all(name in text for name in seen), query
        assert not any(name in text for name in unseen), query


async def test_the_thaw_shows_what_was_hidden(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(310.0), [await draft_problem(place)])
    place.submitted(contest, 1, "red", "A", 250)
    place.judged(contest, 1, "Accepted")
    before = (await place.visits[STRANGER].get("/contests/finals/scoreboard")).text
    assert "The board is frozen.</strong> From contest time 4:00 on" in before
    assert ">5:00 / 5:00<" in (await place.visits[JURY].get("/manage/contests/finals/clock")).text, "it is over"
    assert '<td class="solved' not in before
    said = dataclasses.replace(contest.rules, thaw_at=contest.rules.start_at)
    assert isinstance(await real.pg_store.contests.change_contest(contest.id, said, by=place.director), Contest)
    await real.pg_store.contests.advance()
    after = (await place.visits[STRANGER].get("/contests/finals/scoreboard")).text
    assert "The board is frozen." not in after
    assert '<td class="solved first">' in after


async def test_names_are_text_on_every_page(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    hostile = "<script>alert(1)</script>"
    contest = await place.hold("finals", rules(100.0, name=hostile), [await draft_problem(place)], [team("x", hostile)])
    place.tell(contest, EventType.ORGANIZATIONS, "u", {"name": hostile})
    place.tell(contest, EventType.TEAMS, "red", {"name": hostile, "organization_id": "u", "group_ids": []})
    await real.pg_store.contests.clarify(contest.id, ClarificationDraft(text=hostile, category=hostile))
    for method, path in TABLE:
        if method == "GET" and not path.endswith("/events"):
            assert hostile not in (await place.visits[TEAM].get(f"/contests/finals{path}")).text, path


_STRANGER = Visitor(account=None, secret="s", form_token="t", language="en", theme="auto", programmed="", address=None)


async def _feed(place: Arena, boards: Boards, contest: Contest) -> BoardFeed:
    """Return what a stream of the public board asks."""

    async def render() -> BoardRendering:
        ledger = await place.home.context.ledgers.ledger(contest)
        return boards.rendering(ContestReading(contest, ledger, PUBLIC), _STRANGER, "")

    return BoardFeed(render, None)


def _rows_of(rendering: BoardRendering) -> list[tuple[str, str]]:
    return re.findall(r'<tr id="(team-\w+)">(.*?)</tr>', str(rendering.whole().data))


def _applied(rows: list[tuple[str, str]], patches: str) -> list[tuple[str, str]]:
    """Apply the data of an event ``rows``, as ``board.js`` does."""
    cells, moved = dict(rows), []
    for team_id, place, html in re.findall(r'<tr id="(team-\w+)" data-place="(\d+)"[^>]*>(.*?)</tr>', patches):
        rank, rest = re.fullmatch(r"(<td>[0-9]+)(.*)", html).groups()  # type: ignore[union-attr]
        kept = re.sub(r"^<td>[0-9]+", "", cells[team_id])
        moved.append((int(place), (team_id, rank + (rest or kept))))
    changed = [row for row in rows if row[0] not in {team_id for _, (team_id, _) in moved}]
    for place, row in moved:
        changed.insert(place - 1, row)
    return changed


def _boards(place: Arena) -> Boards:
    visitors = Visitors(place.home.context.sessions, place.home.settings)
    return Boards(Pages(visitors, Assets(), has_playground=False, has_github=False))


async def _first_events(url: str, visit: Visit, path: str, until: str = "event: board") -> str:
    """Return the first events of a board's stream."""
    received = ""
    async with client(url) as asks, asks.stream("GET", path, cookies=visit.cookies) as response:
        async for piece in response.aiter_text():
            received += piece
            if until in received and received.endswith("\n\n"):
                break
    return received


def _neutral(text: str) -> str:
    """Return a page without what may differ between the worlds: their keys, the clock, the visitor's tokens."""
    text = re.sub(r"world-[ab]", "world", text)
    text = re.sub(r"since=[\w-]+|^id: [\w-]+$", "", text, flags=re.MULTILINE)  # digests, also of the key
    text = re.sub(r'name="server-time" content="[^"]*"|<time [^>]*data-time="server">[^<]*', "", text)
    text = re.sub(r'http-equiv="refresh" content="\d+"', "", text)  # the seconds until the next turn
    text = re.sub(r"<code>[0-9a-f-]{36}</code>", "", text)  # of the request
    text = re.sub(r'name="form_token" value="[^"]*"', "", text)  # masked
    return re.sub(r'nonce="?[^" ]*"|name="csp-nonce" content="[^"]*"', "", text)


def _as_seen(reply: Reply) -> tuple[int, str, list[tuple[str, str]]]:
    headers = [
        (name, re.sub(r"nonce-[^']*", "", _neutral(value)))
        for name, value in reply.headers.items()
        if name.lower() not in {"x-request-id", "date", "etag"}  # it is of the text with the clock and the key
    ]
    return reply.status, _neutral(reply.text), headers


def _tab(reply: Reply) -> str:
    """Return the words of the tab that leads to the clarifications."""
    found = re.search(r'/clarifications"[^>]*>(.*?)</a>', reply.text)
    assert found is not None, reply.text
    return found[1]


async def test_a_page_asks_the_database_twelve_times_at_most(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await held(place, "running")
    for number in range(20):
        place.submitted(contest, number, "red", "A", number)
        await real.pg_store.contests.clarify(contest.id, ClarificationDraft(text=f"News {number}"))
    store = Counted(place.home.ports)
    counted = house_on(tmp_path, cast("Store", store), has_pages=True)
    counted.streams.close()
    paths = [f"/contests/finals{path}" for method, path in TABLE if method == "GET"]
    manage = [
        f"/manage/contests/finals{path}" for path in ("", "/scoreboard", "/submissions", "/clarifications", "/waits")
    ]
    for who, path in [*((TEAM, path) for path in ("/contests", *paths)), *((JURY, path) for path in manage)]:
        store.calls.clear()
        await Visit(counted, cookies=place.visits[who].cookies).get(path)
        assert 2 <= len(store.calls) <= 12, (path, store.calls)


@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
async def test_an_open_board_changes_in_the_browser(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.api.house.Assets", lambda: Assets.load(BUNDLE.parent))
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    asked, told = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    async def judge() -> None:
        await asked.wait()
        place.submitted(contest, 1, "red", "A", 50)
        place.judged(contest, 1, "Accepted")
        place.home.streams.notify(topic_of(contest))
        told.set()

    def look(url: str) -> None:
        with chromium() as browser:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            faults: list[str] = []
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            page.goto(f"{url}/contests/finals/scoreboard")
            page.locator("[data-live=open]").wait_for()
            assert page.locator(".board tbody tr").first.inner_text().split()[1:3] == ["Blue", "Whales"]
            token.run_sync_soon(asked.set)
            page.locator("#team-red .solved.first").wait_for()
            assert told.is_set()
            assert page.locator(".board tbody tr").first.inner_text().split()[1:3] == ["Red", "Pandas"]
            assert page.locator(".board tbody tr").count() == 2
            assert page.locator(".clock").first.inner_text().startswith("3:"), "it counts down to the end"
            assert faults == []

    async with served(place.home) as (url, _), trio.open_nursery() as nursery:
        nursery.start_soon(judge)
        await trio.to_thread.run_sync(look, url)
