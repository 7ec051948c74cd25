"""``deepoj bench api``, ``contest``, ``queue``, ``slow`` and ``web``, small: they run and print figures.

How good these are is not asserted.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deepoj.observe.metrics import STAGES
from deepoj.operate.bench.api import a_bare_application, a_generator
from deepoj.operate.bench.api_load import NONCE, LoadRequest
from deepoj.operate.bench.bounds import REQUIRED
from deepoj.operate.bench.queue import STEPS
from deepoj.operate.bench.slow import SETTINGS
from deepoj.operate.bench.unlimited import unlimited
from deepoj.operate.bench.web import PAGES
from deepoj.operate.bench.web_large import LARGE_PAGES
from tests.e2e.nodes import DEEPOJ
from tests.servers import tied

API = ("--seconds", "0.3", "--clients", "4", "--rate", "5", "--steady-seconds", "1", "--streams", "3")
#: stages of whole milliseconds, and one that a client can miss that comes after the verdict
MAY_BE_0 = {"dispatch", "claim", "notify"}
QUEUE = ("--waiting", "60", "--finished", "120")


def bench(*words: str, settings: str | None = None) -> dict[str, Any]:
    """The one line of JSON that a benchmark prints."""
    command = tied(str(DEEPOJ), "bench", *words, "--json", death_signal="TERM")
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    figures: dict[str, Any] = json.loads(line)
    assert figures["settings"] == (unlimited() if settings is None else settings)
    return figures


def test_small_bench_of_the_api_prints_every_figure() -> None:
    figures = bench("api", "--rounds", "1", *API)
    assert (figures["rounds"], figures["clients"]) == (1, 4)
    assert (figures["steady_answers"], figures["steady_refused"]) == (5, 0)
    positive = (
        "bare_post_per_s", "submit_per_s", "submit_ratio", "status_ratio", "status_alone_ratio", "steady_p99_ms",
        "reuse_port_ratio",
    )  # fmt: skip
    assert [key for key in positive if not figures[key] > 0] == []
    assert set(figures["missed"]) <= set(REQUIRED["api"])


def test_small_bench_of_a_node_prints_every_figure() -> None:
    figures = bench("node", "--rounds", "3", "--idle-seconds", "0.5", "--drain", "2")
    positive = (
        "idle_pss_mib", "submit_to_verdict_ms", "program_ms", "overhead_ms", "overhead_p95_ms", "floor_ms",
        "overhead_to_floor", "drain_ratio", "drain_python_ratio", "drain_bare_per_s",
    )  # fmt: skip
    assert [key for key in positive if not figures[key] > 0] == []
    assert figures["rounds"] == 3
    assert set(figures["stages_ms"]) == set(STAGES)
    assert [stage for stage, ms in figures["stages_ms"].items() if not ms > 0 and stage not in MAY_BE_0] == []
    assert set(figures["missed"]) <= set(REQUIRED["node"])


def test_small_bench_of_the_queue_prints_every_figure() -> None:
    figures = bench("queue", "--rounds", "3", *QUEUE)
    assert (figures["waiting"], figures["finished"], figures["rounds"]) == (60, 120, 3)
    for kind in ("empty_ms", "waiting_ms", "finished_ms", "waiting_ratio", "finished_ratio"):
        assert set(figures[kind]) == set(STEPS)
        assert all(value > 0 for value in figures[kind].values())


def test_small_bench_of_the_web_prints_every_figure() -> None:
    small = ("--people", "3", "--rate", "5", "--seconds", "1", "--page-every-s", "0.5", "--turns", "1")
    contest = ("--teams", "5", "--problems", "3", "--submissions", "50")
    figures = bench("web", *small, "--warm-seconds", "0.2", "--rounds", "1", "--round-seconds", "0.2", *contest)
    assert (figures["people"], figures["page_loads"], figures["refused"]) == (3, 6, 0)
    positive = (
        "bare_get_median_ms", "page_median_ms", "page_p99_ms", "page_ratio", "verdict_alone_ms", "verdict_ms",
        "live_tests", "live_median_ms", "live_p99_ms",
    )  # fmt: skip
    assert [key for key in positive if not figures[key] > 0] == []
    assert figures["live_missing"] == 0
    assert all(
        0 <= figures[others] < figures[busy]
        for others, busy in (("others_alone", "cores_busy_alone"), ("others", "cores_busy"))
    )
    assert set(figures["pages"]) == set(PAGES)
    assert all(each["page_ms"] > 0 and each["api_ms"] > 0 for each in figures["pages"].values())
    assert set(figures["large_pages"]) == set(LARGE_PAGES)
    for page in figures["large_pages"].values():
        assert 0 < page["first_look_first_byte_ms"] <= page["first_look_ms"]
        assert 0 < page["first_byte_ms"] <= page["whole_ms"]
        assert 0 < page["sent_bytes"] < page["page_bytes"]
        assert page["elements"] > 50
    assert set(figures["missed"]) <= set(REQUIRED["web"])


def test_small_bench_of_slow_clients_prints_every_figure() -> None:
    small = ("--clients", "8", "--teams", "5", "--problems", "3", "--submissions", "50")
    figures = bench("slow", *small, "--seconds", "2", "--turns", "1", settings=SETTINGS)
    positive = (
        "verdict_alone_ms", "verdict_ms", "verdict_ratio", "health_alone_max_ms", "health_max_ms", "health_p99_ms",
        "memory_before_mib",
    )  # fmt: skip
    assert [key for key in positive if not figures[key] > 0] == []
    assert figures["opened"] >= 16
    assert figures["statuses"] == {"200": 8}, "the readers are answered, the writers are awaited"
    assert figures["person_refusals"] == {}
    assert set(figures["missed"]) <= set(REQUIRED["slow"])


def test_small_bench_of_a_contest_prints_every_figure() -> None:
    small = ("--teams", "5", "--problems", "3", "--submissions", "50", "--spectators", "3")
    figures = bench("contest", *small, "--rate", "5", "--seconds", "1")
    positive = (
        "fold_s", "read_s", "page_ms", "page_kib", "live_median_ms", "live_p99_ms", "sent_kib",
    )  # fmt: skip
    assert [key for key in positive if not figures[key] > 0] == []
    assert figures["live_missing"] == 0
    assert set(figures["missed"]) <= set(REQUIRED["contest"])


# -- the load on the API


def test_load_sends_a_different_request_each_time_and_counts_every_answer() -> None:
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
    """Port of a server that gives one answer to each connection and closes it, and the requests it read."""
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


def test_load_counts_refusals_and_lost_connections_apart() -> None:
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
    ]
    # the kernel accepts the connection that follows the last answer; the server never reads it
    with a_server(*answers) as (port, asked), a_generator() as generator:
        found = generator.do(
            LoadRequest(do="open", port=port, method="POST", body=f"[{NONCE}]", rate=1000, seconds=0.003)
        )
        assert (found.answers, found.refused) == (1, {"429": 1, "lost": 1})
        assert len(set(asked)) == 3
