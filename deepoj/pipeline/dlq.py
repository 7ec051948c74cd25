"""Dead letters: submissions whose attempts are used up, and the decisions of operators and administrators about them.

A requeued letter has all its attempts again (``judging_attempts`` becomes 0), in the same judging. Its attempt numbers
go on, so a late statement of a dead attempt is refused by its number as before. A discarded letter is done with System
Error, by the decision of a person; that is its judging's one verdict.

Every decision names the attempt that the letter died with. Made twice, it counts once; and a decision about an earlier
death never applies to a later one.

What if we die here? Row, ledger and outbox event of a decision are one transaction.

* before it: the letter is still dead.
* after it, before the entry is in the stream: the outbox event exists, and the dispatcher delivers it.
* the answer lost: the same decision again answers ``repeated``.
* the dead letter's old entry was never acked (its node died between the claim's answer and the ack): reclaim may bring
  it after a requeue, and it may win the claim like any other entry. Then the new entry is refused, and acked in the
  end. After a discard the claim answers ``already_done``, and it is acked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepoj import observe
from deepoj.ports.ledger import DeadLetters
from deepoj.words.ledger import DeadLetter, Decided, Decision, LedgerEvent, LetterRefusal

#: how many events of a job are shown with it
HISTORY = 200
#: counting stops here, and the metric shows this number
COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some dead letters, newest submission first. ``next_before`` asks for the following ones; None at the end."""

    letters: Sequence[DeadLetter]
    next_before: int | None


async def page(letters: DeadLetters, limit: int, before_id: int | None = None) -> Page:
    """Return one page of at most ``limit``. Raises StoreUnavailable."""
    rows = await letters.dead_letters(limit + 1, before_id)
    shown = rows[:limit]
    return Page(shown, shown[-1].id if len(rows) > limit else None)


@dataclass(frozen=True, slots=True)
class DeadLetterHistory:
    """A dead letter with its latest ``HISTORY`` ledger events, oldest first."""

    letter: DeadLetter
    events: Sequence[LedgerEvent]


async def show(letters: DeadLetters, job_id: str) -> DeadLetterHistory | None:
    """Return None if the job is not a dead letter. Raises StoreUnavailable."""
    letter = await letters.dead_letter(job_id)
    return None if letter is None else DeadLetterHistory(letter, await letters.ledger_of(job_id, HISTORY))


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
    """Requeue or discard one dead letter.

    Args:
      attempt_id: the attempt it died with, as the person saw it. None: the last one it died with, for a caller that has
        not looked; a second call then finds no dead letter and says so.
      by: who decided; the ledger keeps it, and ``note``.

    Raises:
      StoreUnavailable: the decision may or may not be stored; with ``attempt_id`` repeating it is safe.
    """
    if attempt_id is None:
        letter = await letters.dead_letter(job_id)
        # The fenced statement is sent all the same: it knows why there is none.
        attempt_id = letter.attempt_id if letter is not None else -1
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
    """Do one round: count the dead letters and set the metric. Raises StoreUnavailable."""
    count = await letters.count_dead_letters(COUNTED)
    metrics.dlq_size.set(count)
    return count
