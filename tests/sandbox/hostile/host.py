"""What of the host could be harmed, as a value that can be compared."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import stat
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: a clock that is being disciplined moves a little
CLOCK_S = 5.0
#: what the launcher and its slots may grow by: buffers that are touched for the first time
WEIGHT_KB = 4096 if "DEEPOJ_TEST_LAUNCHER" not in os.environ else 1 << 20  # a sanitized launcher keeps shadow memory
#: of linux/sched.h, in a process's flags
PF_KTHREAD = 0x00200000
#: where crashes are kept, if anybody keeps them
CRASHES = ("/var/crash", "/var/lib/systemd/coredump")


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    name: str
    state: str
    #: a thread of the kernel's: it has no environment, and no program
    of_kernel: bool = False


@dataclass(frozen=True, slots=True)
class HostState:
    """Everything countable, by kind; and two figures that may move a little."""

    facts: dict[str, Counter[str]]
    clock_s: float
    weight_kb: int

    def harm_since(self, before: HostState) -> list[str]:
        """A sentence for each difference; none when the host is as it was."""
        harm = []
        for kind, now in self.facts.items():
            then = before.facts[kind]
            harm += [f"{kind}: new: {line}" for line in (now - then).elements()]
            harm += [f"{kind}: gone: {line}" for line in (then - now).elements()]
        if abs(self.clock_s - before.clock_s) > CLOCK_S:
            harm.append(f"clock: moved by {self.clock_s - before.clock_s:.1f} s")
        if self.weight_kb > before.weight_kb + WEIGHT_KB:
            harm.append(f"weight of the launcher: {before.weight_kb} KiB became {self.weight_kb} KiB")
        return harm


def _bytes(path: str) -> bytes:
    """Nothing, if it is not there or not ours to read. By bare descriptors: some thousand files are read for one look,
    on emulated machines too."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    parts = []
    try:
        while part := os.read(fd, 1 << 18):
            parts.append(part)
    except OSError:  # a process that is gone
        pass
    finally:
        os.close(fd)
    return b"".join(parts)


def _text(path: str) -> str:
    return _bytes(path).decode(errors="replace")


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))  # noqa: PTH208
    except OSError:
        return []


def processes() -> dict[int, Process]:
    """All of this host (of this pid namespace)."""
    found = {}
    for name in _names("/proc"):
        if name.isdigit() and (text := _text(f"/proc/{name}/stat")):
            command, _, rest = text.partition("(")[2].rpartition(")")
            fields = rest.split()
            found[int(name)] = Process(int(name), int(fields[1]), command, fields[0], bool(int(fields[6]) & PF_KTHREAD))
    return found


def below(pid: int, all_processes: dict[int, Process]) -> Iterator[Process]:
    """The descendants of a process."""
    for process in all_processes.values():
        if process.parent == pid:
            yield process
            yield from below(process.pid, all_processes)


