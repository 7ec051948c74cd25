"""Step 7: the one home of "ack or not?".

An entry is acked only after the database has answered, and only when it is no longer needed to bring its job back:

* its job has its verdict, is dead, or does not exist;
* this attempt finished it, or gave it back, or it was handed over (the outbox event written with that brings it anew);
* it cannot be decoded: it will not get better;
* it speaks of custom runs: it brings nothing, it wakes.

It is kept when somebody else holds, or may hold, a newer attempt: that one acks it, and if that one dies, reclaim
needs it. A failure (a store that does not answer) never acks: the step raises and nothing comes here.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from deepoj import observe
from deepoj.ports import JobStream
from deepoj.words import BadEntry, ClaimRefusal, Entry, FinalizeRefusal


class Settled(enum.Enum):
    """Endings that are not refusals."""

    #: this attempt's verdict stands
    FINALIZED = "finalized"
    #: released; an outbox event brings the job back
    GIVEN_BACK = "given_back"
    #: never claimed here; an outbox event brings the job to whoever is free
    HANDED_OVER = "handed_over"
    #: a custom run's: whoever has room finds it in the store, and looks there now and then without being told
    RUNG = "rung"


Ending = Settled | ClaimRefusal | FinalizeRefusal | BadEntry


def settles(ending: Ending) -> bool:
    """Whether the entry is done with."""
    match ending:
        case Settled() | BadEntry():
            return True
        case ClaimRefusal.ALREADY_DONE | ClaimRefusal.DEAD | ClaimRefusal.UNKNOWN_JOB:
            return True
        case ClaimRefusal.LEASED | ClaimRefusal.AVOIDED | ClaimRefusal.UNFIT:
            return False
        case FinalizeRefusal.ALREADY_FINISHED:
            return True
        case FinalizeRefusal.STALE_ATTEMPT | FinalizeRefusal.NOT_IN_EXPECTED_STATE | FinalizeRefusal.LEASE_LOST:
            return False


async def ack(
    stream: JobStream, entry_id: str, ending: Ending, *, job_id: str = "", attempt_id: int = 0, trace_id: str = ""
) -> bool:
    """Acks the entry if its ending settles it; says in the log which it was.

    Raises:
      StreamUnavailable: the entry stays pending; reclaim finds its row done and acks it then.
    """
    done = settles(ending)
    if done:
        await stream.ack([entry_id])
    _tell(done, entry_id, ending, job_id=job_id, attempt_id=attempt_id, trace_id=trace_id)
    return done


async def ack_all(stream: JobStream, endings: Sequence[tuple[Entry, Ending]]) -> None:
    """The same for many entries that were never claimed here, in one round trip.

    Raises:
      StreamUnavailable: as for one.
    """
    await stream.ack([entry.entry_id for entry, ending in endings if settles(ending)])
    for entry, ending in endings:
        _tell(settles(ending), entry.entry_id, ending, job_id=entry.job_id, attempt_id=0, trace_id="")


def _tell(done: bool, entry_id: str, ending: Ending, *, job_id: str, attempt_id: int, trace_id: str) -> None:
    observe.log(
        "xack_ok" if done else "xack_skip",
        job_id=job_id,
        attempt_id=attempt_id,
        stream_entry_id=entry_id,
        trace_id=trace_id,
        reason=ending.reason if isinstance(ending, BadEntry) else ending.value,
    )
