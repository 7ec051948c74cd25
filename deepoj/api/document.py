"""Builds the OpenAPI 3.1 document from the routes' declarations (``route.route``).

Responses common to all routes, or to all routes with a body, an account or an id in the path, are added here. Their
statuses, codes and headers come from the table of errors (``errors.ERRORS``). So new errors and new routes are
documented without further work.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import Rule

from deepoj.api.codes import Code, CodedError
from deepoj.api.errors import ERRORS, ApiError, Refused
from deepoj.api.examples import JOB_ID, example_of
from deepoj.api.http.exchange import PROBES
from deepoj.api.models.live import LiveStream
from deepoj.api.route import Described, declaration_of

#: statuses that every route can return. From the HTTP server: malformed request (400), head over 16 KiB (431), unknown
#: transfer coding (501), unsupported HTTP version (505). From the application: a bug (500), an unavailable store (503)
_ALWAYS = (400, 405, 431, 500, 501, 503, 505)
_WITH_BODY = (408, 413, 415)
_WITH_ACCOUNT = (401,)
_WITH_ID = (404,)
#: statuses without an error of their own: the HTTP server sends them with the code BAD_REQUEST
_SERVER_STATUSES = {
    431: "The head of the request is too large.",
    501: "The transfer coding is unknown.",
    505: "The HTTP version is neither 1.0 nor 1.1.",
}
_HEADERS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
#: patterns of ids in paths. Other values are answered 404, like unknown ids
_PATH_PATTERNS: Mapping[str, tuple[str, str, str]] = {
    "job_id": ("^[A-Za-z0-9_-]{1,64}$", "as returned by the submit", JOB_ID),
    "batch_id": ("^[0-9a-f-]{36}$", "as the last line of the answer said", JOB_ID),
    "run_id": ("^[A-Za-z0-9_-]{1,64}$", "as returned by POST /run", f"run-{JOB_ID}"),
    "problem_id": ("^[1-9][0-9]{0,9}$", "a problem's number", "1000"),
    "lang": ("^[a-z]{2,20}(-[A-Za-z0-9]{2,8})?$", "a language of `langs`", "en"),
    "name": ("^[A-Za-z0-9._-]{1,120}$", "a file's name", "figure.png"),
    "user_id": ("^[1-9][0-9]{0,18}$", "an account's number", "7"),
    "preview_id": ("^[1-9][0-9]{0,9}$", "a preview's number", "3"),
    "rerun_id": ("^[1-9][0-9]{0,18}$", "the number of a run of a test", "3"),
    "rejudge_id": ("^[1-9][0-9]{0,9}$", "the number of a contest's rejudge", "3"),
    "group_id": ("^[1-9][0-9]{0,18}$", "a group's number", "7"),
    "key": ("^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,35}$", "a contest's key", "finals"),
    "label": ("^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,20}$", "the label of a problem in a contest", "A"),
    "team": ("^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,35}$", "the id of a team in a contest", "7"),
    "submission_id": ("^[1-9][0-9]{0,18}$", "the id of a submission in its contest", "12"),
    "set_id": ("^[0-9a-f]{16}$", "the id of new passwords that were made at once", "5f2c9a7d10b3e846"),
    "token_id": ("^[A-Za-z0-9_-]{1,64}$", "as listed", "xlWFKgzW1eQzBzrh"),
    "delivery_id": ("^[0-9a-f-]{36}$", "as X-DeepOJ-Delivery said", JOB_ID),
}
#: groups of the page, by path prefix
TAGS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Accounts", ("/api/v1/auth", "/api/v1/users"), "Registration, login, and the user's own account."),
    ("Problems", ("/api/v1/problems", "/api/v1/languages"), "Problems, and the languages of submissions."),
    (
        "Submissions",
        ("/api/v1/submit", "/api/v1/status", "/api/v1/submissions"),
        "Submitting programs, reading verdicts.",
    ),
    ("Contests", ("/api/v1/contests",), "Contests: run by the jury, played by teams, seen by everybody."),
    ("Runs", ("/api/v1/run",), "Running a program on an input of your own, without a problem."),
    ("Administration", ("/api/v1/admin",), "Tasks of administrators."),
    ("Operation", ("/api/v1/health", "/api/v1/ready", "/metrics"), "Monitoring of a node."),
    ("Documents", ("/",), "This description."),
)
DESCRIPTION = """An online judge in one program per host.

