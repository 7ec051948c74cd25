"""Finalizing a contest by the API: its comment, and what stands against it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deepoj.words.results import Verdict
from tests.contests.scene import Scene, ago, opened, scene
from tests.contests.test_rejudges import judged, started

__all__ = ["scene"]

_COMMENT = "Thanks to all.\nThe owls win after an appeal."


async def comments(scene: Scene, who: str) -> list[dict[str, Any]]:
    """Return what an account reads of the contest's commentary in the Contest API."""
    answer = await scene.home.ask("GET", "/clics/contests/finals/commentary", token=scene.tokens.get(who))
    found: list[dict[str, Any]] = json.loads(await answer.get_data(as_text=True))
    return found


async def comment(scene: Scene, who: str) -> str:
    return str((await scene.done(who, "GET", "/finals"))["final_comment"])


async def test_comment_is_kept_and_sent_and_hidden_until_the_thaw(scene: Scene) -> None:
    await opened(scene, duration_ms=2 * 3_600_000 - 60_000)
    done = await scene.done("jury", "POST", "/finals/finalize", {"comment": f" {_COMMENT} "})
    assert done["final_comment"] == _COMMENT
    assert (await comment(scene, "jury"), await comment(scene, "owl"), await comment(scene, "stranger")) == (
        _COMMENT, "", "",
    )  # fmt: skip
    assert [(one["id"], one["message"], one["tags"]) for one in await comments(scene, "jury")] == [
        ("final", _COMMENT, ["finalized"])
    ]
    assert await comments(scene, "stranger") == []
    await scene.done("jury", "POST", "/finals/clock", {"act": "thaw"})
    await scene.advance()
    assert (await comment(scene, "owl"), await comment(scene, "stranger")) == (_COMMENT, _COMMENT)
    [told] = await comments(scene, "stranger")
    state = (await scene.done("owl", "GET", "/finals"))["state"]
    assert told["time"] == state["finalized_at"]
    events = (await scene.home.ask("GET", "/clics/contests/finals/event-feed?stream=false")).status_code
    assert events == 200
    assert scene.lab.sql("SELECT type FROM contest_events ORDER BY number DESC LIMIT 1") == "state"


async def test_finalizing_without_a_comment_tells_none(scene: Scene) -> None:
    await opened(scene, freeze_ms=None)
    scene.lab.sql("UPDATE contests SET ended_at = now()")
    assert (await scene.done("jury", "POST", "/finals/finalize", {}))["final_comment"] == ""
    assert await comments(scene, "jury") == []


@pytest.mark.parametrize("wrong", ["x" * 4001, "a\x00b"])
async def test_comment_that_cannot_be_kept_is_refused(scene: Scene, wrong: str) -> None:
    await opened(scene)
    scene.lab.sql("UPDATE contests SET ended_at = now()")
    status, body = await scene.ask("jury", "POST", "/finals/finalize", {"comment": wrong})
    assert (status, "comment" in body["error"]) == (400, True), body


async def test_open_rejudge_keeps_a_contest_from_being_finalized(scene: Scene) -> None:
    await opened(scene, start_at=ago(3_600_000))
    await scene.verdict("owl", Verdict.WRONG_ANSWER, "1")
    rejudge = await started(scene)
    await judged(scene, Verdict.ACCEPTED)
    scene.lab.sql("UPDATE contests SET ended_at = now()")
    status, body = await scene.ask("jury", "POST", "/finals/finalize", {})
    assert (status, body["code"], "rejudge" in body["error"]) == (409, "PREVIEW_RUNNING", True)
    await scene.done("jury", "POST", f"/finals/rejudges/{rejudge['id']}/cancel")
    await scene.done("jury", "POST", "/finals/finalize", {})
