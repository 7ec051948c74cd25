"""What a new package changes of a problem: tests by name and by content, limits, checker, scoring.

The files of both packages are compared by the SHA-256 of what programs would get, so line ends and constants that are
filled in count, and how a zip is packed does not. A test that moved to another name is found by its content: if a test
is put between others whose names are numbers, one was added and the others were renamed.
"""

from __future__ import annotations

import codecs
import contextlib
import enum
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepoj.judging.abilities import way_of
from deepoj.judging.paths import base
from deepoj.judging.problem import Case, Checker, Compare, Limits, Plan, Program
from deepoj.packages.formats import PackageFault, UnzipLimits, open_package, unpack
from deepoj.words.names import is_text
from deepoj.words.problems import Problem

#: hexadecimal digits of a digest that are shown
_DIGITS = 16
#: bytes of a file that are shown
_BEGINNING_BYTES = 120
#: names of tests that are shown of an order
_NAMES = 8


class ChangeKind(enum.StrEnum):
    """What became of a test."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    #: the same test under another name
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDigests:
    """A test of one of the packages. The digests are beginnings of SHA-256 in hex; empty: it has no such file. The
    texts are beginnings of the files; None: there is no such file, or it is no text."""

    name: str
    input: str
    answer: str
    input_text: str | None = None
    answer_text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChange:
    """A test that differs. ``before``, ``after``: None where there is none."""

    kind: ChangeKind
    before: CaseDigests | None
    after: CaseDigests | None
    #: what differs of a changed test: names of ``_test_parts``
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """A rule of the problem that differs, as short texts. Empty: the package has none."""

    rule: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChanges:
    """The differences of a new package from the problem. ``cases``: in the order of the new package, removed ones
    last."""

    cases: tuple[CaseChange, ...]
    rules: tuple[RuleChange, ...]
    #: number of tests that are as they were
    unchanged: int

    def count(self, kind: ChangeKind) -> int:
        """Return the number of tests of a kind."""
        return sum(one.kind is kind for one in self.cases)

    @property
    def may_change_verdicts(self) -> bool:
        """Whether a rejudge may give another verdict or score."""
        return bool(self.rules) or any(one.kind is not ChangeKind.RENAMED for one in self.cases)


@dataclass(frozen=True, slots=True)
class PackageContent:
    """The plan of a package, and the SHA-256 and the beginnings of its files by archive name."""

    plan: Plan
    digests: Mapping[str, str]
    #: up to ``_BEGINNING_BYTES`` + 1 of each file, so that one can see whether there is more
    beginnings: Mapping[str, bytes]


@dataclass(slots=True)
class _Hash:
    """A sink that hashes, and keeps the beginning."""

    sha256: Any = field(default_factory=hashlib.sha256)
    beginning: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes, /) -> None:
        self.sha256.update(data)
        if (room := _BEGINNING_BYTES + 1 - len(self.beginning)) > 0:
            self.beginning += data[:room]


def content_of(package: Path, limits: UnzipLimits) -> PackageContent | PackageFault:
    """Read a package's plan and hash its files. Blocking. Raises OSError if the file cannot be read."""
    digests: dict[str, str] = {}
    beginnings: dict[str, bytes] = {}

    @contextlib.contextmanager
    def open_sink(name: str) -> Iterator[_Hash]:
        sink = _Hash()
        yield sink
        digests[name], beginnings[name] = sink.sha256.hexdigest(), bytes(sink.beginning)

    with package.open("rb") as file:
        opened = open_package(file, limits)
        if isinstance(opened, PackageFault):
            return opened
        with opened:
            return unpack(opened, open_sink) or PackageContent(opened.plan, digests, beginnings)


def changes_of(old: PackageContent, new: PackageContent, *, before: Problem, after: Problem) -> PackageChanges:
    """Compare two packages of a problem. ``before``, ``after``: the problem with either."""
    cases, unchanged = _case_changes(old, new)
    return PackageChanges(cases=tuple(cases), rules=tuple(_rule_changes(old, new, before, after)), unchanged=unchanged)


# -- tests


def _case_changes(old: PackageContent, new: PackageContent) -> tuple[list[CaseChange], int]:
    """Return the tests that differ, and the number of the others."""
    former = {case.name: case for case in old.plan.cases}
    pairs: dict[str, Case] = {}
    for case in new.plan.cases:
        same = former.get(case.name)
        if same is not None and not _parts(old, same, new, case):
            pairs[case.name] = former.pop(case.name)
    unchanged = len(pairs)
    by_content: dict[tuple[str, str], list[str]] = {}
    for case in former.values():
        by_content.setdefault(_content(old, case), []).append(case.name)
    for case in new.plan.cases:
        names = by_content.get(content := _content(new, case))
        if case.name not in pairs and names and any(content):
            # its own name first: other parts of the test may differ
            name = case.name if case.name in names else names[0]
            names.remove(name)
            pairs[case.name] = former.pop(name)
    for case in new.plan.cases:
        if case.name not in pairs and case.name in former:
            pairs[case.name] = former.pop(case.name)
    changes: list[CaseChange] = []
    for case in new.plan.cases:
        earlier, after = pairs.get(case.name), _digests(new, case)
        if earlier is None:
            changes.append(CaseChange(kind=ChangeKind.ADDED, before=None, after=after))
        elif parts := _parts(old, earlier, new, case):
            changes.append(CaseChange(kind=ChangeKind.CHANGED, before=_digests(old, earlier), after=after, parts=parts))
        elif earlier.name != case.name:
            changes.append(CaseChange(kind=ChangeKind.RENAMED, before=_digests(old, earlier), after=after))
    changes += [CaseChange(kind=ChangeKind.REMOVED, before=_digests(old, case), after=None) for case in former.values()]
    return changes, unchanged


