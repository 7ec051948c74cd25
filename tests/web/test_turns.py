"""Pages of a contest follow its clock: they show its next state without a reload by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio
from playwright.sync_api import expect

from deepoj.nursery.loops import Periodic
from deepoj.web.assets import Assets
from deepoj.words.contests import ClockAct, ClockChange
from tests.api.house import served
from tests.contract.labs import PgLab
from tests.web.browser import PATIENCE_MS, chromium, profile_of
from tests.web.contest_scene import JURY, STAGES, TEAM, Arena, arena, at, draft_problem, rules
from tests.web.site import BUNDLE

_KINDS = {"before": 'data-kind="start"', "running": 'data-kind="freeze"', "frozen": 'data-kind="end"'}
_REFRESH = re.compile(r'http-equiv="refresh" content="(\d+)"')


async def held(place: Arena, since_min: float, **changes: object) -> str:
    contest = await place.hold("finals", rules(since_min, **changes), [await draft_problem(place)])
    return at(contest, 0)


@pytest.mark.parametrize("stage", STAGES)
async def test_each_page_of_a_contest_names_its_next_change(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr("tests.api.house.Assets", lambda: Assets({"app.js": "/assets/app.js"}))
    place = await arena(tmp_path, real)
    await held(place, STAGES[stage])
    paths = ["/contests", "/contests/finals", "/contests/finals/scoreboard", "/contests/finals/clarifications"]
    jury = ["/manage/contests/finals", "/manage/contests/finals/clock", "/contests/finals/problems/A"]
    for who, path in [*((TEAM, path) for path in paths), *((JURY, path) for path in jury)]:
        page = (await place.visits[who].get(path)).text
        assert page.count("data-turn=") == (stage in _KINDS), path
        assert stage not in _KINDS or _KINDS[stage] in page, path


async def test_only_pages_without_text_fields_refresh_without_scripts(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await held(place, 239.0)
    found = _REFRESH.search((await place.visits[TEAM].get("/contests/finals")).text)
    assert found is not None
    assert 40 < int(found[1]) <= 63, "the freeze is within a minute"
    assert _REFRESH.search((await place.visits[TEAM].get("/contests/finals/problems/A")).text) is None
    assert _REFRESH.search((await place.visits[JURY].get("/manage/contests/finals")).text) is None


async def test_a_start_that_no_node_has_recorded_yet_is_still_to_come(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await held(place, -10.0)
    real.sql("UPDATE contests SET start_at = now() - interval '20 s'")
    found = _REFRESH.search((await place.visits[TEAM].get("/contests/finals")).text)
    assert found is not None
    assert 10 <= int(found[1]) <= 60, "not at once: browsers that come back again and again wait longer each time"


@pytest.mark.full
@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
async def test_pages_turn_over_in_the_browser(tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.api.house.Assets", lambda: Assets.load(BUNDLE.parent))
    place = await arena(tmp_path, real)
    await held(place, -0.3, freeze_ms=None)

    async def pause() -> None:
        contest = await real.pg_store.contests.contest("finals")
        assert contest is not None
        await real.pg_store.contests.change_clock(contest.id, ClockChange(act=ClockAct.PAUSE), by=place.director)

    def look(url: str) -> None:
        with chromium() as browser:
            context = profile_of(browser, place.visits[TEAM], url)
            overview, questions = context.new_page(), context.new_page()
            for page, path in ((overview, ""), (questions, "/clarifications")):
                page.set_default_timeout(PATIENCE_MS)
                page.goto(f"{url}/contests/finals{path}")
            questions.locator("textarea").first.fill("Is the start late?")
            link = questions.locator("[data-turn] a")
            assert not link.is_visible()
            overview.bring_to_front()
            overview.locator("a[href$='/problems/A']").first.wait_for()
            questions.bring_to_front()
            link.wait_for()
            expect(questions.locator("[data-turn] strong")).to_have_text(re.compile("^running, ends: "))
            assert questions.locator("textarea").first.input_value() == "Is the start late?"
            link.click()
            questions.locator("a[href$='/problems/A']").first.wait_for()
            trio.from_thread.run(pause)
            questions.get_by_text("paused since").wait_for()

    advance = Periodic(0.5, real.pg_store.contests.advance)
    async with served(place.home) as (url, _), trio.open_nursery() as nursery:
        await nursery.start(advance)
        await trio.to_thread.run_sync(look, url)
        nursery.cancel_scope.cancel()
