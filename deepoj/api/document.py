"""The OpenAPI 3.1 document: what the routes say of themselves, and what holds for all of them.

A route says what is its own: the answer, the body, the query, and refusals that only it can give (403, 404, 409, …).
What every route can answer, or every route with a body, an account or an id in its path, is said here once: statuses
from the table of sentences (``errors.ApiError``) with their code words and headers. So a new sentence is in the
document by itself, and a new route has its common answers without a word.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import Rule

from deepoj.api.errors import ApiError, Code, Refused
from deepoj.api.examples import JOB_ID, example_of
from deepoj.api.http.exchange import PROBES
from deepoj.api.models import LiveStream

_ANSWERS = "_deepoj_answers"
#: below the application: a request that is not understood at all (400), a head over 16 KiB (431), an unknown
#: transfer coding (501), another version of HTTP (505); and above it a bug (500), something that is away (503)
_ALWAYS = (400, 405, 431, 500, 501, 503, 505)
_WITH_BODY = (408, 413, 415)
_WITH_ACCOUNT = (401,)
_WITH_ID = (404,)
#: no sentence has these statuses: the server itself says BAD_REQUEST with them
_OF_THE_SERVER = {
    431: "The head of the request is too large.",
    501: "The transfer coding is not known.",
    505: "The version of HTTP is neither 1.0 nor 1.1.",
}
_HEADERS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
#: what ids in paths look like. Anything else is no error of its own: it is 404, as an id that nobody has
_PATH_PATTERNS: Mapping[str, tuple[str, str, str]] = {
    "job_id": ("^[A-Za-z0-9_-]{1,64}$", "as it was answered to the submit", JOB_ID),
    "run_id": ("^[A-Za-z0-9_-]{1,64}$", "as it was answered to the run", f"run-{JOB_ID}"),
    "problem_id": ("^[1-9][0-9]{0,9}$", "a problem's number", "1000"),
    "user_id": ("^[1-9][0-9]{0,18}$", "an account's number", "7"),
    "delivery_id": ("^[0-9a-f-]{36}$", "as X-DeepOJ-Delivery said", JOB_ID),
}
#: the groups of the page, by the beginning of the path
TAGS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Accounts", ("/api/v1/auth", "/api/v1/users"), "Registering, logging in, one's own account."),
    ("Problems", ("/api/v1/problems", "/api/v1/languages"), "What can be solved, and in which languages."),
    ("Submissions", ("/api/v1/submit", "/api/v1/status", "/api/v1/submissions"), "Sending programs, reading verdicts."),
    ("Runs", ("/api/v1/run",), "A program with an input of one's own, without a problem."),
    ("Administration", ("/api/v1/admin",), "What needs a person to decide."),
    ("Operation", ("/api/v1/health", "/api/v1/ready", "/metrics"), "What keeps an eye on a node."),
    ("Documents", ("/",), "This description."),
)
DESCRIPTION = """An online judge in one program per host.

