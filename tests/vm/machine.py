"""One virtual machine for many commands, one after the other: hosts that test this seldom have cgroup v2 to give away,
and an emulated processor takes ten seconds of a real one for every boot.

``vmrun`` boots Debian's kernel with this host's root read-only and cgroup v2 alone. Each command finds what the only
one in a machine would: a cgroup right below the root without other processes, a mount namespace, and an empty
``TMPDIR``, in memory. When it has ended, what it left running is ended too, and its groups, mounts and temporary files
are gone. What it did to the kernel stays: a module that it loaded, say.
"""

from __future__ import annotations

import base64
import contextlib
import faulthandler
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import tied

REPOSITORY = Path(__file__).parents[2]
#: for one command: the longest takes minutes on an idle host
COMMAND_S = 2400.0
#: for all of them
MACHINE_S = 4 * 3600
END_S = 60.0

# A line is a script; the answer is a line with its exit code and the lengths of its outputs, and these. We stand in the
# group vmrun; every other one is of the command.
_SERVE = """
number=0
while read -r line; do
    number=$((number + 1))
    group=/sys/fs/cgroup/command$number
    mkdir $group /run/command
    code=0
    (
        echo 0 > $group/cgroup.procs
        exec setsid unshare --mount --propagation=private sh -ec '
            mount -t tmpfs -o mode=1777 tmpfs /run/command
            export TMPDIR=/run/command
            exec sh -ec "$(printf %s "$1" | base64 -d)"
        ' command "$line"
    ) < /dev/null > /run/out 2> /run/err || code=$?
    for left in /sys/fs/cgroup/*/; do
        if [ $left = /sys/fs/cgroup/vmrun/ ]; then continue; fi
        echo 1 > $left/cgroup.kill
        until grep -q '^populated 0' $left/cgroup.events; do sleep 0.1; done
        find $left -depth -type d -exec rmdir {} ';'
    done
    rmdir /run/command
    echo $code $(stat -c %s /run/out /run/err)
    cat /run/out /run/err
done
"""


def missing() -> list[str]:
    """Debian packages that the machine needs and this host lacks."""
    there = {
        "qemu-system-x86": shutil.which("qemu-system-x86_64"),
        "virtiofsd": shutil.which("virtiofsd") or Path("/usr/libexec/virtiofsd").exists(),
        "busybox-static": shutil.which("busybox"),
        "zstd": shutil.which("zstd"),
        "linux-image-cloud-amd64": list(Path("/boot").glob("vmlinuz-*cloud-amd64")),
    }
    return [package for package, found in there.items() if not found]


@dataclass(eq=False)
class Machine:
    """Boots with its first command, and again after one that did not end. ``directory``: for the kernel and a log."""

    directory: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def run(self, script: str, timeout_s: float = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """``script`` by a shell with ``-e``, as root. Raises AssertionError with vmrun's words when the machine falls,
        TimeoutError."""
        # the limit for a hung test is two minutes, which an emulated machine on a loaded host takes honestly
        faulthandler.cancel_dump_traceback_later()
        until = time.monotonic() + timeout_s
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(base64.b64encode(script.encode()) + b"\n")
            header = b""
            while not header.endswith(b"\n"):
                header += self._read(process, 1, until)
            code, *lengths = map(int, header.split())
            out, err = (self._read(process, length, until).decode(errors="replace") for length in lengths)
        except BaseException:
            self.end()
            raise
        return subprocess.CompletedProcess(script, code, out, err)

    def end(self) -> None:
        """Switches it off, if it is on."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                process.terminate()  # vmrun takes its own along
                process.wait(END_S)

    def _start(self) -> subprocess.Popen[bytes]:
        words = ("--timeout", str(MACHINE_S), "--cache", self.directory, "-C", REPOSITORY, "--stdin")
        vmrun = (sys.executable, REPOSITORY / "tests" / "vmrun", *words, "--", "/bin/sh", "-ec", _SERVE)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                tied(*vmrun, death_signal="TERM"), bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        return self._process

    @property
    def _log(self) -> Path:
        return self.directory / "vmrun.log"

    def _read(self, process: subprocess.Popen[bytes], length: int, until: float) -> bytes:
        assert process.stdout is not None
        read = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while len(read) < length:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise TimeoutError("the command did not end")
                part = os.read(process.stdout.fileno(), length - len(read))
                assert part, f"the machine fell: {self._log.read_text(errors='replace')[-4000:]}"
                read += part
        return read


@contextlib.contextmanager
def machine(directory: Path) -> Iterator[Machine]:
    made = Machine(directory)
    try:
        yield made
    finally:
        made.end()
