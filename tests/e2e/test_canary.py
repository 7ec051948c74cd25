"""A real node whose verdicts are wrong, by a compiler that miscompiles, takes no work until it is right again.

That it still takes none after more bad rounds is shown by tests/unit/test_canary_loop.py, with a clock that jumps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.nodes import ACCEPTED, Node, running, until

#: a compiler whose programs exit 0 instead of aborting
LYING = "#!/bin/sh\nsed -i 's/ abort();/ return 0;/' main.cpp\nexec /usr/bin/g++ \"$@\"\n"
HONEST = '#!/bin/sh\nexec /usr/bin/g++ "$@"\n'
#: a few rounds and pauses on a loaded machine
ROUNDS_S = 300.0


@pytest.fixture
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miscompiling compiler, in a directory that is mounted in the box."""
    place = tmp_path_factory.mktemp("compiler")
    for path in (place, *place.parents):
        if str(path) not in ("/", "/tmp"):
            path.chmod(0o755)
    program = place / "g++"
    program.write_text(LYING)
    program.chmod(0o755)
    return program


@pytest.fixture
def node(tmp_path: Path, compiler: Path) -> Iterator[Node]:
    mounts = f"/lib,/lib64,/usr,/bin,/etc/alternatives,{compiler.parent}"
    env = {"DEEPOJ_PATH_COMPILER_BIN": str(compiler), "DEEPOJ_PATH_MOUNT_DIRS": mounts}
    with running(tmp_path / "home", env=env, port="worker") as started:
        started.wait_for_api()
        yield started


def ready(node: Node) -> tuple[int, dict[str, Any]]:
    answer = node.client.get("/api/v1/ready")
    body = answer.json()
    return answer.status_code, (body["parts"] if answer.status_code == httpx.codes.OK else body["details"])


@pytest.mark.full
def test_a_node_that_judges_wrong_stops_and_goes_on_when_it_is_right(node: Node, compiler: Path) -> None:
    until(lambda: ready(node)[1]["canary"]["state"] == "down", within_s=ROUNDS_S, what=f"it is found: {node.tail()}")
    status, parts = ready(node)
    assert status == httpx.codes.SERVICE_UNAVAILABLE
    assert "canary abort: expected Runtime Error (rule signal, signal 6), found Accepted" in parts["canary"]["reason"]
    assert parts["api"]["state"] == parts["consumer"]["state"] == "up"

    token = node.token()
    job_id = node.submit(token, node.problem(token), ACCEPTED)
    until(lambda: node.measured("api_stream_enqueue_total") == 1, within_s=ROUNDS_S, what="it could be taken")
    assert node.status(token, job_id)["state"] == "pending"
    assert node.measured("canary_failures_total") >= 1
    assert node.measured("worker_claim_total") == 0

    compiler.write_text(HONEST)
    assert node.verdict(token, job_id)["status"] == "Accepted"
    until(node.ready, within_s=ROUNDS_S, what=f"ready: {ready(node)}")
    log = node.log.read_text()
    assert '"event": "canary_failed"' in log or '"event":"canary_failed"' in log
