"""Step 5: judge a claimed submission: compile it in the sandbox, run each test there, compare, explain.

``execution.attempt`` does all of it, in a directory of its own, and sorts its failures.

Whose fault is a failure? Everything that the contestant's program or source can cause is a verdict. Everything else is
``Infra``, to be tried again, or a breakage that is raised.

The scoring (``judging.scoring``) chooses the next test and combines the results. Unless the package says otherwise, all
tests are judged, so that a teacher sees all of them. Once a test has failed and the runs have taken
``settings.failed_budget_ms`` altogether, only tests that can change the verdict or the score are still run: a hopeless
program must not hold a slot for an hour. The explanation says so.

Where slots of the node are idle, tests run beside each other (``execution.runs_ahead``). Their results are taken in the
scoring's order, so the report is the same.

A test whose CPU time was close to its limit is run again, and the last run decides (``judging.borderline``). A test
that can no longer change the result is not run again.

A rejudge (``former``) takes over the results of tests whose fingerprint is unchanged (``judging.reuse``).

What if we die here? The lease runs out and the next attempt starts from the beginning in a directory of its own
(``workdir``).
"""

from __future__ import annotations

from collections.abc import Callable

from deepoj.execution.attempt import attempted
from deepoj.execution.context import AttemptContext
from deepoj.judging.reuse import Former
from deepoj.ports.testdata import TestData
from deepoj.words.jobs import Claim
from deepoj.words.results import Infra, Report, TestResult


async def judge(
    context: AttemptContext,
    test_data: TestData,
    claim: Claim,
    *,
    former: Former | None = None,
    on_test: Callable[[TestResult, int, int], None] | None = None,
) -> Report | Infra:
    """Judge one attempt, in a directory of its own in ``context.workdir``.

    ``former``: results of an earlier judging that may be taken over. ``on_test`` is called with each test when it ends,
    in order, with its 1-based index and the number of tests.

    Raises:
      BoxBroken, BlobsUnavailable, BlobMissing: from the ports; they say nothing about the program.
    """
    return await attempted(context, claim, lambda attempt: attempt.judge(test_data), former=former, on_test=on_test)
