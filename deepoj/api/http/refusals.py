"""What a request and the web framework have to do with refusals: the language of the sentence, and their own errors."""

from __future__ import annotations

from werkzeug.datastructures import LanguageAccept
from werkzeug.exceptions import HTTPException

from deepoj.api.errors import ApiError, Refused


def prefers_chinese(accepted: LanguageAccept) -> bool:
    """Return whether ``Accept-Language`` ranks any Chinese above English. The default, and ``*``, is English."""
    for language, quality in accepted:  # sorted by quality; equal qualities keep the header's order
        if quality <= 0:
            continue
        if language.lower().startswith("zh"):
            return True
        if language.lower().startswith("en") or language == "*":
            return False
    return False


def refusal_of(error: HTTPException) -> Refused:
    """Translate an error raised by the web framework to a ``Refused``."""
    if isinstance(error, Refused):
        return error
    status = error.code or 500
    by_status = {
        404: ApiError.NOT_FOUND,
        405: ApiError.METHOD_NOT_ALLOWED,
        408: ApiError.TOO_SLOW,
    }
    if status in by_status:
        return Refused(by_status[status])
    if status == 413:
        return Refused(ApiError.BODY_TOO_LARGE, limit="the allowed")
    return Refused(ApiError.BAD_REQUEST if status < 500 else ApiError.INTERNAL)
