"""``--json`` of the commands that look at a deployment: exactly one line on stdout, also for a failure."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest

from tests.e2e.nodes import ACCEPTED, Node, package
from tests.e2e.typed import typed
from tests.unit.test_cli_shape import ALL, NO_JSON

#: command line, and its possible exit codes on a healthy node without dead letters
COMMANDS = {
    "config show": {0},
    "config reference": {0},
    "doctor --embedded": {0, 1},
    "migrate --dry-run": {0},
    "nodes": {0},
    "pressure": {0},
    "probe": {0},
    "audit": {0},
    "dlq list": {0},
    "dlq requeue no-such-job": {1},
    "dlq discard no-such-job": {1},
    "verify b1": {0},
    "verify b2": {0},
    "verify b3 --within 1": {0, 1},
    "admin create-user admin": {0},
    "admin list-users": {0},
    "problem import problem.zip --title Sum --visibility draft --tag dp --language c17": {0},
    "problem verify problem.zip": {0, 1},
}


#: commands that need more than this node: test_admin_commands.py, test_client.py, test_submit_batch.py, test_backup.py,
#: test_contests.py
ELSEWHERE = {
    "account erase", "account export", "account tokens list", "account tokens make", "account tokens end",
    "admin erase-user",
    "admin demote-user", "admin disable-user", "admin enable-user", "admin set-password",
    "admin set-roles", "admin groups list", "admin groups create", "admin groups rename", "admin groups remove",
    "admin groups add", "admin groups take-out", "backup", "restore", "login",
    "logout", "submit", "submit-batch", "cancel-batch", "status", "run", "rerun", "problems", "languages",
    "problem show", "problem replace",
    "problem rejudge", "problem preview", "problem set", "problem statement", "contest replay",
    "contest list", "contest create", "contest show", "contest set", "contest delete", "contest problem",
    "contest teams", "contest clarify", "contest scoreboard", "contest finalize", "contest demo", "contest export",
    "contest import", "contest rejudge", "contest reviews", "contest review", "contest texts",
    "contest copy", "contest team", "contest credentials", "contest results", "contest practice", "contest clock",
    "contest statement",
}  # fmt: skip


@pytest.fixture(scope="module")
def used(node: Node) -> Node:
    """A node that has judged a submission."""
    token = node.token()
    assert node.judged(token, node.problem(token), ACCEPTED)["status"] == "Accepted"
    return node


@pytest.mark.parametrize("line", COMMANDS)
def test_json_is_exactly_one_line(used: Node, tmp_path: Path, line: str) -> None:
    (tmp_path / "problem.zip").write_bytes(package())
    home = used.log.with_suffix("")
    base = "http://127.0.0.1:{}/metrics".format
    env = {
        "PATH": os.environ["PATH"],
        "DEEPOJ_HOME": str(home),
        "PORT": str(used.ports["api"]),
        "API_METRICS_URL": base(used.ports["api"]),
        "SCHEDULER_METRICS_URL": base(used.ports["scheduler"]),
        "WORKER_METRICS_URL": base(used.ports["worker"]),
        "SCHEDULER_METRICS_PORT": str(used.ports["scheduler"]),
        "WORKER_METRICS_PORT": str(used.ports["worker"]),
    }
    done = typed(*line.split(), "--json", env=env, cwd=tmp_path)
    assert done.returncode in COMMANDS[line], done.stderr
    assert done.stdout.endswith("\n"), done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert isinstance(json.loads(done.stdout), dict | list)


def test_no_command_is_forgotten() -> None:
    leaves = {path for path, command in ALL.items() if not isinstance(command, click.Group)}
    here = {path for path in leaves for line in COMMANDS if line == path or line.startswith(f"{path} ")}
    elsewhere = {path for path in leaves if path.startswith(("drill ", "bench "))} | {"dlq show"} | ELSEWHERE
    assert leaves - here - elsewhere == set(NO_JSON)
