"""Which languages submissions may be written in."""

from __future__ import annotations

from typing import Any

from quart import Blueprint
from quart_schema import document_response

from deepoj.api.context import ApiContext
from deepoj.api.models import LanguageList, LanguageView, reply
from deepoj.judging.languages import LANGUAGES


def blueprint(context: ApiContext) -> Blueprint:
    """``/api/v1/languages``."""
    routes = Blueprint("languages", __name__, url_prefix="/api/v1")

    @routes.get("/languages")
    @document_response(LanguageList)
    async def languages() -> dict[str, Any]:
        """What submissions may be written in: the languages of the nodes that judge now.

        While no such node is known, all languages that there are; ``version`` is null where this node does not know it.
        Of nodes with different versions, all are told.
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
