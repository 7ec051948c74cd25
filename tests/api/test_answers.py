"""What all answers have in common: the request id, the shape of errors, languages, headers, metrics, the document."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import typing
import unicodedata
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers, LanguageAccept
from werkzeug.http import parse_accept_header

from deepoj.accounts.names import clean_username
from deepoj.api import models
from deepoj.api.body import parse_object, validated
from deepoj.api.errors import ERRORS, ApiError, Refused
from deepoj.api.http.address import client_address, networks, parse
from deepoj.api.http.refusals import prefers_chinese
from deepoj.api.http.trace import trace_of
from deepoj.api.models.base import RequestModel
from deepoj.api.models.clics import ContestSubmission
from tests.api.house import House, form, house, package

_JSON = {"Content-Type": "application/json"}


async def _is_error(answer: Any, status: int, code: str) -> dict[str, Any]:
    found = json.loads(await answer.get_data())
    assert (answer.status_code, found.get("code")) == (status, code), found
    assert isinstance(found["error"], str)
    assert found["error"]
    assert set(found) <= {"error", "code", "details"}
    assert answer.headers["X-Request-ID"]
    assert answer.mimetype == "application/json"
    return dict(found)


async def test_every_kind_of_error_has_our_shape(tmp_path: Path) -> None:
    home = house(tmp_path, submit_body_max_bytes=20_000, problem_zip_max_bytes=1000)
    user, admin = await home.token("alice"), await home.token("root", is_admin=True)
    big_form, form_type = form({"title": "t"}, b"x" * 1001)
    big_fields, _ = form({"title": "t", "description": "x" * 200_000}, b"x")
    asked: list[tuple[int, str, str, str, dict[str, Any]]] = [
        (404, "NOT_FOUND", "GET", "/index.html", {}),
        (404, "NOT_FOUND", "GET", "/docs/more", {}),
        (404, "NOT_FOUND", "GET", "/api/v1/nothing", {}),
        (404, "NOT_FOUND", "GET", "/static/../etc/passwd", {}),
        (405, "METHOD_NOT_ALLOWED", "DELETE", "/api/v1/health", {}),
        (405, "METHOD_NOT_ALLOWED", "GET", "/api/v1/submit", {}),
        (405, "METHOD_NOT_ALLOWED", "BREW", "/api/v1/submit", {}),
        (413, "BODY_TOO_LARGE", "POST", "/api/v1/submit", {"token": user, "data": b" " * 20_001, "headers": _JSON}),
        *(
            (413, "BODY_TOO_LARGE", "POST", path, {"token": admin, "data": b" " * 16_385, "headers": _JSON})
            for path in [
                "/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/users/me/password",
                "/api/v1/admin/users/1/password", "/api/v1/admin/dlq/x/discard",
            ]
        ),
        (413, "FILE_TOO_LARGE", "POST", "/api/v1/problems",
         {"token": admin, "data": big_form, "headers": {"Content-Type": form_type}}),
        (413, "BODY_TOO_LARGE", "POST", "/api/v1/problems",
         {"token": admin, "data": big_fields, "headers": {"Content-Type": form_type}}),
        (415, "UNSUPPORTED_MEDIA_TYPE", "POST", "/api/v1/auth/login", {"data": b"{}"}),
        (415, "UNSUPPORTED_MEDIA_TYPE", "POST", "/api/v1/auth/login",
         {"data": b"a=b", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        (415, "UNSUPPORTED_MEDIA_TYPE", "POST", "/api/v1/problems", {"token": admin, "json": {}}),
        (400, "BAD_REQUEST", "POST", "/api/v1/problems",
         {"token": admin, "data": b"", "headers": {"Content-Type": "multipart/form-data"}}),
        (400, "BAD_REQUEST", "POST", "/api/v1/problems",
         {"token": admin, "data": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}),
        (400, "BAD_REQUEST", "POST", "/api/v1/auth/login", {"data": b"", "headers": _JSON}),
        (400, "BAD_REQUEST", "POST", "/api/v1/auth/login", {"data": b"[]", "headers": _JSON}),
        (400, "INVALID_PARAM", "POST", "/api/v1/auth/login", {"data": b"{}", "headers": _JSON}),
    ]  # fmt: skip
    for status, code, method, path, kwargs in asked:
        await _is_error(await home.ask(method, path, **kwargs), status, code)
    assert "POST" in (await home.ask("GET", "/api/v1/submit")).headers["Allow"]


async def test_a_bug_is_a_500_in_our_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(tmp_path)
    logged: list[dict[str, Any]] = []

    async def broken(_: str) -> None:
        raise ZeroDivisionError("a bug with secrets in its words")

    def log(event: str, **fields: Any) -> None:
        logged.append({"event": event, **fields})

    monkeypatch.setattr("deepoj.api.app.log", log)
    monkeypatch.setattr(home.store, "credentials", broken)
    answer = await home.ask(
        "POST", "/api/v1/auth/login", json={"username": "alice", "password": "x"}, headers={"X-Request-ID": "seen"}
    )
    found = await _is_error(answer, 500, "INTERNAL_ERROR")
    assert "secrets" not in json.dumps(found)
    assert [(line["event"], line["level"], line["request_id"]) for line in logged] == [("http_error", "error", "seen")]
    assert isinstance(logged[0]["exc_info"][1], ZeroDivisionError)


async def test_request_ids(tmp_path: Path) -> None:
    home = house(tmp_path)
    for sent in ("a", "A-b_c.9", "x" * 64):
        assert (await home.ask("GET", "/api/v1/health", headers={"X-Request-ID": sent})).headers["X-Request-ID"] == sent
    for sent in ("", "x" * 65, "a b", "ä", "a/b", "a;b", '"'):
        for path in ("/api/v1/health", "/nothing", "/metrics"):
            got = (await home.ask("GET", path, headers={"X-Request-ID": sent})).headers["X-Request-ID"]
            assert str(uuid.UUID(got)) == got
    one, other = [(await home.ask("GET", "/api/v1/health")).headers["X-Request-ID"] for _ in range(2)]
    assert one != other


@pytest.mark.parametrize(
    ("header", "chinese"),
    [
        ("", False), ("zh", True), ("zh-CN,zh;q=0.9,en;q=0.8", True), ("zh-TW", True), ("ZH-hans", True),
        ("en-GB,zh;q=0.5", False), ("en;q=0.3, zh;q=0.7", True), ("*", False), ("fr, zh;q=0.1", True),
        ("fr", False), ("zh;q=0", False), ("garbage;;q=x", False), ("zh," * 341, True),
    ],
)  # fmt: skip
async def test_messages_in_chinese_when_preferred(tmp_path: Path, header: str, chinese: bool) -> None:
    accepted = parse_accept_header(header, LanguageAccept)
    assert prefers_chinese(accepted) is chinese
    answer = await house(tmp_path).ask("GET", "/nothing", headers={"Accept-Language": header})
    sentence = (await answer.get_json())["error"]
    assert bool(re.search(r"[\u4e00-\u9fff]", sentence)) is chinese


async def test_accept_language_that_is_too_long_counts_as_none(tmp_path: Path) -> None:
    """Parsing 1,600 languages takes 10 ms, in which no other request is answered."""
    answer = await house(tmp_path).ask("GET", "/nothing", headers={"Accept-Language": "zh," * 342})
    plain = await house(tmp_path).ask("GET", "/nothing")
    assert await answer.get_json() == await plain.get_json()


def test_every_sentence_fills_in_both_languages() -> None:
    for api_error in ERRORS:
        named: set[str] = set(re.findall(r"{(\w+)}", api_error.english))
        assert named == set(re.findall(r"{(\w+)}", api_error.chinese)), api_error
        assert re.search(r"[\u4e00-\u9fff]", api_error.chinese), api_error
        assert api_error.english.isascii(), api_error
        params: dict[str, Any] = dict.fromkeys(named, "x")
        refused = Refused(api_error, **params)
        for chinese in (False, True):
            assert "{" not in refused.body(chinese)["error"]
        assert ("Retry-After" in refused.extra_headers()) is (api_error.status in {429, 503})


async def test_cors_is_an_exact_list(tmp_path: Path) -> None:
    home = house(tmp_path, cors_allowed_origins=frozenset({"https://oj.example.org"}))
    preflight = {"Access-Control-Request-Method": "POST", "Origin": "https://oj.example.org"}
    answer = await home.ask("OPTIONS", "/api/v1/submit", headers=preflight)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://oj.example.org"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    answer = await home.ask("GET", "/nothing", headers={"Origin": "https://oj.example.org"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://oj.example.org"
    assert "Origin" in answer.headers["Vary"]
    for origin in ("https://oj.example.org.evil", "http://oj.example.org", "null", "*", "https://OJ.example.org", ""):
        for method, path in (("GET", "/api/v1/health"), ("OPTIONS", "/api/v1/submit")):
            answer = await home.ask(method, path, headers={**preflight, "Origin": origin})
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_metrics_carry_templates_and_never_ids(tmp_path: Path) -> None:
    home = house(tmp_path)
    token = await home.token("alice")
    secret_ids = ["0193aaaa-bbbb-cccc", "31337", "weird%20thing", "BREW"]
    await home.ask("GET", f"/api/v1/status/{secret_ids[0]}", token=token)
    await home.ask("GET", f"/api/v1/problems/{secret_ids[1]}")
    await home.ask("GET", f"/{secret_ids[2]}")
    await home.ask(secret_ids[3], "/api/v1/health")
    text = home.metrics.render().decode()
    for secret in secret_ids:
        assert secret not in text
    for line in (
        'method="GET",path="/api/v1/status/{job_id}",service="deep-oj-api",status="404"',
        'method="GET",path="/api/v1/problems/{problem_id}",service="deep-oj-api",status="404"',
        'method="GET",path="unmatched",service="deep-oj-api",status="404"',
        'method="OTHER",path="unmatched",service="deep-oj-api",status="405"',
    ):
        assert f'http_requests_total{{instance="",{line}}} 1.0' in text, line
        assert f'http_request_duration_seconds_count{{instance="",{line}}} 1.0' in text, line


# ---------------------------------------------------------------------------------------------------------------------
# Random input


_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200) | _VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body_gives_no_500(raw: bytes, home: House) -> None:
    import trio

    async def ask() -> None:
        answer = await home.ask("POST", "/api/v1/auth/login", data=raw, headers=_JSON)
        assert answer.status_code in {400, 401}
        json.loads(await answer.get_data())

    trio.run(ask)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.fixed_dictionaries(
        {}, optional={"problem_id": _VALUES, "language": _VALUES | st.just(1), "code": _VALUES, "extra": _VALUES}
    )
)
def test_any_submission_gives_no_500(body: dict[str, Any], home: House) -> None:
    import trio

    async def ask() -> None:
        token = await home.token_of("alice") if await home.store.credentials("alice") else await home.token("alice")
        answer = await home.ask("POST", "/api/v1/submit", token=token, data=json.dumps(body).encode(), headers=_JSON)
        assert answer.status_code == 400
        assert set(json.loads(await answer.get_data())) <= {"error", "code", "details"}

    trio.run(ask)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_form_gives_no_500(data: st.DataObject, home: House) -> None:
    """Valid forms that are cut, have bits flipped or get more line ends."""
    import trio

    whole, content_type = form({"title": "t", "compare": "tokens"}, package())
    raw = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=9) | st.sampled_from([b"\r\n", b"\r\n--frontier", b"--frontier--", b"\0", b"\n\n", b'"'])
        )

    async def ask() -> None:
        token = (
            await home.token_of("root")
            if await home.store.credentials("root")
            else await home.token("root", is_admin=True)
        )
        answer = await home.ask(
            "POST", "/api/v1/problems", token=token, data=bytes(raw), headers={"Content-Type": content_type}
        )
        assert answer.status_code in {200, 400, 413}
        assert list(home.settings.upload_dir.iterdir()) == []

    trio.run(ask)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}', b'"x"', b"[1]",
        b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xae"}', b"[" * 200_000, b'{"a":' * 100_000, b'{"a":1}{}',
        b'{"a":' + b"9" * 5000 + b"}", "{}".encode("utf-16"),
    ],
)  # fmt: skip
def test_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse_object(raw)
    assert refused.value.api_error in {ApiError.BAD_JSON, ApiError.NOT_AN_OBJECT}


def _request_models(above: type[RequestModel] = RequestModel) -> typing.Iterator[type[RequestModel]]:
    for model in above.__subclasses__():
        yield model
        yield from _request_models(model)


def test_every_list_of_a_request_is_read_up_to_its_first_wrong_value() -> None:
    for module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
        importlib.import_module(module.name)
    lists = [
        (model, name)
        for model in _request_models()
        for name, field in model.model_fields.items()
        if "list[" in str(field.annotation)
    ]
    assert (ContestSubmission, "files") in lists
    for model, name in lists:
        with pytest.raises(Refused) as refused:
            validated(model, {name: [None] * 100})
        fields = [problem["field"] for problem in refused.value.body(chinese=False)["details"]]
        assert [field for field in fields if field.startswith(name)] == [f"{name}.0"], (model, fields)


@given(_TEXT)
def test_a_clean_name_stays_clean(raw: str) -> None:
    name = clean_username(raw)
    if name is not None:
        assert clean_username(name) == name
        assert 2 <= len(name) <= 32
        assert len(name) > 2 or not any(character.isascii() for character in name)
        assert name.isprintable()
        name.encode()


@given(st.text(max_size=60))
def test_traceparent_is_found_or_not(sent: str) -> None:
    trace = trace_of(sent)
    assert trace is None or re.fullmatch(r"[0-9a-f]{32}", trace.trace_id)


_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("sent", "flags"),
    [
        (f"00-{_TRACE}-{_SPAN}-01", "01"),
        (f"00-{_TRACE}-{_SPAN}-00", "00"),
        (f"00-{_TRACE}-{_SPAN}-ff", "01"),  # flags of a later level of the standard: we set only "sampled"
        (f"cc-{_TRACE}-{_SPAN}-01-more", "01"),
        (f"00-{_TRACE}-{_SPAN}-01-more", None),
        (f"ff-{_TRACE}-{_SPAN}-01", None),
        (f"00-{_TRACE.upper()}-{_SPAN}-01", None),
        (f"00-{'0' * 32}-{_SPAN}-01", None),
        (f"00-{_TRACE}-{'0' * 16}-01", None),
        (f"00-{_TRACE}-{_SPAN}", None),
        ("", None),
        (None, None),
    ],
)
async def test_a_trace_is_answered_with_a_place_of_our_own(tmp_path: Path, sent: str | None, flags: str | None) -> None:
    home = house(tmp_path)
    spans = set()
    for path in ("/api/v1/health", "/nowhere"):
        headers = {} if sent is None else {"traceparent": sent}
        answered = (await home.ask("GET", path, headers=headers)).headers.get("traceparent")
        if flags is None:
            assert answered is None
            continue
        assert answered is not None
        version, trace_id, span_id, told = answered.split("-")
        assert (version, trace_id, told) == ("00", _TRACE, flags)
        assert re.fullmatch(r"[0-9a-f]{16}", span_id)
        spans.add(span_id)
    assert flags is None or len(spans | {_SPAN, "0" * 16}) == 4


async def test_the_trace_is_documented_and_shown_to_pages(tmp_path: Path) -> None:
    home = house(tmp_path)
    assert "traceparent" in (await (await home.ask("GET", "/openapi.json")).get_json())["info"]["description"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("::ffff:127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, nonsense"], None),
        ("127.0.0.1", ["10.0.0.1"], "10.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        (None, ["198.51.100.1"], None),
    ],
)
def test_client_address(peer: str | None, forwarded: list[str], expected: str | None) -> None:
    headers = Headers([("X-Forwarded-For", line) for line in forwarded])
    found = client_address(peer, headers, networks(["127.0.0.1", "10.0.0.0/8"]))
    assert found == (parse(expected) if expected else None)


def test_malformed_trusted_proxy_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"proxy\.example"):
        networks(["proxy.example"])


def test_name_that_is_far_too_long_is_not_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """NFKC turns one letter into up to 18 and sorts marks in quadratic time."""
    longest = unicodedata.normalize("NFD", "\u1f82") * 32
    assert len(longest) == 128
    assert clean_username(longest) == "\u1f82" * 32
    with monkeypatch.context() as without:  # pytest normalises what it prints
        without.setattr(unicodedata, "normalize", None)
        answers = [clean_username(raw) for raw in ("\ufdfa" * 300_000, "a" + "\u0315\u0300" * 100_000, "a" * 129)]
    assert answers == [None] * 3
