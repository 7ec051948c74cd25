"""Our own format: a zip of cases and, if needed, ``deepoj.yaml``.

Every key of that file is optional::

    title: Sums
    compare: {way: floats, absolute: 1e-6}     # or a name alone: tokens
    checker: {files: [check.py], protocol: plain, args: [strict]}
    interactor: {files: [judge.py], protocol: plain}
    limits: {time_ms: 2000, memory_mb: 256, time_factors: {python3: 3}}
    scored: true
    groups:
      - {name: small, cases: ["small/*"], score: 30, aggregate: all}
      - {name: large, cases: ["large/*"], score: 70, depends_on: [small], judge_all: false}
    samples: ["sample/*"]
    output_only: false
    examples:
      - {files: [solutions/slow.py], expected: [Time Limit Exceeded]}

``cases`` and ``samples`` are patterns of the cases' names. ``submissions/`` is read as in a Kattis package. An unknown
key is a fault, because the format is ours.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from deepoj.judging.compare import WAYS
from deepoj.judging.problem import (
    Aggregate,
    Case,
    Checker,
    Compare,
    Example,
    Group,
    Limits,
    Plan,
    Protocol,
)
from deepoj.packages.formats.faults import PackageFault, Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.foreign import refuse_foreign, refuse_unread_programs
from deepoj.packages.formats.pairs import Pair, pair_up
from deepoj.packages.formats.programs import is_ambiguous, language_named, program_of
from deepoj.packages.formats.statements import read_statements
from deepoj.packages.formats.submissions import example_of, read_submissions
from deepoj.packages.formats.texts import as_number, yaml_map

MARK = "deepoj.yaml"
#: folders that hold no tests
_NOT_TESTS = ("submissions/", "solutions/", "statement/", "problem_statement/", "attachments/", "checker/")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _number(value: object, info: ValidationInfo) -> float | None:
    return None if value is None else as_number(value, MARK, str(info.field_name))


Number = Annotated[float, BeforeValidator(_number)]
Factor = Annotated[Number, Field(gt=0, le=100)]
Tolerance = Annotated[Number, Field(ge=0, lt=1e9)]
Word = Literal[
    "Accepted", "Wrong Answer", "Presentation Error", "Compile Error", "Time Limit Exceeded", "Memory Limit Exceeded",
    "Output Limit Exceeded", "Runtime Error", "Partial",
]  # fmt: skip
#: each pattern is tried on each case
Patterns = Annotated[list[str], Field(max_length=100)]
Points = Annotated[Number, Field(ge=0, le=1e9)]


class _Compare(_Model):
    way: str = "tokens"
    case_sensitive: bool = True
    space_sensitive: bool = False
    absolute: Tolerance | None = None
    relative: Tolerance | None = None


class _Program(_Model):
    files: Annotated[list[str], Field(min_length=1, max_length=100)]
    language: str | None = None
    protocol: Literal["testlib", "validator", "plain"] = "testlib"
    args: list[str] = []
    multipass: bool = False
    max_passes: Annotated[int, Field(ge=2, le=100)] = 2


class _Limits(_Model):
    time_ms: Annotated[int, Field(ge=1, le=3_600_000)] | None = None
    memory_mb: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    output_mb: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    compile_time_ms: Annotated[int, Field(ge=1, le=3_600_000)] | None = None
    compile_memory_mb: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    time_factors: dict[str, Factor] = {}


class _Group(_Model):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    cases: Patterns
    score: Points | None = None
    aggregate: Literal["sum", "min", "all"] = "all"
    depends_on: list[str] = []
    judge_all: bool = True


class _Example(_Model):
    files: Annotated[list[str], Field(min_length=1, max_length=100)]
    language: str | None = None
    entry: str | None = None
    expected: list[Word] = []
    score: Points | None = None


class _Config(_Model):
    title: Annotated[str, Field(max_length=200)] = ""
    compare: _Compare | None = None
    checker: _Program | None = None
    interactor: _Program | None = None
    limits: _Limits = _Limits()
    scored: bool = False
    groups: Annotated[list[_Group], Field(max_length=100)] = []
    samples: Patterns = ["sample/*", "samples/*"]
    output_only: bool = False
    examples: list[_Example] = []


def read(files: Files) -> Plan:
    """Read a package of our own format. Raises Unusable."""
    if MARK not in files:
        refuse_foreign(files)
    config = _config(files)
    named = {name for one in (config.checker, config.interactor, *config.examples) if one for name in one.files}
    if config.compare is None and config.checker is None and config.interactor is None:
        refuse_unread_programs(files, named)
    pairs = pair_up([name for name in files.names if not name.startswith(_NOT_TESTS) and name not in named | {MARK}])
    if isinstance(pairs, PackageFault):
        raise Unusable(pairs.file, pairs.sentence)
    notes: list[str] = []
    checker = _checker(files, config)
    return Plan(
        format="own",
        cases=tuple(_case(pair, config) for pair in pairs),
        groups=_groups(config, pairs),
        scored=config.scored or bool(config.groups),
        title=config.title.strip(),
        compare=_compare(config.compare),
        checker=checker,
        limits=Limits(
            **config.limits.model_dump(exclude={"time_factors"}),
            time_factors=_time_factors(config.limits.time_factors),
        ),
        output_only=config.output_only,
        examples=(
            *read_submissions(files, notes, outputs=config.output_only),
            *(_example(files, one, notes) for one in config.examples),
        ),
        statements=read_statements(files),
        attachments=files.below("attachments/"),
        unsupported=tuple(notes),
    )


def _config(files: Files) -> _Config:
    if MARK not in files:
        return _Config()
    section = yaml_map(files, MARK)
    if isinstance(section.get("compare"), str):
        section["compare"] = {"way": section["compare"]}
    try:
        return _Config.model_validate(section)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unusable(MARK, f"{show(MARK)}: {show(place)}: {first['msg']}.") from None


def _compare(section: _Compare | None) -> Compare | None:
    if section is None:
        return None
    compare = Compare(**section.model_dump())
    if compare.way not in WAYS:
        raise Unusable(MARK, f"{show(MARK)}: compare is one of {', '.join(WAYS)}, not {show(compare.way)}.")
    if compare.way == "floats" and compare.absolute is None and compare.relative is None:
        raise Unusable(MARK, f"{show(MARK)}: comparing floats needs absolute or relative.")
    return compare


def _checker(files: Files, config: _Config) -> Checker | None:
    if config.checker is not None and config.interactor is not None:
        raise Unusable(MARK, f"{show(MARK)}: an interactor decides; it cannot have a checker beside it.")
    if config.compare is not None and (config.checker or config.interactor):
        raise Unusable(MARK, f"{show(MARK)}: a checker decides; it cannot have a way to compare beside it.")
    section = config.checker or config.interactor
    if section is None:
        return None
    if section.multipass and section.protocol != "validator":
        raise Unusable(MARK, f"{show(MARK)}: multipass needs the protocol validator.")
    program = program_of(files, _existing(files, section.files), "The checker", language=_language(section.language))
    if is_ambiguous(files, program.language, program.files):
        raise Unusable(
            MARK,
            f"{show(MARK)}: it is unclear which file of the checker is started: call it main, or have only one of them"
            " begin the program.",
        )
    return Checker(
        program=program,
        protocol=Protocol(section.protocol),
        args=tuple(section.args),
        interactive=config.interactor is not None,
        multipass=section.multipass,
        max_passes=section.max_passes,
    )


def _time_factors(section: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Return the factors by language key. An unknown language is a fault: its factor would silently do nothing."""
    factors: dict[str, float] = {}
    for name, factor in section.items():
        key = "*" if name == "*" else language_named(name)
        if key is None:
            raise Unusable(MARK, f"{show(MARK)}: limits.time_factors: the language {show(name)} is not known.")
        if key in factors:
            raise Unusable(MARK, f"{show(MARK)}: limits.time_factors: {show(name)} is there twice.")
        factors[key] = factor
    return tuple(sorted(factors.items()))


