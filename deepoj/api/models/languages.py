"""Languages, and the values by which requests name them."""

from __future__ import annotations

from pydantic import JsonValue

from deepoj.api.models.base import ResponseModel
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS

_KEYS = [*LANGUAGES, OUTPUTS.key]
#: numbers of the languages that have one
LANGUAGE_NUMBERS = [language.id for language in LANGUAGES.values() if language.id is not None]
#: accepted texts of a submission's ``language``: keys, and numbers as text
LANGUAGE_VALUES: list[JsonValue] = [*_KEYS, *map(str, LANGUAGE_NUMBERS)]


class LanguageView(ResponseModel):
    """A language. Submissions name it by ``id`` or by ``key``."""

    id: int | None
    key: str
    name: str
    version: str | None
    compile: str
    run: str


class LanguageList(ResponseModel):
    """All languages, in display order."""

    languages: list[LanguageView]
