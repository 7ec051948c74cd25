"""Renders the OpenAPI document as one HTML page without scripts or external resources."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import jinja2
from markupsafe import Markup, escape

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("deepoj.api", "docs"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_STYLE = _ENVIRONMENT.get_template("page.css").render()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: Content-Security-Policy: the page's own style only; no scripts, images, forms or framing
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: host in the curl examples
_HOST = "http://127.0.0.1:18080"
_CODE = re.compile(r"`([^`]+)`|``([^`]+)``")


@dataclass(frozen=True, slots=True)
class _Field:
    """A row of a table: a parameter, or a key of a body at nesting level ``depth``."""

    name: str
    kind: str
    required: bool
    description: str
    place: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    phrase: str
    description: str
    content_type: str
    fields: list[_Field]
    example: str


@dataclass(frozen=True, slots=True)
class _Operation:
    anchor: str
    method: str
    path: str
    summary: str
    description: str
    rights: str
    parameters: list[_Field]
    body_type: str
    body: list[_Field]
    curl: str
    answers: list[_Answer]
    #: errors of this route, then those common to all routes
    refusals: list[tuple[str, str]]


def page_of(document: Mapping[str, Any]) -> str:
    """Render the page.

    ``document``: the result of ``document.completed``.
    """
    reader = _DocumentReader(document)
    operations = [
        (operation["tags"][0], reader.operation(method, path, operation))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    groups = [
        (tag["name"], tag["description"], [one for name, one in operations if name == tag["name"]])
        for tag in document["tags"]
    ]
    return _ENVIRONMENT.get_template("page.html").render(
        info=document["info"],
        introduction=[_marked(part) for part in document["info"]["description"].split("\n\n")],
        style=Markup(_STYLE),  # noqa: S704  # our own file
        groups=groups,
        refusals=reader.refusals(),
        host=_HOST,
        marked=_marked,
    )


class _DocumentReader:
    """Reads the document for the page."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = document["components"]
        self._shared = frozenset.intersection(
            *(frozenset(one["responses"]) for path in document["paths"].values() for one in path.values())
        )

    def operation(self, method: str, path: str, operation: Mapping[str, Any]) -> _Operation:
        body_type, media = _first(operation.get("requestBody", {}))
        codes = operation["responses"]
        own = [self._resolved(one) for one in operation["parameters"]]
        return _Operation(
            anchor=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=operation.get("summary", ""),
            description=operation["description"],
            rights=_rights(operation),
            parameters=[self._parameter(one) for one in own if one["name"] not in _EVERYWHERE],
            body_type=body_type,
            body=list(self._fields(media.get("schema", {}))),
            curl=_curl(method, path, operation, own),
            answers=[self._answer(status, one) for status, one in codes.items() if int(status) < 400],
            refusals=[
                (status, self._codes(status, one))
                for status, one in codes.items()
                if int(status) >= 400 and status not in self._shared
            ],
        )

    def refusals(self) -> list[tuple[str, str, str]]:
        """Return status, code and sentence of every error, for the table at the end of the page."""
        rows = []
        for component in self._components["responses"].values():
            media = component["content"]["application/json"]
            for example in media["examples"].values():
                value = example["value"]
                status = component["description"].partition(":")[0]
                rows.append((status, value["code"], value["error"]))
        return rows

    def _codes(self, status: str, response: Mapping[str, Any]) -> str:
        return (
            str(self._resolved(response)["description"]).partition(": ")[2].rstrip(".")
            or HTTPStatus(int(status)).phrase
        )

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in node:
            return node
        _, _, kind, name = node["$ref"].split("/")
        component: Mapping[str, Any] = self._components[kind][name]
        return component

    def _parameter(self, one: Mapping[str, Any]) -> _Field:
        return _Field(
            one["name"], self._kind(one["schema"]), bool(one.get("required")), one.get("description", ""), one["in"]
        )

    def _answer(self, status: str, response: Mapping[str, Any]) -> _Answer:
        content_type, media = _first(response)
        example = media.get("example")
        return _Answer(
            status,
            HTTPStatus(int(status)).phrase,
            response["description"],
            content_type,
            list(self._fields(media.get("schema", {}))),
            "" if example is None else _pretty(example),
        )

    def _fields(self, schema: Mapping[str, Any], depth: int = 0) -> Iterator[_Field]:
        schema = self._resolved(schema)
        required = schema.get("required", ())
        for name, one in schema.get("properties", {}).items():
            words = one.get("description", "")
            if one.get("deprecated"):
                words = f"deprecated: {words}"
            yield _Field(name, self._kind(one), name in required, words, depth=depth)
            for inner in self._inner(one):
                yield from self._fields(inner, depth + 1)

    def _inner(self, schema: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """Return the object schemas of a value or of its list items."""
        for one in (schema, *schema.get("anyOf", ())):
            if "$ref" in one:
                yield one
            elif one.get("type") == "array":
                yield from self._inner(one["items"])

    def _kind(self, schema: Mapping[str, Any]) -> str:
        if "anyOf" in schema:
            return " or ".join(self._kind(one) for one in schema["anyOf"])
        if "enum" in schema:
            return " | ".join(json.dumps(one, ensure_ascii=False) for one in schema["enum"])
        kind = str(self._resolved(schema).get("type", "any"))
        if kind == "array":
            return f"list of {self._kind(schema['items'])}"
        if schema.get("format"):
            kind += f" ({schema['format']})"
        if "minimum" in schema and "maximum" in schema:
            kind += f", {schema['minimum']} to {schema['maximum']}"
        return kind


def _first(of: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return content type and schema of a request or response body; empty if it has none."""
    contents: Mapping[str, Mapping[str, Any]] = of.get("content", {})
    return next(iter(contents.items()), ("", {}))


#: parameters that every route has; they are described in the introduction
_EVERYWHERE = frozenset({"X-Request-ID", "Accept-Language"})


def _rights(operation: Mapping[str, Any]) -> str:
    if not operation.get("security"):
        return "everybody"
    words = operation["description"].lower()
    if "for administrators" in words:
        return "administrators"
    return "its author, administrators" if "for its author" in words else "with a token"


def _pretty(example: object) -> str:
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=2)


def _curl(method: str, path: str, operation: Mapping[str, Any], parameters: Iterable[Mapping[str, Any]]) -> str:
    """Return an example curl command."""
    for one in parameters:
        path = path.replace(f"{{{one['name']}}}", str(one.get("example", "")))
    words = [f"curl -sS{'' if method in {'get', 'post'} else f' -X {method.upper()}'} {shlex.quote(_HOST + path)}"]
    content = operation.get("requestBody", {}).get("content", {})
    if method == "post" and not content:
        words[0] = words[0].replace("curl -sS", "curl -sS -X POST")
    if operation.get("security"):
        words.append('-H "Authorization: Bearer $TOKEN"')
    if media := content.get("application/json"):
        sent = json.dumps(media["example"], ensure_ascii=False)
        words += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(sent)}"]
    elif media := content.get("multipart/form-data"):
        sample = {name: value for name, value in media["example"].items() if name in {"title", "time_limit"}}
        words += [f"-F {shlex.quote(f'{name}={value}')}" for name, value in sample.items()]
        words.append("-F file=@problem.zip")
    return " \\\n  ".join(words)


def _marked(text: str) -> Markup:
    """Convert text with `code` to HTML."""
    parts, end = [], 0
    for match in _CODE.finditer(text):
        parts += [escape(text[end : match.start()]), Markup("<code>{}</code>").format(match[1] or match[2])]
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
