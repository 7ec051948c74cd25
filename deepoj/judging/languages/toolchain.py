"""Where the tools are, and how the templates of a row become argv rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """Where the tools are that an operator may have elsewhere (absolute paths, the same inside the box; rows name all
    others by Debian's path), and how talkative a compiler may be."""

    gxx: str = "/usr/bin/g++"
    gcc: str = "/usr/bin/gcc"
    python3: str = "/usr/bin/python3"
    max_errors: int = 10

    def fill(self, template: tuple[str, ...], memory_mb: int = 0) -> tuple[str, ...]:
        """The argv that a template stands for. ``memory_mb``: the problem's limit, for what is run."""
        values: dict[str, str | int] = {
            "gxx": self.gxx,
            "gcc": self.gcc,
            "python3": self.python3,
            "max_errors": self.max_errors,
            "memory_mb": memory_mb,
            # for a collector that should hurry before the limit is reached
            "most_memory_mb": max(1, memory_mb * 9 // 10),
            # a stack may grow to the limit, but what stands on it is not all there is
            "stack_kb": memory_mb * 1024 // 2,
        }
        return tuple(word.format_map(values) for word in template)

    @classmethod
    def short(cls) -> Self:
        """The tools' short names, for showing commands to people."""
        return cls(gxx="g++", gcc="gcc", python3="python3")
