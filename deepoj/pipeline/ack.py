"""Step 7: decide whether an entry is acked. Only this module decides it.

An entry is acked only after the database has answered, and only when its job no longer needs it:

* the job has its verdict, is dead, or does not exist;
* this attempt finished the job or gave it back, or this node handed it over (the outbox event written with that brings
  a new entry);
* the entry cannot be decoded, which will not change;
* the entry announces custom runs: it is only a notification.

It is kept while a node holds, or may hold, another attempt, because reclaim needs it if that node dies. The holder acks
only the entry that it claimed by. If this is a second entry of the job, reclaim brings it again, and it is acked as
``already_done``. A failure (a store that does not answer) never acks: the step raises before this is called.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from deepoj import observe
from deepoj.ports.stream import JobStream
from deepoj.words.jobs import ClaimRefusal, FinalizeRefusal
from deepoj.words.stream import BadEntry, Entry


class Settled(enum.Enum):
    """Endings of an entry that are not refusals."""

    #: this attempt's verdict stands
    FINALIZED = "finalized"
    #: this attempt's claim is released; an outbox event brings a new entry
    GIVEN_BACK = "given_back"
    #: not claimed here; an outbox event brings a new entry, to a free node
    HANDED_OVER = "handed_over"
    #: of a custom run: a node with room finds the run in the store, which it also polls
    NOTIFIED = "notified"


Ending = Settled | ClaimRefusal | FinalizeRefusal | BadEntry


def settles(ending: Ending) -> bool:
    """Whether the entry is no longer needed."""
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
    """Ack the entry if its ending settles it, and log the ending. Return whether it was acked.

    Raises:
      StreamUnavailable: the entry stays pending; reclaim finds its row done and acks it then.
    """
    done = settles(ending)
    if done:
        await stream.ack([entry_id])
    _log_ending(done, entry_id, ending, job_id=job_id, attempt_id=attempt_id, trace_id=trace_id)
    return done


async def ack_all(stream: JobStream, endings: Sequence[tuple[Entry, Ending]]) -> None:
    """Do the same for many entries that were never claimed here, in one round trip.

    Raises:
      StreamUnavailable: as for one.
    """
    await stream.ack([entry.entry_id for entry, ending in endings if settles(ending)])
    for entry, ending in endings:
        _log_ending(settles(ending), entry.entry_id, ending, job_id=entry.job_id, attempt_id=0, trace_id="")


def _log_ending(done: bool, entry_id: str, ending: Ending, *, job_id: str, attempt_id: int, trace_id: str) -> None:
    observe.log(
        "xack_ok" if done else "xack_skip",
        job_id=job_id,
        attempt_id=attempt_id,
        stream_entry_id=entry_id,
        trace_id=trace_id,
        reason=ending.reason if isinstance(ending, BadEntry) else ending.value,
    )
