"""The files of a checked archive below the package's own folder, with readers of small texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deepoj.packages.formats.archive import Archive
from deepoj.packages.formats.constants import fill
from deepoj.packages.formats.faults import PackageFault, Unusable, show
from deepoj.packages.formats.names import natural_key

#: of a configuration file; one with 2,000 cases and long names stays below it
MAX_TEXT_BYTES = 256 * 1024
#: of all configuration files together: a thousand of them would keep a node busy for minutes
_MAX_TEXTS_BYTES = 1024 * 1024
#: how much of a source is searched for words
MAX_SOURCE_BYTES = 256 * 1024


class Files:
    """Names here are relative to ``root``, the folder (with its slash) that holds the whole package, or empty."""

    def __init__(self, archive: Archive, root: str = "") -> None:
        self._archive = archive
        self.root = root
        self._texts_bytes = 0
        #: number of values in the YAML read so far, aliases unfolded
        self.yaml_values = 0
        #: the values of YAML files, by name, so that each is read and counted once
        self.yaml_read: dict[str, Any] = {}
        self._last_source = ("", "")
        self._constants: Mapping[str, str] = {}
        self._filled: frozenset[str] = frozenset()
        self._seen()

    def _seen(self) -> None:
        names = (name for name in self._archive.names if name.startswith(self.root))
        self.names = tuple(sorted((name[len(self.root) :] for name in names), key=natural_key))
        self._set = frozenset(self.names)
        self._below: dict[str, list[str]] = {}
        for name in self.names:
            at = name.find("/")
            while at >= 0:
                self._below.setdefault(name[: at + 1], []).append(name)
                at = name.find("/", at + 1)

    def __contains__(self, name: object) -> bool:
        return name in self._set

    def size(self, name: str) -> int:
        """Return the unpacked size of a file, in bytes."""
        return self._archive.size(self.root + name)

    def below(self, folder: str) -> tuple[str, ...]:
        """Return the files in ``folder`` (with its slash; empty is the top) and its folders, in natural order."""
        return tuple(self._below.get(folder, ())) if folder else self.names

    def in_folder(self, folder: str) -> tuple[str, ...]:
        """Return the files directly in ``folder``."""
        return tuple(name for name in self.below(folder) if "/" not in name[len(folder) :])

    def folders_in(self, folder: str) -> tuple[str, ...]:
        """Return the folders directly in ``folder``, each with its slash."""
        parts = (name[len(folder) :].partition("/") for name in self.below(folder))
        return tuple(dict.fromkeys(f"{folder}{first}/" for first, slash, _ in parts if slash))

    def fill(self, names: Iterable[str], constants: Mapping[str, str]) -> None:
        """Read these files with their constants filled in from now on."""
        self._constants, self._filled = constants, frozenset(names)
        for name in self._filled:
            self.yaml_read.pop(name, None)
        self._last_source = ("", "")

    def text(self, name: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
        """Return a configuration file: UTF-8 with or without a BOM; line ends of any kind become ``\\n``.

        Raises:
          Unusable: it is missing, too large or not such text.
        """
        if name not in self:
            raise Unusable(None, f"The package has no {show(name)}.")
        self._texts_bytes += self.size(name)
        if self._texts_bytes > max(_MAX_TEXTS_BYTES, max_bytes):
            raise Unusable(name, f"The package's configuration files have more than {_MAX_TEXTS_BYTES} bytes together.")
        raw = self._archive.read(self.root + name, max_bytes)
        if isinstance(raw, PackageFault):
            raise Unusable(name, raw.sentence)
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Unusable(name, f"{show(name)} is UTF-16 text; save it as UTF-8.")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Unusable(name, f"{show(name)} is not UTF-8 text (byte {error.start}).") from None
        if "\0" in text:
            raise Unusable(name, f"{show(name)} is not text: it holds a NUL.")
        if name in self._filled:
            text = fill(text.encode(), self._constants).decode()
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def source(self, name: str) -> str:
        """Return the beginning of a program, to search for words; bytes that are not UTF-8 are replaced."""
        if self._last_source[0] != name:
            raw = self._archive.head(self.root + name, MAX_SOURCE_BYTES)
            if isinstance(raw, PackageFault):
                raise Unusable(name, raw.sentence)
            if name in self._filled:
                raw = fill(raw, self._constants)
            self._last_source = (name, raw.decode("utf-8-sig", "replace"))
        return self._last_source[1]

    def adopt(self, name: str) -> str:
        """Add an archive inside the package; return the folder that its files are now in."""
        fault = self._archive.adopt(self.root + name)
        if fault is not None:
            raise Unusable(name, fault.sentence)
        self._seen()
        return name + "/"
