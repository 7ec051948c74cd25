"""``deepoj bench slow``: its figures, and its slow clients against a server of the test."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from deepoj.operate.bench.api_load import Loaded, LoadRequest
from deepoj.operate.bench.cores import CoresUse
from deepoj.operate.bench.slow import USUAL, SlowFigures, SlowPeriod, SlowTurn
from deepoj.operate.bench.slow_load import SlowSeen, slow_clients

CALM, BUSY = CoresUse(busy=0.6, others=0.02), CoresUse(busy=0.9, others=0.4)
ALONE = SlowPeriod(verdicts_ms=[100.0] * 3, health_ms=[5.0], use=CALM)
CROWDED = SlowPeriod(verdicts_ms=[200.0] * 3, health_ms=[1000.0], memory_mib=196.0, kernel_mib=9.0, use=CALM)
SEEN = Loaded(answers=7, refused={"ended": 3, "200": 4}, seconds=1.0)


def flat(*turns: tuple[SlowPeriod, SlowPeriod]) -> dict[str, object]:
    return SlowFigures(
        load=USUAL,
        turns=[SlowTurn(alone=alone, crowded=crowded, clients=SEEN) for alone, crowded in turns],
        idle_memory_mib=100.0,
        idle_kernel_mib=1.0,
    ).flat()


def test_figures_at_their_bounds_are_met() -> None:
    figures = flat((ALONE, CROWDED))
    keys = "verdict_ratio", "person_refused", "health_max_ms", "memory_mib", "kernel_mib"
    assert [figures[key] for key in keys] == [2.0, 0.0, 1000.0, 96.0, 8.0]
    assert (figures["opened"], figures["ended"], figures["statuses"]) == (7, 3, {"200": 4})
    assert figures["missed"] == []


@pytest.mark.parametrize(
    ("crowded", "missed"),
    [
        (replace(CROWDED, verdicts_ms=[203.0]), ["verdict_ratio"]),
        (replace(CROWDED, refused=Counter({"503": 1})), ["person_refused"]),
        (replace(CROWDED, health_ms=[1.0] * 200 + [1000.1]), ["health_max_ms"]),
        (replace(CROWDED, memory_mib=196.1), ["memory_mib"]),
    ],
)
def test_each_figure_past_its_bound_is_missed(crowded: SlowPeriod, missed: Sequence[str]) -> None:
    assert flat((ALONE, crowded))["missed"] == missed


def test_turns_beside_other_work_are_left_out_of_the_ratio_while_there_are_others() -> None:
    loud = replace(CROWDED, verdicts_ms=[900.0] * 9, use=BUSY)
    assert (flat((ALONE, CROWDED), (ALONE, loud))["verdict_ratio"], flat((ALONE, loud))["verdict_ratio"]) == (2.0, 9.0)
    assert flat((ALONE, loud))["calm_turns"] == 0


def test_slow_clients_drip_read_little_or_nothing_and_come_again() -> None:
    seen = SlowSeen()
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:
        port = listening.getsockname()[1]
        order = LoadRequest(do="slow", port=port, clients=2, paths=("/read",), drips=(("POST /write", "x" * 7),))
        clients = [stack.enter_context(closing(client)) for client in slow_clients(order)]

        def accepted() -> tuple[list[socket.socket], list[str]]:
            """Let each client act, which connects it, and return their connections and addresses."""
            for client in clients:
                client.act(seen)
            found = [listening.accept() for _ in clients]
            return [stack.enter_context(one) for one, _ in found], [source for _, (source, _) in found]

        connections, sources = accepted()
        assert sources == ["127.1.0.1"] * 2 + ["127.1.0.2"] * 2
        assert [one.recv(9) for one in connections] == [b"GET /read", b"POST /wri"] * 2
        for one in connections[::2]:
            one.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)
        for _ in range(3):
            for client in clients:
                client.act(seen)
        assert (seen.opened, seen.answers) == (4, {"200": 2})
        assert seen.read_bytes == len("HTTP/1.1 200") + len("HTTP/1.1 200 OK\r\n\r\n") + 1000, "the first reads no more"
        assert [one.recv(99).removeprefix(b"te") for one in connections[1::2]] == [b"x" * 21] * 2
        for one in connections:
            one.shutdown(socket.SHUT_RDWR)
        for client in clients[1:]:
            client.act(seen)
        assert seen.answers["ended"] == 3
