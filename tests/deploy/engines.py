"""``make demo`` in containers of Docker and Podman, and in a plain chroot: a table of what each environment gives.

    python -m tests.deploy.engines              all rows
    python -m tests.deploy.engines docker chroot    those whose name contains a word

The engines are Debian's. No image is pulled: their roots are made by debootstrap, in two kinds. ``newcomer`` is a
minimal Debian and the checkout, and ``make demo`` installs all the rest. ``prepared`` has the system packages and a
built virtual environment in each of two checkouts, so that a row costs seconds. Everything runs in the namespaces of
``docker_engine``: however the test ends, no mount and no process outlives it. Needs root.

Options are each engine's defaults, apart from the network: it is the host's, for no bridge can be had everywhere.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.deploy import roots
from tests.deploy.docker_engine import Engine, engine_running
from tests.deploy.image import ROOT
from tests.ports import free_ports
from tests.sandbox.hostile.arena import SECRET, compile_hostile

DEBIAN = "13"
#: what ``make build`` installs (deploy/scripts/build.sh), and make
PACKAGES = ("make", "gcc", "g++", "mold", "pandoc", "python3", "python3-venv", "python3-dev")
#: what the README asks for
ASKED_FOR = "apt-get update && apt-get install -y --no-install-recommends make python3"
IN_ROOT, IN_SRV = "/root/deep-oj", "/srv/deep-oj"
PROGRAMS = "/opt/hostile"
USER = 1000
RUN_S = 600.0
STOP_S = 60.0


@dataclass(frozen=True)
class Row:
    """One environment."""

    name: str
    #: docker, podman, chroot, machine
    kind: str
    checkout: str = IN_SRV
    user: int = 0
    #: more of the engine's
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    #: a root with nothing installed
    newcomer: bool = False
    proc: bool = True

    def __str__(self) -> str:
        return self.name


def rows_of(kind: str) -> tuple[Row, ...]:
    return tuple(
        Row(f"{kind} {place} {name}", kind, checkout, user)
        for place, checkout in (("/root", IN_ROOT), ("/srv", IN_SRV))
        for name, user in (("root", 0), ("user", USER))
    )


#: memory may be written, and nothing else
READ_ONLY = ("--read-only", "--tmpfs=/tmp:exec", "--tmpfs=/var/lib/deepoj:exec", "--tmpfs=/var/cache")
NEWCOMER = Row("docker newcomer", "docker", IN_ROOT, newcomer=True)
ROWS = (
    NEWCOMER,
    *rows_of("docker"),
    Row("docker read-only", "docker", options=READ_ONLY, env={"DEEPOJ_HOME": "/var/lib/deepoj/home"}),
    Row("docker privileged", "docker", options=("--privileged",)),
    *rows_of("podman"),
    Row("chroot root", "chroot"),
    Row("chroot user", "chroot", user=USER),
)
#: no sandbox can be had there
WITHOUT_PROC = Row("chroot without /proc", "chroot", proc=False)
#: measured for the table alone: the suite has the machine's own rows in tests/e2e
TABLE = (
    *ROWS,
    Row("podman newcomer", "podman", IN_ROOT, newcomer=True),
    WITHOUT_PROC,
    Row("machine root", "machine"),
    Row("machine user", "machine", user=USER),
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: both outputs together."""

    code: int
    text: str
    seconds: float

    @property
    def accepted(self) -> bool:
        return self.code == 0 and "Result: Accepted" in self.text


