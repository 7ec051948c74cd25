"""A custom run is taken: its row waits in the store, and an entry in the stream wakes whoever has room.

The entry only wakes: which run is next the store says (``claim_run``), and every node that judges looks there once in a
while anyway. So an entry that is lost, doubled or read by who has no room costs a moment and no run.

Two stores meet here; what if we die between the lines?

* the row stands, no entry: somebody's next look finds it. Its author has no id of it; it is run once for nobody.
* the stream does not answer: the row is taken back, and the author told to come again. An entry that arrived all the
  same wakes a node that finds nothing; a node that has claimed the row meanwhile is refused its result.
* the row cannot be taken back, since the database is away too: as if we had died after the first line.
"""

from __future__ import annotations

import trio

from deepoj.observe import Metrics
from deepoj.ports import CustomRuns, RunBell
from deepoj.words import CustomDraft, CustomReceipt, CustomRefusal, StreamUnavailable

#: what the stream has for an entry: its author waits
RING_S = 2.0


async def order_run(
    runs: CustomRuns, bell: RunBell, draft: CustomDraft, *, per_user: int, metrics: Metrics
) -> CustomReceipt | CustomRefusal:
    """Takes a well-formed draft. ``per_user``: unfinished runs that an author may have.

    Raises:
      StoreUnavailable: nothing was taken, or (connection lost) it was, and is run for nobody.
      StreamUnavailable: nothing was taken.
    """
    taken = await runs.take_run(draft, per_user=per_user)
    if isinstance(taken, CustomRefusal):
        metrics.custom_run.labels(language=draft.language, status=taken.value.lower()).inc()
        return taken
    try:
        with trio.fail_after(RING_S):
            await bell.ring_run(taken.run_id, taken.at_ms)
    except (StreamUnavailable, trio.TooSlowError) as away:
        metrics.custom_run.labels(language=draft.language, status="queue_error").inc()
        await runs.drop_run(taken.run_id)
        if isinstance(away, StreamUnavailable):
            raise
        raise StreamUnavailable(f"the stream took no entry within {RING_S:g} s") from away
    metrics.custom_run.labels(language=draft.language, status="accepted").inc()
    return taken
