"""What the pages of a test show: a problem, and submissions of each kind, in the store of ``tests.api.house``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deepoj.judging.result import as_result
from deepoj.words.groups import UserGroup
from deepoj.words.jobs import Claim
from deepoj.words.problems import Problem
from deepoj.words.results import CompileResult, Report, TestResult, Verdict
from tests.api.house import House, submission
from tests.contract.labs import entry
from tests.unit.makers import a_report


async def add_problem(
    home: House[Any], *, title: str = "A+B", description: str = "add", broken: str = "", by: str = ""
) -> int:
    """Add a problem; ``by``: the account that made it."""
    number = await home.ports.problems.reserve_problem_id()
    setter = await home.ports.accounts.credentials(by) if by else None
    await home.ports.problems.insert_problem(
        Problem(
            id=number,
            title=title,
            description=description,
            difficulty=title if title != "A+B" else "easy",
            time_limit_ms=1000,
            memory_limit_mb=128,
            compare="tokens",
            data_path=f"problems/{number}.zip",
            data_hash="00",
            broken=broken or None,
            created_by=None if setter is None else setter.user.id,
        )
    )
    return number


async def add_group(home: House[Any], members: Sequence[str] = (), name: str = "Class 7") -> int:
    """Add a group with these members."""
    group = await home.ports.groups.create_group(name, by="root")
    assert isinstance(group, UserGroup)
    assert await home.ports.groups.add_members(group.id, members, by="root") == frozenset()
    return group.id


async def add_submission(
    home: House[Any], owner: str, problem_id: int, *, code: str = "int main(){}", report: Report | None = None
) -> str:
    """Submit for the owner. ``report``: how it was judged; None: it waits."""
    job_id = await submission(home, await home.token_of(owner), problem_id, code)
    if report is not None:
        claim = (await home.ports.leases.claim([entry(job_id)], "node", 60.0, 5))["1-1"]
        assert isinstance(claim, Claim)
        assert await home.ports.leases.finalize(claim, report, as_result(claim, report)) is None
    return job_id


def report_saying(text: str, verdict: Verdict = Verdict.WRONG_ANSWER) -> Report:
    """Return a report in which everything that contestants and setters can write is this text."""
    return replace(
        a_report(verdict),
        compile=CompileResult(ok=verdict is not Verdict.COMPILE_ERROR, time_ms=1, output=text),
        tests=()
        if verdict is Verdict.COMPILE_ERROR
        else (TestResult(name=text, status=verdict, reason="checker", checker_message=text, group=text, sample=True),),
    )
