"""The clock of a contest by its page: each act is asked about, then done; and what others see of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepoj.words.contests import ClockAct, ClockChange, EventType
from tests.contract.labs import PgLab
from tests.contract.test_store_contests import HOUR_MS
from tests.web.contest_scene import JURY, OTHER, TEAM, Arena, arena, at, confirmed, draft_problem, rules, stamp_in
from tests.web.test_manage_contests import contest_of

_HERE = "/manage/contests/finals/clock"


async def done(place: Arena, **fields: str) -> None:
    """Send a form, confirm it as its page asks, and see that it was done."""
    jury = place.visits[JURY]
    before = await contest_of(place, "finals")
    asked = await jury.post(_HERE, fields)
    assert asked.status == 200, asked.text
    assert stamp_in(asked.text)
    for name, value in fields.items():
        assert f'name="{name}" value="{value}"' in asked.text, "the form that confirms says the same"
    assert await contest_of(place, "finals") == before, "asking does nothing"
    reply = await jury.post(_HERE, {**fields, "sure": stamp_in(asked.text)})
    assert reply.location == f"{_HERE}?done={fields['act']}", reply.text
    page = await jury.get(reply.location)
    assert page.status == 200
    assert 'role="status"' in page.text


async def test_a_contest_is_paused_resumed_and_cut(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    place.submitted(contest, 1, "red", "A", 50)
    place.judged(contest, 1, "Accepted")
    await done(place, act="pause", reason="The power failed")
    page = (await place.visits[TEAM].get("/contests/finals")).text
    assert "paused since" in page
    assert "data-clock" not in page, "a clock that stands still does not count down"
    assert "paused since" in (await place.visits[TEAM].get("/contests")).text
    sent = {"language": "cpp17", "code": "int main(){}"}
    refused = await place.visits[TEAM].post("/contests/finals/problems/A", sent)
    assert (refused.status, "The contest is paused" in refused.text) == (403, True)
    assert (await confirmed(place.visits[JURY], _HERE, {"act": "pause"})).status == 409
    await done(place, act="resume")
    interval = {"start_at": at(contest, 10)[:19], "end_at": at(contest, 20)[:19], "zone": "0"}
    await done(place, act="remove", reason="The network failed", **interval)
    page = (await place.visits[JURY].get(_HERE)).text
    assert page.count("The network failed") == 2, "as an interval, and as an act"
    assert "&#10;40</a>" in (await place.visits[TEAM].get("/contests/finals/scoreboard")).text
    ledger = await place.home.context.ledgers.ledger(contest)
    last = list(ledger.of(EventType.INTERVALS))[-1]
    await done(place, act="restore", interval=last, reason="It did not fail")
    assert "&#10;50</a>" in (await place.visits[TEAM].get("/contests/finals/scoreboard")).text


async def test_the_start_the_board_the_length_and_a_team(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(-60.0), [await draft_problem(place)])
    await done(place, act="pause")
    assert "the countdown is paused" in (await place.visits[TEAM].get("/contests/finals")).text
    await done(place, act="resume")
    await done(place, act="move", start_at="2099-01-31T09:00:00", zone="0", reason="Rain")
    await done(place, act="start")
    await done(place, act="freeze")
    assert (await contest_of(place, "finals")).frozen_at is not None
    await done(place, act="thaw")
    assert (await contest_of(place, "finals")).frozen_at is None
    await done(place, act="length", length="6:30", reason="A late start")
    assert (await contest_of(place, "finals")).rules.duration_ms == 390 * 60_000
    await done(place, act="extend", team="red", minutes="15", reason="Their machine broke")
    assert real.rows("SELECT team_id, extra_ms FROM contest_extensions") == [{"team_id": "red", "extra_ms": 900_000}]
    await done(place, act="penalty", team="red", penalty="-20", reason="Their machine was slow")
    page = (await place.visits[JURY].get(_HERE)).text
    assert '<td class="number">-20</td><td><bdi>Their machine was slow</bdi></td>' in page
    real.sql("UPDATE contests SET start_at = start_at - interval '391 min', started_at = start_at - interval '391 min'")
    await real.pg_store.contests.advance()
    for who, is_open in ((TEAM, True), (OTHER, False)):
        page = (await place.visits[who].get("/contests/finals/problems/A")).text
        assert ('name="language"' in page, "your team may still submit" in page) == (is_open, is_open)


async def test_judging_of_a_problem_is_paused(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    await done(place, act="hold", problem="A")
    sent = {"language": "cpp17", "code": "int main(){}"}
    reply = await place.visits[TEAM].post("/contests/finals/problems/A", sent)
    assert reply.status == 303, reply.text
    page = (await place.visits[TEAM].get(reply.location)).text
    assert "Judging of this problem is paused" in page
    assert '<td class="number">1</td><td>paused</td>' in (await place.visits[JURY].get(_HERE)).text
    change = ClockChange(act=ClockAct.RELEASE, label="A")
    await real.pg_store.contests.change_clock(contest.id, change, by=place.director)
    assert "Judging of this problem is paused" not in (await place.visits[TEAM].get(reply.location)).text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"act": "else"}, 400),
        ({"act": "length", "length": "six", "reason": "x"}, 400),
        ({"act": "length", "length": "6:00"}, 400),
        ({"act": "remove", "start_at": "2026-01-31T09:00", "reason": "x"}, 400),
        ({"act": "remove", "start_at": "2001-01-31T09:00", "end_at": "2001-01-31T10:00", "reason": "x"}, 409),
        ({"act": "restore", "interval": "7", "reason": "x"}, 409),
        ({"act": "extend", "team": "none", "minutes": "5", "reason": "x"}, 404),
        ({"act": "penalty", "team": "red", "penalty": "1.5", "reason": "x"}, 400),
        ({"act": "start"}, 409),
        ({"act": "thaw"}, 409),
        ({"act": "hold", "problem": "Z"}, 400),
    ],
)
async def test_an_act_that_is_refused_says_why(
    tmp_path: Path, real: PgLab, fields: dict[str, str], status: int
) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    before = await contest_of(place, "finals")
    reply = await confirmed(place.visits[JURY], _HERE, fields)
    assert reply.status == status, reply.text
    assert 'class="refused" role="alert"' in reply.text
    assert await contest_of(place, "finals") == before


async def test_an_act_is_asked_about_again_if_the_contest_was_changed_meanwhile(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [])
    jury = place.visits[JURY]
    sent = {"act": "length", "length": "6:00", "reason": "One hour more"}
    first = stamp_in((await jury.post(_HERE, sent)).text)
    await done(place, act="length", length="7:00", reason="Two hours more")
    again = await jury.post(_HERE, {**sent, "sure": first})
    assert again.status == 200
    assert "was changed after you were asked" in again.text
    assert (await contest_of(place, "finals")).rules.duration_ms == 7 * HOUR_MS
    assert (await jury.post(_HERE, {**sent, "sure": stamp_in(again.text)})).status == 303
    assert (await contest_of(place, "finals")).rules.duration_ms == 6 * HOUR_MS
