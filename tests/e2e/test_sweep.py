"""Architecture §5, "node killed while a sandbox runs": what it leaves is gone after the next start."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.e2e.leftovers import gone
from tests.e2e.nodes import family, running, until

#: a program that runs for long the first time and for no time afterwards would need a memory; so it is slow, and short
SLOW = '#include <unistd.h>\n#include <cstdio>\nint main(){sleep(4);int a,b;scanf("%d%d",&a,&b);printf("%d",a+b);}'
SETTINGS = {
    "JOB_LEASE_SEC": "4",
    "JOB_HEARTBEAT_SEC": "0.4",
    "JOB_RECLAIM_GRACE_SEC": "1",
    "JOB_RECLAIM_INTERVAL_SEC": "0.5",
}


def test_what_a_killed_node_was_running_is_swept_at_the_next_start(home: Path) -> None:
    with running(home, env=SETTINGS) as node:
        token = node.token()
        job_id = node.submit(token, node.problem(token, time_limit_ms=10_000), SLOW)
        [directory] = until(
            lambda: list((home / "workspace" / "attempts").glob(f"{job_id}-1/*.stdout")),
            within_s=60,
            what="its program runs",
        )
        attempt = directory.parent
        below = family(psutil.Process(node.process.pid))
        node.process.kill()
        node.process.wait(30)
        until(lambda: gone(below), within_s=60, what="everything that the node had started is gone")
        assert attempt.is_dir(), "nobody was there to remove it"
    with running(home, env=SETTINGS) as node:
        assert not attempt.exists()
        assert node.verdict(token, job_id)["status"] == "Accepted"
        assert list((home / "workspace" / "attempts").iterdir()) == []