Requests and answers are JSON in UTF-8, except for uploads (multipart) and where another type is named. Log in once and
send the token with `Authorization: Bearer <token>`. A refusal is always
`{"error": "<sentence>", "code": "<CODE>", "details"?: …}`: branch on the code; the sentence is for people, in Chinese
where `Accept-Language` prefers it. Every answer carries `X-Request-ID` (yours, if it is
1 to 64 letters, digits, dots, dashes and underscores): name it when you report something. Send a W3C `traceparent` and
the answer carries one too, with the same trace-id; the submission keeps that id, in its result and in every log line up
to `xack_ok`. Rights come
before validation: what one may not do is 401 or 403, whatever was sent. Lists come in pages: `next` of one asks for the
following one, until it is null; what was there all the time is in exactly one of them. Unknown keys of a body are
ignored. GET routes also answer HEAD."""


def answers[T: Callable[..., Any]](
    status: int, content_type: str | None, description: str, *, headers: Mapping[str, str] | None = None
) -> Callable[[T], T]:
    """Documents an answer that no model describes: a text, a page, a stream of events, or (None) only headers."""

    def mark(view: T) -> T:
        answer: dict[str, Any] = {"description": description}
        if content_type is not None:
            kind = "object" if content_type == "application/json" else "string"
            answer["content"] = {content_type: {"schema": {"type": kind}}}
        if headers:
            answer["headers"] = {
                name: {"description": what, "schema": {"type": "string"}} for name, what in headers.items()
            }
        view.__dict__.setdefault(_ANSWERS, {})[status] = answer
        return view

    return mark


class Document(OpenAPIProvider):
    """Builds the document once: it is asked for by anybody and takes a while."""

    _built: dict[str, Any] | None = None

    def schema(self) -> dict[str, Any]:
        if self._built is None:
            self._built = completed(super().schema())
        return self._built

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        paths, components = super().build_paths(rule)
        others = getattr(self._app.view_functions[rule.endpoint], _ANSWERS, {})
        for operations in paths.values():
            for operation in operations.values():
                for status, answer in others.items():
                    # beside a model it adds what that cannot say: the headers
                    operation["responses"][status] = operation["responses"].get(status, {}) | copy.deepcopy(answer)
        return paths, components

    def build_response_object(
        self, model: type[Any], headers_model: type[Any] | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        described, components = super().build_response_object(model, headers_model)
        if issubclass(model, LiveStream):
            described["content"] = {model.content_type: described["content"]["application/json"]}
        return described, components

    def operation_id(self, method: str, path: str, func: Callable[..., Any]) -> str:
        """By the path: names of functions may meet."""
        words = re.findall(r"\w+", path.removeprefix("/api/v1")) or ["index"]
        return "_".join([method.lower(), *words])


def completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with everything that is common to the routes. Changes nothing that it is given."""
    # the methods of one path share their parts until here
    whole: dict[str, Any] = copy.deepcopy(dict(document) | {"paths": {}})
    whole["info"]["description"] = DESCRIPTION
    whole["tags"] = [{"name": name, "description": what} for name, _, what in TAGS]
    components = whole["components"]
    for schema in components["schemas"].values():
        _bare(schema)
    components["headers"] = _header_components()
    components["parameters"] = _parameter_components()
    used: set[int] = set()
    for path, operations in sorted(document["paths"].items(), key=_place_of):
        whole["paths"][path] = {}
        for method, said in sorted(operations.items(), key=lambda pair: _METHODS.index(pair[0])):
            operation = copy.deepcopy(said)
            used |= _complete(path, operation)
            _with_examples(operation, components["schemas"])
            whole["paths"][path][method] = operation
    whole["tags"] = [
        tag
        for tag in whole["tags"]
        if any(tag["name"] in one["tags"] for path in whole["paths"].values() for one in path.values())
    ]
    _link(whole["paths"])
    components["responses"] = {_name_of(status): _refusals(status) for status in sorted(used)}
    return whole


#: where an answer has an id that other paths take: route, the parameter, the id's place, the paths that it is good for
_LINKS = (
    ("post", "/api/v1/submit", "job_id", "/job_id", "/api/v1/"),
    ("get", "/api/v1/submissions", "job_id", "/submissions/0/job_id", "/api/v1/"),
    ("get", "/api/v1/admin/dlq", "job_id", "/letters/0/job_id", "/api/v1/admin/dlq/"),
    ("post", "/api/v1/problems", "problem_id", "/id", "/api/v1/"),
    ("get", "/api/v1/problems", "problem_id", "/problems/0/id", "/api/v1/"),
    ("post", "/api/v1/run", "run_id", "/run_id", "/api/v1/"),
)


def _link(paths: Mapping[str, Any]) -> None:
    """Says which id of which answer leads where."""
    for method, path, parameter, place, good_for in _LINKS:
        answers_of = paths.get(path, {}).get(method, {}).get("responses", {})
        answer = next((answer for status, answer in answers_of.items() if status.startswith("2")), None)
        if answer is None:
            continue
        answer["links"] = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {parameter: f"$response.body#{place}"},
            }
            for other, operations in paths.items()
            if f"{{{parameter}}}" in other and other.startswith(good_for)
            for operation in operations.values()
        }


_METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")


def tag_of(path: str) -> str:
    """The group that a path belongs to."""
    return next(name for name, beginnings, _ in TAGS if path.startswith(beginnings))


def _place_of(item: tuple[str, object]) -> tuple[int, str]:
    return [name for name, _, _ in TAGS].index(tag_of(item[0])), item[0]


def _complete(path: str, operation: dict[str, Any]) -> set[int]:
    """Adds to an operation what it has in common with others; returns the statuses of its refusals."""
    operation["tags"] = [tag_of(path)]
    operation["description"] = operation.get("description", "").strip()
    named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
    for parameter in operation["parameters"]:
        _complete_parameter(parameter)
    operation["parameters"] += [{"$ref": f"#/components/parameters/{name}"} for name in _parameter_components()]
    if body := operation.get("requestBody"):
        body["required"] = True
        if form := body["content"].get("multipart/form-data"):
            form["encoding"] = {"file": {"contentType": "application/zip"}}
    responses = {int(status): answer for status, answer in operation["responses"].items()}
    refusals = {status for status in responses if status >= 400}.union(
        _ALWAYS,
        () if path in PROBES else (429,),
        _WITH_BODY if body else (),
        _WITH_ACCOUNT if operation.get("security") else (),
        _WITH_ID if named else (),
    )
    for status, answer in responses.items():
        if status < 400:
            answer.setdefault("headers", {})["X-Request-ID"] = {"$ref": "#/components/headers/X-Request-ID"}
            answer["description"] = " ".join(answer["description"].split()) or HTTPStatus(status).phrase
    responses |= {status: {"$ref": f"#/components/responses/{_name_of(status)}"} for status in refusals}
    operation["responses"] = {str(status): responses[status] for status in sorted(responses)}
    return refusals


