"""Which connection a full server closes for a new one, and when it refuses the new one instead."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import cast

import pytest
import trio
import trio.testing

from deepoj.api.http.admission import Admission
from deepoj.api.http.connection import Connection
from deepoj.observe import Metrics

_MAX = 20


@dataclass(eq=False)
class _FakeConnection:
    """``awaited_s``: for how long its client has been awaited; None while the server works on it."""

    awaited_s: float | None = None
    has_unread_request: bool = False
    is_queued: bool = False
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.awaited_since = inf if self.awaited_s is None else trio.current_time() - self.awaited_s

    def give_up(self) -> None:
        self.is_closed = True


@pytest.fixture
def admission() -> Admission:
    return Admission(Metrics(), _MAX, _MAX)


def fill(admission: Admission, connections: dict[str, list[_FakeConnection]]) -> list[_FakeConnection]:
    """Register connections by address, and others at work, until the server is full."""
    members = [(address, one) for address, ones in connections.items() for one in ones]
    members += [(f"busy-{number}", _FakeConnection()) for number in range(_MAX - len(members))]
    for address, one in members:
        admission.add(cast("Connection", one), address, is_refused=False)
    return [one for _, one in members]


async def test_wait_for_connections_parks_while_there_is_none(admission: Admission) -> None:
    connection = cast("Connection", _FakeConnection())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admission.wait_connections)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        admission.add(connection, "a", is_refused=False)
    admission.remove(connection)
    with trio.move_on_after(0) as parked:
        await admission.wait_connections()
    assert parked.cancelled_caught


async def test_longest_awaited_client_is_closed_first(admission: Admission) -> None:
    longest = _FakeConnection(20)
    fill(admission, {"a": [_FakeConnection(10), longest], "b": [_FakeConnection(is_queued=True)]})
    assert admission.make_room("new") is None
    assert longest.is_closed


async def test_client_whose_request_is_unread_is_kept(admission: Admission) -> None:
    members = fill(admission, {"a": [_FakeConnection(10, has_unread_request=True)]})
    assert admission.make_room("new") is not None
    assert not any(one.is_closed for one in members)


async def test_queued_request_of_the_greediest_address_goes_before_a_client_that_just_came(
    admission: Admission,
) -> None:
    queued = _FakeConnection(is_queued=True)
    members = fill(admission, {"honest": [_FakeConnection(0)], "greedy": [_FakeConnection(), queued]})
    assert admission.make_room("new") is None
    assert [one for one in members if one.is_closed] == [queued]


async def test_busy_large_address_does_not_hide_a_smaller_one_with_queued_requests(admission: Admission) -> None:
    queued = [_FakeConnection(is_queued=True) for _ in range(3)]
    busy = [_FakeConnection() for _ in range(5)]
    members = fill(admission, {"school": busy, "greedy": queued, "honest": [_FakeConnection(0)]})
    assert admission.make_room("new") is None
    (closed,) = [one for one in members if one.is_closed]
    assert closed in queued


async def test_a_client_with_a_few_connections_gets_another_one(admission: Admission) -> None:
    came = [_FakeConnection(0) for _ in range(5)]
    fill(admission, {"user": [_FakeConnection()], **{f"a{number}": [one] for number, one in enumerate(came)}})
    assert admission.make_room("user") is None
    assert sum(one.is_closed for one in came) == 1


async def test_greedy_address_takes_no_place_from_others(admission: Admission) -> None:
    queued = [_FakeConnection(is_queued=True) for _ in range(7)]
    members = fill(admission, {"honest": [_FakeConnection(0)], "greedy": queued})
    assert admission.make_room("greedy") is not None
    assert not any(one.is_closed for one in members)


async def test_without_queued_requests_a_client_that_just_came_makes_room(admission: Admission) -> None:
    came = _FakeConnection(0)
    fill(admission, {"a": [came]})
    assert admission.make_room("new") is None
    assert came.is_closed


async def test_a_trusted_proxy_loses_no_queued_request(admission: Admission) -> None:
    """It has many clients, of whom none may be greedy."""
    queued = [_FakeConnection(is_queued=True) for _ in range(3)]
    fill(admission, {"": queued})
    assert admission.make_room("new") is not None
    assert not any(one.is_closed for one in queued)
