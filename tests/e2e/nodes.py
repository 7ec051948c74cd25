"""Real nodes as processes: start them, talk to them over HTTP, stop or kill them."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests import host
from tests.once import made_once
from tests.ports import free_ports
from tests.servers import tied

ROOT = Path(__file__).parents[2]
DEEPOJ = Path(sys.executable).parent / "deepoj"

#: no rate limits: a test is one busy user at one address. No archives: each new home would build them
LIFTED = {
    f"{kind}RATE_LIMIT_{whose}_PER_WINDOW": "0" for kind in ("", "AUTH_", "SUBMIT_") for whose in ("IP", "USER")
} | {"SUBMIT_MAX_INFLIGHT_PER_USER": "100000", "DEEPOJ_COMPILE_ARCHIVES_AT_START": "false"}

#: the first check of the runbook
E2E_SCRIPT = ROOT / "tests" / "integration" / "test_e2e.py"

#: the command of a newcomer
MAKE_RUN = ("make", "--no-print-directory", "run")

#: generous: a loaded machine, a first start that creates a database
START_S = 300.0
VERDICT_S = 300.0
STOP_S = 120.0

ACCEPTED = "#include <iostream>\nint main(){int a,b;std::cin>>a>>b;std::cout<<(a+b);return 0;}"
WRONG = "#include <iostream>\nint main(){int a,b;std::cin>>a>>b;std::cout<<(a-b);return 0;}"
BROKEN = "int main(){ return undeclared_name; }"
#: longer than any test waits; its wall limit ends it, three times its time limit
SLEEPS = "#include <unistd.h>\nint main(){ sleep(60); }"
ENDLESS = "int main(){ volatile int x = 0; for(;;) x = x + 1; }"


def until[T](asked: Callable[[], T], *, within_s: float, what: str) -> T:
    """Call ``asked`` until it returns something true, and return that. AssertionError naming ``what`` at the deadline.

    It asks often at first, later four times a second: each call may cost a request or a process on CPUs that the
    awaited work needs.
    """
    began = time.monotonic()
    while True:
        answer = asked()
        if answer:
            return answer
        waited_s = time.monotonic() - began
        assert waited_s < within_s, f"not within {within_s:g} s: {what}"
        time.sleep(min(0.02 + waited_s / 20, 0.25))


def package(cases: Mapping[str, str] | None = None) -> bytes:
    """Return the zip of a problem; by default the runbook's A+B."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in (cases or {"1.in": "1 2\n", "1.out": "3\n"}).items():
            archive.writestr(name, text)
    return packed.getvalue()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def total(family: Metric) -> float:
    """Return the sum over the labels of a metric; of a histogram, the number of observations."""
    counts = family.type == "histogram"
    return math.fsum(sample.value for sample in family.samples if not counts or sample.name.endswith("_count"))


