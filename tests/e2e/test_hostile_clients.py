"""The short form of ``python -m tests.hostile_clients``: each kind of attackers beside a polite client, on a real node.

Its bound on time leaves room for a machine that does other things in one of two stretches; that on memory does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.nodes import Node
from tests.hostile_clients import KINDS, STRICT_MIB, Cost, a_node, measured

TOLERATED_RATIO = 8.0


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, str]]:
    with a_node(tmp_path_factory.mktemp("hostile") / "home") as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_others_are_served_and_memory_stays(attacked: tuple[Node, str], kind: str) -> None:
    node, token = attacked
    cost = measured(node, token, kind, turns=2, seconds=1.0)
    assert cost.complaints(TOLERATED_RATIO, STRICT_MIB) == [], cost
    assert node.process.poll() is None
    assert node.ready()


def test_what_they_cost_is_told() -> None:
    assert Cost("x", 10.0, 20.0, 5, 50.0).complaints() == []
    assert len(Cost("x", 10.0, 20.1, 5, 50.1).complaints()) == 2
