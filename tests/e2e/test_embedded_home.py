"""Commands find the servers of an embedded node by its home."""

from __future__ import annotations

import json

from tests.e2e.conftest import House
from tests.e2e.typed import typed


def test_the_embedded_servers_are_found_without_being_told(house: House) -> None:
    env = {"DEEPOJ_HOME": str(house.home), "SCHEDULER_METRICS_URL": ""}
    seen = typed("pressure", "--json", env=env)
    assert json.loads(seen.stdout)["stream_key"] == "deepoj:jobs", seen
    assert typed("verify", "b1", env=env).returncode == 0
