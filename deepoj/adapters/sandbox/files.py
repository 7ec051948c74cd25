"""The host's files of one run: opened before it, put in place or removed after it. The launcher only gets descriptors.

What if we die in between? A file out is written under another name and renamed when it is complete: a reader finds the
complete file or none. The leftover is in the attempt's directory and is removed with it.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deepoj.words.sandbox import FileOut, RunSpec

_PARTIAL = ".partial"


@dataclass(slots=True)
class RunFiles:
    """Descriptors in the order of the wire format. A context manager: leaving closes all and removes partial files."""

    spec: RunSpec
    #: of a joined run: the pipe ends that become its stdin and stdout; the pipes' owner closes them
    ends: tuple[int, int] | None = None
    fds: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    keep_stdout: int = -1
    keep_stderr: int = -1
    partial: list[Path] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Open all files. Raises OSError if a file of the spec cannot be opened; then nothing stays open."""
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _open(self) -> None:
        spec = self.spec
        if self.ends is None:
            self._take(os.open(spec.stdin or "/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        else:
            self.fds.append(self.ends[0])
        self.keep_stdout = self._take_memory("stdout", spec.keep_stdout_bytes)
        self.keep_stderr = self._take_memory("stderr", spec.keep_stderr_bytes)
        writing = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        if self.ends is not None:
            self.fds.append(self.ends[1])
        elif spec.stdout_to is not None:
            self._take(os.open(spec.stdout_to, writing | os.O_TRUNC, 0o600))
        for file_in in spec.files_in:
            self._take(os.open(file_in.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        for file_out in spec.files_out:
            partial = _partial(file_out)
            partial.unlink(missing_ok=True)
            self._take(os.open(partial, writing | os.O_EXCL, 0o600))
            self.partial.append(partial)

    def _take(self, fd: int) -> int:
        self.fds.append(fd)
        self.own.append(fd)
        return fd

    def _take_memory(self, name: str, keep_bytes: int) -> int:
        """Return a file in memory; -1 if nothing is kept. Then the run's stdin is sent once more in its place, to which
        the launcher writes nothing (``pass_on`` in ``sandbox_ext/stream.c``)."""
        if keep_bytes > 0:
            return self._take(os.memfd_create(name, os.MFD_CLOEXEC))
        self.fds.append(self.fds[0])
        return -1

    def _close(self) -> None:
        for fd in self.own:
            os.close(fd)
        self.own.clear()
        self.fds.clear()
        for path in self.partial:
            path.unlink(missing_ok=True)
        self.partial.clear()

    def keep(self, copied: int) -> tuple[str, ...]:
        """Put copied files in their place (bit n of ``copied``: file n of ``spec.files_out``); return their names."""
        names = []
        for number, file_out in enumerate(self.spec.files_out):
            if copied >> number & 1:
                _partial(file_out).replace(file_out.path)
                names.append(file_out.name)
        return tuple(names)

    def stdout(self) -> bytes:
        """Return the kept part of stdout."""
        return _whole(self.keep_stdout)

    def stderr(self) -> bytes:
        """Return the kept part of stderr."""
        return _whole(self.keep_stderr)


def _partial(file_out: FileOut) -> Path:
    return file_out.path.with_name(file_out.path.name + _PARTIAL)


def _whole(fd: int) -> bytes:
    if fd < 0:
        return b""
    size = os.fstat(fd).st_size
    data = os.pread(fd, size, 0)
    if len(data) != size:
        raise OSError(errno.EIO, "short read of kept output")
    return data
