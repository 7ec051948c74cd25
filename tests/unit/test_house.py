"""The house rules, checked by reading the sources: imports, names with one place, class names, dead code, words.

Each rule is a function from a tree of sources to its breaches. ``tests/mutants`` plants a breach of each.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "deepoj"
SANDBOX = ROOT / "sandbox_ext"
#: the Python that is installed, or builds what is
PRODUCT = ("deepoj/**/*.py", "sandbox_ext/*.py", "deploy/*.py", "setup.py")
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
    "contests": {"words"},
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
        "packages/formats", "webhooks", "capacity", "contests",
    },
    "web": {"words", "ports", "judging", "observe", "accounts", "packages", "playground", "api", "contests"},
    "adapters": {"words", "ports", "judging", "observe", "config", "packages/formats", "contests"},
    "nursery": {
        "words", "ports", "observe", "api", "config", "pipeline", "execution", "playground", "capacity",
    },
    "wiring": {
        "words", "ports", "judging", "accounts", "execution", "pipeline", "playground", "packages", "packages/formats",
        "webhooks", "capacity", "observe", "config", "api", "web", "adapters", "nursery",
    },
    #: what runs beside the nodes: none of them imports it
    "operate/drill": {"words", "pipeline", "adapters", "operate"},
    "operate": {
        "words", "ports", "judging", "accounts", "execution", "pipeline", "playground", "packages", "packages/formats",
        "webhooks", "capacity", "observe", "config", "api", "web", "adapters", "nursery", "wiring", "sample",
        "contests",
    },
    #: nothing of the store, the stream or the sandbox
    "client": {"words", "judging", "sample"},
    "client/contests": {"words", "judging", "contests", "packages/formats", "sample", "client"},
    "cli": {
        "words", "ports", "judging", "accounts", "execution", "pipeline", "playground", "packages", "packages/formats",
        "webhooks", "capacity", "observe", "config", "api", "adapters", "nursery", "wiring", "sample", "client",
        "client/contests", "operate", "operate/drill", "contests",
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

#: modules of ``cli`` that define no command and print none's results (those are named ``*_view``) → what commands share
#: in them
SHARED_BY_COMMANDS: Mapping[str, str] = {
    "common.py": "the settings, the database, JSON lines",
    "connection.py": "the options and the connection to a server",
    "errors.py": "the line and the exit code of a failed command",
    "examples.py": "the examples in the help",
    "imports.py": "the import of a command's modules",
    "rejudging.py": "the options of rejudges",
    "scopes.py": "the options that name submissions",
}

#: words that usually replace the name of the thing that is meant
TELL_TALE = re.compile(
    r"\b(nobody|whoever|whatever|anew|thereof|such\s+a|the\s+like|for\s+ever|how\s+man(?:y-?e?th|ieth)|comes\s+to|stands\s+for)\b",
    re.IGNORECASE,
)
PROSE = {".py", ".c", ".h", ".cpp", ".txt", ".md", ".html", ".css"}
#: texts of others, and this list of words
NOT_COUNTED = ("deepoj/judging/testlib/", "tests/unit/test_house.py")
#: file → number of these words in it. The counts may only go down: lower them here when you remove a word, and never
#: raise them or add a file for new prose. Names (the user ``nobody``) may stay.
ALLOWED: Mapping[str, int] = {
    "deepoj/adapters/embedded/reach.py": 3,  # the user nobody
    "deepoj/judging/canaries/__init__.py": 1,  # output of a canary
    "deepoj/judging/canaries/programs/library.cpp": 1,  # the same
    "deepoj/operate/bench/rivals.py": 1,  # the user nobody
    "tests/api/test_serve.py": 1,
    "tests/e2e/test_without_root.py": 3,  # the user nobody
    "tests/mutants/table.py": 1,  # a planted word
    "tests/servers.py": 4,  # the user nobody
    "tests/unit/test_canary_step.py": 1,  # output of a canary
}


def misplaced(package: Path) -> list[str]:
    """Return imports that ROOMS forbids and names outside of their files in ONLY_IN, as ``file:line what``."""
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
    if parts == ["deepoj", "RELATIVE"]:
        yield f"{relative}:{line} a relative import, which this check cannot follow"
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


def declared_twice(root: Path) -> dict[str, list[str]]:
    """Return the class names that the product's Python declares more than once, each with its places."""
    places: dict[str, list[str]] = {}
    for file in (file for room in PRODUCT for file in sorted(root.glob(room))):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{file.relative_to(root)}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


