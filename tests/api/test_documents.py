"""The OpenAPI document and its page: valid and complete, and the page loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from deepoj.api.errors import ERRORS
from tests.api.house import House, house

#: statuses that every route can answer
_ALWAYS = {"400", "405", "431", "500", "501", "503"}


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path)


async def document_of(home: House) -> dict[str, Any]:
    answer = await home.ask("GET", "/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    found: dict[str, Any] = json.loads(await answer.get_data())
    return found


def operations_of(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_document_is_valid_openapi_3_1(home: House) -> None:
    document = await document_of(home)
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    document["paths"]["/api/v1/health"]["get"]["responses"]["200"].pop("description")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) != [], "the validator can find something"


async def test_document_has_every_route(home: House) -> None:
    there = {
        (method, re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule.rule))
        for rule in home.app.url_map.iter_rules()
        if not rule.rule.startswith("/clics/")  # a specification of others describes them
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in operations_of(await document_of(home))} == there


async def test_every_operation_lists_all_its_statuses(home: House) -> None:
    document = await document_of(home)
    for method, path, operation in operations_of(document):
        statuses, where = set(operation["responses"]), f"{method} {path}"
        assert statuses >= _ALWAYS, where
        assert any(status < "400" for status in statuses), where
        if "requestBody" in operation:
            assert statuses >= {"408", "413", "415"}, where
            assert operation["requestBody"]["required"] is True
        if {"bearer": []} in operation.get("security", ()):
            assert "401" in statuses, where
        if "administrators" in operation["description"]:
            assert statuses >= {"401", "403"}, where
        if "{" in path:
            assert "404" in statuses, where
            parameters = [one for one in operation["parameters"] if one.get("in") == "path"]
            assert len(parameters) == path.count("{"), where
            for parameter in parameters:
                assert re.fullmatch(parameter["schema"]["pattern"], parameter["example"]), where
                assert parameter["description"], where
        assert operation["summary"].endswith("."), where
        assert operation["tags"], where
    ids = [operation["operationId"] for _, _, operation in operations_of(document)]
    assert len(ids) == len(set(ids))


async def test_every_answer_lists_its_headers(home: House) -> None:
    document = await document_of(home)
    more = {"307": "Location", "401": "WWW-Authenticate", "405": "Allow", "429": "Retry-After", "503": "Retry-After"}
    for method, path, operation in operations_of(document):
        for status, response in operation["responses"].items():
            found = response
            if "$ref" in response:
                found = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
            assert "X-Request-ID" in found["headers"], (method, path, status)
            assert more.get(status, "X-Request-ID") in found["headers"], (method, path, status)
            assert (status >= "400") is ("$ref" in response), "refusals are told once for all"


async def test_document_has_every_error(home: House) -> None:
    """Each error must be documented by some route: clients would not expect another."""
    told = json.dumps((await document_of(home))["components"]["responses"])
    assert [api_error.name for api_error in ERRORS if f'"{api_error.name}"' not in told] == []


async def test_every_body_and_answer_has_an_example_that_fits(home: House) -> None:
    document = await document_of(home)
    inside = {"components": document["components"]}

    def fits(value: object, schema: dict[str, Any], where: object) -> None:
        errors = list(jsonschema.Draft202012Validator(schema | inside).iter_errors(value))
        assert errors == [], (where, errors)

    examples = 0
    for method, path, operation in operations_of(document):
        for place in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content_type, media in place.get("content", {}).items():
                if content_type in {"application/json", "multipart/form-data"}:
                    fits(media["example"], media["schema"], (method, path))
                    examples += 1
    for name, component in document["components"]["responses"].items():
        media = component["content"]["application/json"]
        for example in media["examples"].values():
            fits(example["value"], media["schema"], name)
            examples += 1
    assert examples > 60


async def test_uploads_and_links(home: House) -> None:
    document = await document_of(home)
    create = document["paths"]["/api/v1/problems"]["post"]
    assert create["security"] == [{"bearer": []}]
    form = create["requestBody"]["content"]["multipart/form-data"]
    assert form["schema"]["properties"]["file"]["format"] == "binary"
    assert form["schema"]["required"] == ["file"]
    assert form["encoding"]["file"]["contentType"] == "application/zip"
    links = create["responses"]["200"]["links"]
    assert links["get_problems_problem_id"]["parameters"] == {"problem_id": "$response.body#/id"}
    submit = document["paths"]["/api/v1/submit"]["post"]
    (key,) = [one for one in submit["parameters"] if one.get("name", "").lower() == "idempotency-key"]
    assert (key["in"], key["schema"]["pattern"], key.get("required", False)) == ("header", "^[!-~]{1,255}$", False)
    run = document["paths"]["/api/v1/run"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "cpp17" in run["properties"]["language"]["enum"]
    assert "text" not in run["properties"]["language"]["enum"], "outputs are not run"
    assert not re.search(r"http://\w", json.dumps(document)), "it names no host"


async def test_document_with_matching_etag_is_304(home: House) -> None:
    for path in ("/openapi.json", "/docs"):
        first = await home.ask("GET", path)
        again = await home.ask("GET", path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, await again.get_data()) == (304, b""), path
        other = await home.ask("GET", path, headers={"If-None-Match": '"other"'})
        assert other.status_code == 200


class _Page(HTMLParser):
    """Tags, ids, inner links and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.style = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._inside = tag
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src"}:
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.style += data
            self._inside = ""
        else:
            self.text += data


async def test_page_loads_no_other_resource(home: House) -> None:
    answer = await home.ask("GET", "/docs")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    page = _Page()
    page.feed(await answer.get_data(as_text=True))
    assert not page.tags & {"script", "img", "iframe", "object", "form", "input", "link"}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert {link for link in page.links if not link.startswith("#")} == {"/openapi.json"}
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "url(" not in page.style
    assert "@import" not in page.style
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'", "style-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'none'",
    }  # fmt: skip


async def test_the_page_shows_every_route_and_code(home: House) -> None:
    page = _Page()
    page.feed(await (await home.ask("GET", "/docs")).get_data(as_text=True))
    for method, path, operation in operations_of(await document_of(home)):
        assert operation["operationId"] in page.ids
        assert path in page.text, (method, path)
        assert operation["summary"].split("`")[0] in page.text
    for api_error in ERRORS:
        assert api_error.code.value in page.text
    assert "curl -sS" in page.text


async def test_root_redirects_to_the_page(home: House) -> None:
    answer = await home.ask("GET", "/")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/docs")