Requests and responses are JSON in UTF-8, except for uploads (multipart) and where another type is named. Log in once
and send the token with `Authorization: Bearer <token>`. An error is always
`{"error": "<sentence>", "code": "<CODE>", "details"?: …}`: branch on the code; the sentence is for people, in Chinese
if `Accept-Language` prefers it. Every response has an `X-Request-ID` (yours, if it is 1 to 64 letters, digits, dots,
dashes and underscores): quote it when you report a problem. If you send a W3C `traceparent`, the response has one too,
with the same trace-id; the submission keeps this id in its result and in every log line up to `xack_ok`. Rights are
checked before validation: a forbidden request is answered 401 or 403 even if its contents are invalid. Lists come in
pages: `next` requests the following page, until it is null; an entry that exists all the time is in exactly one page.
Unknown keys of a body are ignored. GET routes also answer HEAD."""


class Document(OpenAPIProvider):
    """Builds the document once, because that is slow and the document is public."""

    _built: dict[str, Any] | None = None

    def schema(self) -> dict[str, Any]:
        if self._built is None:
            self._built = completed(super().schema())
        return self._built

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        paths, components = super().build_paths(rule)
        declaration = declaration_of(self._app.view_functions[rule.endpoint])
        for operations in paths.values():
            for operation in operations.values():
                if declaration is not None and declaration.lines is not None:
                    text = {"schema": {"type": "string", "description": declaration.lines}}
                    operation["requestBody"] = {"content": {"application/x-ndjson": text}}
                for status, response in declaration.responses.items() if declaration is not None else ():
                    if isinstance(response, Described):
                        # a response with a model is there already, without its headers
                        of_model = operation["responses"].get(status, {})
                        operation["responses"][status] = of_model | _response_object(response)
        return paths, components

    def build_response_object(
        self, model: type[Any], headers_model: type[Any] | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        described, components = super().build_response_object(model, headers_model)
        if issubclass(model, LiveStream):
            described["content"] = {model.content_type: described["content"]["application/json"]}
        return described, components

    def operation_id(self, method: str, path: str, func: Callable[..., Any]) -> str:
        """Derive the id from the path: function names are not unique."""
        words = re.findall(r"\w+", path.removeprefix("/api/v1")) or ["index"]
        return "_".join([method.lower(), *words])


def _response_object(described: Described) -> dict[str, Any]:
    response: dict[str, Any] = {"description": described.description}
    if described.content_type is not None:
        kind = "object" if described.content_type == "application/json" else "string"
        response["content"] = {described.content_type: {"schema": {"type": kind}}}
    if described.headers:
        response["headers"] = {
            name: {"description": what, "schema": {"type": "string"}} for name, what in described.headers.items()
        }
    return response


def completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the document with everything that the routes have in common."""
    # a deep copy, because the methods of one path share objects in ``document``
    complete: dict[str, Any] = copy.deepcopy(dict(document) | {"paths": {}})
    complete["info"]["description"] = DESCRIPTION
    complete["tags"] = [{"name": name, "description": what} for name, _, what in TAGS]
    components = complete["components"]
    for schema in components["schemas"].values():
        _bare(schema)
    components["headers"] = _header_components()
    components["parameters"] = _parameter_components()
    error_statuses: set[int] = set()
    for path, operations in sorted(document["paths"].items(), key=_place_of):
        complete["paths"][path] = {}
        for method, incomplete in sorted(operations.items(), key=lambda pair: _METHODS.index(pair[0])):
            operation = copy.deepcopy(incomplete)
            error_statuses |= _complete(path, operation)
            _add_examples(operation, components["schemas"])
            complete["paths"][path][method] = operation
    used = {tag for operations in complete["paths"].values() for each in operations.values() for tag in each["tags"]}
    complete["tags"] = [tag for tag in complete["tags"] if tag["name"] in used]
    _link(complete["paths"])
    components["responses"] = {_name_of(status): _refusals(status) for status in sorted(error_statuses)}
    return complete


#: OpenAPI links: route, path parameter, location of the id in the response, paths that take this id
_LINKS = (
    ("post", "/api/v1/submit", "job_id", "/job_id", "/api/v1/"),
    ("get", "/api/v1/submissions", "job_id", "/submissions/0/job_id", "/api/v1/"),
    ("get", "/api/v1/admin/dlq", "job_id", "/letters/0/job_id", "/api/v1/admin/dlq/"),
    ("post", "/api/v1/problems", "problem_id", "/id", "/api/v1/"),
    ("get", "/api/v1/problems", "problem_id", "/problems/0/id", "/api/v1/"),
    ("post", "/api/v1/run", "run_id", "/run_id", "/api/v1/"),
)


