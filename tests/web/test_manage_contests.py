"""A contest from its creation to its awards, by the pages of those who run it."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.words.contests import Contest, ContestFeedback, EventType
from tests.contract.labs import PgLab
from tests.web.contest_scene import (
    ADMIN,
    HOUR_MS,
    JURY,
    MEMBER,
    OTHER,
    STRANGER,
    TEAM,
    Arena,
    arena,
    at,
    confirmed,
    draft_problem,
    rules,
    stamp_in,
    team,
)

_RULES = {"name": "Spring Cup", "length": "2:30", "freeze": "30", "penalty": "20", "is_public": "1"}
_HERE = "/manage/contests/finals"
_PAGES = ("", "/scoreboard", "/scoreboard/events", "/events", "/submissions", "/clarifications", "/clock")


async def contest_of(place: Arena, key: str) -> Contest:
    found = await place.real.pg_store.contests.contest(key)
    assert found is not None
    return found


async def test_only_the_jury_and_administrators_run_contests(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    place.home.streams.close()
    for who in (STRANGER, MEMBER, TEAM, OTHER, JURY, ADMIN):
        for path in _PAGES:
            reply = await place.visits[who].get(f"{_HERE}{path}")
            expected = 303 if who == STRANGER else 200 if who in (JURY, ADMIN) else 403
            assert reply.status == expected, (who, path, reply.text)
        for path in ("", "/clarifications"):
            reply = await place.visits[who].post(f"{_HERE}{path}", {"act": "rules", "text": "x"})
            assert who in (JURY, ADMIN) or "done=" not in reply.location, (who, path)


async def test_a_contest_from_its_creation_to_its_awards(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    jury, problem = place.visits[JURY], await draft_problem(place)
    sent = {**_RULES, "key": "spring", "start_at": "2027-03-01T09:00", "zone": "-480"}
    made = await jury.post("/manage/contests", sent)
    assert made.location == "/manage/contests/spring?done=made", made.text
    contest = await contest_of(place, "spring")
    assert contest.rules.start_at == dt.datetime(2027, 3, 1, 1, tzinfo=dt.UTC), "nine o'clock eight hours east of UTC"
    assert (contest.rules.duration_ms, contest.rules.freeze_ms) == (150 * 60_000, 30 * 60_000)
    here = "/manage/contests/spring"
    listed = f"red,Red Pandas,North University,north,,{TEAM}\nblue,Blue Whales,,,,{OTHER};{MEMBER}\n"
    shown = {"act": "problem", "label": "A", "problem_id": str(problem), "rgb": "#112233", "has_color": "1"}
    for path, fields in ((here, shown), (f"{here}/teams", {"act": "teams", "list": listed})):
        reply = await jury.post(path, fields)
        assert reply.location == f"{path}?done={fields['act']}", reply.text
    assert "done=start" in (await confirmed(jury, f"{here}/clock", {"act": "start"})).location
    assert 'fill="#112233"' in (await jury.get(here)).text
    page = (await jury.get(f"{here}/teams")).text
    assert "North University" in page
    assert f"<bdi>{MEMBER}</bdi>, <bdi>{OTHER}</bdi>" in page
    contest = await contest_of(place, "spring")
    assert contest.started_at is not None
    place.submitted(contest, 1, "red", "A", 0.5)
    place.judged(contest, 1, "Accepted")
    await place.visits[TEAM].post("/contests/spring/clarifications", {"text": "Why?"})
    assert "1 open" in (await jury.get(here)).text
    over = {"act": "length", "length": "0:01", "reason": "Fire alarm", "confirm": "spring"}
    unfrozen = {"act": "rules", "name": "Spring Cup", "freeze": "", "penalty": "20"}
    assert (await confirmed(jury, here, unfrozen)).location == f"{here}?done=rules"
    assert (await confirmed(jury, f"{here}/clock", over)).location == f"{here}/clock?done=length"
    real.sql(f"UPDATE contests SET start_at = start_at - interval '1 hour' WHERE id = {contest.id}")
    medals = {"gold": "1", "silver": "0", "bronze": "0", "confirm": "spring"}
    await real.pg_store.contests.advance()
    refused = await jury.post(f"{here}/finalize", medals)
    assert refused.status == 409
    assert "question" in refused.text
    answered = await jury.post(f"{here}/clarifications", {"reply_to": "1", "canned": "No comment.", "text": "Read it."})
    assert answered.location.endswith("?done=answer"), answered.text
    assert "No comment.\nRead it." in (await place.visits[TEAM].get("/contests/spring/clarifications")).text
    assert "No comment." not in (await place.visits[OTHER].get("/contests/spring/clarifications")).text
    assert (await jury.post(f"{here}/finalize", medals)).location == f"{here}?done=finalize"
    ledger = await place.home.context.ledgers.ledger(contest)
    assert ledger.of(EventType.AWARDS)["winner"]["team_ids"] == ["red"]
    links = re.findall(r'href="([^"]+/results[.]\w+)"', (await jury.get(f"{here}/afterwards")).text)
    assert links == [f"{here}/results.tsv", f"{here}/results.json"]
    first, winner, *_ = (await jury.get(links[0])).text.splitlines()
    assert (first, winner.split("\t")[:3]) == ("results\t1", ["red", "1", "Gold Medal"])
    assert json.loads((await jury.get(links[1])).text)[0]["name"] == "Red Pandas"
    page = (await jury.get(f"{here}?done=finalize")).text
    assert "The results are final" in page
    assert "<form" not in page.split("<main")[1].split("</main>")[0], "nothing is left to change"


async def test_form_for_a_problem_offers_problems_and_takes_a_color_only_when_it_is_chosen(
    tmp_path: Path, real: PgLab
) -> None:
    place = await arena(tmp_path, real)
    number = await draft_problem(place, title="<Sums>")
    await place.hold("finals", rules(-60.0), [])
    jury = place.visits[JURY]
    page = (await jury.get(_HERE)).text
    assert 'list="offered"' in page
    assert f'<option value="{number}">{number} — &lt;Sums&gt;</option>' in page
    assert 'name="has_color" value="1" checked' not in page
    assert "Memory limit in MiB" in page
    [untouched] = re.findall(r'name="rgb" type="color" value="([^"]+)"', page)
    sent = {"act": "problem", "label": "A", "problem_id": str(number), "rgb": untouched}
    for fields, color in (
        ({}, None),
        ({"has_color": "1"}, untouched),
        ({}, untouched),
        ({"rgb": "#112233"}, "#112233"),
        ({"time_limit_ms": "1500"}, "#112233"),
    ):
        assert (await jury.post(_HERE, {**sent, **fields})).status == 303
        filled = re.findall(r'fill="(#[0-9a-f]{6})"', (await jury.get(_HERE)).text)
        assert filled == ([] if color is None else [color]), fields


async def test_form_of_a_problem_changes_one_field_and_shows_the_others(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    number = await draft_problem(place)
    contest = await place.hold("finals", rules(-60.0), [])
    jury = place.visits[JURY]
    sent = {"act": "problem", "label": "A"}
    made = {"problem_id": str(number), "name": "Sums", "rgb": "#112233", "color": "slate", "time_limit_ms": "2500"}
    assert (await jury.post(_HERE, {**sent, **made})).status == 303

    async def stored() -> dict[str, Any]:
        ledger = await place.home.context.ledgers.ledger(contest)
        return dict(ledger.of(EventType.PROBLEMS)["A"])

    before = await stored()
    assert (await jury.post(_HERE, {**sent, "memory_limit_mb": "99"})).status == 303, "the form for any label"
    assert await stored() == {**before, "memory_limit_mb": 99}
    page = (await jury.get(_HERE)).text
    shown = dict(re.findall(r'<input id="(\w+)-1" (?:dir="auto" )?name="\1" (?:type="color" )?value="([^"]*)"', page))
    assert shown == {
        "name": "Sums",
        "rgb": "#112233",
        "color": "slate",
        "time_limit_ms": "2500",
        "memory_limit_mb": "99",
    }
    whole = {**sent, **shown, "is_shown": "1", "has_color": "1", "color": ""}
    assert (await jury.post(_HERE, whole)).status == 303, "the form of this problem"
    assert await stored() == {**before, "memory_limit_mb": 99, "color": ""}
    _, marks = re.findall(r'name="shown" value="([^"]*)"', (await jury.get(_HERE)).text)
    stale = {**whole, "shown": html.unescape(marks)}
    other = {key: value for key, value in stale.items() if key != "has_color"}
    assert (await jury.post(_HERE, {**other, "time_limit_ms": "3000"})).status == 303
    assert (await jury.post(_HERE, {**stale, "name": "Totals"})).status == 303, "a page from before"
    now = {**before, "memory_limit_mb": 99, "color": "", "rgb": "", "time_limit_ms": 3000, "name": "Totals"}
    assert await stored() == now, "what it left alone stays"


async def test_form_for_a_problem_offers_the_newest_problems_without_their_descriptions(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(-60.0), [])
    numbers = [await draft_problem(place, title=f"Sums {number}") for number in range(3)]
    monkeypatch.setattr("deepoj.web.pages.manage_contests._MAX_OFFERED", 2)
    for who in (JURY, ADMIN):
        page = (await place.visits[who].get(_HERE)).text
        assert re.findall(r'<option value="(\d+)">\1 — Sums', page) == [str(numbers[2]), str(numbers[1])], who


async def test_form_of_rules_shows_the_time_beside_the_start(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    page = (await place.visits[JURY].get("/manage/contests")).text
    assert re.search(r'<small id="start-hint">now: <time datetime="[^"]+" data-time="local">[^<]+ UTC</time>', page)


async def test_the_jury_sees_through_the_freeze(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(270.0), [await draft_problem(place)])
    place.submitted(contest, 1, "red", "A", 250)
    place.judged(contest, 1, "Accepted")
    jury = place.visits[JURY]
    assert '<td class="solved' in (await jury.get(f"{_HERE}/scoreboard")).text
    assert '<td class="solved' not in (await jury.get("/contests/finals/scoreboard")).text, (
        "it is the board of the public"
    )
    for query, number in (("", 1), ("?verdict=Accepted", 1), ("?verdict=Judging", 0), ("?team=blue", 0)):
        text = (await jury.get(f"{_HERE}/submissions{query}")).text
        assert text.count(f'href="{_HERE}/submissions/') == number, query


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"act": "rules", **_RULES, "length": "five hours"}, 400),
        ({"act": "rules", **_RULES, "start_at": "soon"}, 400),
        ({"act": "rules", **_RULES, "start_at": "2026-01-31T09:00", "zone": "east"}, 400),
        ({"act": "rules", **_RULES, "freeze": "-1"}, 400),
        ({"act": "rules", **_RULES, "start_at": "2027-01-31T09:00"}, 409),
        ({"act": "problem", "label": "B", "problem_id": "999"}, 400),
        ({"act": "problem", "label": "B", "problem_id": "none"}, 400),
        ({"act": "teams", "list": "red,Red,,,,unknown-name"}, 422),
        ({"act": "teams", "list": "a b,Red"}, 422),
        ({"act": "else"}, 400),
        ({"act": "start"}, 400),
        ({"act": "thaw"}, 400),
    ],
)
async def test_what_is_refused_is_said_and_kept(
    tmp_path: Path, real: PgLab, fields: dict[str, str], status: int
) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    before = await contest_of(place, "finals")
    reply = await place.visits[JURY].post(f"{_HERE}/teams" if "list" in fields else _HERE, fields)
    assert reply.status == status, reply.text
    assert 'class="refused" role="alert"' in reply.text
    assert fields.get("list", "") in reply.text
    assert fields.get("name", "") in reply.text
    assert await contest_of(place, "finals") == before


async def test_rules_of_a_contest_that_has_started_change_after_a_question(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    said = rules(100.0, feedback=ContestFeedback.HIDDEN)
    await place.hold("finals", said, [await draft_problem(place)])
    jury, before = place.visits[JURY], await contest_of(place, "finals")
    page = (await jury.get(_HERE)).text
    assert 'name="length"' not in page
    assert f'href="{_HERE}/clock">Change the length' in page
    late = {"act": "rules", **_RULES, "length": "0:01", "start_at": at(before, 0)[:19]}
    assert (await jury.post(_HERE, late)).status == 400, "a form from before the start"
    form = {"name": "Spring Cup", "freeze": "30", "penalty": "20", "feedback": "hidden", "act": "rules"}
    asked = (await jury.post(_HERE, form)).text
    assert "<dt>Frozen for the last … minutes</dt><dd><bdi>60</bdi> → <bdi>30</bdi></dd>" in asked
    assert '<input type="hidden" name="freeze" value="30">' in asked
    assert 'id="confirm-rules"' not in asked
    assert await contest_of(place, "finals") == before
    assert (await jury.post(_HERE, {**form, "sure": stamp_in(asked)})).location == f"{_HERE}?done=rules"
    assert (await contest_of(place, "finals")).rules.freeze_ms == 30 * 60_000
    for irreversible, sentence in (
        ({**form, "freeze": "290"}, "The board is frozen at once"),
        ({**form, "freeze": "290", "feedback": "full"}, "hidden from them now"),
    ):
        asked = (await jury.post(_HERE, irreversible)).text
        assert sentence in asked
        assert 'id="confirm-rules"' in asked
        assert (await jury.post(_HERE, {**irreversible, "sure": stamp_in(asked)})).status == 400
        assert (await jury.post(_HERE, {**irreversible, "sure": stamp_in(asked), "confirm": "finals"})).status == 303


async def test_rules_that_somebody_else_changes_before_the_confirmation_are_asked_about_again(
    tmp_path: Path, real: PgLab
) -> None:
    """The form that confirms has all rules: it would undo the other change, which its question did not name."""
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    jury = place.visits[JURY]
    form = {"name": "Spring Cup", "freeze": "60", "penalty": "10", "is_public": "1", "act": "rules"}
    asked = (await jury.post(_HERE, form)).text
    assert "Everybody" not in asked.partition("<dl>")[2].partition("</dl>")[0]
    other = {**form, "penalty": "20"}
    del other["is_public"]
    assert (await jury.post(_HERE, {**other, "sure": stamp_in((await jury.post(_HERE, other)).text)})).status == 303
    again = await jury.post(_HERE, {**form, "sure": stamp_in(asked)})
    assert again.status == 200
    assert "Everybody" in again.text.partition("<dl>")[2].partition("</dl>")[0]
    assert not (await contest_of(place, "finals")).rules.is_public
    assert (await jury.post(_HERE, {**form, "sure": stamp_in(again.text)})).status == 303
    assert (await contest_of(place, "finals")).rules.is_public


@pytest.mark.parametrize("minutes", [-100.0, 100.0], ids=["before its start", "running"])
async def test_rules_that_a_form_leaves_alone_stay_as_somebody_else_has_made_them(
    tmp_path: Path, real: PgLab, minutes: float
) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(minutes), [])
    jury, before = place.visits[JURY], await contest_of(place, "finals")
    page = (await jury.get(_HERE)).text
    shown = html.unescape(page.partition('name="shown" value="')[2].partition('"')[0])
    form = {"act": "rules", "name": before.rules.name, "freeze": "60", "penalty": "20", "is_public": "1",
            "is_compile_error_free": "1", "allows_custom_runs": "1", "shown": shown}  # fmt: skip
    if minutes < 0:  # in the zone of a browser in Shanghai
        form |= {"start_at": at(before, 8 * 60)[:19], "zone": "-480", "length": "5:00"}

    async def confirmed(changed: dict[str, str]) -> str:
        reply = await jury.post(_HERE, changed)
        if reply.status == 303:
            return ""
        again = {name: html.unescape(value) for name, value in _HIDDEN.findall(reply.text)}
        assert (await jury.post(_HERE, {**again, "sure": stamp_in(reply.text)})).status == 303
        return reply.text.partition("<dl>")[2].partition("</dl>")[0]

    other = {**form, "name": "Renamed", "freeze": "30"}
    del other["is_public"]
    await confirmed(other)
    asked = await confirmed({**form, "penalty": "10"})
    after = (await contest_of(place, "finals")).rules
    changed = replace(before.rules, name="Renamed", freeze_ms=30 * 60_000, penalty_ms=10 * 60_000)
    assert after == replace(changed, is_public=False)
    assert asked.count("<dt>") == (minutes > 0), "the question names what this form changes, and no more"
    refused = await jury.post(_HERE, {**form, "penalty": "x"})
    assert (refused.status, 'value="Renamed"' in refused.text, 'value="x"' in refused.text) == (400, True, True)


_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


async def test_a_form_of_rules_keeps_the_seconds_that_its_fields_do_not_have(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    times = {"duration_ms": 2 * HOUR_MS + 1000, "freeze_ms": 30 * 60_000 + 2000, "penalty_ms": 20 * 60_000 + 3000}
    await place.hold("finals", rules(-100.0, **times), [])
    sent = {"act": "rules", **_RULES, "length": "2:00", "start_at": ""}
    assert (await place.visits[JURY].post(_HERE, sent)).location == f"{_HERE}?done=rules"
    changed = (await contest_of(place, "finals")).rules
    assert changed.name == _RULES["name"]
    assert {name: getattr(changed, name) for name in times} == times


async def test_names_are_text_on_the_pages_of_the_jury(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    hostile = "<script>alert(1)</script>"
    contest = await place.hold("finals", rules(100.0, name=hostile), [await draft_problem(place)], [team("x", hostile)])
    place.submitted(contest, 1, "x", "A", 20)
    await place.visits[TEAM].post("/contests/finals/clarifications", {"text": hostile})
    place.home.streams.close()
    for path in _PAGES:
        assert hostile not in (await place.visits[JURY].get(f"{_HERE}{path}")).text, path


async def test_a_list_of_accounts_makes_them_and_shows_their_passwords_once(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [], [team("7", "Hoos")])
    content = "accounts\t1\nteam\tOwls\tteam7\ttill-wise-under\njudge\tJ\tjudith\tanother-long-one\n"
    path = f"{_HERE}/teams"
    await place.visits[JURY].get(path)
    sent = {"act": "teams", "list": content, "create_accounts": "1"}
    refused = await place.visits[JURY].post(path, sent)
    assert refused.status == 403, "only administrators make accounts"
    assert 'name="create_accounts"' not in (await place.visits[JURY].get(path)).text
    admin = place.visits[ADMIN]
    assert 'name="create_accounts"' in (await admin.get(path)).text
    made = await admin.post(path, sent)
    assert re.findall(r"<code>(?:<bdi>)?([^<]+)(?:</bdi>)?</code>", made.text) == [
        "team7", "till-wise-under", "judith", "another-long-one",
    ], made.text  # fmt: skip
    again = await admin.post(path, sent)
    assert again.status == 200
    assert 'id="list"' in again.text, "the page of the teams, without passwords"
    assert "the account “judith” is there already" in again.text
    ledger = await place.home.context.ledgers.ledger(await contest_of(place, "finals"))
    assert [one["team_id"] for one in ledger.of(EventType.ACCOUNTS).values()].count("7") >= 1
