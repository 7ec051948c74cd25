"""A package on the setter's disk, as judging needs it: ``ports.TestData`` without a node or a store."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj.judging.problem import Plan
from deepoj.packages.formats import PackageFault, UnzipLimits, lay_out, open_package, pack_directory, zip_fault
from deepoj.words.problems import Problem


@dataclass(frozen=True, slots=True)
class LocalPackage:
    """``ports.TestData`` and ``ports.Prepared`` of one package, whose files stay as long as their directory does."""

    plan: Plan
    #: archive name → where it stands: of all that judging and verifying need
    paths: Mapping[str, Path]

    def path(self, name: str) -> Path:
        return self.paths[name]

    def digest(self, name: str) -> str:
        """No test is ever taken over from what is judged here: the name will do."""
        return name

    def is_here(self, _problem: Problem) -> bool:
        return True

    async def prepare(self, _problem: Problem) -> LocalPackage:
        await trio.lowlevel.checkpoint()
        return self

    async def release(self, _problem: Problem) -> None:
        await trio.lowlevel.checkpoint()


def unpacked(package: Path, into: Path, limits: UnzipLimits, zip_max_bytes: int) -> LocalPackage | PackageFault:
    """Reads the package, a zip or a directory, and lays its files out in ``into``. Blocking.

    What an upload would refuse is a fault here too: a setter is to hear of it before.

    Raises:
      OSError: something cannot be read, or written.
    """
    with tempfile.TemporaryFile() as made, package.open("rb") if package.is_file() else made as file:
        if file is made:
            fault = pack_directory(package, made, limits, zip_max_bytes)
            if fault is not None:
                return fault
        fault = zip_fault(file.seek(0, 2), zip_max_bytes)
        if fault is not None:
            return fault
        file.seek(0)
        opened = open_package(file, limits)
        if isinstance(opened, PackageFault):
            return opened
        with opened:
            paths = lay_out(opened, opened.plan.all_files(), into)
        return paths if isinstance(paths, PackageFault) else LocalPackage(opened.plan, paths)
