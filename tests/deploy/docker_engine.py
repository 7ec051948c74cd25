"""A Docker engine of a test's own, with real bridge networks, and a base image made of Debian.

``dockerd`` runs in mount and process namespaces of its own, with a socket and a data root of its own. However the test
ends, no process and no mount of its containers outlives it. It changes no packet filter of this host, so a
bridge has no way out: containers reach each other, and this host reaches them. Steps of a build that need apt or pip
take ``network: host``. No image can be pulled. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy import roots
from tests.e2e.nodes import ROOT, until
from tests.servers import tied

#: a first build fetches some hundred megabytes, and the machine may be busy
BUILD_S = 1800.0
START_S = 120.0
STOP_S = 60.0


@dataclass
class Engine:
    """A running engine. ``directory`` holds all of its files, ``env`` is what its commands take."""

    directory: Path
    daemon: subprocess.Popen[bytes]
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.env = {
            "PATH": roots.PATH,
            "HOME": str(self.directory),  # no settings of a person
            "DOCKER_HOST": f"unix://{self.directory}/docker.sock",
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }

    def run(self, script: str, env: Mapping[str, str] | None = None, *, terminal: bool = False) -> str:
        """Run bash commands in the checkout and return what they print on both outputs.

        ``terminal``: on a terminal, as ``docker exec -it`` wants it. Raises AssertionError if the exit code is not 0.
        """
        words = (
            ["script", "--quiet", "--return", "--command", script, "/dev/null"] if terminal else ["bash", "-ec", script]
        )
        done = subprocess.run(
            self.within(*words),
            cwd=ROOT,
            env={**self.env, "SHELL": "/bin/bash", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_S,
            check=False,
        )
        assert done.returncode == 0, f"exit code {done.returncode} of {script}\n{done.stdout[-6000:]}"
        return done.stdout

    def within(self, *words: str | Path) -> list[str]:
        """``words`` in the engine's namespaces, to be started on this machine: they die with their parent."""
        inner = ["setpriv", "--pdeathsig=KILL", *(str(word) for word in words)]
        return tied("nsenter", "--target", self.first, "--mount", "--pid", f"--wdns={ROOT}", "--", *inner)

    @property
    def first(self) -> str:
        """The process id, seen from here, of the first process in the namespaces; empty before there is one."""
        return Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children").read_text().strip()

    def is_up(self) -> bool:
        """Raises AssertionError with the daemon's log if it has ended."""
        assert self.daemon.poll() is None, (self.directory / "log").read_text()[-4000:]
        if not self.first:
            return False
        asked = self.within("docker", "version")
        return subprocess.run(asked, env=self.env, capture_output=True, check=False).returncode == 0

    def import_debian(self, name: str) -> None:
        """Make the image ``name`` (``debian:13.6-slim``) of Debian's archive, with this machine's settings of apt and
        pip. Raises ValueError for a name that is not of this form."""
        found = re.fullmatch(r"debian:(\d+)\.\d+-slim", name)
        if found is None:
            raise ValueError(f"{name} can't be made here: only debian:N.N-slim can")
        root = roots.make_root(self.directory / "base", release=roots.codename(found[1]))
        machine = roots.builder(root)
        for place, path in (machine.binds or {}).items():
            if path.is_file():  # directories of packages would become a part of every image
                (root / place.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, root / place.lstrip("/"))
        changes = [f"--change=ENV {key}={value}" for key, value in machine.env.items() if key not in proxies()]
        with subprocess.Popen(["tar", "-C", root, "--numeric-owner", "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(
                self.within("docker", "import", *changes, "-", name), stdin=tar.stdout, env=self.env, check=True
            )
        assert tar.returncode == 0
        roots.forget(root)


def proxies() -> dict[str, str]:
    """This machine's proxies: arguments of a build, for a container would send its own traffic there."""
    return {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}


@contextlib.contextmanager
def engine_running() -> Iterator[Engine]:
    """An engine that answers, without any image; its containers, networks and files go with it."""
    with roots.cache() as kept:  # on a disk, with a short path: sockets are made below it
        directory = Path(tempfile.mkdtemp(prefix="docker-", dir=kept))
    # an engine that runs here already keeps its containerd in /run/containerd
    script = 'mkdir -p /run/containerd && mount -t tmpfs tmpfs /run/containerd && exec tini -- "$@"'
    words = [
        "dockerd", f"--host=unix://{directory}/docker.sock", f"--data-root={directory}/data",
        f"--exec-root={directory}/exec", f"--pidfile={directory}/pid", "--bridge=none", "--iptables=false",
        "--ip6tables=false",
    ]  # fmt: skip
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen(
            tied(*apart, "sh", "-ec", script, "dockerd", *words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
        )
    engine = Engine(directory, daemon)
    try:
        until(engine.is_up, within_s=START_S, what="dockerd answers")
        try:
            yield engine
        finally:  # a bridge is this host's, and would stay
            engine.run("docker ps -aq | xargs -r docker rm -f -v && docker network prune -f")
    finally:
        if daemon.poll() is None and engine.first:
            os.kill(int(engine.first), signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(STOP_S)
        daemon.kill()
        daemon.wait(STOP_S)
        shutil.rmtree(directory)
