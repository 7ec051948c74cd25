"""Root directories of a clean Debian, and commands in them as in a container: for tests of what is installed where.

A root comes from the archive that apt on this machine gets its packages from. What was fetched is kept in
``DEEPOJ_TEST_ROOTS`` (``/var/tmp/deepoj-roots-UID``): a finished base for a week, packages for good. Needs root.

A command runs in mount, process and IPC namespaces of its own, so that no mount and no process of it
outlives the test.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers import tied

CACHE = Path(os.environ.get("DEEPOJ_TEST_ROOTS", f"/var/tmp/deepoj-roots-{os.getuid()}"))
BASE_AGE_S = 7 * 86400.0
#: a first root is fetched, and this machine may be busy
FETCH_S = 1800.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: a mount namespace of its own: what is mounted in it is gone with the last process of it
APART = ("unshare", "--mount", "--propagation=private")


@dataclass(frozen=True)
class Archive:
    """Where apt here gets a release from."""

    url: str
    codename: str
    components: tuple[str, ...]
    #: a keyring's path; empty if apt has it among its trusted ones
    keyring: str


def codename(version: str) -> str:
    """A release's name by its number (``13``), as the package distro-info-data has it."""
    with Path("/usr/share/distro-info/debian.csv").open() as table:
        return next(row["series"] for row in csv.DictReader(table) if row["version"] == version)


