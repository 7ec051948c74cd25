"""A problem as its package describes it, in one form for all formats: cases, groups, programs, limits.

The readers in ``packages/formats`` make a ``Plan``. Judging, scoring and ``deepoj problem verify`` know no other form.
A plan names files by the archive's own names (``data/secret/1.in``); the unpacking code chooses their paths on disk.
Everything is frozen and JSON-able (``plan_json``, ``plan_of_json``): a node keeps it beside the unpacked data.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter


class Aggregate(enum.StrEnum):
    """How the score of a group is computed from its members (cases and subgroups)."""

    SUM = "sum"
    MIN = "min"
    #: only where points are absolute (``Points``), as ``AVERAGE``
    MAX = "max"
    AVERAGE = "avg"
    #: all or nothing: as ``SUM`` when every member is accepted, else 0
    ALL = "all"


class Accepts(enum.StrEnum):
    """When a group counts as accepted; only where points are absolute (``Points``)."""

    #: if all of its members are
    ALL = "all"
    #: if one of its members is
    ANY = "any"
    ALWAYS = "always"


class Points(enum.StrEnum):
    """The meaning of tests' points, and which points a validator may give."""

    #: shares of the test's worth; the score of a group is scaled to its ``max_score``
    SHARES = "shares"
    #: absolute; the validator's ``score.txt`` replaces ``Case.score`` (Kattis' legacy format, DOMjudge)
    LEGACY = "legacy"
    #: absolute; the validator gives at most ``Case.score``, or any number where that is None (Kattis since 2023-07)
    BOUNDED = "bounded"


