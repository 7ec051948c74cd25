"""The end of an attempt at a submission of a verification: compare it with the promise and write that, or give the
claim back.

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

#: claims of a submission that count: it may have caused the death of its node
MAX_ATTEMPTS = 2
#: how long a verification may wait without any change before its submissions end as not judged
MAX_WAIT_S = 1800.0
#: pause before a submission that was not judged is due again
_AGAIN_S = 2.0


async def settle_example(store: ExampleLeases, claim: ExampleClaim, judged: Report | Infra | None) -> None:
    """Write the outcome of an attempt, or give the claim back for another. ``judged``: None: the problem has another
    version by now, and the sweeper ends the verification.

    Raises:
      StoreUnavailable: the outcome may or may not be written; the lease runs out.
    """
    if judged is None or (isinstance(judged, Infra) and (judged.outage or claim.attempts < MAX_ATTEMPTS)):
        counts = isinstance(judged, Infra) and not judged.outage
        await store.give_back_example(claim, counts=counts, delay_s=_AGAIN_S)
        return
    result = found(example_of_json(claim.example), judged, Points(claim.points))
    is_written = await store.finish_example(claim, outcome_of(result))
    observe.log(
        "example_judged",
        problem_id=claim.problem_id,
        attempt_id=claim.attempt_id,
        consumer=claim.lease_owner,
        language=claim.language,
        result=result.kept.value if is_written else "refused",
    )
