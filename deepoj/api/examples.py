"""Generates examples for the OpenAPI document from the schemas: by the name of a key, else by its type.

Example ids, names and times are defined here only. A test validates every example against its schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JOB_ID = "0193a5b2-7c1e-7d3a-9f60-2b1c4d5e6f70"
#: schema name → example object
_OBJECTS: Mapping[str, Mapping[str, Any]] = {
    "SubmitBody": {
        "problem_id": 1000,
        "language": "cpp17",
        "code": '#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << "\\n"; }\n',
    },
    "ContestBody": {
        "key": "finals",
        "name": "City Finals",
        "start_at": "2026-01-31T09:00:00+08:00",
        "duration_ms": 18_000_000,
        "freeze_ms": 3_600_000,
    },
    "ContestChanges": {"thaw_at": "2026-01-31T16:00:00+08:00"},
    "ContestProblemBody": {"problem_id": 1000, "name": "A+B", "rgb": "#d32f2f", "color": "red"},
    "ReviewBody": {"act": "override", "judging": 1, "verdict": "Wrong Answer", "reason": "It reads the answer file."},
    "ContestSubmitBody": {"problem": "A", "language": "python3", "code": "print(sum(map(int, input().split())))\n"},
    "TeamsBody": {
        "format": "csv",
        "text": "id,name,organization,groups,accounts\n1,Night Owls,City University,undergraduates,alice;bob\n",
    },
    "ClarificationBody": {"text": "May the numbers be negative?", "problem": "A"},
    "ReadyView": {"ready": True, "parts": {"postgres": {"state": "up"}, "redis": {"state": "up"}}},
}
#: key → example value
_BY_KEY: Mapping[str, Any] = {
    "job_id": JOB_ID,
    "run_id": JOB_ID,
    "problem_id": 1000,
    "user_id": 7,
    "id": 1000,
    "username": "alice",
    "password": "correct horse",
    "email": "alice@example.org",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjo3fQ.c2lnbmF0dXJl",
    "title": "A+B",
    "description": "Read two numbers and print their sum.",
    "difficulty": "easy",
    "compare": "tokens",
    "time_limit": 1000,
    "memory_limit": 128,
    "language": "cpp17",
    "code": "print(sum(map(int, input().split())))\n",
    "stdin": "1 2\n",
    "content": "print(sum(map(int, input().split())))\n",
    "entry_point": "main.py",
    "archive": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==",
    "minio_path": "problems/1000.zip",
    "file": "(the bytes of a zip)",
    "status": "Accepted",
    "state": "done",
    "verdict": "Accepted",
    "score": 100.0,
    "time_used": 100,
    "memory_used": 16384,
    "judging": 1,
    "attempt_id": 1,
    "version": 1,
    "data": {"job_id": JOB_ID, "attempt_id": 1, "status": "Accepted", "score": 100.0, "time_used": 100,
             "memory_used": 16384, "tests": [{"name": "1", "status": "Accepted", "cpu_ms": 100, "memory_kb": 16384}]},
    "key": "cpp17",
    "compile": "g++ -std=c++17 -O2 -o main main.cpp",
    "run": "./main",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "next": None,
    "error": "There is no such submission.",
    "details": None,
    "error_code": None,
    "error_message": None,
    "waiting": None,
    "created_at": "2026-01-31T12:00:00+00:00",
    "updated_at": "2026-01-31T12:00:02+00:00",
    "since": "2026-01-31T12:00:00Z",
    "until": "2026-02-01T00:00:00+08:00",
}  # fmt: skip


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], key: str = "") -> Any:
    """Return an example that the schema allows. ``schemas``: ``#/components/schemas``; ``key``: the key it is for."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return example_of({"title": name} | schemas[name], schemas)
    if schema.get("title") in _OBJECTS:
        return dict(_OBJECTS[schema["title"]])
    examples = [schema[word] for word in ("example", "const") if word in schema] + list(schema.get("examples", ()))
    if key in _BY_KEY and _fits(_BY_KEY[key], schema):
        examples.append(_BY_KEY[key])
    if schema.get("default") is not None:
        examples.append(schema["default"])
    return examples[0] if examples else _by_type(schema, schemas)


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return example_of(schema[several][0], schemas)
    if "enum" in schema:
        return schema["enum"][0]
    example: Any = {"boolean": False, "null": None, "string": "text"}.get(schema.get("type", "string"))
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            example = {
                name: example_of(field, schemas, name)
                for name, field in properties.items()
                if not field.get("deprecated")
            }
        case "array":
            example = [example_of(schema["items"], schemas)]
        case "integer" | "number":
            example = max(1, schema.get("minimum", 1))
    return example


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether the value has a type of the schema. A string of digits counts as an id in a path."""
    kinds = {str(one.get("type", "any")) for one in (schema, *schema.get("anyOf", ()))} - {"any" * ("anyOf" in schema)}
    if isinstance(value, str) and schema.get("enum") and value not in schema["enum"]:
        return False
    names = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", type(None): "null"}
    return bool({names[type(value)], "any"} & kinds) or (isinstance(value, int) and "number" in kinds)