def unused(package: Path) -> list[str]:
    """Return functions and classes whose name the package writes nowhere else, as ``file:line name``.

    Left out: special methods, those that a decorator registers, and methods of a class with a base, which may override.
    """
    trees = {file: ast.parse(file.read_text()) for file in sorted(package.rglob("*.py"))}
    used: set[str] = set()
    overriding: set[ast.AST] = set()
    for node in (node for tree in trees.values() for node in ast.walk(tree)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                used.add(name)
            case ast.Constant(value=str(text)) if len(text) < 80:  # a name that is looked up
                used.update(re.findall(r"\w+", text))
            case ast.ClassDef(bases=[_, *_], body=body):
                overriding.update(body)
    return [
        f"{file.relative_to(package)}:{node.lineno} {node.name}"
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not (node.decorator_list or node in overriding or node.name in used or node.name.startswith("__"))
    ]


def tell_tales(root: Path) -> dict[str, int]:
    """Count the tell-tale words of each source file under ``deepoj``, ``sandbox_ext`` and ``tests``."""
    counts: Counter[str] = Counter()
    for room in ("deepoj", "sandbox_ext", "tests"):
        for file in sorted((root / room).rglob("*")):
            name = file.relative_to(root).as_posix()
            if file.suffix in PROSE and not name.startswith(NOT_COUNTED):
                counts[name] = len(TELL_TALE.findall(file.read_text("utf-8", "replace")))
    return dict(+counts)


def without_command(commands: Path) -> list[str]:
    """Return the modules of ``cli`` that define no click command and are not named ``*_view.py``."""
    return sorted(
        file.name
        for file in commands.rglob("*.py")
        if not file.name.endswith("_view.py") and not any(map(_is_command, ast.walk(ast.parse(file.read_text()))))
    )


def _is_command(node: ast.AST) -> bool:
    """Whether this is a function below ``@click.command`` or ``@GROUP.command(…)``, or the same with ``group``."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    makers = [decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in decorators]
    return any(isinstance(maker, ast.Attribute) and maker.attr in ("command", "group") for maker in makers)


def test_modules_of_cli_define_commands_or_print_their_results() -> None:
    """What reads, computes or talks to a server belongs to client, operate or the room of its subject."""
    assert without_command(PACKAGE / "cli") == sorted(SHARED_BY_COMMANDS)


def test_imports_and_names_are_where_the_rules_allow_them() -> None:
    assert misplaced(PACKAGE) == []


def test_a_class_name_is_declared_once() -> None:
    """A reader who searches a name finds one class: one name, one meaning."""
    assert declared_twice(ROOT) == {}


def test_every_function_and_class_is_used_by_the_program() -> None:
    assert unused(PACKAGE) == []


def test_sources_use_no_tell_tale_words_beyond_the_allowed_ones() -> None:
    """Both a new word and a count in ALLOWED that is too high fail."""
    assert tell_tales(ROOT) == ALLOWED


def too_long(directory: Path) -> list[str]:
    """Return the sources below ``directory`` that have more than MAX_LINES lines, each with its number."""
    files = [file for kind in ("*.py", "*.[ch]") for file in sorted(directory.rglob(kind))]
    lines = {file: len(file.read_text().splitlines()) for file in files if file.name not in FOREIGN}
    return [f"{file.relative_to(directory)}: {count}" for file, count in lines.items() if count > MAX_LINES]


def test_no_file_is_longer_than_500_lines() -> None:
    assert too_long(PACKAGE) + too_long(SANDBOX) == []


def test_every_c_file_is_on_the_map_of_the_readme() -> None:
    """A reader finds by the README which file a line belongs to."""
    readme = (SANDBOX / "README.md").read_text()
    listed = set(re.findall(r"[a-z_]+\.c\b", readme[readme.index("## Files") : readme.index("## Levels")]))
    assert listed == {file.name for file in SANDBOX.glob("*.c")}
