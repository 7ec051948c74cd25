"""What a problem is once its package has been read, whatever format it came in: cases, groups, programs, limits.

The readers in ``judging/packages`` make a ``Plan``; judging, scoring and ``deepoj problem verify`` know nothing else of
formats. A plan names files by the archive's own names (``data/secret/1.in``); whoever unpacks gives them places on a
disk. Everything is frozen and JSON-able (``plan_json``, ``plan_of_json``): a node keeps it beside the unpacked data.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter


class Aggregate(enum.StrEnum):
    """How the score of a group comes from its members (cases and subgroups)."""

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
    """What the points of tests mean, and which points a validator may give."""

    #: shares of what the test is worth; the score of a group is scaled to its ``max_score``
    SHARES = "shares"
    #: absolute; the validator's ``score.txt`` replaces ``Case.score`` (Kattis' legacy format, DOMjudge)
    LEGACY = "legacy"
    #: absolute; the validator gives at most ``Case.score``, or any number where that is None (Kattis since 2023-07)
    BOUNDED = "bounded"


class Protocol(enum.StrEnum):
    """How a checker or an interactor is called and how it answers."""

    #: ``checker input output answer``; exit 0 ok, 1 wrong, 2 presentation, 3 fail (of the checker), 7 points; all that
    #: an exit code may mean stands in ``verdicts.CHECK_TABLE``
    TESTLIB = "testlib"
    #: ``validator input answer feedback_dir < output``; exit 42 accept, 43 reject, all else is its failure
    VALIDATOR = "validator"
    #: ``checker input output answer``, interactive ``checker input answer``; exit 0 accept, 1 reject, all else is its
    #: failure
    PLAIN = "plain"
    #: as TESTLIB, of DMOJ: with exit code 7 it says ``partial 3/5`` on stderr
    COCI = "coci"
    #: ``checker output answer input``, of DMOJ: exit 0 accept, 1 reject, or a share if it prints two lines, ``3`` and
    #: ``5``
    PEG = "peg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Sources that are compiled and run for the setter: a checker, an interactor, a validator."""

    #: a language key such as ``cpp20``
    language: str
    #: archive names; in the scratch each stands under its name below ``root``, without folders where it has none
    files: tuple[str, ...]
    #: which of ``files`` is compiled or run
    entry: str
    #: options for its compiler beside ours
    flags: tuple[str, ...] = ()
    #: the folder that ``files`` share, with its slash, or empty
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Decides whether an output is right; with ``interactive`` it speaks with the program instead of reading a file."""

    program: Program
    protocol: Protocol
    args: tuple[str, ...] = ()
    #: ``input``, ``output`` and ``answer`` in another order than the protocol's; empty: in that
    order: tuple[str, ...] = ()
    interactive: bool = False
    #: VALIDATOR only: accept with ``nextpass.in`` in the feedback directory runs the program once more on it
    multipass: bool = False
    max_passes: int = 2
    #: VALIDATOR only: to accept it has to leave ``score.txt`` or ``score_multiplier.txt``
    scores: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """A built-in way of comparing; tolerances are used by ``floats`` alone. None: that test is not made."""

    #: one of ``judging.compare.PACKAGE_WAYS``
    way: str = "tokens"
    case_sensitive: bool = True
    space_sensitive: bool = False
    absolute: float | None = None
    relative: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test."""

    #: for people and results: ``2``, ``sample/1``
    name: str
    #: archive name; None: the program gets an empty input
    input: str | None
    #: archive name; None: there is none, and only a checker can decide
    answer: str | None
    #: name of its group; empty: the root group
    group: str = ""
    #: what it is worth when its group sums; None: an equal share of what the group has, or, where points are absolute,
    #: without a bound
    score: float | None = None
    #: its points if it fails; only where points are absolute
    reject_score: float = 0.0
    #: shown to contestants
    sample: bool = False
    #: added to the checker's arguments
    checker_args: tuple[str, ...] = ()
    #: of the input validators: a validator's name, or empty for all of them, and its arguments
    input_args: tuple[tuple[str, tuple[str, ...]], ...] = ()
    #: names of further files that the program finds beside it, by archive name
    extra_files: tuple[str, ...] = ()
    #: command-line arguments of the program
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A test group (subtask, batch). The root group has the empty name and no parent."""

    name: str
    parent: str | None = ""
    aggregate: Aggregate = Aggregate.SUM
    #: the score when all is accepted; None: what its members add up to
    max_score: float | None = None
    #: groups that have to be accepted (all their cases) or this one is skipped with score 0
    depends_on: tuple[str, ...] = ()
    #: after the first case that is not accepted: judge the rest of the group (True) or skip it (False)
    judge_all: bool = True
    #: its cases do not count (samples)
    ignored: bool = False
    accepts: Accepts = Accepts.ALL
    #: its verdict is the worst of its members', not the first that is not accepted
    worst_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the package asks for; None: it says nothing, and the upload's form or the default rules."""

    time_ms: int | None = None
    memory_mb: int | None = None
    output_mb: int | None = None
    #: where the package leaves the time limit to its own submissions: the limit ÷ the slowest that is accepted
    time_multiplier: float | None = None
    #: and what the limit is a multiple of
    time_resolution_ms: int | None = None
    #: real time that a program may take ÷ its time limit; None: the node's
    wall_factor: float | None = None
    #: of compiling
    compile_time_ms: int | None = None
    compile_memory_mb: int | None = None
    #: language key → factor on the time limit; ``*`` for all others
    time_factors: tuple[tuple[str, float], ...] = ()

    def time_factor(self, language: str) -> float:
        """What the time limit is multiplied by for a language."""
        factors = dict(self.time_factors)
        return factors.get(language, factors.get("*", 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Included:
    """Files that stand beside every submission, in the place of its own of the same name, when it is compiled and
    run."""

    #: language keys; empty: all languages, before what is said for one of them
    languages: tuple[str, ...]
    #: what it is called beside the submission, and its archive name
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A submission that the package carries, and what its author promised of it."""

    #: for people: the archive's name of the file or folder
    name: str
    language: str | None
    files: tuple[str, ...]
    entry: str
    #: verdicts, any of which keeps the promise (contract's words); empty: no promise was made
    expected: tuple[str, ...]
    #: ranges of scores, both ends included, any of which keeps the promise; empty: no promise was made
    expected_scores: tuple[tuple[float, float], ...] = ()
    #: the folder or the line in which the promise stands
    promised_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A text for people: its language (``en``), its kind by ending (``pdf``, ``html``, ``md``, ``tex``), its file."""

    language: str
    kind: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A problem, as judging needs it."""

    #: ``own``, ``kattis-legacy``, ``kattis-2023-07``, ``kattis-2025-09``, ``polygon``, ``dmoj``
    format: str
    cases: tuple[Case, ...]
    #: parents before children; empty: one root group, not scored
    groups: tuple[Group, ...] = ()
    #: the result is a score (verdict ``Partial`` between nothing and all), not all or nothing
    scored: bool = False
    points: Points = Points.SHARES
    title: str = ""
    #: how outputs are compared where there is no checker; None: as the upload's form says
    compare: Compare | None = None
    checker: Checker | None = None
    #: with an interactive ``checker`` of TESTLIB: judges the file that it wrote, once it has exited with 0
    output_checker: Checker | None = None
    #: input validators: run by ``problem verify`` on each input
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
    #: texts that a package for Windows brings (archive names): their line ends are made Unix's when they are copied out
    windows_texts: tuple[str, ...] = ()
    #: texts whose line ends of any kind are made Unix's, the last one's too, when they are copied out (archive names)
    plain_texts: tuple[str, ...] = ()
    #: what the package asks for and this system does not do, a sentence each
    unsupported: tuple[str, ...] = ()
    #: unpacked, of all files that judging needs
    total_bytes: int = 0

    def files(self) -> tuple[str, ...]:
        """The archive names of all files that judging needs (cases, checkers and what stands beside submissions), each
        once, in a fixed order."""
        names: list[str] = []
        for case in self.cases:
            names += [name for name in (case.input, case.answer, *case.extra_files) if name is not None]
        for checker in (self.checker, self.output_checker):
            if checker is not None:
                names += checker.program.files
        names += [name for one in self.included for _, name in one.files]
        return tuple(dict.fromkeys(names))

    def all_files(self) -> tuple[str, ...]:
        """What ``files`` gives, and what the setter's own look needs: submissions and programs that look at inputs."""
        names = [*self.files()]
        for example in self.examples:
            names += example.files
        for validator in self.input_validators:
            names += validator.program.files
        return tuple(dict.fromkeys(names))

    def included_for(self, language: str) -> dict[str, str]:
        """What stands beside a submission in a language: its name there → its archive name."""
        found: dict[str, str] = {}
        for one in sorted(self.included, key=lambda one: bool(one.languages)):
            if not one.languages or language in one.languages:
                found |= one.files
        return found


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


def plan_json(plan: Plan) -> bytes:
    """A plan for the disk."""
    return _adapter().dump_json(plan)


def plan_of_json(raw: bytes) -> Plan:
    """A plan from the disk. Raises ValueError for anything else."""
    return _adapter().validate_json(raw)
