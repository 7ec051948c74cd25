"""Run commands of ``deepoj`` without a new interpreter for each: most of the time of a command is its imports.

``python -m tests.e2e.typed`` imports the program once and forks for each command. The fork takes over the words,
environment, directory and streams and runs ``deepoj.__main__`` to the end of the interpreter. That the program also
starts by itself is shown by the nodes and scripts of these tests.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from deepoj.__main__ import main
from deepoj.cli import COMMANDS
from tests import host
from tests.e2e.nodes import DEEPOJ, ROOT
from tests.servers import tied

#: longer than the deadlines of all commands, on a loaded machine
COMMAND_S = 600.0


@dataclass(frozen=True)
class Order:
    """One command; the files are its stdin, stdout and stderr."""

    words: list[str]
    env: dict[str, str]
    cwd: str
    files: list[str]


def typed(
    *words: str, env: Mapping[str, str], cwd: Path = ROOT, given: str = "", within_s: float = COMMAND_S
) -> subprocess.CompletedProcess[str]:
    """Run ``deepoj WORDS`` with exactly this environment; ``given`` is its stdin.

    On a host of less than the default isolation, the session's level is added.

    Raises:
      TimeoutExpired: the command was killed.
    """
    with tempfile.TemporaryDirectory(prefix="ojtyped", dir="/tmp") as place:
        files = [Path(place) / name for name in ("in", "out", "err")]
        files[0].write_text(given, encoding="utf-8")
        server = _server()
        settings = host.asked_setting() | dict(env)
        pid = int(_told(server, json.dumps(asdict(Order(list(words), settings, str(cwd), list(map(str, files)))))))
        if not select.select([_out(server)], [], [], within_s)[0]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _out(server).readline()
            raise subprocess.TimeoutExpired(words, within_s)
        code = int(_out(server).readline())
        out, err = (file.read_text(encoding="utf-8", errors="replace") for file in files[1:])
    return subprocess.CompletedProcess([str(DEEPOJ), *words], code, out, err)


@functools.cache
def _server() -> subprocess.Popen[bytes]:
    # its lines are read after a wait on the descriptor, so no data may be buffered
    command = tied(sys.executable, "-m", "tests.e2e.typed")
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    atexit.register(process.communicate)
    return process


def _out(server: subprocess.Popen[bytes]) -> IO[bytes]:
    assert server.stdout is not None
    return server.stdout


def _told(server: subprocess.Popen[bytes], line: str) -> bytes:
    assert server.stdin is not None
    server.stdin.write(line.encode() + b"\n")
    server.stdin.flush()
    return _out(server).readline()


# ---------------------------------------------------------------------------------------------------------------------
# The server


def serve() -> None:
    """Print the pid and then the exit code of each command. A fork returns from here, too, as the command."""
    for module in {place.partition(":")[0] for place, _ in COMMANDS.values()}:
        importlib.import_module(module)
    gc.freeze()  # permanent objects are left out of collections, which would copy their pages in each fork
    while line := sys.stdin.buffer.readline():
        pid = os.fork()
        if not pid:
            become(Order(**json.loads(line)))
            return main()
        say(pid)
        say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return None


def say(number: int) -> None:
    os.write(1, b"%d\n" % number)


def become(order: Order) -> None:
    """Set environment, directory and streams as a new interpreter with these files has them."""
    for number, (path, flags) in enumerate(
        zip(order.files, (os.O_RDONLY, *(os.O_WRONLY | os.O_CREAT,) * 2), strict=True)
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(order.env)
    os.chdir(order.cwd)
    sys.argv = [str(DEEPOJ), *order.words]


if __name__ == "__main__":
    serve()
