"""Programs in packages: their language by ending, the file to start, and the files that belong together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from deepoj.judging.checkers import BUILT_KEY
from deepoj.judging.languages.endings import by_ending
from deepoj.judging.paths import base, folder, suffix, without_suffix
from deepoj.judging.problem import Program
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.scripts import BUILD, RUN, is_option, plain_of

_PYTHON2 = re.compile(r"#!.*python2")
#: a rule or a query of Prolog: the ending is Perl's, too
_PROLOG = re.compile(r"^[^#'\"\n]*:-(?:\s|$)", re.MULTILINE)
#: what distinguishes the file that is started from the others
_STARTS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "c++": re.compile(r"\bmain\s*\("),
        "java": re.compile(r"\bstatic\s+(?:final\s+)?void\s+main\s*\(|\bvoid\s+main\s*\(\s*String"),
        "kotlin": re.compile(r"\bfun\s+main\s*\("),
        "rust": re.compile(r"\bfn\s+main\s*\("),
        "go": re.compile(r"\bfunc\s+main\s*\("),
        "python3": re.compile(r"__name__\s*==\s*['\"]__main__"),
        "csharp": re.compile(r"\bstatic\s+(?:async\s+)?(?:void|int|Task)\s+Main\s*\("),
        "scala": re.compile(r"\bdef\s+main\s*\(|\bextends\s+App\b"),
    }
)
#: a line that includes other files, as scripts, modules and units do; the names follow the keyword
_INCLUDES = re.compile(
    r"^[^\n#]*?(?<![\w$@])(?:\.|source|import|from|uses|use|require\w*|include\w*|do|dofile|load)(?=[\s('\"])([^\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
_FILE_WORD = re.compile(r"[\w-]+")
#: names of languages in Polygon (``cpp.g++17``, ``python.3``, ``java11``) and DMOJ (``CPP17``, ``PY3``), lower case
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"c17|c11|c99|c\.gcc.*|c", "c17"),
        (r".*(?:\+\+|cpp)(?:23|2b|26)(?:\D.*)?", "cpp23"),
        (r".*(?:\+\+|cpp)(?:20|2a)(?:\D.*)?", "cpp20"),
        (r".*(?:\+\+|cpp)(?:03|11|14|17|0x|1y|1z)?(?:\D.*)?", "cpp17"),
        (r"py3|python\.?3.*|python", "python3"),
        (r"pypy3?|python\.pypy3.*|pypy\.?3.*", "pypy3"),
        (r"py2|python\.?2.*", "python2"),
        (r"java(?!script).*", "java"),
        (r"kotlin.*|kt", "kotlin"),
        (r"pas(?:cal)?(?:\..*)?|fpc|delphi", "pascal"),
        (r"rust.*", "rust"),
        (r"go(?:lang)?(?:\..*)?", "go"),
        (r"csharp.*|mono.*|monocs", "csharp"),
        (r"node.*|v8js|js.*|javascript.*", "javascript"),
        (r"haskell.*|hask", "haskell"),
        (r"ocaml.*", "ocaml"),
        (r"perl.*", "perl"),
        (r"php.*", "php"),
        (r"ruby.*", "ruby"),
        (r"lua.*", "lua"),
        (r"scala.*|scal", "scala"),
        (r"bash|sh", "bash"),
    )
)
_SCRIPTS = frozenset({BUILD, RUN})


def language_named(name: str) -> str | None:
    """Return the key of a language by another system's name for it."""
    lowered = name[:64].strip().lower()
    return next((key for pattern, key in _NAMES if pattern.fullmatch(lowered)), None)


def language_of(files: Files, name: str) -> str | None:
    """Return a source's language by its ending; None if it is not a known source."""
    language = by_ending(suffix(name))
    if language == "python3" and _PYTHON2.match(files.source(name).partition("\n")[0]):
        return "python2"
    if language == "perl" and _PROLOG.search(files.source(name)):
        return "prolog"
    return language


