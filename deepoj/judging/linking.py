"""Link C and C++ by mold so that programs and messages stay those of GNU ``ld``.

``ld`` enters each symbol of libstdc++, libm and libc into its tables. For a small program that takes 71 ms of CPU time,
of 139 of the whole compilation with a precompiled header; mold takes 18. (To call compiler, assembler and linker
without GCC's driver, or ``ld`` without its plugin, saved nothing that we could measure.)

Programs behave alike, but three things differ, and for those the source is compiled again with ``ld``:

* messages: any word of mold, of ``collect2``, which reports that a linker failed, or of a GCC that knows no mold;
* warnings that mold does not know: glibc attaches them to some old functions, as ``gets``;
* an executable stack, as nested functions of C want it, of which ``ld`` warns.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

#: One thread: a submission has one core, and the program is small. Without a fork the linker ends when its work does.
_OPTIONS = ("-fuse-ld=mold", "-Wl,--threads=1,--no-fork,-z,execstack-if-needed")
_WORDS = re.compile(rb"\b(?:mold|collect2): |-fuse-ld=mold")
#: functions with a warning of glibc for those who link (its sections ``.gnu.warning.*``)
WARNED = (
    "bdflush chflags fchflags getpw gets getwd gtty inet6_option_alloc inet6_option_append inet6_option_find"
    " inet6_option_init inet6_option_next inet6_option_space mktemp pthread_attr_getstackaddr"
    " pthread_attr_setstackaddr re_max_failures revoke setlogin siggetmask sigreturn sigstack stty tempnam tmpnam"
    " tmpnam_r"
)
_CALLS_WARNED = re.compile(rb"\0(?:__compat_|__)?(?:%s)(?:_chk)?\0" % WARNED.replace(" ", "|").encode())
#: of elf.h: program header PT_GNU_STACK with PF_X; section SHT_STRTAB with SHF_ALLOC, which is ``.dynstr``
_GNU_STACK, _EXECUTABLE, _STRINGS, _LOADED = 0x6474E551, 1, 3, 2
#: of headers or names that are read. Real programs have a few KiB; a source may make its program's as large as it likes
_MAX_READ_BYTES = 1024 * 1024


def with_mold(compile_argv: Sequence[str]) -> tuple[str, ...]:
    """Return the compile line that links by mold."""
    return (compile_argv[0], *_OPTIONS, *compile_argv[1:])


def is_linkers(output: bytes) -> bool:
    """Whether a linker may have printed some of the compiler's output."""
    return _WORDS.search(output) is not None


def needs_ld(program: Path) -> bool:
    """Whether ``ld`` would have warned of this program, which mold linked. Blocking.

    Raises:
      OSError: it cannot be read.
    """
    with program.open("rb") as file:
        head = file.read(64)
        if not head.startswith(b"\x7fELF"):
            return False
        try:
            segments, sections = struct.unpack_from("<QQ", head, 32)
            size, count, section_size, section_count = struct.unpack_from("<4H", head, 54)
            return _has_executable_stack(file, segments, size, count) or _calls_warned(
                file, sections, section_size, section_count
            )
        except (struct.error, _TooLarge):
            return True


class _TooLarge(Exception):
    """A part of the program is larger than those that are read."""


def _has_executable_stack(file: BinaryIO, offset: int, size: int, count: int) -> bool:
    """Whether it is so by its program headers; without such headers it has."""
    table = _part(file, offset, size * count)
    headers = [struct.unpack_from("<II", table, size * number) for number in range(count)]
    return not any(kind == _GNU_STACK and not flags & _EXECUTABLE for kind, flags in headers)


def _calls_warned(file: BinaryIO, offset: int, size: int, count: int) -> bool:
    """Whether a name that the loader has to find is one with a warning. The whole program would hold up all other
    threads for seconds: the pattern stops at each zero, and an array may have 64 MiB of them."""
    table = _part(file, offset, size * count)
    for number in range(count):
        _, kind, flags, _, begin, length = struct.unpack_from("<IIQQQQ", table, size * number)
        if kind == _STRINGS and flags & _LOADED and _CALLS_WARNED.search(_part(file, begin, length)) is not None:
            return True
    return False


def _part(file: BinaryIO, offset: int, size: int) -> bytes:
    if size > _MAX_READ_BYTES or offset >= 1 << 63:
        raise _TooLarge
    file.seek(offset)
    return file.read(size)
