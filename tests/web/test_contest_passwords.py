"""New passwords of a contest's teams by page: shown once, and the old ones hold until *I have them* is pressed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract.labs import PgLab
from tests.web.contest_scene import ADMIN, JURY, OTHER, TEAM, Arena, arena, draft_problem, rules

_AT = "/manage/contests/finals/credentials"
_PASSWORD = re.compile(r"<code>([2-9a-z]{4}-[2-9a-z]{4}-[2-9a-z]{4})</code>")
_SET = re.compile(r'name="set" value="([0-9a-f]+)"')
_SLIPS = re.compile(r'name="slips" value="([^"]*)"')


async def place_of(tmp_path: Path, real: PgLab, minute: float = 100.0) -> Arena:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(minute, freeze_ms=None), [await draft_problem(place)])
    return place


async def made(place: Arena, **fields: str) -> str:
    """Make new passwords by the form, and return the page that shows them."""
    reply = await place.visits[ADMIN].post(_AT, {"act": "make", **(fields or {"scope": "all"})})
    assert reply.status == 200, reply.text
    return reply.text


async def is_in(place: Arena, who: str) -> bool:
    return (await place.visits[who].get("/account")).status == 200


async def test_new_passwords_are_shown_once_and_hold_when_they_are_taken(tmp_path: Path, real: PgLab) -> None:
    place = await place_of(tmp_path, real)
    admin = place.visits[ADMIN]
    assert (await place.visits[JURY].get(_AT)).status == 403
    assert (await place.visits[JURY].post(_AT, {"act": "make", "scope": "all"})).status == 403
    page = await made(place, scope="some", **{"team-red": "1"})
    (password,) = _PASSWORD.findall(page)
    assert "Red Pandas" in page
    assert "Blue Whales" not in page
    assert await is_in(place, TEAM), "the old password and its session hold"
    sent = {"slips": f"red\tRed Pandas\t{TEAM}\t{password}\n=x\t@y\tz\tw"}
    reply = await admin.post(f"{_AT}.csv", sent)
    assert f"red,Red Pandas,{TEAM},{password}" in reply.text
    assert "'=x,'@y,z,w" in reply.text
    shown = (await admin.get(_AT)).text
    assert password not in shown
    assert "A new password for 1 account waits" in shown
    assert "1 session of these accounts ends" in shown
    assert "1 account waits for its new password" in (await admin.get("/manage/contests/finals/teams")).text
    done = await admin.post(_AT, {"act": "apply", "set": _SET.findall(page)[0], "confirm": "finals"})
    assert done.location == f"{_AT}?done=apply"
    assert not await is_in(place, TEAM)
    assert await is_in(place, OTHER)
    assert "The new passwords hold." in (await admin.get(f"{_AT}?done=apply")).text


@pytest.mark.parametrize("typed", ["", "final", "FINALS"])
async def test_without_the_key_of_a_running_contest_the_old_passwords_hold_and_the_slips_stay(
    tmp_path: Path, real: PgLab, typed: str
) -> None:
    place = await place_of(tmp_path, real)
    page = await made(place)
    assert 'name="confirm"' in page
    form = {"act": "apply", "set": _SET.findall(page)[0], "slips": _SLIPS.findall(page)[0], "confirm": typed}
    refused = await place.visits[ADMIN].post(_AT, form)
    assert refused.status == 400
    assert "Type finals to confirm" in refused.text
    assert _PASSWORD.findall(refused.text) == _PASSWORD.findall(page), "they are on the page still"
    assert refused.headers["Cache-Control"] == "no-store"
    assert await is_in(place, TEAM)
    done = await place.visits[ADMIN].post(_AT, {**form, "confirm": "finals"})
    assert (done.status, await is_in(place, TEAM)) == (303, False)


@pytest.mark.parametrize("minute", [-60.0, 400.0])
async def test_key_is_asked_for_only_while_a_contest_is_under_way(tmp_path: Path, real: PgLab, minute: float) -> None:
    place = await place_of(tmp_path, real, minute)
    page = await made(place)
    assert 'name="confirm"' not in page
    done = await place.visits[ADMIN].post(_AT, {"act": "apply", "set": _SET.findall(page)[0]})
    assert (done.status, await is_in(place, TEAM)) == (303, False)


async def test_new_passwords_that_wait_are_made_again_or_thrown_away(tmp_path: Path, real: PgLab) -> None:
    place = await place_of(tmp_path, real)
    admin = place.visits[ADMIN]
    first, second = await made(place), await made(place)
    late = {"act": "apply", "set": _SET.findall(first)[0], "slips": _SLIPS.findall(first)[0], "confirm": "finals"}
    refused = await admin.post(_AT, late)
    assert (refused.status, "not waiting any more" in refused.text) == (404, True)
    assert _PASSWORD.findall(refused.text) == [], "these slips are worth nothing"
    dropped = await admin.post(_AT, {"act": "drop", "set": _SET.findall(second)[0]})
    assert dropped.location == f"{_AT}?done=drop"
    assert await is_in(place, TEAM)
    assert 'name="set"' not in (await admin.get(_AT)).text


@pytest.mark.parametrize("form", [{}, {"act": "make"}, {"act": "make", "scope": "some"}, {"act": "none"}])
async def test_form_that_chooses_no_team_or_act_makes_nothing(
    tmp_path: Path, real: PgLab, form: dict[str, str]
) -> None:
    place = await place_of(tmp_path, real)
    assert (await place.visits[ADMIN].post(_AT, form)).status == 400
    assert real.sql("SELECT count(*) FROM pending_passwords") == "0"
