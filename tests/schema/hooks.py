"""What schemathesis does not check by itself; it loads this module (schemathesis.toml)."""

from __future__ import annotations

from typing import Any

import schemathesis

ID = "X-Request-ID"


@schemathesis.serializer("application/x-ndjson")
def lines(_ctx: Any, value: Any) -> bytes:
    """Of a batch: the schema says no more of it than that it is a string."""
    return str(value).encode(errors="replace")


@schemathesis.check
def refusals_have_our_shape(ctx: Any, response: Any, case: Any) -> None:
    """Also those that no operation documents: a method that is not there, an address that is not there."""
    headers = {name.lower(): values for name, values in response.headers.items()}
    assert headers.get(ID.lower()), f"an answer without {ID}"
    if response.status_code < 400 or case.method.upper() == "HEAD":
        return
    body = response.json()
    assert set(body) <= {"error", "code", "details"}, f"a refusal of another shape: {body}"
    assert isinstance(body.get("error"), str), "a refusal without a sentence"
    assert isinstance(body.get("code"), str), "a refusal without a code"
    for statuses, needed in (({429, 503}, "retry-after"), ({401}, "www-authenticate"), ({405}, "allow")):
        assert response.status_code not in statuses or headers.get(needed), f"{response.status_code} without {needed}"
