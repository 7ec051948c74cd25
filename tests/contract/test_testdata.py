"""Test data on disk: fetched once, checked, pinned, evicted, whole after a restart or a crash."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest
import trio
import trio.testing

from deepoj.adapters import testdata_disk
from deepoj.adapters.testdata import TestDataCache
from deepoj.judging.problem import Plan
from deepoj.observe import Metrics
from deepoj.packages.formats import PackageFault, UnzipLimits, open_package
from deepoj.ports.testdata import TestData
from deepoj.words.errors import BlobMissing, BlobsUnavailable, TestDataBroken
from deepoj.words.problems import Problem
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.settings import unzip_limits
from tests.fakes.testdata import PlainTestData
from tests.unit.makers import a_problem

FILES = {"10.in": b"ten", "10.out": b"10", "2.in": b"two", "2.ans": b"2", "1.in": b"one", "1.out": b""}


def packed(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@dataclass(frozen=True)
class OnDisk:
    """A case with the paths of its files."""

    name: str
    input: Path
    answer: Path


async def cases_of(data: TestData, problem: Problem) -> tuple[OnDisk, ...]:
    """Prepare the package and return its cases."""
    prepared = await data.prepare(problem)
    return tuple(
        OnDisk(case.name, prepared.path(case.input or ""), prepared.path(case.answer or ""))
        for case in prepared.plan.cases
    )


def plan_of(files: Mapping[str, bytes]) -> Plan:
    opened = open_package(io.BytesIO(packed(files)), unzip_limits())
    assert not isinstance(opened, PackageFault)
    with opened:
        return opened.plan


class GatedBlobs(MemoryBlobs):
    """An object store whose fetches wait for a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = trio.Event()
        self.gate.set()
        self.asked = 0

    async def fetch(self, key: str, target: Path) -> None:
        self.asked += 1
        await self.gate.wait()
        await super().fetch(key, target)


class Shelf:
    """A test data cache over an object store in memory."""

    def __init__(self, tmp_path: Path) -> None:
        self.blobs = GatedBlobs()
        self.root = tmp_path / "cache"
        self.metrics = Metrics()
        self.caches: list[TestDataCache] = []

    def put(self, problem_id: int, files: Mapping[str, bytes]) -> Problem:
        """Upload a package. Return the problem that names it."""
        data = packed(files)
        problem = a_problem(problem_id, data_hash=hashlib.sha256(data).hexdigest())
        self.blobs.objects[problem.data_path] = data
        return problem

    def cache(
        self,
        *,
        max_problems: int = 100,
        max_bytes: int = 1 << 30,
        ttl_s: float = 1e6,
        limits: UnzipLimits | None = None,
        download_timeout_s: float = 60,
        unzip_timeout_s: float = 60,
    ) -> TestDataCache:
        made = TestDataCache(
            self.blobs,
            self.root,
            metrics=self.metrics,
            limits=limits or unzip_limits(),
            max_problems=max_problems,
            max_bytes=max_bytes,
            ttl_s=ttl_s,
            download_timeout_s=download_timeout_s,
            unzip_timeout_s=unzip_timeout_s,
        )
        self.caches.append(made)
        return made

    def on_disk(self) -> set[str]:
        return {path.name for path in (self.root / "0").iterdir()}

    def counted(self, result: str) -> float:
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                if sample.name == "worker_testcase_cache_total" and sample.labels["result"] == result:
                    return sample.value
        return 0.0


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    for cache in made.caches:
        cache.close()


# ------------------------------------------------------------------------------------------ the contract, fake and real


@pytest.mark.parametrize("kind", ["fake", "real"])
async def test_contract(kind: str, shelf: Shelf, tmp_path: Path) -> None:
    problem = shelf.put(1, {f"{n}.{end}": b"%d" % n for n in range(1, 12) for end in ("in", "out")})
    plain = [(b"%d" % n, b"%d" % n) for n in range(1, 12)]
    data: TestData = shelf.cache() if kind == "real" else PlainTestData(tmp_path, plain)
    assert not data.is_here(problem)
    prepared = await data.prepare(problem)
    again = await data.prepare(problem)
    assert data.is_here(problem)
    assert [case.name for case in prepared.plan.cases] == [str(n) for n in range(1, 12)]
    await data.release(problem)
    for one in (prepared, again):
        for case in one.plan.cases:
            assert case.input is not None
            assert case.answer is not None
            assert one.path(case.input).read_bytes() == one.path(case.answer).read_bytes() == case.name.encode()
    with pytest.raises(KeyError):
        prepared.path("12.in")
    await data.release(problem)