def _link(paths: Mapping[str, Any]) -> None:
    """Add links from the ids in responses to the paths that take them."""
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
    """Return the group of a path."""
    return next(name for name, beginnings, _ in TAGS if path.startswith(beginnings))


def _place_of(item: tuple[str, object]) -> tuple[int, str]:
    return [name for name, _, _ in TAGS].index(tag_of(item[0])), item[0]


def _complete(path: str, operation: dict[str, Any]) -> set[int]:
    """Add the common responses and parameters to an operation. Returns the statuses of its errors."""
    operation["tags"] = [tag_of(path)]
    operation["description"] = operation.get("description", "").strip()
    has_id = any(parameter["in"] == "path" for parameter in operation["parameters"])
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
        _WITH_ID if has_id else (),
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
    # query parameters and headers are present or absent, never null
    schema.pop("title", None)
    if schema.pop("default", None) is None and "anyOf" in schema:
        kinds = [kind for kind in schema.pop("anyOf") if kind.get("type") != "null"]
        schema.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
    if schema.get("type") == "boolean":
        # ?force without a value means true
        parameter["allowEmptyValue"] = True


def _add_examples(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for answer in operation["responses"].values()]
    for content in contents:
        for content_type, media in content.items():
            _bare(media["schema"])
            if content_type in {"application/json", "multipart/form-data"}:
                media.setdefault("example", example_of(media["schema"], schemas))


def _bare(schema: dict[str, Any]) -> None:
    """Remove pydantic's titles below the top level: they only repeat the keys."""
    for key, inner in schema.items():
        if key not in {"example", "examples", "default"}:
            _strip(inner)


def _strip(node: Any) -> None:
    if isinstance(node, dict):
        # under a property named "title" there is a schema instead of a text
        if isinstance(node.get("title"), str):
            del node["title"]
        _bare(node)
    elif isinstance(node, list):
        for item in node:
            _strip(item)


def _name_of(status: int) -> str:
    """Return the name of a status's component, such as ``BadRequest``."""
    return "".join(word.capitalize() for word in re.findall(r"\w+", HTTPStatus(status).phrase))


def _errors(status: int) -> Iterable[CodedError]:
    return [api_error for api_error in ERRORS if api_error.status == status]


def _refusals(status: int) -> dict[str, Any]:
    """Return the response of an error status, with an example of each of its errors."""
    errors = _errors(status)
    codes: list[str] = list(dict.fromkeys(api_error.code.value for api_error in errors)) or [Code.BAD_REQUEST.value]
    examples = {
        api_error.name: {"summary": api_error.code.value, "value": _example_of(api_error)} for api_error in errors
    }
    if not examples:
        examples[_name_of(status)] = {"value": Refused(ApiError.BAD_REQUEST).body(chinese=False)}
    headers = ("X-Request-ID", *_HEADERS.get(status, ()))
    return {
        "description": _SERVER_STATUSES.get(status, f"{HTTPStatus(status).phrase}: {', '.join(codes)}."),
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


#: example values of the parameters in sentences
_FILLED = {"field": "title", "problem": "1 to 200 printable characters", "limit": "65536", "language": "rust",
           "wanted": "application/json", "parts": "redis", "name": "name"}  # fmt: skip


def _example_of(api_error: CodedError) -> dict[str, Any]:
    parameters = re.findall(r"{(\w+)}", api_error.english)
    body = Refused(api_error, **{name: _FILLED.get(name, name) for name in parameters}).body(chinese=False)
    return body | {"code": str(body["code"])}


def _header_components() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "X-Request-ID": {
            "description": "id of the request: the one sent, if it is 1 to 64 of A-Z a-z 0-9 . _ -, else a new one",
            "required": True,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
            "example": "3f0c8a52-6a3e-4f0e-9a44-2f6a8c1de0b7",
        },
        "Retry-After": {
            "description": "seconds to wait before the next try",
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
            "example": "2",
        },
        "WWW-Authenticate": {"description": "Bearer", "required": True, "schema": text, "example": "Bearer"},
        "Allow": {
            "description": "methods that this address supports", "required": True, "schema": text,
            "example": "GET, HEAD, OPTIONS",
        },
    }  # fmt: skip


def _parameter_components() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "RequestId": {
            "name": "X-Request-ID", "in": "header", "schema": text, "example": "try-1",
            "description": "id of this request, 1 to 64 of A-Z a-z 0-9 . _ -; other values are replaced",
        },
        "AcceptLanguage": {
            "name": "Accept-Language", "in": "header", "schema": text, "example": "zh-CN",
            "description": "language of error sentences: English or Chinese",
        },
    }  # fmt: skip
