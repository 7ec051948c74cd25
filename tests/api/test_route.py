"""The declaration of routes: what the mechanism refuses at start, and what it makes of a handler's answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import ADMIN, PUBLIC, USER, Access
from deepoj.api.http.limits import Limit
from deepoj.api.models.health import Health
from deepoj.api.route import Described, add_routes, limit_of, route
from deepoj.words.accounts import User


class _Answers:
    @route("POST", "/model", access=PUBLIC, responses={201: Health}, limit=Limit.NONE)
    async def model(self) -> Health:
        """One."""
        return Health(status="ok")

    @route("GET", "/object/<name>", access=PUBLIC, responses={202: Health, 404: Health})
    async def object(self, name: str) -> dict[str, Any]:
        """Two."""
        return {"name": name}

    @route("GET", "/page", access=PUBLIC, responses={200: Described(description="A page.", content_type="text/html")})
    async def page(self) -> TrioResponse:
        """Three."""
        return TrioResponse("<p>", status=203, content_type="text/html")


async def test_answer_of_a_handler_gets_the_first_declared_status() -> None:
    app = QuartTrio("test")
    add_routes(app, _Answers())
    client = app.test_client()
    model, json, page = await client.post("/model"), await client.get("/object/a"), await client.get("/page")
    assert (model.status_code, await model.get_json()) == (201, {"status": "ok"})
    assert (json.status_code, await json.get_json()) == (202, {"name": "a"})
    assert (page.status_code, await page.get_data()) == (203, b"<p>")
    assert (await client.get("/model")).status_code == 405


async def test_limit_of_an_endpoint_is_the_declared_one() -> None:
    app = QuartTrio("test")
    add_routes(app, _Answers())
    assert limit_of(app, "_Answers:model") is Limit.NONE
    assert limit_of(app, "_Answers:page") is Limit.API
    assert limit_of(app, None) is Limit.API


async def test_caller_of_the_access_is_the_first_argument() -> None:
    async def check(_guards: object) -> str:
        return "alice"

    class Groups:
        @route("GET", "/<name>", access=Access(check=check), responses={200: Health})
        async def show(self, user: str, name: str) -> dict[str, Any]:
            """One."""
            return {"user": user, "name": name}

    app = QuartTrio("test")
    add_routes(app, Groups(), object())  # type: ignore[arg-type]  # the check looks at nothing
    answer = await app.test_client().get("/x")
    assert await answer.get_json() == {"user": "alice", "name": "x"}


class _PartMissing:
    @route("GET", "/a/<job_id>", access=PUBLIC, responses={200: Health})
    async def show(self) -> Health:
        """One."""
        raise AssertionError


class _CallerMissing:
    @route("GET", "/b/<int:job_id>", access=ADMIN, responses={200: Health})
    async def show(self, job_id: int) -> Health:
        """One."""
        raise AssertionError(job_id)


class _CallerTooMuch:
    @route("GET", "/c", access=PUBLIC, responses={200: Health})
    async def show(self, admin: User) -> Health:
        """One."""
        raise AssertionError(admin)


class _NoGuards:
    @route("GET", "/d", access=ADMIN, responses={200: Health})
    async def show(self, admin: User) -> Health:
        """One."""
        raise AssertionError(admin)


class _SubmissionsUncounted:
    @route("POST", "/e", access=USER, limit=Limit.SUBMIT, responses={200: Health})
    async def submit(self, user: User) -> Health:
        """One."""
        raise AssertionError(user)


@pytest.mark.parametrize(
    ("handlers", "sentence"),
    [
        (_PartMissing(), "GET /a/<job_id>: its handler must take ['job_id'], not []"),
        (_CallerMissing(), "GET /b/<int:job_id>: its handler must take ['the caller', 'job_id'], not ['job_id']"),
        (_CallerTooMuch(), "GET /c: its handler must take [], not ['admin']"),
        (_NoGuards(), "GET /d: its access is checked, so it needs guards"),
        (
            _SubmissionsUncounted(),
            "POST /e: its requests with a token are not counted: Limit.SUBMIT needs access=SUBMITTER",
        ),
    ],
)
def test_declaration_that_does_not_fit_is_refused_at_start(handlers: object, sentence: str) -> None:
    with pytest.raises(TypeError, match=re.escape(sentence)):
        add_routes(QuartTrio("test"), handlers)
