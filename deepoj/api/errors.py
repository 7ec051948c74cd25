"""The refusals of the API. The body of one is always ``{"error": sentence, "code": code, "details"?: …}``.

All sentences are in two tables: ``ApiError``, and ``ContestError`` of contests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from werkzeug.exceptions import HTTPException

from deepoj.api.codes import CodedError
from deepoj.api.contest_errors import ContestError
from deepoj.api.error_table import ApiError

__all__ = ["ERRORS", "ApiError", "ContestError", "Refused"]

ERRORS: tuple[CodedError, ...] = (*ApiError, *ContestError)

#: temporary refusals: they always have a Retry-After header
_NOT_NOW = frozenset({429, 503})
#: Retry-After in seconds, unless ``Refused.retry_after_s`` says otherwise
_RETRY_AFTER_S: Mapping[CodedError, int] = MappingProxyType(
    {
        ApiError.TOO_MANY_LOGINS: 1,
        ApiError.TOO_MANY_STREAMS: 5,
        ApiError.TOO_MANY_STREAMS_OF_USER: 5,
        ApiError.TOO_MANY_STREAMS_OF_ADDRESS: 5,
        ApiError.INFLIGHT_CAP: 5,
        ApiError.USER_BATCH_QUOTA: 10,
        ApiError.TOO_MANY_RUNS: 1,
        ApiError.TOO_MANY_RERUNS: 1,
    }
)
_RETRY_AFTER_USUALLY_S = 2


class Refused(HTTPException):
    """The request is refused with ``api_error``.

    ``retry_after_s`` overrides the usual Retry-After of a 429 or 503. It is sent in whole seconds, rounded up.
    """

    def __init__(
        self, api_error: CodedError, *, details: object = None, retry_after_s: float | None = None, **params: object
    ) -> None:
        super().__init__(description=api_error.english)
        self.code = api_error.status
        self.api_error = api_error
        self.details = details
        self.retry_after_s = retry_after_s
        self.params = params

    def body(self, chinese: bool) -> dict[str, Any]:
        """Return the JSON object of the response."""
        body: dict[str, Any] = {"error": self.api_error.sentence(chinese, self.params), "code": self.api_error.code}
        if self.details is not None:
            body["details"] = self.details
        return body

    def extra_headers(self) -> dict[str, str]:
        """Return ``Retry-After`` or ``WWW-Authenticate`` where the status requires one."""
        headers: dict[str, str] = {}
        if self.api_error.status in _NOT_NOW:
            usual_s = _RETRY_AFTER_S.get(self.api_error, _RETRY_AFTER_USUALLY_S)
            after_s = usual_s if self.retry_after_s is None else self.retry_after_s
            headers["Retry-After"] = str(max(1, math.ceil(after_s)))
        if self.api_error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers
