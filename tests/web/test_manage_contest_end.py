"""Acts that end a contest: each says what it does, and asks for the contest's key."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from deepoj.words.contests import Contest, EventType
from tests.contract.labs import PgLab
from tests.web.contest_scene import (
    ADMIN,
    JURY,
    MEMBER,
    OTHER,
    STRANGER,
    TEAM,
    Arena,
    arena,
    confirmed,
    draft_problem,
    rules,
)

_HERE = "/manage/contests/finals"
_FINALIZE = f"{_HERE}/finalize"
_MEDALS = {"gold": "1", "silver": "0", "bronze": "0"}
_COMMENT = "Thanks to all.\n<b>Owls</b> win after an appeal."


async def over(tmp_path: Path, real: PgLab, **changes: Any) -> tuple[Arena, Contest]:
    """Return a contest that is over, with one accepted submission of the team ``red``."""
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(310.0, **changes), [await draft_problem(place)])
    place.submitted(contest, 1, "red", "A", 20)
    place.judged(contest, 1, "Accepted")
    return place, contest


async def finalized(place: Arena) -> bool:
    found = await place.real.pg_store.contests.contest("finals")
    assert found is not None
    return found.finalized_at is not None


def shown(text: str) -> str:
    """Return the words of a page's main part."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", re.split("<main[^>]*>|</main>", text)[1])).split())


@pytest.mark.parametrize("typed", ["", "final", "FINALS", "finals2", "City Finals"])
async def test_finalize_without_the_key_is_refused_and_keeps_what_was_typed(
    tmp_path: Path, real: PgLab, typed: str
) -> None:
    place, _ = await over(tmp_path, real)
    refused = await place.visits[JURY].post(_FINALIZE, {**_MEDALS, "comment": "Well done.", "confirm": typed})
    assert refused.status == 400
    assert 'class="refused" role="alert"' in refused.text
    assert "Type finals to confirm" in shown(refused.text)
    assert "Well done." in refused.text
    assert 'name="silver" value="0"' in refused.text
    assert not await finalized(place)


async def test_page_of_settings_no_longer_finalizes(tmp_path: Path, real: PgLab) -> None:
    place, _ = await over(tmp_path, real)
    jury = place.visits[JURY]
    page = (await jury.get(_HERE)).text
    assert f'href="{_FINALIZE}"' in page
    assert 'value="finalize"' not in page
    assert (await jury.post(_HERE, {"act": "finalize", **_MEDALS, "confirm": "finals"})).status == 400
    assert not await finalized(place)


async def test_finalize_page_lists_what_is_unfinished_and_what_finalizing_does(tmp_path: Path, real: PgLab) -> None:
    place, contest = await over(tmp_path, real, is_verifying=True)
    jury = place.visits[JURY]
    place.submitted(contest, 2, "blue", "A", 30)
    place.submitted(contest, 3, "blue", "A", 40)
    place.judged(contest, 3, "System Error")
    place.tell(contest, EventType.CLARIFICATIONS, "1", {"from_team_id": "red", "text": "Why?", "at": "x"})
    real.sql(
        f"INSERT INTO contest_rejudges (contest_id, scope, in_full) VALUES ({contest.id}, '{{}}', false);"
        " INSERT INTO previews (problem_id, problem_version, in_full, contest_rejudge_id, submissions)"
        " SELECT id, 1, false, (SELECT max(id) FROM contest_rejudges), 1 FROM problems"
    )
    text = shown((await jury.get(_FINALIZE)).text)
    for sentence in (
        "The contest is over.",
        "1 submission has no verdict yet.",
        "The judge failed on 1 submission: 3",
        "2 verdicts are not verified.",
        "1 question has no answer.",
        "Rejudge 1 is not decided.",
        "The board is not thawed.",
        "The results are official: no verdict changes any more",
    ):
        assert sentence in text, text
    assert 'name="confirm"' not in (await jury.get(_FINALIZE)).text, "what would be refused is not offered"


async def test_finalize_page_of_a_contest_that_runs_says_when_it_ends(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await place.hold("finals", rules(100.0), [await draft_problem(place)])
    page = (await place.visits[JURY].get(_FINALIZE)).text
    assert "The contest is not over yet" in shown(page)
    assert 'name="confirm"' not in page
    refused = await place.visits[JURY].post(_FINALIZE, {**_MEDALS, "confirm": "finals"})
    assert refused.status == 409
    assert not await finalized(place)


async def test_comment_of_a_finalized_contest_is_shown_and_kept_from_others_until_the_thaw(
    tmp_path: Path, real: PgLab
) -> None:
    place, contest = await over(tmp_path, real)
    jury = place.visits[JURY]
    form = {**_MEDALS, "comment": _COMMENT, "confirm": " finals "}
    done = await jury.post(_FINALIZE, form)
    assert done.location == f"{_HERE}?done=finalize", done.text
    ledger = await place.home.context.ledgers.ledger(contest)
    assert ledger.of(EventType.AWARDS)["winner"]["team_ids"] == ["red"]
    for who, is_seen in (
        (JURY, True),
        (ADMIN, True),
        (TEAM, False),
        (OTHER, False),
        (MEMBER, False),
        (STRANGER, False),
    ):
        assert ("win after an appeal" in (await place.visits[who].get("/contests/finals")).text) == is_seen, who
    assert "&lt;b&gt;Owls&lt;/b&gt;" in (await jury.get(_HERE)).text
    page = (await jury.get(_FINALIZE)).text
    assert "&lt;b&gt;Owls&lt;/b&gt;" in page
    assert "<form" not in page.split("<main")[1].split("</main>")[0], "nothing is left to do"
    await confirmed(jury, f"{_HERE}/clock", {"act": "thaw"})
    for who in (TEAM, STRANGER):
        assert "&lt;b&gt;Owls&lt;/b&gt;" in (await place.visits[who].get("/contests/finals")).text, who
    again = await jury.post(_FINALIZE, form)
    assert again.status == 409


async def test_standings_that_have_changed_since_the_page_was_opened_are_looked_at_again(
    tmp_path: Path, real: PgLab
) -> None:
    place, contest = await over(tmp_path, real)
    jury = place.visits[JURY]
    mark = re.compile(r'name="standings" value="(\w+)"')
    page = (await jury.get(_FINALIZE)).text
    first, second = "Red Pandas", "Blue Whales"
    assert f"1. {first}" in shown(page)
    assert second not in shown(page), "it has solved nothing"
    place.submitted(contest, 2, "blue", "A", 10)
    place.judged(contest, 2, "Accepted")
    (sent,) = mark.findall(page)
    refused = await jury.post(_FINALIZE, {**_MEDALS, "confirm": "finals", "standings": sent})
    assert refused.status == 409
    assert f"1. {second} 2. {first}" in shown(refused.text)
    assert not await finalized(place)
    (now,) = mark.findall(refused.text)
    done = await jury.post(_FINALIZE, {**_MEDALS, "confirm": "finals", "standings": now})
    assert done.status == 303
    assert await finalized(place)
