"""The list of languages for submissions."""

from __future__ import annotations

from deepoj.api.access import PUBLIC
from deepoj.api.context import ApiContext
from deepoj.api.models.languages import LanguageList, LanguageView
from deepoj.api.route import route
from deepoj.judging.languages import LANGUAGES


class LanguageRoutes:
    """``/api/v1/languages``."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @route("GET", "/api/v1/languages", access=PUBLIC, responses={200: LanguageList})
    async def languages(self) -> LanguageList:
        """List the languages of the live judge nodes.

        While no judge node is known, all languages are listed. ``version`` is null if this node does not know it. If
        nodes have different versions, all of them are named.
        """
        live, own_versions = self._context.live_languages(), self._context.language_versions
        return LanguageList(
            languages=[
                LanguageView(
                    id=language.id,
                    key=language.key,
                    name=language.name,
                    version=own_versions.get(language.key) if live is None else "; ".join(live[language.key]),
                    compile=language.compile_line,
                    run=language.run_line,
                )
                for language in LANGUAGES.values()
                if live is None or language.key in live
            ]
        )