@pytest.mark.parametrize("kind", ["fake", "real"])
async def test_contract_of_a_plan_with_more_than_cases(kind: str, shelf: Shelf, tmp_path: Path) -> None:
    files = {
        "deepoj.yaml": b"title: Sums\nchecker: {files: [check/check.cpp, check/lib.h], protocol: plain}",
        "check/check.cpp": b"int main() {}",
        "check/lib.h": b"",
        "1.in": b"1",
        "1.out": b"",
        "submissions/accepted/a.py": b"not needed for judging",
    }
    problem = shelf.put(1, files)
    plan = plan_of(files)
    data: TestData = shelf.cache() if kind == "real" else PlainTestData(tmp_path / "plain", plan=plan, files=files)
    prepared = await data.prepare(problem)
    assert prepared.plan == plan
    assert set(plan.files()) == {"check/check.cpp", "check/lib.h", "1.in", "1.out"}
    for name in plan.files():
        assert prepared.path(name).read_bytes() == files[name]
    with pytest.raises(KeyError):
        prepared.path("submissions/accepted/a.py")
    await data.release(problem)


# ------------------------------------------------------------------------------------------------------------ the cache


async def test_cases_in_natural_order_under_our_names(shelf: Shelf) -> None:
    problem = shelf.put(1, {f"data/{name}": data for name, data in FILES.items()})
    cache = shelf.cache()
    cases = await cases_of(cache, problem)
    assert [(case.name, case.input.read_bytes(), case.answer.read_bytes()) for case in cases] == [
        ("1", b"one", b""),
        ("2", b"two", b"2"),
        ("10", b"ten", b"10"),
    ]
    assert shelf.on_disk() == {problem.data_hash}
    assert (shelf.root / "0").stat().st_mode & 0o777 == 0o700


async def test_a_second_use_fetches_nothing(shelf: Shelf) -> None:
    problem, cache = shelf.put(1, FILES), shelf.cache()
    first = await cases_of(cache, problem)
    shelf.blobs.down = True
    assert await cases_of(cache, problem) == first
    assert (shelf.counted("miss"), shelf.counted("hit")) == (1, 1)


async def test_everybody_at_once_fetches_once(shelf: Shelf) -> None:
    problem, cache = shelf.put(1, FILES), shelf.cache()
    shelf.blobs.gate = trio.Event()
    got: list[object] = []

    async def use() -> None:
        got.append(await cases_of(cache, problem))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(use)
            while not shelf.blobs.asked:
                await trio.testing.wait_all_tasks_blocked()
            assert not cache.is_here(problem)
            shelf.blobs.gate.set()
    assert len(got) == 20
    assert shelf.blobs.fetches == [problem.data_path]
    assert shelf.counted("miss") == 1
    for _ in range(20):
        await cache.release(problem)
    with pytest.raises(ValueError, match="more often"):
        await cache.release(problem)


async def test_a_cancelled_fetch_is_taken_over_by_who_waits(shelf: Shelf) -> None:
    problem, cache = shelf.put(1, FILES), shelf.cache()
    shelf.blobs.gate = trio.Event()
    got: list[object] = []

    async def first(scope: trio.CancelScope) -> None:
        with scope:
            await cases_of(cache, problem)

    async def second() -> None:
        got.append(await cases_of(cache, problem))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            nursery.start_soon(first, scope)
            while not shelf.blobs.asked:
                await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(second)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            while shelf.blobs.asked < 2:
                await trio.testing.wait_all_tasks_blocked()
            shelf.blobs.gate.set()
    assert len(got) == 1
    assert shelf.on_disk() == {problem.data_hash}


async def test_waiters_of_a_failed_fetch_fail_too(shelf: Shelf) -> None:
    problem, cache = shelf.put(1, FILES), shelf.cache()
    shelf.blobs.gate = trio.Event()
    shelf.blobs.down = True
    failed: list[str] = []

    async def use() -> None:
        try:
            await cases_of(cache, problem)
        except BlobsUnavailable as error:
            failed.append(str(error))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(use)
            while not shelf.blobs.asked:
                await trio.testing.wait_all_tasks_blocked()
            shelf.blobs.gate.set()
    assert len(failed) == 5
    assert shelf.blobs.asked == 1
    shelf.blobs.down = False
    assert await cases_of(cache, problem)  # a failure is not remembered


async def test_new_data_reaches_a_warm_node_at_once(shelf: Shelf) -> None:
    old, cache = shelf.put(1, FILES), shelf.cache()
    before = await cases_of(cache, old)
    new = shelf.put(1, {"1.in": b"new", "1.out": b"new"})
    after = await cases_of(cache, new)
    assert [case.input.read_bytes() for case in after] == [b"new"]
    assert before[0].input.read_bytes() == b"one"  # a current run keeps its data


