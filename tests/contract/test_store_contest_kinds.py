"""Contests that count points, in the store: what verdicts tell their ledgers, and when homework is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deepoj.words.contests import Contest, ContestKind, ContestRefusal, EventType
from deepoj.words.results import Verdict
from deepoj.words.submissions import Receipt, SubmitRefusal
from tests.contract.labs import PgLab, claim, report, send, submit
from tests.contract.test_store_contests import HOUR_MS, RESULT, arranged, by, ledger_of, rules

_GROUPS = [{"name": "", "score": 30.5}, {"name": "1", "score": 30.5}, {"name": "2", "score": 0}]


@pytest.mark.parametrize(
    ("kind", "told", "points"),
    [
        (ContestKind.IOI, {"score": 30.5, "groups": [["", 30.5], ["1", 30.5], ["2", 0]]}, 30.5),
        (ContestKind.HOMEWORK, {"score": 30.5, "groups": [["", 30.5], ["1", 30.5], ["2", 0]]}, 30.5),
        (ContestKind.ICPC, {"score": None, "groups": None}, None),
    ],
)
async def test_a_judgement_tells_its_points_where_they_count(
    real: PgLab, kind: ContestKind, told: dict[str, Any], points: float | None
) -> None:
    contest, mine = await arranged(real, rules(), kind=kind)
    won = await claim(real, await send(real.store, mine))
    result = {**RESULT, "score": 30.5, "groups": _GROUPS}
    assert await real.store.leases.finalize(won, report(Verdict.PARTIAL), result) is None
    ledger = await ledger_of(real, contest)
    (judgement,) = ledger.of(EventType.JUDGEMENTS).values()
    assert {name: judgement.get(name) for name in told} == told
    (row,) = ledger.public_board.rows()
    assert row.points == points


async def test_a_judgement_without_a_result_has_no_points(real: PgLab) -> None:
    contest, mine = await arranged(real, rules(), kind=ContestKind.IOI)
    won = await claim(real, await send(real.store, mine))
    assert await real.store.leases.finalize(won, report(Verdict.COMPILE_ERROR), {"score": None, "groups": None}) is None
    (judgement,) = (await ledger_of(real, contest)).of(EventType.JUDGEMENTS).values()
    assert (judgement["score"], judgement["groups"]) == (0, [])


async def test_homework_is_taken_late_and_then_no_more(real: PgLab) -> None:
    said = rules(started_min=330, freeze_ms=None, late_ms=HOUR_MS, late_percent=20)
    contest, mine = await arranged(real, said, kind=ContestKind.HOMEWORK)
    contests, director = real.pg_store.contests, by(contest)
    job_id = await send(real.store, mine)
    assert await submit(real.store, replace(mine, contest_id=None)) is SubmitRefusal.CONTEST_PROBLEM
    won = await claim(real, job_id)
    assert await real.store.leases.finalize(won, report(), {**RESULT, "score": 100}) is None
    (row,) = (await ledger_of(real, contest)).public_board.rows()
    assert row.points == 80
    last = (await contests.events(contest.id, 0, 1000))[-1].number
    assert await contests.finalize(contest.id, [], last, by=director) is ContestRefusal.NOT_OVER

    over = replace(said, late_ms=20 * 60_000)
    assert isinstance(await contests.change_contest(contest.id, over, by=director), Contest)
    again = replace(mine, code="int main(){return 1;}")
    assert await submit(real.store, again) is SubmitRefusal.CONTEST_NOT_RUNNING
    assert isinstance(await submit(real.store, replace(again, contest_id=None)), Receipt)
    assert isinstance(await contests.finalize(contest.id, [], last + 1, by=director), Contest)
