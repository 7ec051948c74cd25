"""The end of an attempt at a submission of a verification: compare it with the promise and write that.

What if we die here? The lease runs out, and the next node claims the submission as attempt+1.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.judging.problem import Points
from deepoj.judging.promises import found
from deepoj.judging.verifications import example_of_json, outcome_of
from deepoj.ports.verifications import ExampleLeases
from deepoj.words.results import Infra, Report
from deepoj.words.verifications import ExampleClaim


async def settle_example(store: ExampleLeases, claim: ExampleClaim, judged: Report | Infra) -> None:
    """Write the outcome of the last attempt.

    Raises:
      StoreUnavailable: the outcome may or may not be written; the lease runs out.
    """
    result = found(example_of_json(claim.example), judged, Points(claim.points))
    is_written = await store.finish(claim, outcome_of(result))
    observe.log(
        "example_judged",
        problem_id=claim.problem_id,
        attempt_id=claim.attempt_id,
        consumer=claim.lease_owner,
        language=claim.language,
        result=result.kept.value if is_written else "refused",
    )
