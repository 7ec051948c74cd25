"""``deepoj bench api``, small: that it loads, counts and says what it found. What it finds is not asserted."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deepoj.operate.bench.api import REQUIRED, ApiComparison, ApiFigures, Load, a_bare_application, a_generator
from deepoj.operate.bench.api_load import NONCE, Loaded, LoadRequest
from deepoj.operate.bench.unlimited import unlimited
from tests.e2e.nodes import DEEPOJ
from tests.servers import tied


def test_a_small_one() -> None:
    command = [str(DEEPOJ), "bench", "api", "--rounds", "1", "--seconds", "0.3", "--clients", "4", "--rate", "5"]
    command += ["--steady-seconds", "1", "--streams", "3", "--json"]
    done = subprocess.run(tied(*command, death_signal="TERM"), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    figures = json.loads(line)
    assert (figures["rounds"], figures["clients"], figures["settings"]) == (1, 4, unlimited())
    assert (figures["steady_answers"], figures["steady_refused"]) == (5, 0)
    for key in (
        "bare_post_per_s",
        "submit_per_s",
        "submit_ratio",
        "status_ratio",
        "status_alone_ratio",
        "steady_p99_ms",
    ):
        assert figures[key] > 0
    assert set(figures["missed"]) <= set(REQUIRED)


def test_each_request_is_another_one_and_every_answer_is_counted() -> None:
    with a_bare_application() as port, a_generator() as generator:
        order = LoadRequest(do="closed", port=port, method="POST", body=f'"{NONCE}"', clients=3, seconds=0.2, keep=5)
        found = generator.do(order)
        assert found.answers > 3
        assert found.refused == {}
        assert 0 < found.median_ms <= found.p99_ms <= found.max_ms
        assert [json.loads(body)["status"] for body in found.bodies] == ["Queuing"] * 5
        assert found.cpu_s > 0

        steady = generator.do(LoadRequest(do="open", port=port, rate=50.0, seconds=0.4))
        assert steady.answers == 20
        assert steady.seconds >= 19 / 50


@contextmanager
def a_server(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Gives one answer to each connection and closes it; what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answer in answers:
                connection, _ = listening.accept()
                with connection:
                    asked.append(connection.recv(65_536))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], asked
        thread.join()


def test_refusals_and_lost_connections_are_told_apart() -> None:
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
    ]
    # the connection that the last one leaves to be made is accepted and never served
    with a_server(*answers) as (port, asked), a_generator() as generator:
        found = generator.do(
            LoadRequest(do="open", port=port, method="POST", body=f"[{NONCE}]", rate=1000, seconds=0.003)
        )
        assert (found.answers, found.refused) == (1, {"429": 1, "lost": 1})
        assert len(set(asked)) == 3


def test_the_figures_say_what_is_missed() -> None:
    def loaded(answers: int, ms: float) -> Loaded:
        return Loaded(answers=answers, seconds=1.0, median_ms=ms, p99_ms=ms, max_ms=ms, cpu_s=0.1)

    def figures(submits: int, status_ms: float, steady: Loaded, streams_mib: float | None) -> ApiFigures:
        bare = [loaded(999, 1.0), loaded(1000, 1.0), loaded(1, 1.0)]
        return ApiFigures(
            load=Load(),
            submit=ApiComparison(bare=[*bare, loaded(2000, 1.0), loaded(1001, 1.0)], ours=[loaded(submits, 3.0)]),
            status=ApiComparison(bare=bare, ours=[loaded(1, status_ms)]),
            status_alone=ApiComparison(bare=bare, ours=[loaded(1, 9.0)]),
            steady=steady,
            steady_judged=3,
            streams_mib=streams_mib,
            streams_seconds=None,
        )

    good = figures(350, 2.0, loaded(2000, 99.9), 59.9).flat()
    assert (good["submit_ratio"], good["status_ratio"], good["missed"]) == (0.35, 2.0, [])
    refused = Loaded(answers=1, refused={"429": 1}, seconds=1.0, p99_ms=100.0)
    bad = figures(349, 2.001, refused, 60.0).flat()
    assert bad["missed"] == ["submit_ratio", "status_ratio", "steady_p99_ms", "steady_refused", "streams_mib"]
    assert figures(350, 2.0, loaded(1, 1.0), None).flat()["missed"] == []
