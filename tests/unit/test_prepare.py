"""Before the children start: late dependencies are waited for, refusing ones are not."""

from __future__ import annotations

import pytest
import trio

from deepoj.nursery.prepare import UNREACHABLE, Reach, Schema
from deepoj.words.errors import BlobsRefused, Breakage, StartRefused, StoreRefused, StoreUnavailable, StreamRefused


class Pings:
    """Fails as scripted, one entry a ping; then answers."""

    def __init__(self, *failures: Breakage) -> None:
        self.failures = list(failures)
        self.count = 0

    async def __call__(self) -> None:
        self.count += 1
        await trio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)


async def test_a_late_dependency_is_waited_for(autojump_clock: object) -> None:
    pings = Pings(*[StoreUnavailable("not yet")] * 20)
    await Reach(part="database", ping=pings, within_s=30)()
    assert pings.count == 21


async def test_one_that_never_comes_ends_the_start_in_time(autojump_clock: object) -> None:
    pings = Pings(*[StoreUnavailable("PostgreSQL at db:5432 cannot be reached")] * 1000)
    began = trio.current_time()
    with pytest.raises(StartRefused, match="cannot be reached") as refused:
        await Reach(part="database", ping=pings, within_s=30)()
    assert refused.value.exit_code == UNREACHABLE
    assert 30 <= trio.current_time() - began <= 31


async def test_one_that_hangs_ends_the_start_in_time(autojump_clock: object) -> None:
    began = trio.current_time()
    with pytest.raises(StartRefused, match="did not answer within 5 s"):
        await Reach(part="database", ping=trio.sleep_forever, within_s=30)()
    assert trio.current_time() - began <= 36


@pytest.mark.parametrize(
    "refusal", [StoreRefused("wrong password"), StreamRefused("wrong password"), BlobsRefused("wrong password")]
)
async def test_a_refusal_is_not_waited_for(autojump_clock: object, refusal: Breakage) -> None:
    began = trio.current_time()
    with pytest.raises(StartRefused, match="wrong password") as refused:
        await Reach(part="database", ping=Pings(refusal), within_s=30)()
    assert refused.value.exit_code == UNREACHABLE
    assert trio.current_time() == began


async def test_the_schema_is_waited_for(autojump_clock: object) -> None:
    versions = iter([0, 0, 8, 9])

    async def present() -> int:
        return next(versions)

    await Schema(present=present, needed=9, within_s=30)()
    assert next(versions, None) is None


async def test_a_schema_that_never_comes_says_what_to_do(autojump_clock: object) -> None:
    async def present() -> int:
        return 3

    with pytest.raises(StartRefused, match=r"version 3, this program needs 9.*deepoj migrate"):
        await Schema(present=present, needed=9, within_s=30)()