def _complete_parameter(parameter: dict[str, Any]) -> None:
    schema = parameter["schema"]
    if parameter["in"] == "path":
        pattern, what, example = _PATH_PATTERNS.get(parameter["name"], ("^[^/]+$", "", "text"))
        parameter.update(schema={"type": "string", "pattern": pattern}, description=what, example=example)
        return
    # in a query or a header a value is there or is not: null has no place
    schema.pop("title", None)
    if schema.pop("default", None) is None and "anyOf" in schema:
        kinds = [kind for kind in schema.pop("anyOf") if kind.get("type") != "null"]
        schema.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
    if schema.get("type") == "boolean":
        # ?force alone says it, too
        parameter["allowEmptyValue"] = True


def _with_examples(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for answer in operation["responses"].values()]
    for content in contents:
        for content_type, media in content.items():
            _bare(media["schema"])
            if content_type in {"application/json", "multipart/form-data"}:
                media.setdefault("example", example_of(media["schema"], schemas))


def _bare(schema: dict[str, Any]) -> None:
    """Takes pydantic's titles from all below the top: they say again what the keys say."""
    for key, inner in schema.items():
        if key not in {"example", "examples", "default"}:
            _strip(inner)


def _strip(node: Any) -> None:
    if isinstance(node, dict):
        # a key that is called title has a schema, and no text
        if isinstance(node.get("title"), str):
            del node["title"]
        _bare(node)
    elif isinstance(node, list):
        for one in node:
            _strip(one)


def _name_of(status: int) -> str:
    """``BadRequest``: the component's."""
    return "".join(word.capitalize() for word in re.findall(r"\w+", HTTPStatus(status).phrase))


def _sentences(status: int) -> Iterable[ApiError]:
    return [api_error for api_error in ApiError if api_error.status == status]


def _refusals(status: int) -> dict[str, Any]:
    """The answer with a status, with all that can be said with it."""
    sayings = _sentences(status)
    codes: list[str] = list(dict.fromkeys(api_error.code.value for api_error in sayings)) or [Code.BAD_REQUEST.value]
    examples = {
        api_error.name: {"summary": api_error.code.value, "value": _example_of(api_error)} for api_error in sayings
    }
    if not examples:
        examples[_name_of(status)] = {"value": Refused(ApiError.BAD_REQUEST).body(chinese=False)}
    headers = ("X-Request-ID", *_HEADERS.get(status, ()))
    return {
        "description": _OF_THE_SERVER.get(status, f"{HTTPStatus(status).phrase}: {', '.join(codes)}."),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            "application/json": {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/ErrorBody"},
                        {"type": "object", "properties": {"code": {"enum": codes}}},
                    ]
                },
                "examples": examples,
            }
        },
    }


#: what stands for the values that are filled into sentences
_FILLED = {"field": "title", "problem": "1 to 200 printable characters", "limit": "65536", "language": "rust",
           "wanted": "application/json", "parts": "redis", "name": "name"}  # fmt: skip


def _example_of(api_error: ApiError) -> dict[str, Any]:
    named = re.findall(r"{(\w+)}", api_error.english)
    body = Refused(api_error, **{name: _FILLED.get(name, name) for name in named}).body(chinese=False)
    return body | {"code": str(body["code"])}


def _header_components() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "X-Request-ID": {
            "description": "the request's id: the one that was sent, if it is 1 to 64 of A-Z a-z 0-9 . _ -, else a new",
            "required": True,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
            "example": "3f0c8a52-6a3e-4f0e-9a44-2f6a8c1de0b7",
        },
        "Retry-After": {
            "description": "seconds after which it is worth trying again",
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
            "example": "2",
        },
        "WWW-Authenticate": {"description": "Bearer", "required": True, "schema": text, "example": "Bearer"},
        "Allow": {
            "description": "the methods that this address answers to", "required": True, "schema": text,
            "example": "GET, HEAD, OPTIONS",
        },
    }  # fmt: skip


def _parameter_components() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "RequestId": {
            "name": "X-Request-ID", "in": "header", "schema": text, "example": "try-1",
            "description": "an id for this request, of 1 to 64 of A-Z a-z 0-9 . _ -; any other is replaced",
        },
        "AcceptLanguage": {
            "name": "Accept-Language", "in": "header", "schema": text, "example": "zh-CN",
            "description": "the language of sentences: English or Chinese",
        },
    }  # fmt: skip
