"""Output-only problems: contestants send the outputs themselves, and nothing is run.

They go the way of all submissions, in a language of its own: ``text``. A problem of one test takes one text; of more,
each output is a file called as its test (``1.out`` of the test ``secret/1``). What was not sent is an empty output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from deepoj.judging.languages import Language, resolve
from deepoj.judging.problem import Case, Plan
from deepoj.words import Isolation, RunOutcome, RunVerdict, Sources

#: what outputs are sent in; every node has it, and no list of compilers shows it
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
    """What ``languages.resolve`` says, and ``OUTPUTS``."""
    return OUTPUTS if number_or_key == OUTPUTS.key else resolve(number_or_key)


def mistaken(plan: Plan, language: Language, sources: Sources) -> str:
    """Why what was sent is nothing for this problem, for the contestant; empty if it is."""
    if plan.output_only and language is not OUTPUTS:
        return f"This problem takes outputs, not programs: send them in the language '{OUTPUTS.key}'."
    if not plan.output_only and language is OUTPUTS:
        return "This problem takes programs, not outputs: send one in a programming language."
    if plan.output_only and not sources.files and len(plan.cases) > 1:
        some = ", ".join(f"{stem}.out" for stem in _stems(plan.cases)[:3])
        return f"This problem has {len(plan.cases)} tests: send the output of each as a file ({some}, …)."
    return ""


def output_names(cases: Sequence[Case], sources: Sources) -> Mapping[str, str]:
    """Test's name → the name of the file that is its output. Tests whose output was not sent are missing. A single
    source is the output of the only test."""
    if not sources.files:
        return {cases[0].name: OUTPUTS.source_name}
    there = {file.name for file in sources.files}
    found: dict[str, str] = {}
    for case, stem in zip(cases, _stems(cases), strict=True):
        name = next((stem + ending for ending in _ENDINGS if stem + ending in there), None)
        if name is not None:
            found[case.name] = name
    return found


def taken_for_run(output_bytes: int, isolation: Isolation) -> RunOutcome:
    """An output that was sent, as the run of a program that needed nothing to write it."""
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
    """What the tests' files are called, without an ending: names without folders, unless those are not unique."""
    bases = [case.name.rpartition("/")[2] for case in cases]
    count = Counter(bases)
    return [base if count[base] == 1 else case.name.replace("/", "_") for case, base in zip(cases, bases, strict=True)]
