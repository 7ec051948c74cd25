"""The client commands against a real node."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.nodes import ACCEPTED, BROKEN, DEEPOJ, WRONG, Node, package
from tests.e2e.typed import typed

PASSWORD = "a pass phrase"
THREE = {f"{n}.in": f"{n} 1\n" for n in (1, 2, 3)} | {f"{n}.out": f"{n + 1}\n" for n in (1, 2, 3)}

type Type = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def problem_id(node: Node) -> int:
    return node.problem(node.token(), data=package(THREE))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


@pytest.fixture(scope="module")
def type_(node: Node, config: Path) -> Type:
    """Run a command as a logged-in user."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DEEPOJ_")}
    environ |= {"XDG_CONFIG_HOME": str(config)}

    def command(*args: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return typed(*args, env=environ, cwd=config, given=given)

    done = command("login", node.base, "--username", "terminal", "--register", given=PASSWORD + "\n")
    assert (done.returncode, done.stdout) == (0, f"Logged in to {node.base} as terminal.\n"), done.stderr
    return command


def source(config: Path, name: str, text: str) -> str:
    (config / name).write_text(text)
    return name


def test_the_token_is_kept_for_its_owner_alone_and_never_shown(type_: Type, config: Path, node: Node) -> None:
    [kept] = (config / "deepoj").glob("server-*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    token = json.loads(kept.read_text())["token"]
    again = type_("login", node.base, "--username", "terminal", "--json", given=PASSWORD + "\n")
    assert json.loads(again.stdout) == {"url": node.base, "username": "terminal"}
    assert token not in again.stdout + again.stderr
    assert PASSWORD not in again.stdout + again.stderr + kept.read_text()


def test_a_wrong_password_is_the_servers_sentence_and_2(type_: Type, node: Node) -> None:
    done = type_("login", node.base, "--username", "terminal", given="another\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "(BAD_CREDENTIALS)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_accepted_solution_test_by_test(type_: Type, config: Path, problem_id: int) -> None:
    file = source(config, "good.cpp", ACCEPTED + "// terminal")
    done = type_("submit", file, "--problem", str(problem_id), "--wait")
    assert done.returncode == 0, done.stderr
    submitted, *tests, verdict = done.stdout.splitlines()
    assert re.fullmatch(r"Submitted, Job ID: \S+", submitted)
    assert [re.sub(r"[\d,]+ (?=ms|KB)", "# ", line).split() for line in tests] == [
        [f"{n}/3", str(n), "Accepted", "#", "ms", "#", "KB"] for n in (1, 2, 3)
    ]
    assert re.search(r"^Accepted .* \d[\d,]* ms, \d[\d,]* KB$", verdict), verdict
    assert "\x1b" not in done.stdout
    job_id = submitted.rpartition(" ")[2]
    looked = type_("status", job_id)
    assert (looked.returncode, looked.stdout.splitlines()) == (0, [*tests, verdict])
    told = type_("status", job_id, "--json")
    assert told.stdout.count("\n") == 1
    assert (json.loads(told.stdout)["job_id"], json.loads(told.stdout)["status"]) == (job_id, "Accepted")


def test_a_wrong_one_exits_1_also_as_json(type_: Type, config: Path, problem_id: int) -> None:
    file = source(config, "bad.cpp", WRONG + "// terminal")
    done = type_("submit", file, "--problem", str(problem_id), "--wait", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("\n") == 1
    said = json.loads(done.stdout)
    assert (said["state"], said["status"]) == ("done", "Wrong Answer")
    watched = type_("status", said["job_id"], "--watch")
    assert watched.returncode == 1
    assert watched.stdout.splitlines()[-1].startswith("Wrong Answer")


def test_a_broken_one_shows_the_compilers_words(type_: Type, config: Path, problem_id: int) -> None:
    done = type_("submit", source(config, "broken.cpp", BROKEN), "--problem", str(problem_id), "--wait")
    assert done.returncode == 1
    assert "undeclared_name" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Compile Error")


def test_submit_of_several_files_and_to_an_unknown_problem(type_: Type, config: Path, problem_id: int) -> None:
    files = [
        source(config, "sum.h", "int sum(int, int);"),
        source(config, "sum.cpp", '#include "sum.h"\nint sum(int a, int b) { return a + b; }'),
        source(config, "main.cpp", '#include <iostream>\n#include "sum.h"\nint main(){int a,b;std::cin>>a>>b;'
               "std::cout<<sum(a,b);}"),
    ]  # fmt: skip
    done = type_("submit", *files, "--problem", str(problem_id), "--entry-point", "main.cpp", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    nowhere = type_("submit", "main.cpp", "--problem", "999999")
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert "(PROBLEM_NOT_FOUND)" in nowhere.stderr
    assert type_("status", "no-such-job").returncode == 2


def test_a_run_is_as_if_it_were_here(type_: Type, config: Path) -> None:
    file = source(config, "run.cpp", ACCEPTED)
    done = type_("run", file, given="20 22\n")
    assert (done.returncode, done.stdout) == (0, "42"), done.stderr
    assert done.stderr.startswith("Finished")
    fails = type_("run", source(config, "fails.py", "import sys; sys.exit(3)"), "--json")
    assert fails.returncode == 1
    assert json.loads(fails.stdout)["status"] == "Runtime Error"


def test_problems_and_languages_are_listed(type_: Type, problem_id: int) -> None:
    assert f"{problem_id} " in type_("problems").stdout
    assert "cpp17" in type_("languages").stdout
    known = json.loads(type_("languages", "--json").stdout)["languages"]
    assert {"cpp17", "python3"} <= {one["key"] for one in known}


def test_closed_port_exits_3(type_: Type, config: Path) -> None:
    done = type_("problems", "--url", "http://127.0.0.1:9", "--retry-for", "0")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("deepoj: http://127.0.0.1:9 cannot be reached")
    assert done.stderr.count("\n") == 1


#: a pseudo-terminal: stdin is typed, its output goes to stdout
TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def test_on_a_terminal_the_password_is_not_shown_and_the_verdict_is_in_colour(
    type_: Type, node: Node, config: Path, problem_id: int
) -> None:
    source(config, "seen.cpp", ACCEPTED + "// seen")
    environ = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(config), "TERM": "xterm-256color", "COLUMNS": "100"}

    def at_a_terminal(*args: str, asked: bytes = b"", typed: bytes = b"") -> tuple[int, bytes]:
        with subprocess.Popen(
            [sys.executable, "-c", TERMINAL, str(DEEPOJ), *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, cwd=config,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            seen = b""
            # the terminal would echo input that is typed before the question
            while asked and asked not in seen and (part := os.read(process.stdout.fileno(), 4096)):
                seen += part
            if typed:
                process.stdin.write(typed)
                process.stdin.flush()
            seen += process.stdout.read()
            return process.wait(240), seen

    code, seen = at_a_terminal(
        "login", node.base, "-u", "terminal", asked=b"Password: ", typed=PASSWORD.encode() + b"\n"
    )
    assert code == 0, seen
    assert PASSWORD.encode() not in seen
    assert b"Logged in to" in seen
    code, seen = at_a_terminal("submit", "seen.cpp", "-p", str(problem_id), "--wait")
    assert code == 0, seen
    assert b"\x1b[1;32mAccepted\x1b[0m" in seen
    assert seen.count(b"\x1b[32mAccepted") == 3


def test_a_made_token_works_makes_no_other_and_ends(type_: Type, config: Path) -> None:
    made = json.loads(type_("account", "tokens", "make", "build", "--json", given=PASSWORD + "\n").stdout)
    environ = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(config), "DEEPOJ_TOKEN": made["token"]}

    def program(*args: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return typed(*args, env=environ, cwd=config, given=given)

    listed = program("account", "tokens", "list", "--json")
    assert [one["name"] for one in json.loads(listed.stdout)["tokens"]] == ["build"], listed.stderr
    refused = program("account", "tokens", "make", "another", given=PASSWORD + "\n")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "log in with your password" in refused.stderr
    ended = type_("account", "tokens", "end", made["id"], "--json")
    assert json.loads(ended.stdout) == {"id": made["id"], "status": "ended"}
    assert program("account", "tokens", "list").returncode == 2


def test_command_after_logout_says_to_log_in(type_: Type, node: Node) -> None:
    """The last test: it revokes the token."""
    assert type_("logout").returncode == 0
    done = type_("status", "some-job")
    assert done.returncode == 2
    assert f"`deepoj login {node.base}`" in done.stderr