async def test_missing_and_away_are_told_apart(shelf: Shelf) -> None:
    problem, cache = shelf.put(1, FILES), shelf.cache()
    shelf.blobs.down = True
    with pytest.raises(BlobsUnavailable):
        await cases_of(cache, problem)
    shelf.blobs.down = False
    del shelf.blobs.objects[problem.data_path]
    with pytest.raises(BlobMissing):
        await cases_of(cache, problem)
    assert shelf.on_disk() == set()


async def test_a_wrong_hash_is_tried_once_more(shelf: Shelf) -> None:
    problem, cache = shelf.put(1, FILES), shelf.cache()
    shelf.blobs.objects[problem.data_path] += b"x"
    with pytest.raises(TestDataBroken, match="has the hash"):
        await cases_of(cache, problem)
    assert len(shelf.blobs.fetches) == 2
    assert shelf.on_disk() == set()


async def test_an_object_replaced_meanwhile_is_good_at_the_second_look(shelf: Shelf) -> None:
    problem = shelf.put(1, FILES)
    good = shelf.blobs.objects[problem.data_path]

    class Replacing(GatedBlobs):
        async def fetch(self, key: str, target: Path) -> None:
            await super().fetch(key, target)
            self.objects[key] = good

    shelf.blobs = Replacing()
    shelf.blobs.objects[problem.data_path] = b"old"
    assert len(await cases_of(shelf.cache(), problem)) == 3


@pytest.mark.parametrize("data_hash", ["", "../../etc", "AB" * 32, "ab" * 31])
async def test_a_hash_that_is_none_is_refused(shelf: Shelf, data_hash: str) -> None:
    with pytest.raises(TestDataBroken, match="no usable hash"):
        await cases_of(shelf.cache(), a_problem(data_hash=data_hash))


@pytest.mark.parametrize(
    ("files", "words"),
    [({"1.in": b""}, "without its answer"), ({}, "no test case"), ({"a": b"1", "../1.in": b""}, "'..'")],
)
async def test_a_package_that_breaks_the_rules(shelf: Shelf, files: dict[str, bytes], words: str) -> None:
    problem, cache = shelf.put(1, files), shelf.cache()
    with pytest.raises(TestDataBroken, match=words):
        await cases_of(cache, problem)
    assert shelf.on_disk() == set()


async def test_limits_hold_here_too(shelf: Shelf) -> None:
    problem = shelf.put(1, {"1.in": b"x" * 1000, "1.out": b""})
    with pytest.raises(TestDataBroken, match="at most 999"):
        await cases_of(shelf.cache(limits=unzip_limits(max_bytes=999)), problem)
    shelf.caches.pop().close()
    with pytest.raises(TestDataBroken, match="too long"):
        await cases_of(shelf.cache(unzip_timeout_s=0), problem)


async def test_a_slow_store_counts_as_away(shelf: Shelf, mock_clock: trio.testing.MockClock) -> None:
    problem, cache = shelf.put(1, FILES), shelf.cache(download_timeout_s=5)
    shelf.blobs.gate = trio.Event()
    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:

            async def use() -> None:
                with pytest.raises(BlobsUnavailable, match="longer than 5 s"):
                    await cases_of(cache, problem)

            nursery.start_soon(use)
            while not shelf.blobs.asked:
                await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(6)
    assert shelf.on_disk() == set()


# ------------------------------------------------------------------------------------------------------------- eviction


async def _use(cache: TestDataCache, problem: Problem) -> None:
    await cases_of(cache, problem)
    await cache.release(problem)


async def test_the_least_recently_used_goes(shelf: Shelf, mock_clock: trio.testing.MockClock) -> None:
    problems = [shelf.put(n, {"1.in": b"%d" % n, "1.out": b""}) for n in range(3)]
    cache = shelf.cache(max_problems=2)
    for problem in (problems[0], problems[1], problems[0]):
        await _use(cache, problem)
        mock_clock.jump(1)
    await _use(cache, problems[2])
    assert shelf.on_disk() == {problems[0].data_hash, problems[2].data_hash}
    assert shelf.counted("evicted") == 1


async def test_pinned_data_is_not_evicted(shelf: Shelf) -> None:
    problems = [shelf.put(n, {"1.in": b"%d" % n, "1.out": b""}) for n in range(3)]
    cache = shelf.cache(max_problems=1)
    held = [await cases_of(cache, problem) for problem in problems]
    assert [cases[0].input.read_bytes() for cases in held] == [b"0", b"1", b"2"]
    for problem in problems:
        await cache.release(problem)
    assert len(shelf.on_disk()) == 1


async def test_bytes_are_bounded(shelf: Shelf) -> None:
    problems = [shelf.put(n, {"1.in": b"%d" % n * 600, "1.out": b""}) for n in range(3)]
    first = shelf.cache(max_bytes=1300)
    for problem in problems[:2]:
        await _use(first, problem)
    first.close()
    await _use(shelf.cache(max_bytes=1300), problems[2])  # what a former start has left counts, too
    assert len(shelf.on_disk()) == 2


