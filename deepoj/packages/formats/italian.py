"""CMS tasks in the Italian format: ``task.yaml``, ``input/``, ``output/``, ``gen/GEN``; batch and output-only.

The format is what CMS's loader reads: ``cmscontrib/loaders/italy_yaml.py`` of cms-dev/cms (``get_task``). A checker is
CMS's comparator (``cms/grading/steps/trusted.py``: ``checker input correct_output output``); without one CMS compares
by ``cms/grading/steps/whitediff.py``. Tasks with graders, stubs and managers are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepoj.judging.paths import base, without_suffix
from deepoj.judging.problem import Aggregate, Case, Checker, Compare, Example, Group, Limits, Plan, Protocol, Statement
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.keys import check_keys
from deepoj.packages.formats.programs import program_of, sources_in
from deepoj.packages.formats.statements import language_code
from deepoj.packages.formats.submissions import AC, example_of, read_submissions
from deepoj.packages.formats.texts import as_bool, as_number, as_text, yaml_map

MARK = "task.yaml"
_GEN = "gen/GEN"
_CHECKERS = ("check/checker", "cor/correttore")
_STATEMENTS = ("statement/statement.pdf", "testo/testo.pdf")
#: stems of files in sol/, check/ and cor/ that CMS links with a submission or runs beside it
_MANAGERS = frozenset({"grader", "stub", "manager"})
_SOLUTIONS = frozenset({"solution", "soluzione", "sol"})
_MOST_TESTS = 100_000


def read(files: Files) -> Plan:
    """Read a task of the Italian format. Raises Unusable."""
    notes: list[str] = []
    task = yaml_map(files, MARK)
    check_keys({key: value for key, value in task.items() if value is not None}, "cms task.yaml", MARK, notes)
    _refuse_managers(files)
    output_only = as_bool(task.get("output_only", False), MARK, "output_only")
    if not output_only:
        _refuse_files(task)
    subtasks, tests = _gen(files, task)
    checker = _checker(files)
    return Plan(
        format="cms",
        cases=_cases(files, subtasks, tests, output_only=output_only),
        groups=_groups(task, subtasks),
        scored=True,
        title=_text(task, "title", "nome"),
        compare=Compare(way="numbered_lines") if checker is None else None,
        checker=checker,
        limits=Limits() if output_only else _limits(task, notes),
        output_only=output_only,
        examples=(
            *read_submissions(files, notes, outputs=output_only),
            *(() if output_only else _solutions(files, notes)),
        ),
        statements=_statement(files, task),
        attachments=files.below("att/"),
        unsupported=tuple(notes),
    )


def _text(task: Mapping[str, Any], key: str, older: str) -> str:
    value = task.get(key, task.get(older))
    return "" if value is None else as_text(value, MARK, key).strip()


def _refuse_managers(files: Files) -> None:
    for folder in ("sol/", "check/", "cor/"):
        for name in files.in_folder(folder):
            if without_suffix(base(name)).lower() in _MANAGERS:
                raise Unusable(
                    name,
                    f"{show(name)}: CMS tasks with graders, stubs and managers (functions instead of programs, several"
                    " processes) are not supported. Write it as an interactive problem of Kattis or Polygon, or as a"
                    " batch task whose programs use standard input and output.",
                )


def _refuse_files(task: Mapping[str, Any]) -> None:
    """Refuse tasks whose programs read and write files; CMS's own names are used where none are given."""
    for key, usual in (("infile", "input.txt"), ("outfile", "output.txt")):
        name = as_text(task.get(key, usual), MARK, key)
        if name:
            given = "" if key in task else f" (CMS's default, because {key} is not given)"
            raise Unusable(
                MARK,
                f"{show(MARK)}: {key}: programs that read or write the file {show(name)}{given} are not supported. Let"
                " them use standard input and output, and set infile and outfile to ''.",
            )


# ---------------------------------------------------------------------------------------------------------------------
# Tests