def _language(name: str | None) -> str | None:
    return None if name is None else language_named(name) or name


def _existing(files: Files, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in files:
            raise Unusable(MARK, f"{show(MARK)} names {show(name)}, which is not in the package.")
    return tuple(names)


def _case(pair: Pair, config: _Config) -> Case:
    group = next((one.name for one in config.groups if _any(one.cases, pair.name)), "")
    return Case(
        name=pair.name,
        input=pair.input,
        answer=pair.answer,
        group=group,
        sample=_any(config.samples, pair.name),
    )


def _any(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _groups(config: _Config, pairs: Sequence[Pair]) -> tuple[Group, ...]:
    if not config.groups:
        return ()
    seen: set[str] = set()
    for one in config.groups:
        if one.name in seen:
            raise Unusable(MARK, f"{show(MARK)}: the group {show(one.name)} is there twice.")
        for other in one.depends_on:
            if other not in seen:
                raise Unusable(
                    MARK,
                    f"{show(MARK)}: {show(one.name)} depends on {show(other)}, which is not a group before it.",
                )
        seen.add(one.name)
    taken = {next((one.name for one in config.groups if _any(one.cases, pair.name)), "") for pair in pairs}
    for one in config.groups:
        if one.name not in taken:
            raise Unusable(MARK, f"{show(MARK)}: the group {show(one.name)} has no case.")
    root = Group(name="", parent=None, aggregate=Aggregate.SUM)
    return (
        root,
        *(
            Group(
                name=one.name,
                aggregate=Aggregate(one.aggregate),
                max_score=one.score,
                depends_on=tuple(one.depends_on),
                judge_all=one.judge_all,
            )
            for one in config.groups
        ),
    )


def _example(files: Files, section: _Example, notes: list[str]) -> Example:
    parts = _existing(files, section.files)
    if section.entry is not None and section.entry not in parts:
        raise Unusable(MARK, f"{show(MARK)}: the entry {show(section.entry)} is not among its files.")
    return example_of(
        files,
        parts[0],
        parts,
        notes,
        expected=tuple(section.expected),
        promised_by=MARK if section.expected or section.score is not None else "",
        language=_language(section.language),
        entry=section.entry,
        scores=() if section.score is None else ((section.score, section.score),),
    )