async def test_least_recently_used_data_is_evicted(shelf: Shelf, mock_clock: trio.testing.MockClock) -> None:
    problems = [shelf.put(n, {"1.in": b"%d" % n, "1.out": b""}) for n in range(2)]
    cache = shelf.cache(ttl_s=100)
    await _use(cache, problems[0])
    mock_clock.jump(101)
    await _use(cache, problems[1])
    assert shelf.on_disk() == {problems[1].data_hash}


# ------------------------------------------------------------------------------------------------- restarts and crashes


async def test_entries_survive_a_restart(shelf: Shelf) -> None:
    problem = shelf.put(1, FILES)
    first = shelf.cache()
    await cases_of(first, problem)
    first.close()
    shelf.blobs.down = True
    assert [case.input.read_bytes() for case in await cases_of(shelf.cache(), problem)] == [b"one", b"two", b"ten"]


@pytest.mark.parametrize("ruin", ["index", "file", "short", "garbage", "readers", "plan"])
async def test_leftovers_of_a_crash_are_swept(shelf: Shelf, ruin: str) -> None:
    problem, other = shelf.put(1, FILES), shelf.put(2, {"1.in": b"", "1.out": b""})
    first = shelf.cache()
    await cases_of(first, problem)
    await cases_of(first, other)
    first.close()
    entry = shelf.root / "0" / problem.data_hash
    match ruin:
        case "index":
            (entry / "plan.json").unlink()
        case "file":
            (entry / "0002").unlink()
        case "short":
            (entry / "0002").write_bytes(b"")
        case "garbage":
            (entry / "plan.json").write_bytes(b"\xff[1,")
        case "readers":  # another version of the program read the package
            told = json.loads((entry / "plan.json").read_bytes())
            (entry / "plan.json").write_text(json.dumps(told | {"readers": told["readers"] + 1}))
        case "plan":
            told = json.loads((entry / "plan.json").read_bytes())
            (entry / "plan.json").write_text(json.dumps(told | {"plan": {"cases": []}}))
    (shelf.root / "0" / ".work-crashed").mkdir()
    (shelf.root / "0" / ".work-crashed" / "package-0.zip").write_bytes(b"half")
    again = shelf.cache()
    await again.start()
    assert shelf.on_disk() == {other.data_hash}
    assert len(await cases_of(again, problem)) == 3


async def test_two_nodes_with_one_root_do_not_meet(shelf: Shelf) -> None:
    problem = shelf.put(1, FILES)
    one, two = shelf.cache(), shelf.cache(max_problems=0)
    mine = await cases_of(one, problem)
    await _use(two, problem)  # … and evicts its own at once
    assert mine[0].input.read_bytes() == b"one"
    assert {path.name for path in shelf.root.iterdir()} == {"0", "1"}


async def test_entry_removed_from_the_disk_is_fetched_again(shelf: Shelf) -> None:
    problem, cache = shelf.put(1, FILES), shelf.cache()
    await cases_of(cache, problem)
    shutil.rmtree(shelf.root / "0" / problem.data_hash)
    with pytest.raises(TestDataBroken, match="while in use"):
        await cases_of(cache, problem)
    await cache.release(problem)
    assert (await cases_of(cache, problem))[0].input.read_bytes() == b"one"


async def test_a_root_that_cannot_be_is_told(shelf: Shelf) -> None:
    shelf.root.write_text("a file in the way")
    with pytest.raises(TestDataBroken, match="cannot be used"):
        await shelf.cache().start()


async def test_a_cancelled_unpacking_stops_and_leaves_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker thread stops between two chunks and does not go on writing."""
    problem, cache = shelf.put(1, FILES), shelf.cache()
    inside, go_on = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def slow(file: IO[bytes], limits: UnzipLimits) -> object:
        token.run_sync_soon(inside.set)
        go_on.wait(60)
        return open_package(file, limits)

    monkeypatch.setattr(testdata_disk, "open_package", slow)
    unpacked: list[object] = []
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def use() -> None:
                unpacked.append(await cases_of(cache, problem))

            nursery.start_soon(use)
            await inside.wait()
            nursery.cancel_scope.cancel()
            go_on.set()
    assert unpacked == []
    assert shelf.on_disk() == set()
    assert len(await cases_of(cache, problem)) == 3


async def test_a_full_disk_is_told_and_makes_room(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, other = shelf.put(1, FILES), shelf.put(2, {"1.in": b"", "1.out": b""})
    cache = shelf.cache()
    await _use(cache, other)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(testdata_disk, "unpack", full)
        with pytest.raises(TestDataBroken, match="No space left"):
            await cases_of(cache, problem)
    assert shelf.on_disk() == set()
    assert len(await cases_of(cache, replace(problem))) == 3
