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
#: looked for first: 30 plain searches of a program take a tenth of the time of the pattern, which stops at each zero
_WARNED_NAMES = tuple(name.encode() for name in WARNED.split())
_GNU_STACK, _EXECUTABLE = 0x6474E551, 1


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
    data = program.read_bytes()
    may_call = any(name in data for name in _WARNED_NAMES)
    return (may_call and _CALLS_WARNED.search(data) is not None) or _has_executable_stack(data)


def _has_executable_stack(program: bytes) -> bool:
    """Whether it is so by its program headers. An ELF file is taken for one of 64 bits; without such headers it has."""
    if not program.startswith(b"\x7fELF"):
        return False
    try:
        (offset,) = struct.unpack_from("<Q", program, 32)
        size, count = struct.unpack_from("<HH", program, 54)
        headers = [struct.unpack_from("<II", program, offset + size * number) for number in range(count)]
    except struct.error:
        return True
    return not any(kind == _GNU_STACK and not flags & _EXECUTABLE for kind, flags in headers)