def _gen(files: Files, task: Mapping[str, Any]) -> tuple[list[tuple[float, int]], int]:
    """Return the subtasks with their points and number of tests, and the number of all tests."""
    listed = task.get("n_input")
    count = None if listed is None else round(as_number(listed, MARK, "n_input", least=1, most=_MOST_TESTS))
    if _GEN not in files:
        if count is None:
            raise Unusable(MARK, f"{show(MARK)}: n_input, the number of tests, is needed where there is no {_GEN}.")
        return [], count
    subtasks: list[tuple[float, int]] = []
    loose = 0
    for line in files.text(_GEN).split("\n"):
        test, _, comment = (part.strip() for part in line.partition("#"))
        if comment.startswith("ST:") and not test:
            subtasks.append((as_number(comment[3:], _GEN, "the points of a subtask", least=0, most=100), 0))
        elif test or comment.startswith("COPY:"):
            if subtasks:
                subtasks[-1] = (subtasks[-1][0], subtasks[-1][1] + 1)
            else:
                loose += 1
    tests = loose + sum(size for _, size in subtasks)
    if subtasks and (loose or any(size == 0 for _, size in subtasks)):
        raise Unusable(_GEN, f"{show(_GEN)}: every test belongs to a subtask, and every subtask has a test.")
    if subtasks and sum(points for points, _ in subtasks) != 100:
        raise Unusable(_GEN, f"{show(_GEN)}: the points of the subtasks do not add up to 100.")
    if count is not None and count != tests:
        raise Unusable(_GEN, f"{show(_GEN)} lists {tests} tests, and n_input of {MARK} is {count}.")
    return subtasks, tests


def _cases(files: Files, subtasks: list[tuple[float, int]], tests: int, *, output_only: bool) -> tuple[Case, ...]:
    # tests of a subtask without points are the statement's examples
    places = [
        (f"subtask {number}", points == 0) for number, (points, size) in enumerate(subtasks, 1) for _ in range(size)
    ]
    cases = []
    for number in range(tests):
        names = f"input/input{number}.txt", f"output/output{number}.txt"
        for name in names:
            if name not in files:
                raise Unusable(
                    name, f"{show(name)}, a file of test {number}, is not in the package: run the generator."
                )
        group, sample = places[number] if places else ("", False)
        cases.append(
            Case(
                name=f"output_{number:03}" if output_only else f"{number:03}",
                input=names[0],
                answer=names[1],
                group=group,
                sample=sample,
            )
        )
    return tuple(cases)


def _groups(task: Mapping[str, Any], subtasks: list[tuple[float, int]]) -> tuple[Group, ...]:
    total = as_number(task.get("total_value", 100), MARK, "total_value", least=0, most=1e9)
    root = Group(name="", parent=None, max_score=None if subtasks else total)
    return (
        root,
        *(
            Group(name=f"subtask {number}", aggregate=Aggregate.MIN, max_score=points)
            for number, (points, _) in enumerate(subtasks, 1)
        ),
    )


def _limits(task: Mapping[str, Any], notes: list[str]) -> Limits:
    time, memory = task.get("time_limit", task.get("timeout")), task.get("memory_limit", task.get("memlimit"))
    for key, value in (("time_limit", time), ("memory_limit", memory)):
        if value is None:
            notes.append(
                f"{show(MARK)} has no {key}, which is no limit in CMS: give one, or the server's default is used."
            )
    return Limits(
        time_ms=None if time is None else round(as_number(time, MARK, "time_limit", least=1e-3, most=1e6) * 1000),
        memory_mb=None if memory is None else round(as_number(memory, MARK, "memory_limit", least=1, most=1e7)),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Programs and texts


def _checker(files: Files) -> Checker | None:
    for stem in _CHECKERS:
        beside = files.in_folder(stem.rpartition("/")[0] + "/")
        sources = [name for name in sources_in(files, beside) if without_suffix(name) == stem]
        headers = [name for name in beside if name.endswith((".h", ".hpp"))]
        if sources:
            return Checker(program=program_of(files, (*sources[:1], *headers), "The checker"), protocol=Protocol.CMS)
        if stem in files:
            raise Unusable(stem, f"{show(stem)} is a compiled checker: put its source ({stem}.cpp) beside it.")
    return None


def _solutions(files: Files, notes: list[str]) -> tuple[Example, ...]:
    """Return the programs in sol/. The one that is called solution is right; nothing is promised of the others."""
    examples = []
    for name in sources_in(files, files.in_folder("sol/")):
        is_main = without_suffix(base(name)).lower() in _SOLUTIONS
        expected, promised_by = ((AC,), MARK) if is_main else ((), "")
        examples.append(example_of(files, name, (name,), notes, expected=expected, promised_by=promised_by))
    return tuple(examples)


def _statement(files: Files, task: Mapping[str, Any]) -> tuple[Statement, ...]:
    language = language_code(as_text(task.get("primary_language") or "it", MARK, "primary_language"))
    name = next((name for name in _STATEMENTS if name in files), None)
    return () if name is None else (Statement(language=language, kind="pdf", file=name),)
