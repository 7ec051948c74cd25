"""A verdict that the freeze hides changes no byte of any answer below ``/api/v1/contests``, except the jury's."""

from __future__ import annotations

import re
from pathlib import Path

from deepoj.words.results import Verdict
from tests.api.house import house_on
from tests.contests.scene import BASE, HOUR_MS, Scene, opened, scene

__all__ = ["scene"]
#: of one answer, and not of what it says
_OF_THE_ANSWER = {"x-request-id", "date", "traceparent"}


async def _answers(scene: Scene, tmp_path: Path, caller: str) -> dict[str, object]:
    """Return status, headers and body of each GET route, asked on a node that has read nothing before."""
    home = house_on(tmp_path, scene.lab.store)
    paths = [
        re.sub("<label>", "A", re.sub("<key>", "finals", rule.rule))
        for rule in home.app.url_map.iter_rules()
        if rule.rule.startswith(BASE) and "GET" in (rule.methods or ())
    ]
    found: dict[str, object] = {}
    for path in paths:
        answer = await home.ask("GET", path, token=scene.tokens.get(caller))
        headers = sorted((name, value) for name, value in answer.headers if name.lower() not in _OF_THE_ANSWER)
        found[path] = (answer.status_code, headers, await answer.get_data())
    return found


async def test_a_verdict_in_the_freeze_is_seen_by_its_jury_alone(scene: Scene, tmp_path: Path) -> None:
    await opened(scene)
    await scene.verdict("owl", Verdict.WRONG_ANSWER, "1")
    await scene.done("jury", "PATCH", "/finals", {"duration_ms": 3 * HOUR_MS, "freeze_ms": HOUR_MS + 60_000})
    await scene.advance()
    await scene.verdict("owl", Verdict.WRONG_ANSWER, "2")
    await scene.verdict("owl", Verdict.COMPILE_ERROR, "3")
    callers = ("stranger", "member", "lark", "setter", "jury")
    one_world = {caller: await _answers(scene, tmp_path, caller) for caller in callers}
    scene.lab.sql(
        "ALTER TABLE contest_events DISABLE TRIGGER USER;"
        """UPDATE contest_events SET data = data || '{"verdict": "Accepted", "runs": [["Accepted", 7]]}'"""
        " WHERE type = 'judgements' AND number > (SELECT max(number) FROM contest_events WHERE type = 'state')"
    )
    other_world = {caller: await _answers(scene, tmp_path, caller) for caller in callers}
    assert len(one_world["lark"]) == 7
    for caller in callers[:-1]:
        assert one_world[caller] == other_world[caller], caller
    assert one_world["jury"] != other_world["jury"], "the worlds differ"
