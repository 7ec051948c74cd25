"""Packages that no problem names any more leave the object store, long after the last node could have fetched them.

A package's object has a key of its own, which is never given out again; it is noted before it is stored, and again
when its problem has another package or is gone (in the same transaction). So what stands in the notes for long is
nobody's. Nodes that have claimed by an older row fetch within the hour; what is waited for beyond that is a backup of
the database, whose rows name older packages.

What if we die here? Between deleting an object and its note: it is deleted once more, which does nothing.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.ports import Blobs, Problems
from deepoj.words import BlobsUnavailable

#: objects of one round
PAGE = 100


async def sweep_objects(problems: Problems, blobs: Blobs, keep_s: float, metrics: observe.Metrics) -> int:
    """Deletes what nobody has named for ``keep_s``, at most a page of it; returns how many.

    Raises:
      StoreUnavailable: the next round goes on.
    """
    gone: list[str] = []
    for key in await problems.loose_objects(keep_s, PAGE):
        try:
            await blobs.delete(key)
        except BlobsUnavailable as away:  # or it may not be deleted; the next round tries again
            observe.log("objects_kept", level="warning", reason="objects", error=str(away))
            metrics.object_gc.labels(result="error").inc()
            break
        gone.append(key)
    if gone:
        await problems.forget_objects(gone)
        observe.log("objects_deleted", count=len(gone))
        metrics.object_gc.labels(result="deleted").inc(len(gone))
    return len(gone)
