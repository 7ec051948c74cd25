"""Problem statements in packages: which file is the statement in which language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from deepoj.judging.paths import base
from deepoj.judging.problem import Statement
from deepoj.packages.formats.files import Files

_FOLDERS = ("statement/", "problem_statement/", "")
_NAME = re.compile(
    r"(?:problem|statement)(?:\.(?P<language>[a-z]{2,3}(?:-[A-Za-z]{2,4})?))?\.(?P<kind>pdf|html|md|tex)", re.IGNORECASE
)
#: a language as the API names it
_CODE = re.compile(r"[a-z]{2,20}(?:-[A-Za-z0-9]{2,8})?")

#: Polygon's names of languages
_CODES: Mapping[str, str] = MappingProxyType(
    {
        "arabic": "ar", "armenian": "hy", "azerbaijani": "az", "belarusian": "be", "bulgarian": "bg", "chinese": "zh",
        "croatian": "hr", "czech": "cs", "dutch": "nl", "english": "en", "estonian": "et", "finnish": "fi",
        "french": "fr", "georgian": "ka", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi",
        "hungarian": "hu", "indonesian": "id", "italian": "it", "japanese": "ja", "kazakh": "kk", "korean": "ko",
        "kyrgyz": "ky", "latvian": "lv", "lithuanian": "lt", "mongolian": "mn", "persian": "fa", "polish": "pl",
        "portuguese": "pt", "romanian": "ro", "russian": "ru", "serbian": "sr", "slovak": "sk", "slovene": "sl",
        "spanish": "es", "swedish": "sv", "tajik": "tg", "thai": "th", "turkish": "tr", "turkmen": "tk",
        "ukrainian": "uk", "uzbek": "uz", "vietnamese": "vi",
    }
)  # fmt: skip


def read_statements(files: Files, titles: Mapping[str, str] = MappingProxyType({})) -> tuple[Statement, ...]:
    """Find ``problem.<language>.<kind>`` in the folders of statements; without a language it is English.

    ``titles``: by language, if the package's configuration has them.
    """
    found = []
    for folder in _FOLDERS:
        for name in files.in_folder(folder):
            match = _NAME.fullmatch(base(name))
            if match is not None:
                language = language_code(match["language"] or "en")
                title = titles.get(language, "")
                found.append(Statement(language=language, kind=match["kind"].lower(), file=name, title=title))
    return tuple(found)


def is_language_code(name: str) -> bool:
    """Return whether a name is a language as in BCP 47."""
    return _CODE.fullmatch(name) is not None


def language_code(name: str) -> str:
    """Return a language as in BCP 47, of a code or of Polygon's English name for it; an unusable one is English."""
    first, dash, rest = name.strip().replace("_", "-").partition("-")
    plain = first.lower()
    code = _CODES.get(plain, plain) + dash + rest
    return code if is_language_code(code) else "en"
