"""What decides a compilation, as a digest: equal digests, equal results.

It covers sources, command, environment, limits, the isolation of the sandbox, and the compiler. The compiler is
identified by its file and by the package manager's lists, because headers and linkers change with those.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deepoj.execution import header_cache as precompiled
from deepoj.judging import checkers
from deepoj.judging.headers import first_includes, is_lean, leaving_out
from deepoj.judging.languages import Language
from deepoj.words.sandbox import Isolation, RunSpec

#: files that a package manager rewrites whenever it installs or removes a package
_PACKAGE_LISTS = (
    Path("/var/lib/dpkg/status"),
    Path("/var/lib/rpm/rpmdb.sqlite"),
    Path("/lib/apk/db/installed"),
)


@dataclass(frozen=True, slots=True)
class CompileKey:
    """Identifies a compilation by its content."""

    key: str
    #: the command to try first; its result counts if the compiler prints nothing
    argv: tuple[str, ...]
    #: the header sets that this command could use precompiled, the largest first
    header_sets: tuple[precompiled.HeaderBuild, ...]
    #: whether it is linked by mold
    is_mold: bool


def compile_key_of(
    spec: RunSpec, language: Language, tool: str, linker: str, isolation: Isolation, *, may_be_lean: bool
) -> CompileKey | None:
    """Return None if the compiler does not exist. ``linker``: mold's file if the language may be linked by it;
    ``may_be_lean``: whether lean sources are compiled with fewer headers here."""
    identity = compiler_identity(tool, linker)
    if identity is None:
        return None
    # an archive's name identifies everything that it is made of, and its content is large
    archives = [file.path.name for file in spec.files_in if file.program]
    texts = {file.name: file.path.read_bytes() for file in spec.files_in if not file.program}
    content = [(name, hashlib.sha256(text).hexdigest()) for name, text in sorted(texts.items())]
    source = _lone_source(spec, language, texts)
    has_less = may_be_lean and source is not None and is_lean(texts[source])
    quick = replace(spec, argv=leaving_out(spec.argv)) if has_less else spec
    request = [
        quick.argv,
        spec.env,
        asdict(spec.limits),
        [(file.name, file.max_bytes) for file in spec.files_out],
        [spec.keep_stdout_bytes, spec.keep_stderr_bytes],
        archives,
    ]
    key = hashlib.sha256(json.dumps([1, identity, isolation, request, content]).encode()).hexdigest()
    sets = _header_sets(quick, language, source, texts[source], identity) if source else ()
    return CompileKey(key, quick.argv, sets, os.access(linker, os.X_OK))


def compiler_identity(tool: str, linker: str) -> object | None:
    """Identify the compiler, a linker and everything installed with them. None: the compiler cannot be read."""
    try:
        real = Path(tool).resolve()
        others = [path for path in (*_PACKAGE_LISTS, Path(linker)) if path.is_file()]
        return [str(real), _version_of(real), [(str(path), _version_of(path)) for path in others]]
    except OSError:
        return None


def _version_of(path: Path) -> tuple[int, ...]:
    """Return numbers that differ for another file, and after the file was written to."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def is_gxx(language: Language) -> bool:
    return language.is_gcc and language.package == "g++"


def _lone_source(spec: RunSpec, language: Language, texts: Mapping[str, bytes]) -> str | None:
    """Return the name of a C++ submission's source, if it has one alone: of several, each would have to begin with the
    same headers. A setter's program is compiled once: building a header for it is not worth a slot of the sandbox."""
    if not is_gxx(language) or checkers.BESIDE in spec.env:
        return None
    names = [word for word in spec.argv if word in texts]
    return names[0] if len(names) == 1 else None


def _header_sets(
    spec: RunSpec, language: Language, name: str, source: bytes, identity: object
) -> tuple[precompiled.HeaderBuild, ...]:
    headers = first_includes(source)
    return tuple(
        precompiled.order(headers[:count], spec, name, language.artifact, identity)
        for count in range(len(headers), 0, -1)
    )
