"""The house rules a reader can rely on, held by reading the source: who imports whom, what lives in one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "deepoj"
SANDBOX = Path(__file__).parents[2] / "sandbox_ext"
#: of a file: a longer one is divided by meaning, so that its parts' names say where a line is
MAX_LINES = 500
#: sources that were not written here: brought by a package, and generated at build
FOREIGN = {"testlib.h", "policy_table.h"}

#: room -> the rooms it may import from (deepoj/__init__.py draws the same); a part of a room may have rules of its own
ROOMS: dict[str, set[str]] = {
    "words": set(),
    "ports": {"words", "judging"},
    "observe": {"words"},
    "config": {"words"},
    "sample": set(),
    "judging": {"words"},
    "accounts": {"words"},
    "execution": {"words", "ports", "judging", "observe"},
    "pipeline": {"words", "ports", "judging", "observe", "execution"},
    "playground": {"words", "ports", "judging", "observe", "execution"},
    "packages/formats": {"words", "judging"},
    "packages": {"words", "ports", "judging", "observe", "execution", "packages/formats"},
    "webhooks": {"words", "ports", "observe"},
    "capacity": {"words", "ports", "observe"},
    "api": {
        "words", "ports", "judging", "observe", "config", "accounts", "pipeline", "playground", "packages",
        "packages/formats", "webhooks", "capacity",
    },
    "adapters": {"words", "ports", "judging", "observe", "config", "packages/formats"},
    "nursery": {
        "words", "ports", "observe", "api", "config", "pipeline", "execution", "playground", "capacity",
    },
    "wiring": {
        "words", "ports", "judging", "accounts", "execution", "pipeline", "playground", "packages", "packages/formats",
        "webhooks", "capacity", "observe", "config", "api", "adapters", "nursery",
    },
    #: what runs beside the nodes: none of them imports it
    "operate/drill": {"words", "pipeline", "adapters", "operate"},
    "operate": {
        "words", "ports", "judging", "accounts", "execution", "pipeline", "playground", "packages", "packages/formats",
        "webhooks", "capacity", "observe", "config", "api", "adapters", "nursery", "wiring", "sample",
    },
    #: nothing of the store, the stream or the sandbox
    "client": {"words", "judging"},
    "cli": {
        "words", "ports", "judging", "accounts", "execution", "pipeline", "playground", "packages", "packages/formats",
        "webhooks", "capacity", "observe", "config", "api", "adapters", "nursery", "wiring", "sample", "client",
        "operate", "operate/drill",
    },
    "__main__": {"cli", "config"},
    "__init__": set(),
}  # fmt: skip

#: a name that may be written in these files only
ONLY_IN: dict[str, set[str]] = {
    # the API's server has a task a connection, which tree.py's head draws; a drill is a process with a tree of its own
    "open_nursery": {"nursery/tree.py", "nursery/scopes.py", "api/http/server.py", "operate/drill/stage.py"},
    # trio opens a nursery in it
    "serve_listeners": {"api/http/server.py"},
    # whose terminal it is (XDG_CONFIG_HOME, DEEPOJ_TOKEN) is no setting of a node
    "environ": {"config/loader.py", "client/keys.py"},
    "getenv": {"config/loader.py"},
    "asyncio": {"adapters/aio_bridge.py"},
    "uvloop": {"adapters/aio_bridge.py"},
    "trio_asyncio": set(),
    "settles": {"pipeline/ack.py"},
}


def complaints(package: Path) -> list[str]:
    """Every breach of the rules in a package tree, as ``file:line what``."""
    found: set[str] = set()
    for file in sorted(package.rglob("*.py")):
        relative = file.relative_to(package)
        room = _room(relative.parts)
        tree = ast.parse(file.read_text())
        if room not in ROOMS:
            found.add(f"{relative}:1 the room {room} is not on the map")
            continue
        for line, name in _written(tree):
            if name in ONLY_IN and str(relative) not in ONLY_IN[name]:
                found.add(f"{relative}:{line} {name} lives in {', '.join(sorted(ONLY_IN[name])) or 'no file'}")
        for line, module in _imports(tree):
            found.update(_import_complaints(relative, room, line, module.split(".")))
    return sorted(found)


def _room(parts: Sequence[str]) -> str:
    """The room of a file or of a module; of two that fit, the inner one."""
    names = [part.removesuffix(".py") for part in parts[:2]]
    inner = "/".join(names)
    return inner if len(names) == 2 and inner in ROOMS else names[0]


def _import_complaints(relative: Path, room: str, line: int, parts: list[str]) -> Iterator[str]:
    if parts[0] != "deepoj" or len(parts) < 2:
        return
    there = _room(parts[1:])
    if there not in ROOMS:
        return
    if there != room and there not in ROOMS[room]:
        yield f"{relative}:{line} {room} may not import {there}"
    if room == there == "pipeline" and len(parts) > 2:
        yield f"{relative}:{line} steps do not know each other ({'.'.join(parts)})"


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "deepoj.RELATIVE"
            elif node.module:
                yield node.lineno, node.module
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _written(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, lineno=line) | ast.Name(id=name, lineno=line):
                yield line, name
            case ast.Import(names=names, lineno=line) | ast.ImportFrom(names=names, lineno=line):
                yield from ((line, part) for alias in names for part in alias.name.split("."))
                # redis.asyncio is what redis-py calls the client whose coroutines are handed to the bridge
                if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("redis.asyncio"):
                    yield from ((line, part) for part in node.module.split("."))


def test_the_house_is_in_order() -> None:
    assert complaints(PACKAGE) == []


def test_relative_imports_are_not_used() -> None:
    """They would slip through the map."""
    relative = [
        f"{file}:{line}"
        for file in PACKAGE.rglob("*.py")
        for line, module in _imports(ast.parse(file.read_text()))
        if module == "deepoj.RELATIVE"
    ]
    assert relative == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("words.py", "from deepoj import ports", "words.py:1 words may not import ports"),
        ("judging/rules.py", "import deepoj.adapters.pg", "judging/rules.py:1 judging may not import adapters"),
        ("pipeline/claim.py", "from deepoj.adapters import x", "pipeline/claim.py:1 pipeline may not import adapters"),
        (
            "pipeline/claim.py",
            "from deepoj.pipeline.ack import ack",
            "pipeline/claim.py:1 steps do not know each other (deepoj.pipeline.ack)",
        ),
        ("adapters/x.py", "from deepoj.nursery import tree", "adapters/x.py:1 adapters may not import nursery"),
        ("adapters/x.py", "from deepoj.packages.publish import y", "adapters/x.py:1 adapters may not import packages"),
        ("wiring/x.py", "from deepoj.operate import doctor", "wiring/x.py:1 wiring may not import operate"),
        ("nursery/loops.py", "import trio\ntrio.open_nursery()",
         "nursery/loops.py:2 open_nursery lives in api/http/server.py, nursery/scopes.py, nursery/tree.py, "
         "operate/drill/stage.py"),
        ("api/x.py", "import os\nos.environ['A']", "api/x.py:2 environ lives in client/keys.py, config/loader.py"),
        ("api/x.py", "import trio\ntrio.serve_listeners(f, [])",
         "api/x.py:2 serve_listeners lives in api/http/server.py"),
        ("api/x.py", "from os import getenv", "api/x.py:1 getenv lives in config/loader.py"),
        ("adapters/pg.py", "import asyncio", "adapters/pg.py:1 asyncio lives in adapters/aio_bridge.py"),
        ("adapters/pg.py", "from asyncio import sleep", "adapters/pg.py:1 asyncio lives in adapters/aio_bridge.py"),
        ("nursery/work.py", "def f():\n    return settles(1)", "nursery/work.py:2 settles lives in pipeline/ack.py"),
        ("attic/x.py", "", "attic/x.py:1 the room attic is not on the map"),
    ],
)  # fmt: skip
def test_the_rules_can_fail(tmp_path: Path, file: str, source: str, complaint: str) -> None:
    """A forbidden line is found, wherever it stands."""
    target = tmp_path / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source)
    assert complaint in complaints(tmp_path)


def declared_twice(package: Path) -> dict[str, list[str]]:
    """Return the class names that a package tree declares more than once, each with its places."""
    places: dict[str, list[str]] = {}
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{file.relative_to(package)}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


def test_a_class_name_is_declared_once() -> None:
    """A reader who searches a name finds one class: one name, one meaning."""
    assert declared_twice(PACKAGE) == {}


def test_declared_twice_finds_private_and_nested_classes(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("class _Once:\n    pass\n\nclass _Twice:\n    pass\n")
    (tmp_path / "b.py").write_text("def f():\n    class _Twice:\n        pass\n")
    assert declared_twice(tmp_path) == {"_Twice": ["a.py:4", "b.py:2"]}


def too_long(directory: Path) -> list[str]:
    """Return the sources below ``directory`` that have more than MAX_LINES lines, each with its number."""
    files = [file for kind in ("*.py", "*.[ch]") for file in sorted(directory.rglob(kind))]
    lines = {file: len(file.read_text().splitlines()) for file in files if file.name not in FOREIGN}
    return [f"{file.relative_to(directory)}: {count}" for file, count in lines.items() if count > MAX_LINES]


def test_no_file_is_longer_than_500_lines() -> None:
    assert too_long(PACKAGE) + too_long(SANDBOX) == []


def test_too_long_finds_one_line_too_many_also_in_folders(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n" * MAX_LINES)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.py").write_text("x = 1\n" * (MAX_LINES + 1))
    (tmp_path / "b" / "d.h").write_text("\n" * (MAX_LINES + 1))
    assert too_long(tmp_path) == ["b/c.py: 501", "b/d.h: 501"]


def test_the_tree_file_opens_every_nursery() -> None:
    """There is something to hold: the tree file does open them."""
    assert (PACKAGE / "nursery" / "tree.py").read_text().count("open_nursery()") >= 5


def test_every_c_file_is_on_the_map_of_the_readme() -> None:
    """A reader finds by the README which file a line belongs to."""
    readme = (SANDBOX / "README.md").read_text()
    listed = set(re.findall(r"[a-z_]+\.c\b", readme[readme.index("## Files") : readme.index("## Levels")]))
    assert listed == {file.name for file in SANDBOX.glob("*.c")}
