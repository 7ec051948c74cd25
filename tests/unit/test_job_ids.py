"""Job ids: version 7 of UUIDs, in the order of time, and random enough."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from deepoj.adapters.pg.job_ids import is_job_id, job_id_of, new_job_id

TIMES_MS = st.integers(min_value=0, max_value=2**48 - 1)
CHANCES = st.integers(min_value=0, max_value=2**80 - 1)


@given(TIMES_MS, CHANCES)
def test_an_id_is_a_uuid_of_version_7(at_ms: int, chance: int) -> None:
    made = job_id_of(at_ms, chance)
    assert is_job_id(made)
    read = uuid.UUID(made)
    assert (read.version, read.variant, read.int >> 80) == (7, uuid.RFC_4122, at_ms)


@given(TIMES_MS, TIMES_MS, CHANCES, CHANCES)
def test_ids_sort_by_time(first_ms: int, second_ms: int, first: int, second: int) -> None:
    if first_ms < second_ms:
        assert job_id_of(first_ms, first) < job_id_of(second_ms, second)


@given(TIMES_MS, st.integers(min_value=0, max_value=73), CHANCES)
def test_each_of_74_bits_makes_another_id(at_ms: int, bit: int, chance: int) -> None:
    assert job_id_of(at_ms, chance) != job_id_of(at_ms, chance ^ 1 << bit)


def test_no_two_are_alike() -> None:
    assert len({new_job_id() for _ in range(10_000)}) == 10_000
