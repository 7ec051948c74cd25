"""Saying in the OpenAPI document what several routes say alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quart_schema import document_response

from deepoj.api.models import ErrorBody

#: what reading a JSON body can end with (``body.read_json``), beside 400
BODY = (408, 413, 415)


def refuses[T: Callable[..., Any]](*statuses: int) -> Callable[[T], T]:
    """Each of these statuses is an ErrorBody."""

    def documented(route: T) -> T:
        for status in statuses:
            route = document_response(ErrorBody, status)(route)
        return route

    return documented
