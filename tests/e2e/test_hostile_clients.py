"""The short form of ``python -m tests.hostile_clients``: each kind of attackers beside a polite client, on a real node.

Its bound on time leaves room for a machine that does other things in one of two stretches; that on memory does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.e2e.nodes import Node
from tests.hostile_clients import (
    KINDS,
    SIEGES,
    STRICT_MIB,
    Cost,
    Outcome,
    a_limited_node,
    a_node,
    endured,
    measured,
    school,
)

TOLERATED_RATIO, TOLERATED_HEALTH_S = 8.0, 20.0
PUPILS = 60


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, str]]:
    with a_node(tmp_path_factory.mktemp("hostile") / "home") as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_others_are_served_and_memory_stays(attacked: tuple[Node, str], kind: str) -> None:
    node, token = attacked
    cost = measured(node, token, kind, turns=2, seconds=1.0)
    assert cost.complaints(TOLERATED_RATIO, STRICT_MIB) == [], cost
    assert node.process.poll() is None
    assert node.ready()


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Mapping[str, str], int]]:
    with a_limited_node(tmp_path_factory.mktemp("siege") / "home", pupils=PUPILS) as found:
        yield found


@pytest.mark.parametrize("name", SIEGES)
def test_honest_client_is_served_during_a_siege(besieged: tuple[Node, Mapping[str, str], int], name: str) -> None:
    node, tokens, problem_id = besieged
    outcome = endured(node, name, tokens, problem_id, seconds=4.0)
    assert outcome.complaints(TOLERATED_HEALTH_S) == [], outcome
    assert node.process.poll() is None


def test_school_behind_one_address_is_served(besieged: tuple[Node, Mapping[str, str], int]) -> None:
    node, _, problem_id = besieged
    outcome = school(node, problem_id, pupils=PUPILS, seconds=1.0)
    assert outcome.complaints(TOLERATED_HEALTH_S) == [], outcome


def test_siege_with_slow_health_or_a_fault_is_a_complaint() -> None:
    assert Outcome("x", 1.0, 5, 1, ()).complaints() == []
    assert len(Outcome("x", 1.1, 5, 1, ("login: 429",)).complaints()) == 2


def test_cost_over_its_limit_is_a_complaint() -> None:
    assert Cost("x", 10.0, 20.0, 5, 50.0).complaints() == []
    assert len(Cost("x", 10.0, 20.1, 5, 50.1).complaints()) == 2
