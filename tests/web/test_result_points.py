"""Points of scored problems on the pages of a contestant: in all and by group, with their maxima."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.web.result_points import GroupPoints, ResultPoints, points_of
from deepoj.words.results import GroupResult, Verdict
from tests.api.house import House, house
from tests.unit.makers import a_report
from tests.web.scene import add_submission
from tests.web.surfer import member

_GROUPS = (
    GroupResult(name="", status=Verdict.PARTIAL, score=65.0, max_score=100.0),
    GroupResult(name="secret", status=Verdict.PARTIAL, score=65.0, max_score=100.0),
    GroupResult(name="secret/small", status=Verdict.ACCEPTED, score=40.0, max_score=40.0),
    GroupResult(name="secret/large", status=Verdict.PARTIAL, score=25.0, max_score=60.0),
)


def result(score: float, *groups: tuple[str, float, float | None]) -> dict[str, Any]:
    return {
        "score": score,
        "groups": [{"name": name, "score": points, "max_score": most} for name, points, most in groups],
    }


@pytest.mark.parametrize(
    ("found", "points"),
    [
        ({"score": 100.0}, None),
        (result(50, ("", 50, 80)), ResultPoints("50", "80", ())),
        (result(50, ("", 50, None)), ResultPoints("50", "", ())),
        # the samples give nothing: one group is left, and it is the whole
        (result(0, ("", 0, 100), ("sample", 0, 0), ("secret", 0, 100)), ResultPoints("0", "100", ())),
        (
            result(1.5, ("", 1.5, 3), ("a", 1.5, 2), ("b", 0, 1)),
            ResultPoints("1.5", "3", (GroupPoints("a", "1.5", "2"), GroupPoints("b", "0", "1"))),
        ),
    ],
)
def test_points_of_a_result(found: dict[str, Any], points: ResultPoints | None) -> None:
    assert points_of(found) == points


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True)


async def test_contestant_sees_points_with_maxima_and_those_of_former_judgings(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    report = replace(a_report(Verdict.PARTIAL), score=65.0, groups=_GROUPS)
    job_id = await add_submission(home, "alice", number, report=report)
    page = await alice.get(f"/submissions/{job_id}")
    assert "Score: <strong>65</strong> / 100</p>" in page
    assert '<th scope="row">secret/small</th><td class="number">40 / 40</td>' in page
    assert '<th scope="row">secret/large</th><td class="number">25 / 60</td>' in page
    assert '<th scope="row">secret</th>' not in page
    assert "Partial 65" in await alice.get(f"/problems/{number}")
    await home.store.rejudge(job_id, None, by="root", in_full=False, stream_key="s")
    page = await alice.get(f"/submissions/{job_id}")
    former = page.partition("Former judgings")[2]
    assert "Partial</span> 65 / 100" in former
