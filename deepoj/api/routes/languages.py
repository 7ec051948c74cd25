"""The list of languages for submissions."""

from __future__ import annotations

from typing import Any

from quart import Blueprint
from quart_schema import document_response

from deepoj.api.context import ApiContext
from deepoj.api.models.base import reply
from deepoj.api.models.languages import LanguageList, LanguageView
from deepoj.judging.languages import LANGUAGES


def blueprint(context: ApiContext) -> Blueprint:
    """``/api/v1/languages``."""
    routes = Blueprint("languages", __name__, url_prefix="/api/v1")

    @routes.get("/languages")
    @document_response(LanguageList)
    async def languages() -> dict[str, Any]:
        """List the languages of the live judge nodes.

        While no judge node is known, all languages are listed. ``version`` is null if this node does not know it. If
        nodes have different versions, all of them are named.
        """
        live = context.live_languages()
        return reply(
            LanguageList(
                languages=[
                    LanguageView(
                        id=language.id,
                        key=language.key,
                        name=language.name,
                        version=context.language_versions.get(language.key)
                        if live is None
                        else "; ".join(live[language.key]),
                        compile=language.compile_line,
                        run=language.run_line,
                    )
                    for language in LANGUAGES.values()
                    if live is None or language.key in live
                ]
            )
        )

    return routes
