"""Unchecked packages are compiled by a node that can, and all nodes use its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepoj.packages.publish import ProblemUpload, Published, publish
from deepoj.packages.revet import PAGE, Revet
from deepoj.words.errors import BlobsUnavailable, BoxBroken
from deepoj.words.problems import Problem
from deepoj.words.sandbox import Policy
from tests.fakes.settings import problem_rules
from tests.unit.test_vetting import CPP, REFUSED, Desk


class Two(Desk):
    """A desk whose packages were uploaded to another node, which cannot compile."""

    def __init__(self, here: Path) -> None:
        super().__init__(here)
        self.revet = Revet(problems=self.store, blobs=self.blobs, vetting=self.vetting)

    async def took(self, source: str = "// ours") -> int:
        upload = ProblemUpload(package=self.package({**CPP, "check.cpp": source}), title="x")
        made = await publish(self.store, self.blobs, upload, problem_rules())
        assert isinstance(made, Published)
        assert made.problem.unchecked
        return made.problem.id

    async def round(self, number: int) -> Problem:
        found = await self.revet.once()
        assert found is not None
        assert found.id == number
        assert self.rooms() == []
        now = await self.store.problem(number)
        assert now is not None
        return now


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


async def test_nothing_to_do(two: Two) -> None:
    await two.taken(CPP)
    assert await two.revet.once() is None


async def test_programs_that_compile(two: Two) -> None:
    now = await two.round(await two.took())
    assert (now.unchecked, now.broken) == (None, None)
    assert await two.revet.once() is None
    assert two.compiled() == 1


async def test_programs_that_do_not(two: Two) -> None:
    two.box.on(Policy.COMPILE, b"ours", REFUSED)
    now = await two.round(await two.took())
    assert (now.unchecked, now.broken) == (None, "The checker 'check.cpp' does not compile."), "no source in it"
    assert await two.revet.once() is None


async def test_problem_that_cannot_be_checked_here_is_tried_once_and_hides_no_other(two: Two) -> None:
    two.box.on(Policy.COMPILE, b"ours", BoxBroken("it fell"))
    first = [await two.took() for _ in range(PAGE + 1)]
    last = await two.took("// another")
    for number in first:
        assert (await two.round(number)).unchecked
    assert (await two.round(last)).unchecked is None
    assert await two.revet.once() is None


async def test_an_object_store_that_is_away_is_asked_again(two: Two) -> None:
    number = await two.took()
    two.blobs.down = True
    assert (await two.round(number)).unchecked
    two.blobs.down = False
    assert (await two.round(number)).unchecked is None


async def test_one_object_that_cannot_be_had_keeps_no_other_waiting(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = [await two.took() for _ in range(3)]
    stored, fetch = await two.store.problem(first), two.blobs.fetch
    assert stored is not None

    async def but_one(key: str, target: Path) -> None:
        if key == stored.data_path:
            raise BlobsUnavailable("no right to read it")
        await fetch(key, target)

    with monkeypatch.context() as patched:
        patched.setattr(two.blobs, "fetch", but_one)
        assert (await two.round(first)).unchecked
        assert (await two.round(second)).unchecked is None
        assert (await two.round(third)).unchecked is None
        assert (await two.round(first)).unchecked, "its turn again"
    assert (await two.round(first)).unchecked is None
    assert await two.revet.once() is None


async def test_an_object_that_is_gone(two: Two) -> None:
    number = await two.took()
    two.blobs.objects.clear()
    assert (await two.round(number)).unchecked
    assert await two.revet.once() is None
