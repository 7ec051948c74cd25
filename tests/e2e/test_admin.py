"""``deepoj admin`` beside a running node, whose embedded servers it finds without settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.nodes import Node, bearer, package, running
from tests.e2e.typed import typed

PACKAGES = Path(__file__).parents[1] / "packages"
PLAIN = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Path]]:
    """A node on which no registration makes an administrator."""
    home = tmp_path_factory.mktemp("admin") / "home"
    with running(home, env={"ADMIN_REGISTRATION": "closed"}) as node:
        yield node, home


def create_user(home: Path, name: str, password: str = "") -> tuple[int, str, str]:
    words = ("--home", str(home), "admin", "create-user", name, "--password-stdin", "--json")
    done = typed(*words, env=PLAIN, given=f"{password}\n")
    return done.returncode, done.stdout, done.stderr


def uploads(node: Node, token: str) -> int:
    answer = node.client.post(
        "/api/v1/problems", data={"title": "A+B"}, files={"file": ("p.zip", package())}, headers=bearer(token)
    )
    return answer.status_code


def test_a_new_administrator(closed: tuple[Node, Path]) -> None:
    node, home = closed
    code, out, err = create_user(home, "teacher", "a good password")
    assert (code, err) == (0, "")
    assert json.loads(out)["created"] is True
    assert uploads(node, node.token("teacher", "a good password")) == httpx.codes.OK


def test_a_promotion_keeps_the_password(closed: tuple[Node, Path]) -> None:
    node, home = closed
    assert uploads(node, node.token("student", "a students password")) == httpx.codes.FORBIDDEN
    code, out, _err = create_user(home, "student")
    assert code == 0
    assert json.loads(out)["created"] is False
    assert uploads(node, node.token("student", "a students password")) == httpx.codes.OK


@pytest.mark.parametrize(
    ("name", "password", "says"), [("x", "long enough", "username"), ("fine", "short", "password")]
)
def test_malformed_account_is_refused(closed: tuple[Node, Path], name: str, password: str, says: str) -> None:
    _node, home = closed
    code, out, err = create_user(home, name, password)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1


def import_(home: Path, *args: str) -> tuple[int, str, str]:
    done = typed("--home", str(home), "problem", "import", *args, env=PLAIN)
    return done.returncode, done.stdout, done.stderr


def test_a_package_is_imported_without_an_account(closed: tuple[Node, Path], tmp_path: Path) -> None:
    """From a directory and a zip: the API shows both problems, and a submission to one is judged."""
    node, home = closed
    code, out, err = import_(home, str(PACKAGES / "own-sums"), "--json")
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert (made["title"], made["format"], made["cases"], made["unsupported"]) == ("Sums", "own", 4, [])
    (tmp_path / "p.zip").write_bytes(package())
    code, out, err = import_(home, str(tmp_path / "p.zip"), "--title", "Plain", "--time-limit", "700")
    assert (code, err) == (0, "")
    assert "Plain" in out
    shown = node.client.get(f"/api/v1/problems/{made['id']}").json()
    assert (shown["title"], shown["time_limit"], shown["memory_limit"]) == ("Sums", 1000, 128)
    token = node.token("solver", "a solvers password")
    code_text = "a, b = map(int, input().split())\nprint(a + b)\n"
    assert node.judged(token, made["id"], code_text, "python3")["status"] == "Accepted"


@pytest.mark.parametrize(
    ("files", "args", "code", "says"),
    [
        ({"1.in": ""}, ["--title", "x"], 1, "1.in"),
        ({"1.in": "", "1.out": ""}, [], 1, "--title"),
        (
            {"1.in": "", "1.out": "", "deepoj.yaml": "title: x\nchecker: {files: [c.cpp]}", "c.cpp": "int main("},
            [],
            1,
            "(c.cpp): The checker 'c.cpp' does not compile",
        ),
        ({"1.in": "", "1.out": ""}, ["--title", "x", "--time-limit", "999999"], 2, "--time-limit"),
        ({"1.in": "", "1.out": "", "deepoj.yaml": "title: x\ncompare: exact"}, ["--compare", "tokens"], 1, "--compare"),
    ],
)
def test_malformed_package_is_not_imported(  # noqa: PLR0917 - a row of the table
    closed: tuple[Node, Path], tmp_path: Path, files: dict[str, str], args: list[str], code: int, says: str
) -> None:
    _node, home = closed
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    ended, out, err = import_(home, str(tmp_path), *args)
    assert (ended, out) == (code, "")
    assert says in err