@dataclass
class Node:
    """One running node."""

    process: subprocess.Popen[bytes]
    #: role (``api``, ``scheduler``, ``worker``) → the port at which it listens if the node has that role
    ports: Mapping[str, int]
    log: Path
    out: Path
    client: httpx.Client = field(repr=False)
    #: token of its metrics; empty: that of its home, if it has one
    metrics_token: str = field(default="", repr=False)
    home: Path | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def metrics(self, port: str = "api") -> str | None:
        """Return the metrics served at that port; None if nothing listens there."""
        made = None if self.home is None else self.home / "secrets" / "metrics_token"
        token = self.metrics_token or (made.read_text() if made is not None and made.exists() else "")
        try:
            answer = self.client.get(
                f"http://127.0.0.1:{self.ports[port]}/metrics", headers=bearer(token) if token else {}
            )
        except httpx.ConnectError:
            return None
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.text

    def families(self, port: str = "api") -> dict[str, Metric]:
        """Return the metrics at that port, parsed, by their names in the contract."""
        text = self.metrics(port)
        assert text is not None, f"nothing listens on the port of {port}"
        found = {}
        for family in text_string_to_metric_families(text):
            total = family.type == "counter" and not family.name.endswith("_total")
            found[f"{family.name}_total" if total else family.name] = family
        return found

    def measured(self, name: str, port: str = "api") -> float:
        """Return the sum over the labels of a metric; of a histogram, the number of observations."""
        return total(self.families(port)[name])

    def up(self, port: str) -> bool:
        return self.ready() if port == "api" else self.metrics(port) is not None

    def ready(self) -> bool:
        try:
            return self.client.get("/api/v1/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def wait_for_api(self) -> None:
        """Wait until the API listens. It need not be ready: so a node whose canaries fail is waited for."""
        until(lambda: self._listens, within_s=START_S, what=f"the API listens; log: {self.tail()}")

    @property
    def _listens(self) -> bool:
        try:
            return self.client.get("/api/v1/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def token(self, username: str = "admin", password: str = "password") -> str:
        """Register the account, if it is new, log in and return the token."""
        account = {"username": username, "password": password}
        made = self.client.post("/api/v1/auth/register", json=account)
        assert made.status_code in {201, 409}, made.text
        answer = self.client.post("/api/v1/auth/login", json=account)
        assert answer.status_code == httpx.codes.OK, answer.text
        token: str = answer.json()["token"]
        return token

    def problem(self, token: str, *, data: bytes | None = None, time_limit_ms: int = 1000) -> int:
        answer = self.client.post(
            "/api/v1/problems",
            data={"title": "A+B Problem", "time_limit": str(time_limit_ms), "memory_limit": "128"},
            files={"file": ("problem.zip", data or package(), "application/zip")},
            headers=bearer(token),
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return int(answer.json()["id"])

    def submit(self, token: str, problem_id: int, code: str, language: int | str = 1) -> str:
        body = {"problem_id": problem_id, "language": language, "code": code}
        answer = self.client.post("/api/v1/submit", json=body, headers=bearer(token))
        assert answer.status_code == httpx.codes.OK, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def status(self, token: str, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/api/v1/status/{job_id}", headers=bearer(token))
        assert answer.status_code == httpx.codes.OK, answer.text
        seen: dict[str, Any] = answer.json()
        return seen

    def verdict(self, token: str, job_id: str) -> dict[str, Any]:
        """Wait until the job is done or dead, and return its status."""

        def final() -> dict[str, Any] | None:
            seen = self.status(token, job_id)
            return seen if seen["state"] in {"done", "dead"} else None

        seen = until(final, within_s=VERDICT_S, what=f"a verdict for {job_id}; log: {self.tail()}")
        assert seen is not None
        return seen

    def judged(self, token: str, problem_id: int, code: str, language: int | str = 1) -> dict[str, Any]:
        return self.verdict(token, self.submit(token, problem_id, code, language))

    def passes_e2e_script(self) -> None:
        """Run the first check of the runbook against this node. AssertionError if it fails."""
        env = {"API_BASE": self.base, "E2E_TIMEOUT_S": str(VERDICT_S)}
        done = subprocess.run(
            [sys.executable, "-I", E2E_SCRIPT],
            env=env,
            capture_output=True,
            text=True,
            timeout=2 * VERDICT_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{done}; log: {self.tail()}"
        assert re.fullmatch(r"Submitted, Job ID: [0-9a-f-]{36}\nResult: Accepted\n", done.stdout), done.stdout

    def tail(self, size: int = 2000) -> str:
        return self.log.read_text(errors="replace")[-size:]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the end and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_S)


#: parts of a home that a first start makes: the canaries' programs, versions of tools; the database with its password
PROGRAMS, DATABASE = ("workspace/canaries", "workspace/toolchains.json"), ("postgres", "secrets")


def _first_home() -> Path:
    """Return a home as a first start leaves it."""
    return made_once("node", _start_first) / "home"


def _start_first(place: Path) -> None:
    with running(place / "home", first=True) as node:
        pass
    assert node.process.returncode == 0, node.tail()


def furnish(home: Path, what: Sequence[str]) -> None:
    """Copy parts of a finished home to ``home``, if it does not exist: making them is most of a first start."""
    if home.exists():
        return
    first = _first_home()
    for name in what:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        if (first / name).exists():  # not every host keeps versions
            subprocess.run(["cp", "-a", first / name, home / name], check=True)
    shutil.copystat(first, home)


def environment(
    home: Path, extra: Mapping[str, str] | None = None, *, of_newcomer: bool = False
) -> tuple[dict[str, str], dict[str, int]]:
    """Return the environment of a node with this home and free ports, and these ports by role.

    ``of_newcomer``: no isolation level is set; ``--sample`` then accepts the host's.
    """
    ports = dict(zip(("api", "scheduler", "worker"), free_ports(3), strict=True))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ours = {
        "DEEPOJ_HOME": str(home),
        "PORT": str(ports["api"]),
        "SCHEDULER_METRICS_PORT": str(ports["scheduler"]),
        "WORKER_METRICS_PORT": str(ports["worker"]),
    }
    level = {} if of_newcomer else host.asked_setting()
    return kept | ours | level | dict(extra or {}), ports


@contextlib.contextmanager
def running(
    home: Path,
    *args: str,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
    port: str = "api",
    around: Sequence[str] = (),
    first: bool = False,
) -> Iterator[Node]:
    """Run ``deepoj up`` (or ``command``) in a process group of its own until the end of the block.

    The block begins when ``port`` answers. Rate limits are off unless ``env`` or MAKE_RUN says otherwise. ``around``:
    words before the command that exec it in another place, such as another mount namespace. ``first``: the node makes
    its home itself, as ``command`` always does.
    """
    if not (first or command or around):
        furnish(home, PROGRAMS + DATABASE)
    is_newcomer = command == MAKE_RUN
    settings, ports = environment(home, env if is_newcomer else LIFTED | dict(env or {}), of_newcomer=is_newcomer)
    home.parent.mkdir(parents=True, exist_ok=True)
    log, out = home.parent / f"{home.name}.err", home.parent / f"{home.name}.out"
    with log.open("ab") as err, out.open("wb") as stdout:
        process = subprocess.Popen(
            # TERM: a node then stops its servers, and make its node
            [*around, *tied(*(command or [str(DEEPOJ), "up", "--log", "json"]), *args, death_signal="TERM")],
            env=settings,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=err,
            start_new_session=True,
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{ports['api']}", timeout=30, trust_env=False) as client:
        node = Node(process, ports, log, out, client, settings.get("METRICS_TOKEN", ""), home)
        try:
            until(
                lambda: node.up(port) or process.poll() is not None,
                within_s=START_S,
                what=f"the node is up; log: {node.tail()}",
            )
            assert process.poll() is None, f"the node ended with {process.returncode}: {node.tail()}"
            yield node
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


def family(root: psutil.Process) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    return [root, *root.children(recursive=True)]


def children_named(process: subprocess.Popen[bytes], name: str) -> list[psutil.Process]:
    """Return the descendants whose program name begins with ``name``; some may end meanwhile."""
    found = []
    for one in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.name().startswith(name):
                found.append(one)
    return found