def _mounts(pid: int | str) -> Iterator[str]:
    for line in _text(f"/proc/{pid}/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        yield f"{left.split()[4]} {right.split()[0]}"


def _cgroups(launcher: int) -> Iterator[str]:
    """Groups of the launcher, without the numbers in their names, which tell cells and runs apart. Other launchers may
    share its base, and come and go."""
    own = next((line[3:] for line in _text(f"/proc/{launcher}/cgroup").splitlines() if line.startswith("0::")), "")
    point = next((line.split()[4] for line in _text("/proc/self/mountinfo").splitlines() if " - cgroup2 " in line), "")
    if not point or not own:
        return
    base = Path(point + own)
    base = base.parent if base.name == "deepoj-node" else base
    for directory, below_it, _ in os.walk(base / f"deepoj.{launcher}"):
        for name in below_it:
            populated = "populated 1" in _text(f"{directory}/{name}/cgroup.events")
            yield f"{re.sub('[0-9]+', 'N', name)}{' populated' if populated else ''}"


def _ipc(uids: Collection[int]) -> Iterator[str]:
    for kind, column in (("shm", 7), ("sem", 4), ("msg", 7)):
        for line in _text(f"/proc/sysvipc/{kind}").splitlines()[1:]:
            fields = line.split()
            if {int(fields[column]), int(fields[column + 2])} & set(uids):
                yield f"{kind} {fields[0]}"
    for directory in ("/dev/shm", "/dev/mqueue"):
        for name in _names(directory):
            try:
                if Path(directory, name).lstat().st_uid in uids:
                    yield f"{directory}/{name}"
            except FileNotFoundError:  # somebody else's, gone since it was listed
                continue


def _keys(uids: Collection[int]) -> Iterator[str]:
    for line in _text("/proc/keys").splitlines():
        fields = line.split(None, 7)
        if len(fields) == 8 and int(fields[5]) in uids:
            yield fields[7].split(":")[0]


def _files(directory: Path) -> Iterator[str]:
    """Also what they hold: input, answers and programs must not change."""
    for path in _paths(directory):
        status = os.lstat(path)
        digest = hashlib.sha256(_bytes(path)).hexdigest()[:16] if stat.S_ISREG(status.st_mode) else ""
        yield f"{path} {status.st_mode:o} {status.st_uid} {status.st_nlink} {digest}"


def _paths(directory: Path) -> Iterator[str]:
    for above, directories, files in os.walk(directory):
        for name in (*directories, *files):
            yield f"{above}/{name}"


def _crashes() -> Iterator[str]:
    for directory in (*CRASHES, ".", "/"):
        for name in _names(directory):
            if name.startswith("core") or directory in CRASHES or directory == "/":
                yield f"{directory} {name}"


def _locks(directory: Path) -> Iterator[str]:
    inodes = {str(os.lstat(path).st_ino) for path in _paths(directory)}
    for line in _text("/proc/locks").splitlines():
        if line.split()[5].rpartition(":")[2] in inodes:
            yield line.split(":", 1)[1]


def _settings(launchers: Iterable[int]) -> Iterator[str]:
    for name in ("hostname", "domainname", "core_pattern", "randomize_va_space", "sysrq"):
        yield f"{name} {_text(f'/proc/sys/kernel/{name}').strip()}"
    yield f"swaps {_text('/proc/swaps').count(chr(10))}"
    for line in _text("/proc/modules").splitlines():
        yield f"module {line.split()[0]}"
    yield f"umask, of the node {next(iter(_text('/proc/self/status').splitlines()[1:2]), '')}"
    for pid in (os.getpid(), *launchers):
        role = "node" if pid == os.getpid() else "launcher"
        yield f"{role} oom {_text(f'/proc/{pid}/oom_score_adj').strip()}"
        try:
            yield f"{role} nice {os.getpriority(os.PRIO_PROCESS, pid)} policy {os.sched_getscheduler(pid)}"
            if not _is_init(pid):  # it goes where its slot is
                yield f"{role} cpus {sorted(os.sched_getaffinity(pid))}"
            yield f"{role} limits {resource.prlimit(pid, resource.RLIMIT_NOFILE)}"
        except PermissionError:  # its limits, when it stands in a user namespace
            continue
        except ProcessLookupError:
            yield f"{role} gone"


def _is_init(pid: int) -> bool:
    """Process 1 of a cell."""
    numbers = next((line for line in _text(f"/proc/{pid}/status").splitlines() if line.startswith("NSpid:")), "")
    return numbers.split()[2:] == ["1"]


def _descriptors(pids: Iterable[int]) -> Iterator[str]:
    for pid in pids:
        yield f"{'node' if pid == os.getpid() else 'launcher'} {len(_names(f'/proc/{pid}/fd'))}"


def _marked(mark: str, all_processes: dict[int, Process]) -> Iterator[str]:
    """Processes that carry our programs' environment, wherever they hang."""
    sign = mark.encode()
    for process in all_processes.values():
        if not process.of_kernel and sign in _bytes(f"/proc/{process.pid}/environ"):
            yield f"{process.name} {process.state}"


def _weight_kb(pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        for line in _text(f"/proc/{pid}/status").splitlines():
            if line.startswith("RssAnon:"):
                total += int(line.split()[1])
    return total


def look(launcher: int, directory: Path, mark: str, uids: Collection[int]) -> HostState:
    """The state now. ``mark`` stands in the environment of every program that the arena runs, ``uids`` are theirs."""
    all_processes = processes()
    standing = list(below(launcher, all_processes))
    launchers = [launcher, *(process.pid for process in standing)]
    kinds: dict[str, Callable[[], Iterable[str]]] = {
        "processes below the launcher": lambda: (f"{p.name}{' zombie' if p.state == 'Z' else ''}" for p in standing),
        "marked processes": lambda: _marked(mark, all_processes),
        "mounts of the host": lambda: _mounts("self"),
        "mounts of the launcher": lambda: (mount for pid in launchers for mount in _mounts(pid)),
        "cgroups": lambda: _cgroups(launcher),
        "ipc": lambda: _ipc(uids),
        "keys": lambda: _keys(uids),
        "files": lambda: _files(directory),
        "crashes": _crashes,
        "locks": lambda: _locks(directory),
        "settings": lambda: _settings(launchers),
        "descriptors": lambda: _descriptors([os.getpid(), *launchers]),
    }
    facts = {kind: Counter(lines()) for kind, lines in kinds.items()}
    return HostState(facts, time.time() - time.monotonic(), _weight_kb(launchers))
