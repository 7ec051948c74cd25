"""The results of a contest as the ICPC's site takes them: ``results.tsv``, and the same as JSON."""

from __future__ import annotations

import json

from deepoj.api.contest_errors import ContestError
from deepoj.api.errors import Refused
from deepoj.contests.awards import IcpcResult, results_of
from deepoj.contests.ledger import ContestLedger
from deepoj.words.contests import Contest, EventType


def final_results(contest: Contest, ledger: ContestLedger) -> list[IcpcResult]:
    """Return the results of a finalized contest, with the medals that it gave. Raises Refused."""
    if contest.finalized_at is None:
        raise Refused(ContestError.CONTEST_NOT_FINAL)
    if ledger.is_scored:
        raise Refused(ContestError.CONTEST_COUNTS_POINTS)
    return results_of(ledger, {one: data["team_ids"] for one, data in ledger.of(EventType.AWARDS).items()})


def results_tsv(results: list[IcpcResult]) -> bytes:
    """Return ``results.tsv``, as the requirements for contest systems describe it."""
    lines = [
        (
            one.icpc_id or one.team_id,
            "" if one.rank is None else str(one.rank),
            one.award.value,
            str(one.solved),
            str(one.penalty),
            "-1" if one.last_minute is None else str(one.last_minute),
            ", ".join(one.groups),
        )
        for one in results
    ]
    return "".join("\t".join(line) + "\n" for line in [("results", "1"), *lines]).encode()


def results_json(results: list[IcpcResult]) -> bytes:
    """Return the results as JSON, with the fields of ``results.tsv`` by name."""
    listed = [
        {
            "team_id": one.team_id,
            "icpc_id": one.icpc_id,
            "name": one.name,
            "rank": one.rank,
            "award": one.award.value,
            "num_solved": one.solved,
            "total_time": one.penalty,
            "last_time": one.last_minute,
            "group_winner": list(one.groups),
        }
        for one in results
    ]
    return json.dumps(listed, ensure_ascii=False, indent=1).encode()
