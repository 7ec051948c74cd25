"""The order of the levels of isolation."""

from __future__ import annotations

import itertools
import json

import pytest

from deepoj.words.sandbox import Isolation

WEAK, NAMESPACES, FULL = Isolation.WEAK, Isolation.NAMESPACES, Isolation.FULL


def test_isolation_levels_are_ordered_by_strength_and_not_by_name() -> None:
    assert sorted([FULL, WEAK, NAMESPACES]) == [WEAK, NAMESPACES, FULL]
    assert (min(FULL, NAMESPACES), max(WEAK, FULL)) == (NAMESPACES, FULL)


@pytest.mark.parametrize(("weaker", "stronger"), [*itertools.combinations([WEAK, NAMESPACES, FULL], 2)])
def test_isolation_comparisons_agree(weaker: Isolation, stronger: Isolation) -> None:
    assert weaker < stronger
    assert weaker <= stronger
    assert stronger > weaker
    assert stronger >= weaker
    assert not (stronger < weaker or stronger <= weaker or weaker > stronger or weaker >= stronger)


@pytest.mark.parametrize("level", Isolation)
def test_isolation_level_equals_itself_and_is_not_weaker_than_itself(level: Isolation) -> None:
    same = Isolation(level.value)
    assert level <= same
    assert level >= same
    assert not (level < same or level > same)


def test_isolation_compared_with_another_string_is_refused() -> None:
    assert WEAK < "full"
    with pytest.raises(ValueError, match="zfs"):
        min(FULL, "zfs")


def test_isolation_is_stored_and_shown_by_its_value() -> None:
    assert json.dumps([WEAK, NAMESPACES, FULL]) == '["weak", "namespaces", "full"]'
    assert (f"{FULL}", Isolation("weak"), hash(WEAK)) == ("full", WEAK, hash("weak"))
