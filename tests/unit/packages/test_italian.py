"""CMS tasks in the Italian format: what task.yaml and gen/GEN may say, and what is refused."""

from __future__ import annotations

import pytest

from deepoj.judging.problem import Aggregate, Compare, Protocol
from tests.unit.packages.makers import fault, plan

TASK = "name: sum\ntitle: Sums\ntime_limit: 1.5\nmemory_limit: 256\ninfile: ''\noutfile: ''\n"
FILES = {f"{kind}/{kind}{number}.txt": "" for kind in ("input", "output") for number in range(4)}
GEN = "# a comment\n#ST: 0\n1 2\n# ST: 40\n3 4 # more\n#COPY: x\n\n#ST: 60\n5 6\n"


def test_groups_of_gen() -> None:
    found = plan({**FILES, "task.yaml": TASK, "gen/GEN": GEN})
    assert (found.format, found.title, found.scored) == ("cms", "Sums", True)
    assert (found.limits.time_ms, found.limits.memory_mb) == (1500, 256)
    assert found.compare == Compare(way="numbered_lines")
    assert [(one.name, one.aggregate, one.max_score) for one in found.groups[1:]] == [
        ("subtask 1", Aggregate.MIN, 0),
        ("subtask 2", Aggregate.MIN, 40),
        ("subtask 3", Aggregate.MIN, 60),
    ]
    assert [(case.input, case.group, case.sample) for case in found.cases] == [
        ("input/input0.txt", "subtask 1", True),
        ("input/input1.txt", "subtask 2", False),
        ("input/input2.txt", "subtask 2", False),
        ("input/input3.txt", "subtask 3", False),
    ]


def test_sum_without_gen_and_older_keys() -> None:
    told = "nome_breve: s\nnome: Somme\ntimeout: 2\nmemlimit: 64\ninfile: ''\noutfile: ''\nn_input: 4\ntotal_value: 50"
    found = plan({f"s/{name}": text for name, text in {**FILES, "task.yaml": told}.items()})
    assert (found.title, found.limits.time_ms, found.limits.memory_mb) == ("Somme", 2000, 64)
    assert [one.max_score for one in found.groups] == [50]
    assert len(found.cases) == 4


@pytest.mark.parametrize("name", ["check/checker.cpp", "cor/correttore.c", "check/checker.py"])
def test_source_of_a_checker_is_cms_comparator(name: str) -> None:
    checker = plan({**FILES, "task.yaml": TASK, "gen/GEN": GEN, name: "", name.rpartition(".")[0]: "ELF"}).checker
    assert checker is not None
    assert (checker.protocol, checker.program.files) == (Protocol.CMS, (name,))


def test_output_only_task_takes_outputs_by_cms_names() -> None:
    found = plan({**FILES, "task.yaml": "name: s\ntitle: S\noutput_only: true\nn_input: 4", "att/a.zip": ""})
    assert (found.output_only, [case.name for case in found.cases][::3]) == (True, ["output_000", "output_003"])
    assert found.attachments == ("att/a.zip",)


def test_statement_and_solutions() -> None:
    more = {"statement/statement.pdf": "", "sol/solution.cpp": "", "sol/slow.py": ""}
    found = plan({**FILES, **more, "task.yaml": TASK + "primary_language: en", "gen/GEN": GEN})
    assert [(one.language, one.kind) for one in found.statements] == [("en", "pdf")]
    assert {one.name: one.expected for one in found.examples} == {"sol/solution.cpp": ("Accepted",), "sol/slow.py": ()}


def test_tokens_are_noted_and_ignored() -> None:
    found = plan({**FILES, "task.yaml": TASK + "token_mode: finite\ntoken_max: 3", "gen/GEN": GEN})
    assert [note for note in found.unsupported if "token_mode" in note]


def test_missing_limits_are_noted() -> None:
    found = plan({**FILES, "task.yaml": "infile: ''\noutfile: ''\nn_input: 4"})
    assert (found.limits.time_ms, len(found.unsupported)) == (None, 2)


@pytest.mark.parametrize(
    ("told", "gen", "words"),
    [
        ("infile: in.txt", GEN, "'in.txt'"),
        ("outfile: out.txt", GEN, "'out.txt'"),
        ("n_input: 5", GEN, "n_input"),
        ("n_input: 5", None, "'input/input4.txt'"),
        ("", None, "n_input"),
        ("", GEN + "7\n", "'input/input4.txt'"),
        ("", "1 2\n#ST: 100\n3\n", "belongs to a subtask"),
        ("", "#ST: 100\n#ST: 0\n3\n", "belongs to a subtask"),
        ("", "#ST: 90\n3\n", "add up to 100"),
        ("", "#ST: x\n3\n", "a number"),
        ("num_processes: 2", GEN, "'num_processes'"),
        ("score_type: GroupMul", GEN, "'score_type'"),
        ("outputonly: true", GEN, "'outputonly'"),
    ],
)
def test_unsupported_is_refused_by_name(told: str, gen: str | None, words: str) -> None:
    task = "".join(line + "\n" for line in TASK.splitlines() if line.partition(":")[0] != told.partition(":")[0])
    found = fault({**FILES, "task.yaml": f"{task}{told}", **({} if gen is None else {"gen/GEN": gen})})
    assert words in found.sentence


def test_files_of_cms_are_the_default_and_refused() -> None:
    assert "'input.txt' (CMS's default" in fault({**FILES, "task.yaml": "n_input: 4"}).sentence


@pytest.mark.parametrize("name", ["sol/grader.cpp", "sol/stub.py", "check/manager", "cor/manager.cpp"])
def test_managers_are_refused(name: str) -> None:
    found = fault({**FILES, "task.yaml": TASK, "gen/GEN": GEN, name: ""})
    assert (found.file, "graders, stubs and managers" in found.sentence) == (name, True)


def test_compiled_checker_alone_is_refused() -> None:
    assert "its source" in fault({**FILES, "task.yaml": TASK, "gen/GEN": GEN, "check/checker": "ELF"}).sentence
