"""The tables of keys, the readers' code and ``deploy/docs/packages.md`` say the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from deepoj.packages.formats import keys, own
from deepoj.packages.formats.keys import TABLES, KeyTreatment

ROOT = Path(keys.__file__).parents[3]
CODE = Path(keys.__file__).parent
DOCUMENT = ROOT / "deploy" / "docs" / "packages.md"
READERS = {
    "kattis": ("kattis.py", *(f"kattis_groups/{file.name}" for file in sorted((CODE / "kattis_groups").glob("*.py")))),
    "dmoj": ("dmoj.py",),
    "polygon": ("polygon.py",),
    "hydro": ("hydro.py", "hydro_names.py"),
    "luogu": ("luogu.py",),
    "uoj": ("uoj.py",),
    "cms": ("italian.py",),
}
#: asked of maps that hold no keys of a package, or below what the tables name
NO_KEYS = {
    "kattis": {"en", "value", "flags", ""},
    "dmoj": {"batch", "case"},
    "polygon": {
        "english", "language", "value", "path", "name", "type", "test", "tests", "group", "dependency", "dependencies",
        "resources", "file", "asset", "for-types", "forTypes", "solution", "validator", "statement", "testset", "tag",
        "width", "",
    },
    "hydro": {"language", "stem", "kind", "batch", "id", ""},
    "luogu": {"testlib.h"},
    "uoj": {"testlib.h", "chk.cpp", "val.cpp"},
    "cms": set(),
}  # fmt: skip
_ASKS = {"get", "find", "iterfind", "findtext"}


def own_tables() -> dict[str, dict[str, KeyTreatment]]:
    """Of our own format every key of the model is applied, and no other is taken."""
    found: dict[str, dict[str, KeyTreatment]] = {}

    def walk(place: str, model: type[BaseModel]) -> None:
        found[place] = dict.fromkeys(model.model_fields, KeyTreatment.APPLIED)
        for name, field in model.model_fields.items():
            for inner in re.findall(r"own\.(_\w+)", str(field.annotation)):
                walk(f"{place} {name}", getattr(own, inner))

    walk("own deepoj.yaml", own._Config)
    return found


def all_tables() -> dict[str, dict[str, KeyTreatment]]:
    return {place: {key: rule.fate for key, rule in table.items()} for place, table in TABLES.items()} | own_tables()


def documented() -> dict[str, dict[str, KeyTreatment]]:
    """Place → key → fate, of the rows of the document's tables."""
    found: dict[str, dict[str, KeyTreatment]] = {}
    for line in DOCUMENT.read_text().splitlines():
        row = re.fullmatch(r"\| `([^`]+)` \| (.*?) \| (applied|no effect on verdicts|refused) \|.*\|", line)
        if row is not None:
            table = found.setdefault(row[1], {})
            for key in re.findall(r"`([^`]+)`", row[2]):
                assert key not in table, f"{row[1]}: {key} is there twice"
                table[key] = KeyTreatment(row[3])
    return found


def asked_for(path: Path) -> Iterator[str]:
    """Names that a reader asks maps and elements for."""
    for node in ast.walk(ast.parse(path.read_text())):
        name: ast.expr | None = None
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _ASKS
            and node.args
        ):
            name = node.args[0]
        elif isinstance(node, ast.Subscript):
            name = node.slice
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            name = node.left if isinstance(node.comparators[0], ast.Name | ast.Attribute) else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield from name.value.split("/")


def test_document_says_of_each_key_what_the_tables_say() -> None:
    tables, rows = all_tables(), documented()
    assert {place: table for place, table in tables.items() if table} == rows


@pytest.mark.parametrize("format_", READERS)
def test_reader_asks_for_no_key_that_the_tables_lack(format_: str) -> None:
    known = {key for place, table in TABLES.items() if place.startswith(format_) for key in table}
    asked = {name for file in READERS[format_] for name in asked_for(CODE / file)}
    assert asked, "the readers ask for keys"
    #: words of values, of which readers ask whether one is there
    words = {
        "scoring", "interactive", "multi-pass", "submit-answer", "pass-fail", "custom", "score", "ignore_sample",
        "accept_if_any_accepted",
    }  # fmt: skip
    assert asked - known - NO_KEYS[format_] - words == set()


@pytest.mark.parametrize("format_", READERS)
def test_key_that_is_applied_stands_in_the_readers_code(format_: str) -> None:
    literals = {
        word
        for file in READERS[format_]
        for node in ast.walk(ast.parse((CODE / file).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in (node.value, *node.value.split("/"))
    }
    applied = {
        key
        for place, table in TABLES.items()
        if place.startswith(format_)
        for key, rule in table.items()
        if rule.fate is KeyTreatment.APPLIED
    }
    assert applied - literals == set()


def test_every_place_is_checked_by_a_reader() -> None:
    code = "".join((CODE / file).read_text() for files in READERS.values() for file in files)
    for place in TABLES:
        known = f'"{place}"' in code or (place.startswith("dmoj checker ") and 'f"dmoj checker {name}"' in code)
        assert known, place


def test_refused_key_has_a_sentence() -> None:
    for place, table in TABLES.items():
        for key, rule in table.items():
            assert rule.fate is not KeyTreatment.REFUSED or rule.words, (place, key)
