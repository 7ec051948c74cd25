"""Read the runbooks: headings, blocks of commands with their expected output, rows of the symptoms' table.

``test_runbook_text.py`` executes blocks ``sh run`` and ``sh look`` of the English runbook against a real node, and
compares what they print with the block ``text shows`` after them, in which ``…`` is any text. Blocks ``sh check`` need
Docker, systemd, Kubernetes or another kind of node: of these it reads the shell's syntax, the files, and the names of
services and containers. ``tests/deploy/test_compose_up.py`` executes Docker's commands.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import host
from tests.e2e.nodes import DEEPOJ, ROOT

ENGLISH = ROOT / "deploy" / "runbook.md"
CHINESE = ROOT / "deploy" / "runbook.zh.md"

#: kinds of blocks
EXECUTED, LOOKED, CHECKED = "sh run", "sh look", "sh check"
SHOWS = "text shows"
BLOCK_S = 600.0


@dataclass
class Block:
    """A fenced block: the number of its section, its kind and text, and lines that its output must contain."""

    section: str
    kind: str
    text: str
    line: int
    shows: list[str] = field(default_factory=list)


def blocks(path: Path) -> list[Block]:
    """Return all blocks of a runbook in order. AssertionError for a fence of an unknown kind."""
    found: list[Block] = []
    section, kind, inside = "", None, list[str]()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if kind is None and (heading := re.match(r"#{2,3} (\d+(?:\.\d+)?)", line)):
            section = heading.group(1)
        elif kind is None and line.startswith("```"):
            kind, inside = line[3:], []
        elif line == "```":
            if kind == SHOWS:
                found[-1].shows.extend(inside)
            else:
                assert kind in (EXECUTED, LOOKED, CHECKED), f"{path.name}:{number}: a block {kind!r}"
                found.append(Block(section, kind, "\n".join(inside) + "\n", number))
            kind = None
        elif kind is not None:
            inside.append(line)
    assert kind is None, f"{path.name}: a block without an end"
    return found


def headings(path: Path) -> list[str]:
    """Return the numbers of chapters and sections."""
    return re.findall(r"^#{2,3} (\d+(?:\.\d+)?)", path.read_text(), flags=re.MULTILINE)


def rows(path: Path) -> list[list[str]]:
    """Return the cells of the symptoms' table, row by row."""
    text = path.read_text()
    table = text[text.index("\n## 4.") : text.index("\n### 4.1")]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def shown(wanted: str, said: str) -> bool:
    """Whether a line of ``text shows`` is in an output; ``…`` matches anything within a line."""
    pattern = ".*?".join(re.escape(part.strip()) for part in wanted.split("…"))
    return re.search(pattern, said) is not None


class Shell:
    """Runs blocks as one shell does: variables, exports and functions stay for later blocks."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        path = f"{DEEPOJ.parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"
        ours = {"HOME": str(directory), "PATH": path, "LANG": "C.UTF-8", "TMPDIR": str(directory)}
        self._env = ours | host.asked_setting() | dict(env)
        self._state = directory / "state"
        self._state.touch()

    def run(self, block: Block, extra: Mapping[str, str] | None = None, around: Sequence[str] = ()) -> str:
        """Run a block and return its output. AssertionError if it fails or does not show the expected lines.

        ``extra``: environment for this block alone. ``around``: words that run its shell in another place.
        """
        given = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in (extra or {}).items())
        kept = "" if given else f"{{ export -p; declare -f; }} > {self._state}\n"
        script = f"set -euo pipefail\n. {self._state}\n{given}{block.text}\n{kept}"
        done = subprocess.run(
            [*around, "/bin/bash", "-c", script], cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=BLOCK_S, check=False,
        )  # fmt: skip
        said = f"{done.stdout}\n{done.stderr}"
        where = f"the block that ends in line {block.line} (section {block.section})"
        assert done.returncode == 0, f"{where}: {done.returncode}\n{block.text}\n{said}"
        missing = [line for line in block.shows if not shown(line, said)]
        assert not missing, f"{where} does not show {missing}:\n{said}"
        return said