def _content(package: PackageContent, case: Case) -> tuple[str, str]:
    return _digest(package, case.input), _digest(package, case.answer)


def _digest(package: PackageContent, name: str | None) -> str:
    return "" if name is None else package.digests[name]


def _digests(package: PackageContent, case: Case) -> CaseDigests:
    given, answer = _content(package, case)
    return CaseDigests(
        name=case.name,
        input=given[:_DIGITS],
        answer=answer[:_DIGITS],
        input_text=_text(package, case.input),
        answer_text=_text(package, case.answer),
    )


def _text(package: PackageContent, name: str | None) -> str | None:
    """Return the beginning of a file, with an ellipsis if there is more; None: it is no text."""
    beginning = b"" if name is None else package.beginnings[name]
    try:  # the decoder leaves out a character that the bound cuts in two
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning[:_BEGINNING_BYTES])
    except UnicodeDecodeError:
        return None
    if name is None or not is_text(text):
        return None
    return text + ("…" if len(beginning) > _BEGINNING_BYTES else "")


def _parts(old: PackageContent, earlier: Case, new: PackageContent, case: Case) -> tuple[str, ...]:
    before, after = _test_parts(old, earlier), _test_parts(new, case)
    return tuple(part for part in before if before[part] != after[part])


def _test_parts(package: PackageContent, case: Case) -> dict[str, object]:
    given, answer = _content(package, case)
    return {
        "input": given,
        "answer": answer,
        "arguments": (case.args, case.checker_args),
        "files": sorted((base(name), package.digests[name]) for name in case.extra_files),
        "points": (case.score, case.reject_score),
        "group": case.group,
        "sample": case.sample,
    }


# -- rules


def _rule_changes(old: PackageContent, new: PackageContent, before: Problem, after: Problem) -> Iterator[RuleChange]:
    former, present = _rules(old, before), _rules(new, after)
    former["order"], present["order"] = _orders(old.plan, new.plan)
    for rule, text in former.items():
        if text != present[rule]:
            yield RuleChange(rule=rule, before=text, after=present[rule])


def _rules(package: PackageContent, problem: Problem) -> dict[str, str]:
    """Return the rules by name, in the order in which people read them."""
    plan = package.plan
    way = way_of(plan, problem.compare)
    checkers = [one for one in (plan.checker, plan.output_checker) if one is not None]
    return {
        "time_limit": f"{problem.time_limit_ms} ms",
        "memory_limit": f"{problem.memory_limit_mb} MB",
        "package_limits": _limits(plan.limits),
        "comparison": "" if way is None else _way(way),
        "checker": next((_program(package, one) for one in checkers if not one.interactive), ""),
        "interactor": next((_program(package, one) for one in checkers if one.interactive), ""),
        "scoring": f"points ({plan.points})" if plan.scored else "all or nothing",
        "groups": _groups(plan) if plan.grader is None else f"{_groups(plan)}, {_source(package, plan.grader)}",
        "submissions": "outputs" if plan.output_only else "programs",
        "files_beside": _beside(package),
    }


def _limits(limits: Limits) -> str:
    """Return the limits that only the package sets."""
    shown = {
        "output": limits.output_mb and f"{limits.output_mb} MB",
        "wall time ÷ time limit": limits.wall_factor,
        "compile time": limits.compile_time_ms and f"{limits.compile_time_ms} ms",
        "compile memory": limits.compile_memory_mb and f"{limits.compile_memory_mb} MB",
        **{f"time factor of {language}": factor for language, factor in limits.time_factors},
    }
    return ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)


def _way(way: Compare) -> str:
    options = {
        "abs": way.absolute,
        "rel": way.relative,
        "case": None if way.case_sensitive else "ignored",
        "space": "kept" if way.space_sensitive else None,
    }
    shown = [f"{name}={value}" for name, value in options.items() if value is not None]
    return way.way + (f" ({', '.join(shown)})" if shown else "")


def _program(package: PackageContent, checker: Checker) -> str:
    program = checker.program
    files = _file_digests(package, program)
    mark = _mark(asdict(checker) | {"program": None}, program.language, program.flags, files)
    return f"{base(program.entry)} ({program.language}, {checker.protocol}) {mark}"


def _source(package: PackageContent, program: Program) -> str:
    return f"{base(program.entry)} ({program.language}) {_mark(program.language, _file_digests(package, program))}"


def _file_digests(package: PackageContent, program: Program) -> list[tuple[str, str]]:
    return [(name.removeprefix(program.root), package.digests[name]) for name in program.files]


def _groups(plan: Plan) -> str:
    named = [group for group in plan.groups if group.name]
    return f"{len(named)}, {_mark([asdict(group) for group in plan.groups])}" if plan.groups else ""


def _beside(package: PackageContent) -> str:
    files = [
        (one.languages, name, package.digests[archive_name])
        for one in package.plan.included
        for name, archive_name in one.files
    ]
    return f"{', '.join(dict.fromkeys(name for _, name, _ in files))}, {_mark(files)}" if files else ""


def _orders(old: Plan, new: Plan) -> tuple[str, str]:
    """Return the orders of the tests that both packages have, if they differ: the first failure gives the verdict."""
    former, present = [case.name for case in old.cases], [case.name for case in new.cases]
    both = set(former) & set(present)
    orders = ([name for name in former if name in both], [name for name in present if name in both])
    return ("", "") if orders[0] == orders[1] else (_order(orders[0]), _order(orders[1]))


def _order(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES]) + (", …" if len(names) > _NAMES else "")


def _mark(*parts: object) -> str:
    """Return the beginning of a digest."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:_DIGITS]
