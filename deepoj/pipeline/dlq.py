"""Dead letters: submissions whose attempts are used up, and what a person decides about them.

A requeued letter has its whole bound of attempts before it again (``judging_attempts`` goes to 0), in the same judging;
its attempt numbers go on where they were, so whatever a dead attempt still writes is refused by its number as before. A
discarded one is done: System Error, by the word of a person, which is its judging's one verdict.

Every decision names the attempt the letter died with. Taken twice it is one decision, and one that was taken about an
earlier death never hits a later one.

What if we die here? Row, ledger and outbox event of a decision are one transaction.

* before it: the letter is dead as it was.
* after it, before the entry is in the stream: the outbox event stands, the dispatcher delivers it.
* the answer lost: the same decision again answers ``repeated``.
* the dead letter's old entry was never acked (its node died between the claim's answer and the ack): when reclaim
  brings it after a requeue, it may win the claim like any other entry; the new one is refused then, and acked in the
  end. After a discard the claim says ``already_done``, and it is acked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepoj import observe
from deepoj.ports import DeadLetters
from deepoj.words import DeadLetter, Decided, Decision, LedgerEvent, LetterRefusal

#: events of a job that are shown with it
HISTORY = 200
#: above so many, the metric says so many
COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some dead letters, newest submission first; ``next_before`` asks for those after them, None at the end."""

    letters: Sequence[DeadLetter]
    next_before: int | None


async def page(letters: DeadLetters, limit: int, before_id: int | None = None) -> Page:
    """One page of at most ``limit``. Raises StoreUnavailable."""
    found = await letters.dead_letters(limit + 1, before_id)
    shown = found[:limit]
    return Page(shown, shown[-1].id if len(found) > limit else None)


@dataclass(frozen=True, slots=True)
class Told:
    """A dead letter with what the ledger says of it, the latest ``HISTORY`` events in their order."""

    letter: DeadLetter
    events: Sequence[LedgerEvent]


async def show(letters: DeadLetters, job_id: str) -> Told | None:
    """None for what is no dead letter. Raises StoreUnavailable."""
    letter = await letters.dead_letter(job_id)
    return None if letter is None else Told(letter, await letters.ledger_of(job_id, HISTORY))


async def decide(
    letters: DeadLetters,
    decision: Decision,
    job_id: str,
    *,
    attempt_id: int | None = None,
    by: str,
    note: str = "",
    stream_key: str,
) -> Decided | LetterRefusal:
    """Requeues or discards one dead letter.

    Args:
      attempt_id: the attempt it died with, as the person saw it; None: whichever it died with last, for somebody who
        has not looked (then a second call finds no dead letter any more, and says so).
      by: who decided; the ledger keeps it, and ``note``.

    Raises:
      StoreUnavailable: it may or may not stand; with ``attempt_id`` it is safe to say it again.
    """
    if attempt_id is None:
        found = await letters.dead_letter(job_id)
        # The fenced statement is asked all the same: it knows why there is none.
        attempt_id = found.attempt_id if found is not None else -1
    answer = await letters.decide(decision, job_id, attempt_id, by=by, note=note, stream_key=stream_key)
    if isinstance(answer, Decided):
        observe.log(
            f"dead_letter_{decision}",
            job_id=job_id,
            attempt_id=answer.attempt_id,
            result="repeated" if answer.repeated else "done",
        )
    return answer


async def measure(letters: DeadLetters, metrics: observe.Metrics) -> int:
    """One round: how many dead letters wait. Raises StoreUnavailable."""
    count = await letters.count_dead_letters(COUNTED)
    metrics.dlq_size.set(count)
    return count