@dataclass(frozen=True)
class Environment:
    """A row's container, chroot or directory, as long as it is open."""

    row: Row
    #: starts a command in it: ``prefix``, the environment, ``--``, words
    prefix: tuple[str, ...]
    env: Mapping[str, str]
    #: the environment of ``prefix`` itself
    outer: Mapping[str, str]
    #: the directory of the hostile programs in it
    programs: str = PROGRAMS

    def run(self, *words: str, timeout_s: float = RUN_S, **env: str) -> Outcome:
        """A command in the checkout."""
        assigned = [f"{name}={value}" for name, value in {**self.env, **env}.items()]
        began = time.monotonic()
        done = subprocess.run(
            [*self.prefix, "env", *assigned, *words],
            env=self.outer, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", check=False, timeout=timeout_s,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, time.monotonic() - began)

    def demo(self) -> Outcome:
        """``make demo``; of a newcomer, after what the README asks for."""
        if not self.row.newcomer:
            return self.run("make", "--no-print-directory", "demo")
        return self.run("sh", "-c", f"{ASKED_FOR} && make --no-print-directory demo")

    def hostile(self) -> Mapping[str, Any]:
        """What ``tests.deploy.contained`` prints. Raises AssertionError with its output if it fails."""
        done = self.run(
            ".venv/bin/python", "-m", "tests.deploy.contained", self.programs, *secrets_of(self.row.checkout)
        )
        assert done.code == 0, done.text
        seen: Mapping[str, Any] = json.loads(done.text.splitlines()[-1])
        return seen

    def isolation(self) -> str:
        """The level and what it lacks here, as ``deepoj doctor`` says it."""
        done = self.run(".venv/bin/deepoj", "doctor", "--json", SANDBOX_MIN_ISOLATION="weak")
        try:
            findings = json.loads(done.text.splitlines()[-1])["findings"]
        except (json.JSONDecodeError, IndexError):
            return " ".join(done.text.split())[-500:]
        return next((str(one["detail"]) for one in findings if one["what"] == "isolation"), "no such finding")


@dataclass
class Engines:
    """A Docker daemon, Podman beside it, and the roots of their containers."""

    docker: Engine
    _imported: set[str] = field(default_factory=set)

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Engines]:
        """Ended with all of their containers, and their files removed."""
        with engine_running() as docker:
            yield cls(docker)

    @property
    def work(self) -> Path:
        return self.docker.directory

    def _run(self, *words: str | Path) -> None:
        """A command where the daemon runs. Raises AssertionError with its output if it fails."""
        done = subprocess.run(
            self.docker.within(*words), env=self.docker.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=RUN_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"

    def _podman(self) -> list[str]:
        return [
            "podman", f"--root={self.work}/podman", f"--runroot={self.work}/run", "--cgroup-manager=cgroupfs",
            "--runtime=/usr/sbin/runc",
        ]  # fmt: skip

    # -- roots

    @functools.cached_property
    def newcomer(self) -> Path:
        root = roots.make_root(self.work / "newcomer", release=roots.codename(DEBIAN))
        place_checkout(root / IN_ROOT.lstrip("/"))
        return root

    @functools.cached_property
    def prepared(self) -> Path:
        root = roots.make_root(self.work / "prepared", release=roots.codename(DEBIAN), include=PACKAGES)
        (root / PROGRAMS.lstrip("/")).mkdir()
        compile_hostile(root / PROGRAMS.lstrip("/"))
        for checkout in (IN_ROOT, IN_SRV):
            place_checkout(root / checkout.lstrip("/"))
            for secret in secrets_of(checkout):
                (root / secret.lstrip("/")).write_text(SECRET)
        both = " ".join(f'make -C {checkout} build & pids="$pids $!";' for checkout in (IN_ROOT, IN_SRV))
        done = roots.builder(root).run("sh", "-ec", f"pids=; {both} for pid in $pids; do wait $pid; done")
        assert done.returncode == 0, done.stdout
        return root

    def _image(self, root: Path) -> str:
        """Docker's image of a root."""
        if root.name not in self._imported:
            with subprocess.Popen(["tar", "-C", root, "--numeric-owner", "-c", "."], stdout=subprocess.PIPE) as tar:
                done = subprocess.run(
                    self.docker.within("docker", "import", "-", root.name),
                    env=self.docker.env, stdin=tar.stdout, capture_output=True, text=True, check=False, timeout=RUN_S,
                )  # fmt: skip
            assert done.returncode == 0, done.stderr
            self._imported.add(root.name)
        return root.name

    # -- environments

    @contextlib.contextmanager
    def opened(self, row: Row) -> Iterator[Environment]:
        """A row's environment, of its own files: removed with what was written in it."""
        env = dict(zip(("PORT", "SCHEDULER_METRICS_PORT", "WORKER_METRICS_PORT"), map(str, free_ports(3)), strict=True))
        kinds = {"docker": self._container, "podman": self._container, "chroot": self._chroot, "machine": self._machine}
        with kinds[row.kind](row) as environment:
            yield replace(environment, env={**env, **environment.env, **row.env})

    @contextlib.contextmanager
    def _container(self, row: Row) -> Iterator[Environment]:
        root = self.newcomer if row.newcomer else self.prepared
        engine = ["docker"] if row.kind == "docker" else self._podman()
        image = [self._image(root)] if row.kind == "docker" else ["--rootfs", f"{root}:O"]
        told: dict[str, str] = {}
        options = [*row.options]
        if row.newcomer:
            machine = roots.builder(root)
            told |= machine.env
            # not the cache of apt's packages: it is for one at a time, and this takes a minute
            binds = {where: path for where, path in (machine.binds or {}).items() if path != roots.CACHE / "debs"}
            options += [f"--volume={path}:{where}" for where, path in binds.items()]
        if row.user:
            options.append(f"--user={row.user}:{row.user}")
        name = re.sub(r"\W+", "-", row.name)
        # It ends when its input does, which is when we do. Process 1 is a shell, as in a container that people start:
        # it waits for orphans, and cat does not. The last command of `sh -c` would replace it.
        words = ["run", "--rm", "--interactive", f"--name={name}", "--network=host", *options, *image]
        keeper = subprocess.Popen(
            self.docker.within(*engine, *words, "sh", "-c", "echo ready; cat; :"),
            env=self.docker.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        try:
            assert keeper.stdout.readline() == b"ready\n", keeper.stderr.read().decode()
            if row.user:
                self._run(*engine, "exec", "--user=0:0", name, "sh", "-ec", given_to_user(row))
            prefix = self.docker.within(*engine, "exec", "--workdir", row.checkout, name)
            yield Environment(row, tuple(prefix), told, self.docker.env)
        finally:
            keeper.communicate(timeout=STOP_S)

    @contextlib.contextmanager
    def _chroot(self, row: Row) -> Iterator[Environment]:
        """Copies of what is written are kept apart, as an engine does: rows share the root."""
        place = Path(tempfile.mkdtemp(dir=self.work, prefix="chroot-"))
        for name in ("upper", "work", "root"):
            (place / name).mkdir()
        upper = f"lowerdir={self.prepared},upperdir={place}/upper,workdir={place}/work"
        root = place / "root"
        steps = [f"mount -t overlay -o {upper} overlay {root}", f"mount --rbind /dev {root}/dev"]
        # without the cgroups mounted in it: by its pid there a launcher of this namespace is dead to the other tests
        steps += [f"mount --bind /sys {root}/sys"]
        steps += [f"mount -t proc proc {root}/proc"] if row.proc else []
        steps += [f"chroot {root} sh -ec '{given_to_user(row)}'"] if row.user else []
        self._run("sh", "-ec", "\n".join(steps))
        options = [f"--userspec={row.user}:{row.user}"] if row.user else []
        inner = ["env", "-i", f"PATH={roots.PATH}", "sh", "-c", 'cd "$0" && exec "$@"', row.checkout]
        try:
            prefix = self.docker.within("chroot", *options, root, *inner)
            yield Environment(row, tuple(prefix), {}, self.docker.env)
        finally:
            self._run("umount", "--recursive", "--lazy", root)

    @contextlib.contextmanager
    def _machine(self, row: Row) -> Iterator[Environment]:
        """A copy of the checkout in a directory of this machine's, with the hostile programs in it."""
        with tempfile.TemporaryDirectory(prefix="deepoj-machine-") as made:
            checkout = Path(made)
            place_checkout(checkout)
            (checkout / "hostile-secret").write_text(SECRET)
            programs = shutil.copytree(f"{self.prepared}{PROGRAMS}", checkout / "hostile-programs")
            subprocess.run(["chown", "-R", f"{row.user}:{row.user}", checkout], check=True)
            become = [f"--reuid={row.user}", f"--regid={row.user}", "--clear-groups"] if row.user else []
            prefix = ("setpriv", *become, "env", f"--chdir={checkout}")
            there = replace(row, checkout=str(checkout))
            yield Environment(there, prefix, {"HOME": str(checkout)}, os.environ, str(programs))


def secrets_of(checkout: str) -> tuple[str, str]:
    """Files that every user of the container can read, and no run."""
    return ("/etc/hostile-secret", f"{checkout}/hostile-secret")


def given_to_user(row: Row) -> str:
    """A shell's words that give the checkout to the row's user, and ``/root``, of mode 0700, as a home. The virtual
    environment stays root's, who has built it: copying it up into the container's own files would take long."""
    owner = f"{row.user}:{row.user}"
    above = f"chown {owner} /root && " if row.checkout == IN_ROOT else ""
    return f"{above}find {row.checkout} -path {row.checkout}/.venv -prune -o -exec chown {owner} {{}} +"


def place_checkout(directory: Path) -> None:
    """A copy of the files that git knows here, as they are now."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout.split(b"\0")
    for name in (name.decode() for name in listed if name):
        source = ROOT / name
        if source.exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, directory / name)


def held_in(environment: Environment) -> str:
    """The table's column of the hostile programs."""
    if environment.row.newcomer:
        return "as the prepared root"
    try:
        return " ".join("; ".join(environment.hostile()["harm"]).split()) or "held"
    except AssertionError as error:
        return f"not run: {' '.join(str(error).split())[-300:]}"


def main() -> None:
    words = sys.argv[1:]
    print("environment | demo | level and what it lacks | seconds | hostile")  # noqa: T201
    with Engines.started() as engines:
        for row in TABLE:
            if words and not any(word in row.name for word in words):
                continue
            with engines.opened(row) as environment:
                demo = environment.demo()
                if not demo.accepted:
                    print(f"--- {row.name}:\n{demo.text[-3000:]}", file=sys.stderr)  # noqa: T201
                level = environment.isolation()
                held = held_in(environment)
            verdict = "Accepted" if demo.accepted else f"exit {demo.code}"
            print(f"{row.name} | {verdict} | {level} | {demo.seconds:.1f} | {held}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
