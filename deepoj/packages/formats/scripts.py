"""``build`` and ``run`` scripts of setters' programs, replaced by our own commands where both do the same.

Most of these scripts only say which sources one command compiles, or which file an interpreter starts. Then the program
is those sources, in a language that we know. All other scripts are run, in the sandbox (``checkers.BUILT``).
"""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from deepoj.judging.paths import base, folder, suffix
from deepoj.packages.formats.files import Files

BUILD, RUN = "build", "run"
_COMPILERS = frozenset({"g++", "c++", "clang++", "gcc", "cc", "clang"})
_INTERPRETERS = frozenset({"python3", "python", "pypy3"})
#: options that change no verdict; a macro may
_OPTION = re.compile(
    r"-(?:O\w*|W[\w,=+-]*|g\w*|f[\w=-]+|m[\w=-]+|pipe|s|static(?:-lib\w+)?|l(?:m|stdc\+\+)|pthread|pedantic|ansi"
    r"|I\.?|std=[\w+]+|D(?:_FORTIFY_SOURCE(?:=\d)?|ONLINE_JUDGE|NDEBUG))"
)
#: macros, allowed where a command is run as written
_MACRO = re.compile(r"-[DU]\w+(?:=[\w.+-]*)?")
_SOURCES = frozenset({"c", "cc", "cpp", "cxx"})
#: lines without effect on the program
_IDLE = re.compile(
    r"set (?:-[a-z]+|-o pipefail| )+"
    r"|cd (?:-- )?\"?\$\(dirname (?:-- )?\"?(?:\$0|\$\{?BASH_SOURCE[^\"]*)\"?\)\"?(?: \|\| exit.*)?"
    r"|chmod (?:\+x|a\+x|755) (?:\./)?run|exit(?: 0)?|echo [\w .'\"-]*|:"
)
_HERE = re.compile(r"^(?:\./|\$\(dirname (?:-- )?\"?\$0\"?\)/|\$\{0%/\*\}/)")
_DIALECTS = {"23": "cpp23", "2b": "cpp23", "17": "cpp17", "14": "cpp17", "11": "cpp17", "1z": "cpp17"}


@dataclass(frozen=True, slots=True)
class Plain:
    """A program without its scripts, and the file that is compiled or started first."""

    files: tuple[str, ...]
    #: the C++ dialect that the script asks for; None: by the file's ending
    language: str | None
    entry: str


def is_option(word: str) -> bool:
    """Return whether a compiler option only says how to compile, and names no file."""
    return bool(_OPTION.fullmatch(word) or _MACRO.fullmatch(word))


def plain_of(files: Files, names: Sequence[str]) -> Plain | None:
    """Return a program without its script; None if the script does more than we can replace."""
    scripts = {base(name): name for name in names if base(name) in {BUILD, RUN}}
    if len(scripts) != 1:
        return None
    ((kind, script),) = scripts.items()
    command = _only_command(files.source(script))
    rest = tuple(name for name in names if name != script)
    here = [name for name in rest if folder(name) == folder(script)]
    if command is None:
        return None
    parsed = _compiled(command, here) if kind == BUILD else _interpreted(command, here)
    if parsed is None:
        return None
    language, sources = parsed
    if kind == RUN:
        return Plain(rest, language, sources[0])
    # sources that the command does not name would be compiled, too
    kept = tuple(name for name in rest if name in sources or suffix(name).lower() not in _SOURCES)
    return Plain(kept, language, sources[0])


def _only_command(text: str) -> list[str] | None:
    """Return the words of a script's only command with an effect; None if there are several or none."""
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\\\n", " ").split("\n")]
    lines = [line for line in lines if line and not line.startswith("#") and not _IDLE.fullmatch(line)]
    if len(lines) != 1 or re.search(r"[;|&<>`]", lines[0]):
        return None
    try:
        # paths relative to the script's own directory become plain names
        return [_HERE.sub("", word) for word in shlex.split(re.sub(r"\$\(dirname[^)]*\)/", "./", lines[0]))]
    except ValueError:
        return None


def _compiled(words: list[str], here: list[str]) -> tuple[str | None, list[str]] | None:
    """Return language and sources of a compiler's command that makes ``run``."""
    if base(words[0]) not in _COMPILERS or words.count("-o") != 1:
        return None
    at = words.index("-o")
    if words[at + 1 : at + 2] != [RUN]:
        return None
    rest = words[1:at] + words[at + 2 :]
    patterns = [word for word in rest if not word.startswith("-")]
    sources = [name for one in patterns for name in here if fnmatch.fnmatchcase(base(name), one)]
    missing = [one for one in patterns if not any(fnmatch.fnmatchcase(base(name), one) for name in here)]
    odd = [word for word in rest if word.startswith("-") and not _OPTION.fullmatch(word)]
    if missing or odd or not sources or any(suffix(name).lower() not in _SOURCES for name in sources):
        return None
    if all(suffix(name) == "c" for name in sources):
        return ("c17" if base(words[0]) in {"gcc", "cc", "clang"} else None), sources
    standard = next((word[-2:] for word in rest if word.startswith("-std=")), "")
    return _DIALECTS.get(standard, "cpp20"), sources


def _interpreted(words: list[str], here: list[str]) -> tuple[str | None, list[str]] | None:
    """Return language and file of a command that passes its arguments to an interpreter."""
    words = words[1:] if words[0] == "exec" else words
    words = words[1:] if words[:1] and base(words[0]) == "env" else words
    if len(words) != 3 or base(words[0]) not in _INTERPRETERS or words[2] != "$@":
        return None
    sources = [name for name in here if base(name) == words[1]]
    return ("pypy3" if base(words[0]) == "pypy3" else "python3", sources) if sources else None
