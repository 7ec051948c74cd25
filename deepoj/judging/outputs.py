"""Output-only problems: contestants send the outputs themselves, and no program is run.

Such submissions take the usual way, in a language of their own: ``text``. A problem with one test takes one text. With
more tests, each output is a file named after its test (``1.out`` of the test ``secret/1``). A missing file is an empty
output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from deepoj.judging.languages import Language, resolve
from deepoj.judging.problem import Case, Plan
from deepoj.words.sandbox import Isolation, RunOutcome, RunVerdict
from deepoj.words.sources import Sources

#: the language of outputs; every node has it, and no list of compilers shows it
OUTPUTS = Language(
    id=None,
    key="text",
    name="Text (outputs, without a program)",
    package="",
    source_name="output.txt",
    compile=None,
    run=(),
    version=(),
    accepts=(),
)
#: endings that the file of an output may have
_ENDINGS = ("", ".out", ".ans", ".txt")


def language_of(number_or_key: int | str) -> Language | None:
    """Return the language like ``languages.resolve``, ``OUTPUTS`` included."""
    return OUTPUTS if number_or_key == OUTPUTS.key else resolve(number_or_key)


def mistaken(plan: Plan, language: Language, sources: Sources) -> str:
    """Return why the sources do not fit this problem, for the contestant; empty if they fit."""
    if plan.output_only and language is not OUTPUTS:
        return f"This problem takes outputs, not programs: send them in the language '{OUTPUTS.key}'."
    if not plan.output_only and language is OUTPUTS:
        return "This problem takes programs, not outputs: send one in a programming language."
    if plan.output_only and not sources.files and len(plan.cases) > 1:
        some = ", ".join(f"{stem}.out" for stem in _stems(plan.cases)[:3])
        return f"This problem has {len(plan.cases)} tests: send the output of each as a file ({some}, …)."
    return ""


def output_names(cases: Sequence[Case], sources: Sources) -> Mapping[str, str]:
    """Return test's name → name of its output file. Tests without a file are missing. A single source is the output of
    the only test."""
    if not sources.files:
        return {cases[0].name: OUTPUTS.source_name}
    there = {file.name for file in sources.files}
    names: dict[str, str] = {}
    for case, stem in zip(cases, _stems(cases), strict=True):
        name = next((stem + ending for ending in _ENDINGS if stem + ending in there), None)
        if name is not None:
            names[case.name] = name
    return names


def taken_for_run(output_bytes: int, isolation: Isolation) -> RunOutcome:
    """Return the outcome of an imaginary run that wrote this output and used no resources."""
    return RunOutcome(
        verdict=RunVerdict.OK,
        rule="ok",
        exit_code=0,
        exit_signal=0,
        cpu_ms=0,
        wall_ms=0,
        memory_kb=0,
        stdout=b"",
        stdout_len=output_bytes,
        truncated_stdout=False,
        stderr=b"",
        stderr_len=0,
        truncated_stderr=False,
        isolation=isolation,
    )


def _stems(cases: Sequence[Case]) -> list[str]:
    """Return the tests' file names without ending: names without folders, unless those are not unique."""
    bases = [case.name.rpartition("/")[2] for case in cases]
    count = Counter(bases)
    return [base if count[base] == 1 else case.name.replace("/", "_") for case, base in zip(cases, bases, strict=True)]
