"""Faults of packages, and text made fit for their sentences."""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.words.names import printable_line

_SHOWN_CHARS = 120


@dataclass(frozen=True, slots=True)
class PackageFault:
    """Why a package is refused. ``file`` is the archive's name of the file at fault, None for the whole package."""

    file: str | None
    sentence: str


class Unusable(Exception):
    """A reader cannot continue. Never leaves ``packages.formats``."""

    def __init__(self, file: str | None, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = PackageFault(file, sentence)


def clean(text: str) -> str:
    """Return ``text`` fit for a sentence: printable and short."""
    printable = printable_line(text, "�")
    return printable if len(printable) <= _SHOWN_CHARS else printable[:_SHOWN_CHARS] + "…"


def show(name: object) -> str:
    return f"'{clean(str(name))}'"
