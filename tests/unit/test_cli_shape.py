"""Rules for every command: its help ends with examples that parse, it has ``--json``, a shell completes it."""

from __future__ import annotations

import gc
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from deepoj.cli import COMMANDS, group, run
from deepoj.cli.examples import EXAMPLES
from deepoj.cli.imports import importing

ROOT = Path(__file__).parents[2]

#: commands without --json, and why
NO_JSON = {
    "node": "it runs until it is stopped; --log json makes its log JSON",
    "up": "as node",
    "judge": "its answer always is one JSON line (judge protocol v1)",
    "completion": "it prints code for a shell",
}


def commands(command: click.Command = group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command below ``command`` with its path, groups included."""
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield f"{path}{name}", below
        yield from commands(below, f"{path}{name} ")


ALL = dict(commands())


def parse(args: list[str]) -> str:
    """Parse a command line as click does, without running it. Return the path of its command."""
    context = group.make_context("deepoj", args)
    command: click.Command = group
    while isinstance(command, click.Group):
        _, below, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert below is not None
        command, context = below, below.make_context(below.name, rest, parent=context)
    return context.command_path.partition(" ")[2]


@pytest.fixture(autouse=True)
def _where_the_examples_find_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("problem.zip", "problem.md", "main.cpp", "main.py", "teams.csv", "finals.zip", "night.jsonl"):
        (tmp_path / name).touch()
    for name in ("backup", "finals"):
        (tmp_path / name).mkdir()


@pytest.mark.parametrize("path", ALL)
def test_a_help_ends_with_an_example_or_two(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(EXAMPLES) == set(ALL)
    assert 1 <= len(EXAMPLES.get(path, ())) <= 2, f"deepoj/cli/examples.py: {path}"
    assert run([*path.split(), "--help"]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()
    last = [line.strip() for line in lines[lines.index("Examples:" if "Examples:" in lines else "  Examples:") + 1 :]]
    assert last == list(EXAMPLES[path])


@pytest.mark.parametrize(
    ("path", "example"), [(path, example) for path, examples in EXAMPLES.items() for example in examples]
)
def test_an_example_parses_and_is_of_its_command(path: str, example: str) -> None:
    inner = re.fullmatch(r'eval "\$\((.*)\)"', example)
    words = shlex.split(inner[1] if inner else example)
    assert words[0] == "deepoj"
    parsed = parse(words[1:])
    assert parsed == path or (isinstance(ALL[path], click.Group) and parsed.startswith(f"{path} "))


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if not isinstance(command, click.Group)])
def test_every_command_that_prints_can_print_json(path: str) -> None:
    has = any("--json" in parameter.opts for parameter in ALL[path].params)
    assert has != (path in NO_JSON), f"{path}: --json, or a reason in NO_JSON"


@pytest.mark.parametrize("line", ["config show", "config reference"])
def test_json_is_exactly_one_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*line.split(), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\n")
    assert len(out.splitlines()) == 1
    assert json.loads(out)


# -- completion


def completed(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, shell: str = "bash"
) -> list[str]:
    """Return the completions that a shell gets for a partial line."""
    monkeypatch.setenv("_DEEPOJ_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 0
    return [line.partition(",")[2] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("deepoj aud", ["audit"]),
        ("deepoj ", list(COMMANDS)),
        ("deepoj dlq li", ["list"]),
        ("deepoj verify ", ["b1", "b2", "b3", "c1", "d1"]),
        ("deepoj pressure --js", ["--json"]),
        ("deepoj completion f", ["fish"]),
    ],
)
def test_a_half_typed_line_is_completed(
    words: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert completed(words, monkeypatch, capsys) == offered


@pytest.mark.parametrize(
    ("shell", "registers"),
    [
        ("bash", "complete -o nosort -F _deepoj_completion deepoj"),
        ("zsh", "compdef _deepoj_completion deepoj"),
        ("fish", "complete --no-files --command deepoj"),
    ],
)
def test_the_code_for_a_shell_asks_us_in_that_shells_way(
    shell: str, registers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell]) == 0
    code = capsys.readouterr().out
    assert f"_DEEPOJ_COMPLETE={shell}_complete" in code
    assert registers in code


def test_bash_completes_with_it(tmp_path: Path) -> None:
    """The real shell: the function that the code defines, called as bash calls it."""
    (tmp_path / "deepoj").write_text(f'#!/bin/sh\nexec {sys.executable} -m deepoj "$@"\n')
    (tmp_path / "deepoj").chmod(0o755)
    script = (
        'eval "$(deepoj completion bash)"; COMP_WORDS=(deepoj pro); COMP_CWORD=1; '
        '_deepoj_completion deepoj; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.split() == ["problems", "probe", "problem"], done.stderr


@pytest.mark.parametrize("shell", ["tcsh", ""])
def test_an_unknown_shell_is_a_usage_error(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 2
    assert "bash" in capsys.readouterr().err


def test_every_drill_says_what_it_breaks() -> None:
    told = [command.help or "" for path, command in ALL.items() if path.startswith("drill ")]
    assert len(set(told)) == len(told)
    assert not [words for words in told if words.startswith("The drill")]


@pytest.mark.parametrize("is_enabled", [True, False])
def test_import_that_fails_leaves_garbage_collection_as_it_was(is_enabled: bool) -> None:
    (gc.enable if is_enabled else gc.disable)()
    try:
        with pytest.raises(ImportError), importing():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == is_enabled
    finally:
        gc.enable()
