"""Packages that no problem names any more: what goes, when, and what is left where we die."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepoj.observe import Metrics
from deepoj.packages.objects import sweep_objects
from deepoj.packages.publish import ProblemRevision, ProblemUpload, Published, publish, revise
from deepoj.packages.retire import retire
from deepoj.words.errors import BlobsUnavailable, StoreUnavailable
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.settings import problem_rules
from tests.fakes.store import MemoryStore
from tests.unit.packages.makers import zipped

KEEP_S = 1000.0


class Desk:
    def __init__(self, here: Path) -> None:
        self.now = 0.0
        self.store, self.blobs, self.metrics = MemoryStore(clock=lambda: self.now), MemoryBlobs(), Metrics()
        self._here = here

    def package(self, answer: str) -> Path:
        path = self._here / "package.zip"
        path.write_bytes(zipped({"1.in": "1\n", "1.out": answer}))
        return path

    async def made(self, answer: str = "1\n") -> int:
        upload = ProblemUpload(package=self.package(answer), title="x")
        made = await publish(self.store, self.blobs, upload, problem_rules())
        assert isinstance(made, Published)
        return made.problem.id

    async def put(self, number: int, answer: str) -> None:
        await revise(self.store, self.blobs, number, ProblemRevision(package=self.package(answer)), problem_rules())

    async def sweep(self) -> int:
        return await sweep_objects(self.store, self.blobs, KEEP_S, self.metrics)

    def counted(self) -> dict[str, float]:
        (family,) = self.metrics.object_gc.collect()
        return {one.labels["result"]: one.value for one in family.samples if one.name.endswith("_total")}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_older_package_is_deleted_once_no_job_can_need_it(desk: Desk) -> None:
    number = await desk.made()
    await desk.put(number, "2\n")
    older, newer = desk.blobs.objects
    assert (older, await desk.sweep()) == (f"problems/{number}.zip", 0)
    desk.now = KEEP_S + 1
    assert await desk.sweep() == 1
    assert list(desk.blobs.objects) == [newer]
    assert await desk.sweep() == 0
    assert desk.counted() == {"deleted": 1}


async def test_a_package_that_comes_back_is_another_object(desk: Desk) -> None:
    """Else the sweep of what it was before could take what the problem has now."""
    number = await desk.made()
    for answer in ("2\n", "1\n", "2\n"):
        await desk.put(number, answer)
    assert len(desk.blobs.objects) == 4
    desk.now = KEEP_S + 1
    assert await desk.sweep() == 3
    now = await desk.store.problem(number)
    assert now is not None
    assert list(desk.blobs.objects) == [now.data_path]


async def test_the_package_of_a_problem_that_is_gone(desk: Desk) -> None:
    number, other = await desk.made(), await desk.made()
    assert await retire(desk.store, number, force=False) is None
    desk.now = KEEP_S + 1
    assert await desk.sweep() == 1
    assert list(desk.blobs.objects) == [f"problems/{other}.zip"]


@pytest.mark.parametrize("dies_at", ["insert_problem", "update_problem"])
async def test_object_stored_before_a_crash_and_never_named_is_swept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    number = await desk.made()

    async def die(*_: object, **_more: object) -> None:
        raise StoreUnavailable("we die here")

    with monkeypatch.context() as patch, pytest.raises(StoreUnavailable):
        patch.setattr(desk.store, dies_at, die)
        await (desk.made("2\n") if dies_at == "insert_problem" else desk.put(number, "2\n"))
    assert len(desk.blobs.objects) == 2
    desk.now = KEEP_S + 1
    assert await desk.sweep() == 1
    assert list(desk.blobs.objects) == [f"problems/{number}.zip"]


async def test_object_deleted_before_a_crash_is_forgotten_by_the_next_sweep(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.put(await desk.made(), "2\n")
    desk.now = KEEP_S + 1

    async def die(*_: object) -> None:
        raise StoreUnavailable("we die here")

    with monkeypatch.context() as patch, pytest.raises(StoreUnavailable):
        patch.setattr(desk.store, "forget_objects", die)
        await desk.sweep()
    assert len(desk.blobs.objects) == 1
    assert await desk.sweep() == 1
    assert (await desk.sweep(), len(desk.blobs.objects)) == (0, 1)


async def test_a_store_that_is_away_keeps_its_note(desk: Desk) -> None:
    await desk.put(await desk.made(), "2\n")
    desk.now = KEEP_S + 1
    desk.blobs.down = True
    assert await desk.sweep() == 0
    assert desk.counted() == {"error": 1}
    desk.blobs.down = False
    assert await desk.sweep() == 1


async def test_nothing_is_stored_that_was_not_noted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = await desk.made()
    desk.blobs.down = True
    with pytest.raises(BlobsUnavailable):
        await desk.put(number, "2\n")
    assert len(desk.store.loose) == 1, "noted before the store was asked"
