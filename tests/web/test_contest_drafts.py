"""What a team wrote in a contest is in the editor when it practices the problem afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from deepoj.web.assets import Assets
from tests.api.house import served
from tests.contract.labs import PgLab
from tests.web.browser import PATIENCE_MS, chromium, profile_of
from tests.web.contest_scene import TEAM, arena, rules
from tests.web.scene import add_problem
from tests.web.site import BUNDLE


@pytest.mark.full
@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
async def test_practice_shows_the_draft_of_the_contest(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.api.house.Assets", lambda: Assets.load(BUNDLE.parent))
    place = await arena(tmp_path, real)
    number = await add_problem(place.home, title="A+B")
    contest = await place.hold("finals", rules(100.0), [number])

    async def end() -> None:
        real.sql(f"UPDATE contests SET start_at = start_at - interval '300 min' WHERE id = {contest.id}")
        await real.pg_store.contests.advance()

    def look(url: str) -> None:
        with chromium() as browser:
            context = profile_of(browser, place.visits[TEAM], url)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"{url}/contests/finals/problems/A")
            page.locator(".cm-content").fill("// my program")
            trio.from_thread.run(end)
            page.locator("button[data-submit]").click()
            assert page.locator("#kept-code").inner_text() == "// my program"
            page.locator(f"a[href^='/problems/{number}?draft=']").click()
            page.locator(".cm-content").wait_for()
            assert page.locator(".cm-content").inner_text().strip() == "// my program"

    async with served(place.home) as (url, _):
        await trio.to_thread.run_sync(look, url)