def sources_in(files: Files, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are sources of some language."""
    return tuple(name for name in names if by_ending(suffix(name)))


def main_language(files: Files, names: Sequence[str]) -> str | None:
    """Return the language of a program of several files (C beside C++ is C++); None if there is none or several."""
    languages = {language for name in names if (language := language_of(files, name)) is not None}
    if languages == {"c17", "cpp20"}:
        return "cpp20"
    return languages.pop() if len(languages) == 1 else None


def entry_of(files: Files, language: str | None, names: Sequence[str]) -> str:
    """Return the file of a program that is compiled or run.

    That is the only one, else ``main``, else the one with a start, else the one that no other includes, else the first.
    """
    of_language = [
        name
        for name in names
        if language is None
        or (language_of(files, name) or "")[:3] in {language[:3], "c17" if "cpp" in language else ""}
    ]
    return _entries(files, language, of_language or list(names))[0]


def is_ambiguous(files: Files, language: str, names: Sequence[str]) -> bool:
    """Return whether the started file is unclear, and matters: files of C and C++ are compiled together."""
    candidates = [name for name in names if (language_of(files, name) or "")[:3] == language[:3]]
    return _family(language) != "c++" and len(_entries(files, language, candidates or list(names))) > 1


def _entries(files: Files, language: str | None, candidates: list[str]) -> list[str]:
    """Return the files that may be the started one; a single one if it is clear."""
    mains = [name for name in candidates if without_suffix(base(name)).lower() in {"main", "__main__"}]
    if len(candidates) == 1 or mains:
        return (mains or candidates)[:1]
    start = _STARTS.get(_family(language) or "")
    starting = [name for name in candidates if start is not None and start.search(files.source(name))] or candidates
    included = _included(files, candidates)
    return [name for name in starting if name not in included] or starting


def _included(files: Files, candidates: Sequence[str]) -> set[str]:
    """Return the files that another one includes by name."""
    by_stem: dict[str, list[str]] = {}
    for name in candidates:
        by_stem.setdefault(without_suffix(base(name)), []).append(name)
    return {
        name
        for other in candidates
        for line in _INCLUDES.finditer(files.source(other))
        for word in _FILE_WORD.findall(line[1])
        for name in by_stem.get(word, ())
        if name != other
    }


def _family(language: str | None) -> str | None:
    """Return a key for languages that mix: C and the dialects of C++, and the interpreters of Python."""
    if language is not None and language.startswith(("c17", "cpp")):
        return "c++"
    return "python3" if language == "pypy3" else language


def program_of(files: Files, names: Sequence[str], what: str, *, language: str | None = None) -> Program:
    """Return a setter's program made of files. Raises Unusable, whose sentence begins with ``what``."""
    if not names:
        raise Unusable(None, f"{what} names no file.")
    scripts = [name for name in names if base(name) in _SCRIPTS]
    if scripts:
        plain = plain_of(files, names)
        if plain is None:
            return Program(language=BUILT_KEY, files=tuple(names), entry=scripts[0], root=folder(scripts[0]))
        key = plain.language or main_language(files, (plain.entry,))
        if key is not None:
            return Program(language=key, files=plain.files, entry=plain.entry, root=_root(plain.files))
    key = language or main_language(files, names)
    if key is None:
        raise Unusable(names[0], f"{what} has no source in one known language ({show(names[0])}).")
    entry = entry_of(files, key, names)
    return Program(language=key, files=tuple(names), entry=entry, root=_root(names))


def flags_fault(language: str, flags: Sequence[str]) -> str | None:
    """Return why a program cannot be compiled with these options besides ours; None if it can."""
    odd = [flag for flag in flags if not is_option(flag)]
    if flags and _family(language) != "c++":
        return "options are taken for C and C++ alone"
    return f"the option {show(odd[0])} is not supported" if odd else None


def units(files: Files, top: str, *, single: bool = False) -> tuple[tuple[str, ...], ...]:
    """Return the programs below a folder, each as its files.

    Every folder in it is a program, and every source directly in it; headers and data beside sources belong to all of
    these. ``single``: the files directly in it are one program.
    """
    loose = files.in_folder(top)
    sources = sources_in(files, loose)
    beside = tuple(name for name in loose if name not in sources and not _is_note(name))
    programs = [files.below(one) for one in files.folders_in(top)]
    programs = [one for one in programs if sources_in(files, one) or any(base(name) in _SCRIPTS for name in one)]
    scripts = [name for name in beside if base(name) in _SCRIPTS]
    if scripts or (single and sources):
        return (files.below(top),)
    programs += [(source, *beside) for source in sources]
    return tuple(programs)


def _is_note(name: str) -> bool:
    return base(name).lower().startswith("readme") or suffix(name).lower() in {"md", "yaml", "yml"}


def _root(names: Sequence[str]) -> str:
    shared = [folder(name) for name in names]
    first = min(shared, key=len)
    while first and not all(one.startswith(first) for one in shared):
        first = folder(first.removesuffix("/"))
    return first
