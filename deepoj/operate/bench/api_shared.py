"""Two nodes that share a port, beside one: how many status reads they answer per second of their CPU time.

The nodes have the role ``api`` and use the servers of a third one, which is idle. Load and rounds are the same for one
node and for two, which alternate. The kernel spreads the connections, so each node has some of them in every round.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from deepoj.adapters.embedded import EmbeddedHome
from deepoj.operate.bench.api_load import Loaded, LoadRequest
from deepoj.operate.bench.cores import cpu_s
from deepoj.operate.bench.node import a_node
from deepoj.operate.bench.unlimited import unlimited
from deepoj.words.errors import StartRefused

#: the answer to the questions whether a bucket exists and where
_REGION = "<LocationConstraint>us-east-1</LocationConstraint>"
_BUCKET = "bench"
#: The kernel chooses a node for each connection: of four, all go to one node in an eighth of the rounds.
LEAST_CLIENTS = 32
#: CPU time is counted in hundredths of a second
LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPort:
    """Answers per second of the nodes' CPU time, a figure per round."""

    one: Sequence[float]
    two: Sequence[float]

    def flat(self) -> dict[str, object]:
        """Return the figures by their keys."""
        one, two = statistics.median(self.one), statistics.median(self.two)
        return {
            "one_node_per_cpu_s": round(one, 1),
            "two_nodes_per_cpu_s": round(two, 1),
            "reuse_port_ratio": round(two / one, 3),
        }


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def an_empty_bucket(directory: Path) -> Iterator[int]:
    """Answer that the bucket exists, which nodes ask when they start; no package is read here. Yield the port."""
    directory.mkdir()
    (directory / _BUCKET).write_text(_REGION)
    port = _free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(directory), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


def settings_of(home: EmbeddedHome, objects_port: int, port: int) -> str:
    """Return the settings (YAML) of a node of the role ``api`` that uses the servers of this home and shares this
    port."""
    settings = yaml.safe_load(unlimited())
    settings["api"] |= {
        "port": port,
        "reuse_port": True,
        "database_url": home.database_url,
        "redis_url": home.redis_url,
        "minio": {"endpoint": f"http://127.0.0.1:{objects_port}", "bucket": _BUCKET},
        "auth": {"jwt_secret": home.secret("jwt_secret")},
    }
    return json.dumps({**settings, "redis": {"password": home.valkey_password}})


@dataclass(slots=True)
class SharedPortRounds:
    """Measures rounds. ``scratch``: the homes of the nodes are made here."""

    home: EmbeddedHome
    objects_port: int
    scratch: Path

    def measure(self, load: LoadRequest, do: Callable[[LoadRequest], Loaded], rounds: int) -> SharedPort:
        """Measure so many rounds after a first one that warms up. ``do``: the load generator.

        Raises:
          StartRefused: a node did not start, or did not answer.
        """
        figures: dict[int, list[float]] = {1: [], 2: []}
        for number in range(rounds + 1):
            for count in (1, 2) if number % 2 else (2, 1):
                found = self._round(load, do, count)
                if number:
                    figures[count].append(found)
        return SharedPort(one=figures[1], two=figures[2])

    def _round(self, load: LoadRequest, do: Callable[[LoadRequest], Loaded], count: int) -> float:
        """Return the answers per CPU second of so many nodes, which are started for it."""
        port = _free_port()
        with ExitStack() as stack:
            nodes = [
                stack.enter_context(
                    a_node(
                        self.scratch / f"node{number}", "--roles", "api", command="node",
                        settings=settings_of(self.home, self.objects_port, port),
                    )
                )
                for number in range(count)
            ]  # fmt: skip
            load = replace(load, port=port)
            do(replace(load, seconds=min(0.5, load.seconds)))  # connections of the database, and what is made once
            before = [cpu_s(node.pid) for node in nodes]
            found = do(load)
            used = [cpu_s(node.pid) - former for node, former in zip(nodes, before, strict=True)]
        if found.refused or not sum(used):
            raise StartRefused(f"{count} nodes on one port: not all was answered: {found}, CPU seconds {used}", 1)
        return found.answers / sum(used)
