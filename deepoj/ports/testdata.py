"""Problem packages on this node's disk."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from deepoj.judging.problem import Plan
from deepoj.words.problems import Problem


class TestData(Protocol):
    """A problem's package on this node's disk. Raises BlobsUnavailable, BlobMissing, TestDataBroken. Implemented by
    ``adapters.testdata``, without a store by ``operate.problem_verify.unpacked``."""

    def is_here(self, problem: Problem) -> bool:
        """Return whether the package is on the disk, as far as is known without a look."""
        ...

    async def prepare(self, problem: Problem) -> Prepared:
        """Return the unpacked package. Its files stay in place at least until ``release``."""
        ...

    async def release(self, problem: Problem) -> None:
        """Undo one ``prepare``."""
        ...


TestData.__test__ = False  # type: ignore[attr-defined]  # not a pytest class, and no member of the protocol either


class Prepared(Protocol):
    """An unpacked package: its plan, and the paths of its files. Implemented by ``adapters.testdata_disk`` and
    ``operate.problem_verify.unpacked``."""

    @property
    def plan(self) -> Plan: ...

    def path(self, name: str) -> Path:
        """Return the path of one of ``plan.files()``; KeyError for any other name."""
        ...

    def digest(self, name: str) -> str:
        """Return the SHA-256 of one of ``plan.files()``, in hex; KeyError for any other name."""
        ...