def archive(release: str) -> Archive:
    """The archive of a release (``trixie``). Raises LookupError if apt here knows none."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)"
    told = output("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    found = [line.split(" ") for line in told.splitlines()]
    ours = [(url, part, key) for url, name, part, key in found if name == release and url.startswith("http")]
    if not ours:
        raise LookupError(f"apt on this machine gets no {release} from anywhere")
    url, _, key = ours[0]
    return Archive(url, release, tuple(part for other, part, _ in ours if other == url), key if key[:1] == "/" else "")


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=FETCH_S).stdout


@contextlib.contextmanager
def cache() -> Iterator[Path]:
    """The cache, for one at a time: suites run beside each other."""
    CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    if CACHE.stat().st_uid != os.getuid():
        raise PermissionError(f"{CACHE} belongs to somebody else")
    (CACHE / "debs" / "partial").mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield CACHE


def make_root(directory: Path, *, release: str, include: Sequence[str] = ()) -> Path:
    """A minimal Debian in ``directory``, which must not exist: what ``debian:…-slim`` begins with, about 200 MB.

    Raises CalledProcessError with debootstrap's words in ``output``.
    """
    source = archive(release)
    told = " ".join((source.url, *source.components, *include))
    with cache() as kept:
        base = kept / f"{release}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.tar"
        if not base.exists() or time.time() - base.stat().st_mtime > BASE_AGE_S:
            fetch_base(base, source, include, kept / "debs")
        directory.mkdir(parents=True)
        subprocess.run(["tar", "-C", directory, "--numeric-owner", "-xpf", base], check=True, timeout=FETCH_S)
    return directory


def fetch_base(base: Path, source: Archive, include: Sequence[str], debs: Path) -> None:
    options = [
        "--variant=minbase",
        f"--cache-dir={debs}",
        f"--components={','.join(source.components)}",
        *([f"--keyring={source.keyring}"] if source.keyring else []),
        *([f"--include={','.join(include)}"] if include else []),
    ]
    with tempfile.TemporaryDirectory(dir=base.parent, prefix="making-") as scratch:
        root = Path(scratch) / "root"
        # apart: what it mounts below its target, if it is killed, must not be reached by a deletion of that directory
        # named, dpkg's forces have no defaults: its own two, and that no file is synced to the disk by itself
        subprocess.run(
            [*APART, "debootstrap", *options, source.codename, root, source.url],
            env={**os.environ, "DPKG_FORCE": "security-mac,downgrade,unsafe-io"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            timeout=FETCH_S,
        )
        for made in (root / "var/cache/apt/archives").glob("*.deb"):
            made.unlink()
        fresh = Path(scratch) / "fresh.tar"
        subprocess.run(["tar", "-C", root, "--numeric-owner", "-cpf", fresh, "."], check=True, timeout=FETCH_S)
        fresh.replace(base)


def copy_root(root: Path, directory: Path) -> Path:
    """A copy to go on from, as a stage of an image goes on from another."""
    subprocess.run(["cp", "-a", "--reflink=auto", root, directory], check=True, timeout=FETCH_S)
    return directory


@dataclass(frozen=True)
class Within:
    """How a command runs in a root: what a container engine would have set up."""

    root: Path
    env: Mapping[str, str]
    workdir: str = "/"
    user: int = 0
    #: ``SYS_ADMIN``, …; None: all that we have
    capabilities: Sequence[str] | None = ()
    #: more of setpriv's options
    setpriv: Sequence[str] = ()
    read_only: bool = False
    #: paths of this machine, by where they show
    binds: Mapping[str, Path] | None = None
    #: directories in memory, which may be written
    tmpfs: Sequence[str] = ()

    def command(self, *words: str) -> list[str]:
        """``words``, to be started on this machine: they get SIGKILL when their starter dies."""
        # not chroot: the kernel allows no user namespace in one
        entered = ["cd " + shlex.quote(str(self.root)), "pivot_root . .", "umount -l .", "cd /"]
        script = " && ".join([*self._mounts(), *entered, f"exec {self._inner(words)}"])
        return tied(
            *("unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--propagation=private"),
            *("sh", "-ec", script),
        )

    def run(self, *words: str, timeout_s: float = FETCH_S) -> subprocess.CompletedProcess[str]:
        """Both outputs together, in ``stdout``."""
        return subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
        )

    def _mounts(self) -> list[str]:
        root = shlex.quote(str(self.root))
        steps = [f"mount --bind {root} {root}"]
        steps += [f"mount -t tmpfs -o mode=1777 tmpfs {root}{shlex.quote(where)}" for where in self.tmpfs]
        places = {"/etc/resolv.conf": Path("/etc/resolv.conf"), "/etc/hosts": Path("/etc/hosts"), **(self.binds or {})}
        for where, what in places.items():
            place = root + shlex.quote(where)
            steps.append(f"mkdir -p {place}" if what.is_dir() else f"mkdir -p $(dirname {place}) && touch {place}")
            steps.append(f"mount --rbind {shlex.quote(str(what))} {place}")
        steps += [
            f"mount -t proc -o nosuid,nodev,noexec proc {root}/proc",
            f"mount -t tmpfs -o mode=755,nosuid dev {root}/dev",
            f"mkdir {root}/dev/shm {root}/dev/pts",
            f"mount -t tmpfs -o mode=1777,nosuid,nodev shm {root}/dev/shm",
            f"mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts {root}/dev/pts",
            f"ln -s pts/ptmx {root}/dev/ptmx",
            f"ln -s /proc/self/fd {root}/dev/fd",
        ]
        for device in ("null", "zero", "full", "random", "urandom", "tty"):
            steps.append(f"touch {root}/dev/{device} && mount --bind /dev/{device} {root}/dev/{device}")
        if self.read_only:
            steps.append(f"mount -o remount,bind,ro {root}")
        return steps

    def _inner(self, words: Sequence[str]) -> str:
        privileges: list[str] = list(self.setpriv)
        if self.capabilities is not None:
            listed = ",".join(["-all", *(f"+{name.lower()}" for name in self.capabilities)])
            privileges += [f"--bounding-set={listed}", f"--inh-caps={listed}"]
        if self.user:
            # a change of user clears it, and the process would outlive the test
            privileges += ["--pdeathsig=keep", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        environment = [f"{name}={value}" for name, value in {"PATH": PATH, **self.env}.items()]
        # env takes the PATH before it looks for the command
        inner = ["env", "-i", f"--chdir={self.workdir}", *environment, *words]
        return shlex.join([*(["setpriv", *privileges] if privileges else []), *inner])


def builder(root: Path, **env: str) -> Within:
    """How steps of an image run, with what this machine's apt, pip and npm need to reach their registries."""
    pip, binds = pips_own()
    node, certificates = nodes_own()
    proxies = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}
    acquire = CACHE / "acquire.conf"
    acquire.write_text(output("apt-config", "dump", "--format", '%F "%v";%n', "Acquire"))
    hurried = CACHE / "dpkg.cfg"  # as Debian's own images have it
    hurried.write_text("force-unsafe-io\n")
    return Within(
        root,
        {"DEBIAN_FRONTEND": "noninteractive", **proxies, **pip, **node, **env},
        capabilities=None,
        binds={
            **binds,
            **certificates,
            "/etc/apt/apt.conf.d/00machine": acquire,
            "/etc/dpkg/dpkg.cfg.d/machine": hurried,
            "/var/cache/apt/archives": CACHE / "debs",
        },
    )


def pips_own() -> tuple[dict[str, str], dict[str, Path]]:
    """What pip on this machine is told, as environment, and the files that it names, by where they show in a root."""
    told: dict[str, str] = {}
    for line in output(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        told.setdefault(name.rpartition(".")[2], str(ast.literal_eval(value)))  # the environment's come first
    # elsewhere than here: a package of the root may want to write its own
    named = {name: Path(value) for name, value in told.items() if value[:1] == "/" and Path(value).exists()}
    told |= {name: f"/run/machine/{name}" for name in named}
    environment = {f"PIP_{name.replace('-', '_').upper()}": value for name, value in told.items()}
    return environment, {told[name]: path for name, path in named.items()}


def nodes_own() -> tuple[dict[str, str], dict[str, Path]]:
    """The same for node, whose only setting is a file of certificates that it trusts, too."""
    name, place = "NODE_EXTRA_CA_CERTS", "/run/machine/node-certificates"
    file = os.environ.get(name, "")
    return ({name: place}, {place: Path(file)}) if file and Path(file).exists() else ({}, {})


def forget(root: Path) -> None:
    """Removes a root: 200 MB and more are not for pytest to keep."""
    shutil.rmtree(root, ignore_errors=True)
