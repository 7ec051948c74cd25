"""Every setting has an effect or is in NO_EFFECT_YET, as read from the sources.

A setting has an effect if code outside ``config/`` reads it as an attribute of the settings, or if a rule of
``config/derived.py`` makes another setting follow it that is read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from deepoj.config.checks import NO_EFFECT_YET
from deepoj.config.keys import leaves, value_of
from deepoj.config.loader import load
from deepoj.config.model import Config
from tests.unit.test_config import sample_of

PACKAGE = Path(__file__).parents[2] / "deepoj"
#: the file that passes settings on under other names
HANDED_ON = Path("wiring/settings.py")

#: an attribute path from the settings' root: ``("api", "port")``
type Names = Mapping[str, frozenset[tuple[str, ...]]]


def test_every_setting_does_something_or_is_said_to_do_nothing_yet() -> None:
    used = _used(PACKAGE)
    idle = {key for key in leaves() if key not in used}
    assert sorted(idle) == sorted(NO_EFFECT_YET)


def _used(package: Path) -> set[str]:
    """Keys that are read, and those that a read one follows."""
    read = _read(package)
    plain = load({}, {})

    def moves_a_read_one(key: str) -> bool:
        told = load({key: "gc" if key == "without_roles" else sample_of(key)[0]}, {})
        return any(value_of(told, other) != value_of(plain, other) for other in read - {key})

    return read | {key for key in set(leaves()) - read if moves_a_read_one(key)}


def _read(package: Path) -> set[str]:
    """Keys that code outside ``config/`` reads."""
    trees = {
        file.relative_to(package): ast.parse(file.read_text())
        for file in package.rglob("*.py")
        if file.relative_to(package).parts[0] != "config"
    }
    parts_read = {node.attr for file, tree in trees.items() if file != HANDED_ON for node in _loads(tree)}
    found: set[str] = set()
    for file, tree in trees.items():
        forgotten = _forgotten(tree, parts_read) if file == HANDED_ON else frozenset()
        for path in _paths(tree, {"cfg": frozenset({()})}, forgotten):
            found |= _keys(path)
    return found


def _loads(tree: ast.AST) -> Iterator[ast.Attribute]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load))


def _forgotten(tree: ast.AST, parts_read: set[str]) -> frozenset[ast.AST]:
    """Values that are passed on under a name that no code reads."""
    return frozenset(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg is not None and node.arg not in parts_read
    )


def _paths(node: ast.AST, names: Names, skipped: frozenset[ast.AST] = frozenset()) -> Iterator[tuple[str, ...]]:
    """Every attribute path from the settings, through local names too."""
    if node in skipped:
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = _names_in(node, names)
    if isinstance(node, ast.Attribute):
        yield from _resolved(node, names)
    for child in ast.iter_child_nodes(node):
        yield from _paths(child, names, skipped)


def _resolved(node: ast.AST, names: Names) -> frozenset[tuple[str, ...]]:
    if isinstance(node, ast.Name):
        return names.get(node.id, frozenset())
    if not isinstance(node, ast.Attribute):
        return frozenset()
    if node.attr in {"cfg", "_cfg"}:
        return frozenset({()})
    return frozenset((*path, node.attr) for path in _resolved(node.value, names))


def _names_in(function: ast.FunctionDef | ast.AsyncFunctionDef, outer: Names, root: str = "cfg") -> Names:
    names = dict(outer)
    for argument in (*function.args.args, *function.args.kwonlyargs):
        names.pop(argument.arg, None)
        if argument.arg == root or (isinstance(argument.annotation, ast.Name) and argument.annotation.id == "Config"):
            names[argument.arg] = frozenset({()})
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            pairs = (
                zip(target.elts, node.value.elts, strict=False)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            for name, value in pairs:
                if isinstance(name, ast.Name) and (found := _resolved(value, names)):
                    names[name.id] = found
    return names


def _keys(path: tuple[str, ...]) -> set[str]:
    """The key at the beginning of a path; those that a property of ``Config`` reads."""
    if path and path[0] in _properties():
        return _properties()[path[0]]
    return {key for key in leaves() if key.split(".") == list(path[: key.count(".") + 1])}


@cache
def _properties() -> Mapping[str, set[str]]:
    tree = ast.parse((PACKAGE / "config/model.py").read_text())
    config = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == Config.__name__)
    own = {node.name: node for node in config.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    found: dict[str, set[str]] = {}
    for name, function in own.items():
        names = _names_in(function, {}, root="self")
        paths = {path for statement in function.body for path in _paths(statement, names)}
        found[name] = {key for path in paths for key in leaves() if key.split(".") == list(path[: key.count(".") + 1])}
    return found
