"""Store a custom run. Its row waits in the store, and a stream entry wakes a node that has room.

The entry is only a notification. The store decides which run is next (``claim_run``), and every node that judges also
polls it. So an entry that is lost, doubled or read by a node without room costs a moment and no run.

Two stores meet here; what if we die between the lines?

* the row exists, the entry does not: the next poll of any node finds it. Its author has no id of it, so it runs for no
  use, once.
* the stream does not answer: the row is deleted, and the author is asked to try again. If the entry arrived all the
  same, it wakes a node that finds nothing; the result of a node that has claimed the row meanwhile is refused.
* the row cannot be deleted, since the database is away, too: as if we had died after the first line.
"""

from __future__ import annotations

import trio

from deepoj.observe import Metrics
from deepoj.ports.playground import CustomRuns, RunNotifier
from deepoj.words.errors import StreamUnavailable
from deepoj.words.playground import CustomDraft, CustomReceipt, CustomRefusal

#: time limit of the stream for an entry: the run's author waits
RING_S = 2.0


async def order_run(
    runs: CustomRuns, notifier: RunNotifier, draft: CustomDraft, *, per_user: int, metrics: Metrics
) -> CustomReceipt | CustomRefusal:
    """Store a well-formed draft, or refuse it. ``per_user``: how many unfinished runs an author may have.

    Raises:
      StoreUnavailable: it was not stored, or (connection lost) it was, and will run without anyone knowing its id.
      StreamUnavailable: it was not stored.
    """
    taken = await runs.take_run(draft, per_user=per_user)
    if isinstance(taken, CustomRefusal):
        metrics.custom_run.labels(language=draft.language, status=taken.value.lower()).inc()
        return taken
    try:
        with trio.fail_after(RING_S):
            await notifier.notify_run(taken.run_id, taken.at_ms)
    except (StreamUnavailable, trio.TooSlowError) as away:
        metrics.custom_run.labels(language=draft.language, status="queue_error").inc()
        await runs.drop_run(taken.run_id)
        if isinstance(away, StreamUnavailable):
            raise
        raise StreamUnavailable(f"the stream took no entry within {RING_S:g} s") from away
    metrics.custom_run.labels(language=draft.language, status="accepted").inc()
    return taken