class Protocol(enum.StrEnum):
    """The calling convention and the answers of a checker or an interactor."""

    #: ``checker input output answer``; exit 0 ok, 1 wrong, 2 presentation, 3 fail (of the checker), 7 points;
    #: ``verdicts.CHECK_TABLE`` has all exit codes
    TESTLIB = "testlib"
    #: ``validator input answer feedback_dir < output``; exit 42 accept, 43 reject, any other code is its failure
    VALIDATOR = "validator"
    #: ``checker input output answer``, interactive ``checker input answer``; exit 0 accept, 1 reject, any other code is
    #: its failure
    PLAIN = "plain"
    #: DMOJ's variant of TESTLIB: with exit code 7 it prints ``partial 3/5`` on stderr
    COCI = "coci"
    #: ``checker answer output input``, DMOJ's: exit 0 accept, 1 reject, with either a share if it prints two lines,
    #: ``2.5`` and ``10``
    PEG = "peg"
    #: Hydro's and Luogu's variant of TESTLIB: points and ``_pc`` are percent of the test's worth, or a share up to 1
    HYDRO = "hydro"
    #: UOJ's variant of TESTLIB: points are a share of the test's worth
    UOJ = "uoj"
    #: CMS's comparator: ``checker input answer output``; exit 0, and a share from 0 to 1 as the first word on stdout
    CMS = "cms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Sources of a program of the setter: a checker, an interactor, a validator."""

    #: a language key such as ``cpp20``
    language: str
    #: archive names; in the scratch each file has its path below ``root``, or its bare name without ``root``
    files: tuple[str, ...]
    #: the one of ``files`` that is compiled or run
    entry: str
    #: compiler options beside ours
    flags: tuple[str, ...] = ()
    #: the folder that ``files`` share, with its slash, or empty
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Decides whether an output is right; with ``interactive`` it talks to the program instead of reading a file."""

    program: Program
    protocol: Protocol
    args: tuple[str, ...] = ()
    #: order of ``input``, ``output`` and ``answer`` if it is not the protocol's; empty: the protocol's
    order: tuple[str, ...] = ()
    interactive: bool = False
    #: VALIDATOR only: if it accepts and leaves ``nextpass.in`` in the feedback directory, the program is run once more
    #: on that file
    multipass: bool = False
    max_passes: int = 2
    #: VALIDATOR only: to accept it must leave ``score.txt`` or ``score_multiplier.txt``
    scores: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """A built-in comparison. Tolerances are used by ``floats`` alone; None: that tolerance is not used."""

    #: one of ``judging.compare.PACKAGE_WAYS``
    way: str = "tokens"
    case_sensitive: bool = True
    space_sensitive: bool = False
    absolute: float | None = None
    relative: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test."""

    #: as shown to people and in results: ``2``, ``sample/1``
    name: str
    #: archive name; None: the program gets an empty input
    input: str | None
    #: archive name; None: there is none, and only a checker can decide
    answer: str | None
    #: name of its group; empty: the root group
    group: str = ""
    #: its worth when its group sums. None: an equal share of the group's rest, or, where points are absolute, no bound
    score: float | None = None
    #: its points if it fails; only where points are absolute
    reject_score: float = 0.0
    #: shown to contestants
    sample: bool = False
    #: added to the checker's arguments
    checker_args: tuple[str, ...] = ()
    #: for the input validators: a validator's name, or empty for all of them, and its arguments
    input_args: tuple[tuple[str, tuple[str, ...]], ...] = ()
    #: names of further files beside the program, with their archive names
    extra_files: tuple[str, ...] = ()
    #: command-line arguments of the program
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A test group (subtask, batch). The root group has the empty name and no parent."""

    name: str
    parent: str | None = ""
    aggregate: Aggregate = Aggregate.SUM
    #: the score when all members are accepted; None: the sum of its members' scores
    max_score: float | None = None
    #: groups that must be accepted (all their cases), or this one is skipped with score 0
    depends_on: tuple[str, ...] = ()
    #: after the first case that is not accepted: judge the rest of the group (True) or skip it (False)
    judge_all: bool = True
    #: its cases do not count (samples)
    ignored: bool = False
    accepts: Accepts = Accepts.ALL
    #: its verdict is the worst of its members', not the first that is not accepted
    worst_error: bool = False
    #: ``Plan.grader`` computes its result, with these arguments; None: the rules above do
    grader_args: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits that the package states. None: not stated; the upload's form or the default applies."""

    time_ms: int | None = None
    memory_mb: int | None = None
    output_mb: int | None = None
    #: where the package derives the time limit from its submissions: the limit ÷ the slowest accepted time
    time_multiplier: float | None = None
    #: the derived limit is rounded to a multiple of this
    time_resolution_ms: int | None = None
    #: wall limit of a program ÷ its time limit; None: the node's factor
    wall_factor: float | None = None
    #: of a compilation
    compile_time_ms: int | None = None
    compile_memory_mb: int | None = None
    #: language key → factor on the time limit; ``*`` for all others
    time_factors: tuple[tuple[str, float], ...] = ()

    def time_factor(self, language: str) -> float:
        """Return the factor on the time limit for a language."""
        factors = dict(self.time_factors)
        return factors.get(language, factors.get("*", 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Included:
    """Files placed beside every submission when it is compiled and run. They replace its own of the same names."""

    #: language keys; empty: all languages, before entries for single ones
    languages: tuple[str, ...]
    #: the name beside the submission, and the archive name
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A submission in the package, and the results that its author promises."""

    #: as shown to people: the archive's name of the file or folder
    name: str
    language: str | None
    files: tuple[str, ...]
    entry: str
    #: verdicts (the contract's words), any of which keeps the promise; empty: no promise
    expected: tuple[str, ...]
    #: ranges of scores, both ends included, any of which keeps the promise; empty: no promise
    expected_scores: tuple[tuple[float, float], ...] = ()
    #: the folder or the line that contains the promise
    promised_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A text for people: its language (``en``), its kind by ending (``pdf``, ``html``, ``md``, ``tex``), its file."""

    language: str
    kind: str
    file: str
    #: of the problem in this language; empty: as the file itself says, or the problem's
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A problem in the form that judging needs."""

    #: ``own``, ``kattis-legacy``, ``kattis-2023-07``, ``kattis-2025-09``, ``polygon``, ``dmoj``, ``hydro``, ``luogu``,
    #: ``uoj``, ``cms``
    format: str
    cases: tuple[Case, ...]
    #: the judge it was made for, where the format alone does not tell; its defaults hold (``format_defaults``)
    made_for: str = ""
    #: parents before children; empty: one root group, not scored
    groups: tuple[Group, ...] = ()
    #: the result is a score (verdict ``Partial`` between nothing and all), not all or nothing
    scored: bool = False
    points: Points = Points.SHARES
    title: str = ""
    #: keywords of the package, as it writes them
    tags: tuple[str, ...] = ()
    #: how outputs are compared where there is no checker; None: as the upload's form states
    compare: Compare | None = None
    #: the package's name of the standard checker that ``compare`` replaces; empty: it replaces none
    replaced_checker: str = ""
    checker: Checker | None = None
    #: with an interactive ``checker`` of TESTLIB: judges the file that the checker wrote, once it has exited with 0
    output_checker: Checker | None = None
    #: computes the results of groups with ``grader_args``; only where points are absolute (``judging.graders``)
    grader: Program | None = None
    #: run by ``problem verify`` on each input
    input_validators: tuple[Checker, ...] = ()
    limits: Limits = Limits()
    #: the contestant sends outputs (several files, or the one output), not a program: ``judging.outputs``
    output_only: bool = False
    included: tuple[Included, ...] = ()
    examples: tuple[Example, ...] = ()
    statements: tuple[Statement, ...] = ()
    #: files for contestants, beside the statement
    attachments: tuple[str, ...] = ()
    #: names and values: ``{{name}}`` in the files of ``filled`` (archive names) is replaced when they are copied out
    constants: tuple[tuple[str, str], ...] = ()
    filled: tuple[str, ...] = ()
    #: texts of a package for Windows (archive names): their line ends become Unix's when they are copied out
    windows_texts: tuple[str, ...] = ()
    #: texts (archive names) whose line ends of any kind become Unix's, the last one's too, when they are copied out
    plain_texts: tuple[str, ...] = ()
    #: features that the package uses and this system lacks, one sentence each
    unsupported: tuple[str, ...] = ()
    #: unpacked size of all files that judging needs
    total_bytes: int = 0

    def files(self) -> tuple[str, ...]:
        """Return the archive names of all files that judging needs (cases, checkers, files beside submissions), each
        once, in a fixed order."""
        names: list[str] = []
        for case in self.cases:
            names += [name for name in (case.input, case.answer, *case.extra_files) if name is not None]
        for checker in (self.checker, self.output_checker):
            if checker is not None:
                names += checker.program.files
        names += () if self.grader is None else self.grader.files
        names += [name for one in self.included for _, name in one.files]
        return tuple(dict.fromkeys(names))

    def all_files(self) -> tuple[str, ...]:
        """Return the files of ``files`` and those that ``problem verify`` needs: example submissions and input
        validators."""
        names = [*self.files()]
        for example in self.examples:
            names += example.files
        for validator in self.input_validators:
            names += validator.program.files
        return tuple(dict.fromkeys(names))

    def included_for(self, language: str) -> dict[str, str]:
        """Return the files beside a submission in a language: name there → archive name."""
        archive_names: dict[str, str] = {}
        for included in sorted(self.included, key=lambda included: bool(included.languages)):
            if not included.languages or language in included.languages:
                archive_names |= included.files
        return archive_names


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


def plan_json(plan: Plan) -> bytes:
    """Return a plan as JSON for the disk."""
    return _adapter().dump_json(plan)


def plan_of_json(raw: bytes) -> Plan:
    """Read a plan from JSON. Raises ValueError for anything else."""
    return _adapter().validate_json(raw)
