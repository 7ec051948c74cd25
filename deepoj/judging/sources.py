"""Name the source files of a program in the scratch, and put these names into the command lines.

However a program is sent (as text, as files, in a package), its files get the same names, and it gets the same verdict.
A single file has the name in its language's command lines (``main.cpp``). Several files keep their own names, for they
refer to each other by name. A Java file is named after its public class, as the compiler demands. In the compile and
the run line the entry point's name replaces the language's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath

from deepoj.judging.languages import Language
from deepoj.words.sources import SourceFile

#: endings of sources that one command compiles together, the entry point first; compilers of other languages get only
#: the entry point and find the rest
_TOGETHER: tuple[frozenset[str], ...] = (
    frozenset({".cpp", ".cc", ".cxx", ".c++", ".C"}),
    frozenset({".c"}),
    frozenset({".cs"}),
    frozenset({".go"}),
    frozenset({".java"}),
    frozenset({".kt"}),
    frozenset({".py"}),
    frozenset({".scala"}),
)

_JAVA = ".java"
#: longest name of a file in the scratch
_MAX_NAME_BYTES = 255
#: The Java tokens that matter here. Comments and literals come first: words and braces in them do not count. An
#: unclosed one extends to the end of the text; otherwise each of its characters would be tried again and again.
_JAVA_TOKEN = re.compile(
    r"//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?"
    r'|"""(?:[^\\"]|\\.|"(?!""))*+(?:""")?'
    r"|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?"
    r"|(?P<brace>[{}])|(?P<end>;)|(?P<word>[^\W\d][\w$]*+)",
    re.DOTALL,
)
_TYPES = frozenset({"class", "interface", "enum", "record"})
_MAINS = frozenset({"main", "__main__"})
#: allowed file names beside a program: nothing that a shell, a compiler or a path interprets otherwise
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def compiled_names(names: Iterable[str], entry: str) -> tuple[str, ...]:
    """Return the program's files that the compiler is given: the entry point, then the others of its kind, in order of
    name."""
    kind = PurePosixPath(entry).suffix
    together = next((kinds for kinds in _TOGETHER if kind in kinds), frozenset[str]())
    others = sorted(name for name in names if name != entry and PurePosixPath(name).suffix in together)
    return (entry, *others)


def with_sources(argv: Sequence[str], source_name: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return a compile line in which ``names`` replace the word ``source_name``."""
    words: list[str] = []
    for word in argv:
        words += names if word == source_name else (word,)
    return tuple(words)


def with_entry(argv: Sequence[str], source_name: str, entry: str) -> tuple[str, ...]:
    """Return a run line in which ``entry`` replaces the language's source, in any directory."""
    return tuple(
        f"{word.removesuffix(source_name)}{entry}" if word == source_name or word.endswith(f"/{source_name}") else word
        for word in argv
    )


def scratch_names(language: Language, files: Sequence[SourceFile], *, beside: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of a program's files in the scratch, the entry point first as in ``files``. A source that was
    sent without a name has an empty one there.

    ``beside``: names of the problem's own files beside the program, which may refer to its files by name.
    """
    named = [_class_file(language, file.content) or file.name for file in files]
    if len(files) == 1:
        kind = PurePosixPath(named[0]).suffix or PurePosixPath(language.source_name).suffix
        usual = f"{PurePosixPath(language.source_name).stem}{kind}"
        if not beside and not _class_file(language, files[0].content):
            named = [usual]
        elif not named[0]:
            named = [f"solution{kind}" if usual in beside else usual]
    is_ambiguous = len({name.casefold() for name in named}) < len(named)
    return tuple(file.name for file in files) if is_ambiguous else tuple(named)


def _class_file(language: Language, code: str) -> str:
    """Return the required name of a Java file; empty: it may keep its name, or the compiler is to reject it."""
    if PurePosixPath(language.source_name).suffix != _JAVA:
        return ""
    name = f"{public_class(code) or ''}{_JAVA}"
    return name if name != _JAVA and len(name.encode()) <= _MAX_NAME_BYTES else ""


def public_class(code: str) -> str | None:
    """Return the name of a Java source's public top-level type; None: there is none."""
    depth, is_public, kind = 0, False, ""
    for token in _JAVA_TOKEN.finditer(code):
        word = token["word"]
        if token["brace"] or token["end"]:
            depth += {"{": 1, "}": -1}.get(token["brace"] or "", 0)
            is_public, kind = False, ""
        elif word is None or depth > 0:
            continue
        elif is_public and kind:
            return word
        elif word == "public":
            is_public = True
        elif word in _TYPES:
            kind = word
    return None


def driver_of(language: Language, included: Iterable[str]) -> str | None:
    """Return the problem's file beside the program that is started instead of it: ``main`` in that language."""
    kind = PurePosixPath(language.source_name).suffix
    alike = next((kinds for kinds in _TOGETHER if kind in kinds), frozenset({kind}))
    paths = [PurePosixPath(name) for name in included]
    return next((path.name for path in paths if path.stem.lower() in _MAINS and path.suffix in alike), None)


def takes_several(language: Language) -> bool:
    """Return whether its command lines name the source as a word of its own, which other names can replace."""
    if not language.run:
        return True  # outputs: no program is run
    lines = [language.compile] if language.artifact else [language.compile, language.run]
    return all(
        any(word.rpartition("/")[2] == language.source_name for word in line) for line in lines if line is not None
    )
