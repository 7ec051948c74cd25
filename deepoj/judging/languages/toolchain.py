"""Where the tools are, and how the templates of a row become commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """Paths of the tools that an operator may choose, and what the operator chose for compilers. The paths are absolute
    and the same inside the box. Rows name all other tools by Debian's path."""

    gxx: str = "/usr/bin/g++"
    gcc: str = "/usr/bin/gcc"
    python3: str = "/usr/bin/python3"
    #: links what GCC compiles, where it is installed; GCC finds it by the PATH
    mold: str = "/usr/bin/ld.mold"
    #: how many errors a compiler may print
    max_errors: int = 10
    #: whether lean C++ sources are compiled with fewer headers (``judging.headers``)
    lean_headers: bool = False

    def fill(self, template: tuple[str, ...], memory_mb: int = 0) -> tuple[str, ...]:
        """Return the argv of a template. ``memory_mb``: the problem's limit, for commands that run a program."""
        values: dict[str, str | int] = {
            "gxx": self.gxx,
            "gcc": self.gcc,
            "python3": self.python3,
            "max_errors": self.max_errors,
            "memory_mb": memory_mb,
            # for a collector that should work harder before the limit is reached
            "most_memory_mb": max(1, memory_mb * 9 // 10),
            # a stack may grow to the limit, but a program also needs other memory
            "stack_kb": memory_mb * 1024 // 2,
        }
        return tuple(word.format_map(values) for word in template)

    @classmethod
    def short(cls) -> Self:
        """Return the tools' short names, for showing commands to people."""
        return cls(gxx="g++", gcc="gcc", python3="python3")
