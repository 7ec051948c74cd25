"""The compile cache on disk: an entry is whole or absent, also after crashes and full disks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.observe import Metrics
from deepoj.words.errors import StartRefused
from deepoj.words.results import CompileResult

GOOD = CompileResult(ok=True, time_ms=1234, output="a warning")
BAD = CompileResult(ok=False, time_ms=7, output="main.cpp:1: error: ‘x’\ud83d".encode("utf-8", "replace").decode())


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Lab:
    def __init__(self, tmp_path: Path) -> None:
        self.root, self.metrics = tmp_path / "cache", Metrics()
        self.attempt, self.later = tmp_path / "attempt", tmp_path / "later"
        self.attempt.mkdir()
        self.later.mkdir()
        self._open: list[DiskCompileCache] = []

    def cache(self, max_bytes: int = 1 << 30, max_entries: int = 2000) -> DiskCompileCache:
        made = DiskCompileCache(self.root, metrics=self.metrics, max_bytes=max_bytes, max_entries=max_entries)
        self._open.append(made)
        return made

    def close(self) -> None:
        for cache in self._open:
            cache.close()

    def program(self, data: bytes = b"\x7fELF program") -> Path:
        path = self.attempt / "main"
        path.unlink(missing_ok=True)  # as a compilation does: it never writes into a file that the cache may hold
        path.write_bytes(data)
        return path

    def counted(self, result: str) -> float:
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                if sample.name == "worker_compile_cache_total" and sample.labels["result"] == result:
                    return sample.value
        return 0.0

    def entry(self, text: str) -> Path:
        (found,) = self.root.glob(f"*/{key(text)}")
        return found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.close()


async def test_kept_entry_is_taken(lab: Lab) -> None:
    cache = lab.cache()
    assert await cache.take(key("a"), lab.later) is None
    await cache.keep(key("a"), GOOD, [lab.program()])
    await cache.keep(key("b"), BAD, [])
    assert await cache.take(key("a"), lab.later) == GOOD
    assert (lab.later / "main").read_bytes() == b"\x7fELF program"
    assert await cache.take(key("b"), lab.later) == BAD
    assert await cache.take(key("c"), lab.later) is None


async def test_taking_twice_into_one_place(lab: Lab) -> None:
    cache = lab.cache()
    await cache.keep(key("a"), GOOD, [lab.program()])
    (lab.later / "main").write_bytes(b"something else")
    for _ in range(2):
        assert await cache.take(key("a"), lab.later) == GOOD
        assert (lab.later / "main").read_bytes() == b"\x7fELF program"


async def test_order_of_entries_survives_a_restart(lab: Lab) -> None:
    first = lab.cache()
    for name in "abc":
        await first.keep(key(name), GOOD, [lab.program(b"x" * 50_000)])
    assert await first.take(key("a"), lab.later) == GOOD
    first.close()
    second = lab.cache(max_bytes=130_000)
    assert await second.take(key("c"), lab.later) == GOOD
    await second.keep(key("d"), GOOD, [lab.program(b"y" * 50_000)])
    # b was the least recently used, then a
    assert [await second.take(key(name), lab.later) is not None for name in "abcd"] == [False, False, True, True]
    assert lab.counted("evicted") == 2


async def test_evicted_program_stays_in_the_attempt_that_took_it(lab: Lab) -> None:
    cache = lab.cache(max_bytes=70_000)
    await cache.keep(key("a"), GOOD, [lab.program(b"x" * 50_000)])
    assert await cache.take(key("a"), lab.later) == GOOD
    (lab.attempt / "main").unlink()
    await cache.keep(key("b"), GOOD, [lab.program(b"y" * 50_000)])
    assert await cache.take(key("a"), lab.attempt) is None
    assert (lab.later / "main").read_bytes() == b"x" * 50_000
    assert [path.name for path in lab.root.glob("*/*")] == [key("b")]


async def test_many_small_ones_are_bounded_too(lab: Lab) -> None:
    cache = lab.cache(max_entries=3)
    for name in "abcde":
        await cache.keep(key(name), GOOD, [])
    assert [await cache.take(key(name), lab.later) is not None for name in "abcde"] == [False, False, True, True, True]
    assert len(list(lab.root.glob("*/*"))) == 3


async def test_one_too_large_for_all_is_not_kept_for_long(lab: Lab) -> None:
    cache = lab.cache(max_bytes=10_000)
    await cache.keep(key("a"), GOOD, [lab.program(b"x" * 50_000)])
    assert await cache.take(key("a"), lab.later) is None
    assert list(lab.root.glob("*/*")) == []


def _cut(entry: Path) -> None:
    (entry / "main").write_bytes(b"\x7fELF pro")


def _zeroed(entry: Path) -> None:
    (entry / "main").write_bytes(bytes(len(b"\x7fELF program")))


def _without_program(entry: Path) -> None:
    (entry / "main").unlink()


def _index_cut(entry: Path) -> None:
    index = entry / "result.json"
    index.write_text(index.read_text()[:-9])


def _index_empty(entry: Path) -> None:
    (entry / "result.json").write_text("")


def _index_other(entry: Path) -> None:
    (entry / "result.json").write_text('{"result": {"ok": true}, "files": []}')


def _gone(entry: Path) -> None:
    entry.rename(entry.parents[2] / "elsewhere")


@pytest.mark.parametrize("harm", [_cut, _zeroed, _without_program, _index_cut, _index_empty, _index_other, _gone])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_ruin_is_never_used(lab: Lab, harm: Callable[[Path], None], *, restarted: bool) -> None:
    """A power cut can leave files with names but without content."""
    cache = lab.cache()
    await cache.keep(key("a"), GOOD, [lab.program()])
    harm(lab.entry("a"))
    if restarted:
        cache.close()
        cache = lab.cache()
    assert await cache.take(key("a"), lab.later) is None
    assert not (lab.later / "main").exists()
    await cache.keep(key("a"), GOOD, [lab.program()])
    assert await cache.take(key("a"), lab.later) == GOOD


async def test_half_made_entries_are_removed_at_the_next_start(lab: Lab) -> None:
    first = lab.cache()
    slot = await first.start()
    first.close()
    (slot / ".work-dead").mkdir()
    (slot / ".work-dead" / "main").write_bytes(b"x")
    (slot / "not a key").mkdir()
    await lab.cache().start()
    assert list(slot.iterdir()) == []


async def test_two_nodes_share_a_root_and_nothing_in_it(lab: Lab) -> None:
    one, other = lab.cache(), lab.cache()
    await one.keep(key("a"), GOOD, [lab.program()])
    assert await other.take(key("a"), lab.later) is None
    assert {path.name for path in lab.root.iterdir()} == {"0", "1"}


async def test_a_disk_that_takes_nothing_costs_nothing_but_time(lab: Lab) -> None:
    cache = lab.cache()
    slot = await cache.start()
    slot.rename(slot.with_name("elsewhere"))
    await cache.keep(key("a"), GOOD, [lab.program()])
    assert await cache.take(key("a"), lab.later) is None
    assert lab.counted("unkept") == 1


async def test_a_root_that_is_no_directory_stops_the_start(lab: Lab) -> None:
    lab.root.write_text("")
    with pytest.raises(StartRefused, match="WORKSPACE"):
        await lab.cache().start()
