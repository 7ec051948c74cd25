"""Delete packages from the object store that no problem names any more, long after any node could still fetch them.

A package's object has a key of its own, which is never used again. The key is noted before the object is stored, and
again when its problem gets another package or is deleted (in the same transaction). So an object whose note is old
belongs to no problem. Nodes that claimed by an older row fetch within the hour. The longer wait is for backups of the
database, whose rows name older packages.

What if we die here? Between deleting an object and its note: the object is deleted once more, which does nothing.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.ports.blobs import Blobs
from deepoj.ports.problems import Problems
from deepoj.words.errors import BlobsUnavailable

#: objects per round
PAGE = 100


async def sweep_objects(problems: Problems, blobs: Blobs, keep_s: float, metrics: observe.Metrics) -> int:
    """Delete objects that no problem has named for ``keep_s``, at most one page. Return how many.

    Raises:
      StoreUnavailable: the next round continues.
    """
    deleted: list[str] = []
    for key in await problems.loose_objects(keep_s, PAGE):
        try:
            await blobs.delete(key)
        except BlobsUnavailable as away:  # or deleting is not allowed; the next round tries again
            observe.log("objects_kept", level="warning", reason="objects", error=str(away))
            metrics.object_gc.labels(result="error").inc()
            break
        deleted.append(key)
    if deleted:
        await problems.forget_objects(deleted)
        observe.log("objects_deleted", count=len(deleted))
        metrics.object_gc.labels(result="deleted").inc(len(deleted))
    return len(deleted)
