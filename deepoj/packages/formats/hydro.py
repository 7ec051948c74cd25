"""Hydro problems: ``problem.yaml`` with ``testdata/``, as Hydro exports them, or test data with their ``config.yaml``.

The format is what hydro-dev/Hydro reads: ``packages/hydrojudge/src/cases.ts``, ``packages/common/cases.ts``,
``packages/common/subtask.ts`` (scores, limits, tests found by name), ``packages/hydrojudge/src/flow.ts`` (subtasks) and
``checkers.ts``. Scores are not rounded down as there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from deepoj.judging.paths import base, suffix
from deepoj.judging.problem import (
    Accepts,
    Aggregate,
    Case,
    Checker,
    Compare,
    Group,
    Limits,
    Plan,
    Points,
    Program,
    Protocol,
    Statement,
)
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.hydro_names import find_subtasks
from deepoj.packages.formats.keys import check_keys
from deepoj.packages.formats.programs import language_named, program_of, sources_in
from deepoj.packages.formats.statements import language_code
from deepoj.packages.formats.submissions import read_submissions
from deepoj.packages.formats.testlib_checkers import STANDARD
from deepoj.packages.formats.texts import as_list, as_map, as_number, as_text, yaml_map

_CONFIGS = ("config.yaml", "config.yml")
#: the files by which the format is recognized
MARKS = ("problem.yaml", *_CONFIGS)
_DATA = "testdata/"
#: keys of which a file called config.yaml has one, if it is Hydro's
_OURS = frozenset(
    {"type", "time", "memory", "subtasks", "cases", "checker", "checker_type", "interactor", "filename", "detail"}
)
_TIME = re.compile(r"([0-9]+(?:\.[0-9]*)?)([mu]?)s?", re.IGNORECASE)
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]*)?)([kmg])b?", re.IGNORECASE)
_MS: Mapping[str, float] = MappingProxyType({"": 1000, "m": 1, "u": 0.001})
_MIB: Mapping[str, float] = MappingProxyType({"k": 1 / 1024, "m": 1, "g": 1024})
_STATEMENT = re.compile(r"problem(?:_(?P<language>[A-Za-z_]+))?\.md")
_AGGREGATES: Mapping[str, Aggregate] = MappingProxyType(
    {"min": Aggregate.MIN, "max": Aggregate.MAX, "sum": Aggregate.SUM}
)
#: first word of Hydro's language ids → our languages
_LANGUAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "c": ("c17",), "cc": ("cpp17", "cpp20", "cpp23"), "py": ("python3", "pypy3"), "java": ("java",),
        "kt": ("kotlin",), "pas": ("pascal",), "rs": ("rust",), "go": ("go",), "js": ("javascript",),
        "cs": ("csharp",), "hs": ("haskell",), "php": ("php",), "rb": ("ruby",), "bash": ("bash",),
    }
)  # fmt: skip


def fits(files: Files, mark: str) -> bool:
    """Return whether a file of this name is Hydro's."""
    if mark not in _CONFIGS:
        return bool(files.below(_DATA))
    return bool(_OURS & set(yaml_map(files, mark)))


def read(files: Files) -> Plan:
    """Read a Hydro package. Raises Unusable."""
    notes: list[str] = []
    top = _DATA if files.below(_DATA) else ""
    about = yaml_map(files, MARKS[0]) if MARKS[0] in files else {}
    check_keys(about, "hydro problem.yaml", MARKS[0], notes)
    mark = next((top + name for name in _CONFIGS if top + name in files), "")
    if not mark and top + "config.ini" in files:
        raise Unusable(top + "config.ini", "Vijos' config.ini is not supported: write it as Hydro's config.yaml.")
    config = {key: value for key, value in (yaml_map(files, mark) if mark else {}).items() if value is not None}
    return _Reader(files, top, mark or MARKS[0], config, notes).plan(about)


@dataclass(frozen=True, slots=True)
class _Subtask:
    """A subtask with its scores as Hydro computes them."""

    name: str
    kind: str
    score: float
    needs: tuple[str, ...]
    #: input, answer and points of each test
    tests: tuple[tuple[str | None, str | None, float], ...]


class _Reader:
    """Reads one package. ``top``: the folder of its test data. ``mark``: the name of its configuration."""

    def __init__(self, files: Files, top: str, mark: str, config: Mapping[str, Any], notes: list[str]) -> None:
        self._files, self._top, self._mark, self._config, self._notes = files, top, mark, config, notes
        #: the limits of the tests so far: time in ms, memory in MB
        self._limits: set[tuple[int | None, int | None]] = set()

    def plan(self, about: Mapping[str, Any]) -> Plan:
        check_keys(self._config, "hydro config.yaml", self._mark, self._notes)
        kind = self._word("type", "default")
        if kind not in {"default", "interactive", "submit_answer"}:
            raise Unusable(self._mark, f"{show(self._mark)}: problems of the type {show(kind)} are not supported.")
        if "filename" in self._config and kind != "submit_answer":
            raise Unusable(
                self._mark, f"{show(self._mark)}: programs that read or write files (filename) are not supported."
            )
        compare, checker = self._decider(interactive=kind == "interactive")
        subtasks = tuple(self._subtasks())
        # the best test of a subtask can count only where points are absolute
        absolute = any(one.kind == "max" for one in subtasks)
        return Plan(
            format="hydro",
            cases=tuple(self._cases(subtasks, output_only=kind == "submit_answer")),
            groups=tuple(self._groups(subtasks, absolute=absolute)),
            scored=True,
            points=Points.LEGACY if absolute else Points.SHARES,
            title=as_text(about.get("title") or "", MARKS[0], "title").strip(),
            tags=tuple(one for one in about.get("tag") or () if isinstance(one, str)),
            compare=compare,
            checker=checker,
            input_validators=self._validators(),
            limits=self._all_limits(output_only=kind == "submit_answer"),
            output_only=kind == "submit_answer",
            examples=read_submissions(self._files, self._notes, outputs=kind == "submit_answer"),
            statements=tuple(self._statements()),
            attachments=self._files.below("additional_file/"),
            unsupported=tuple(self._notes),
        )

    def _word(self, key: str, default: str) -> str:
        return as_text(self._config.get(key, default), self._mark, key)

    # -- tests

    def _subtasks(self) -> Iterator[_Subtask]:
        sections = self._sections()
        left = [one for one in sections if not one.get("score")]
        rest = 100 - sum(self._score(one.get("score")) for one in sections)
        shares = iter(_spread(rest, len(left)))
        for number, section in enumerate(sections, 1):
            kind = as_text(section.get("type") or "min", self._mark, "type")
            if kind not in _AGGREGATES:
                raise Unusable(self._mark, f"{show(self._mark)}: the subtask type {show(kind)} is not supported.")
            score = self._score(section.get("score")) or next(shares)
            needs = as_list(section.get("if") or [], self._mark, "if")
            yield _Subtask(
                name=f"subtask {section.get('id') or number}",
                kind=kind,
                score=score,
                needs=tuple(f"subtask {as_number(one, self._mark, 'if'):g}" for one in needs),
                tests=tuple(self._tests(section, kind, score)),
            )

    def _sections(self) -> list[dict[str, Any]]:
        cases = self._config.get("cases")
        listed = (
            [{"cases": cases, "type": "sum"}]
            if cases
            else as_list(self._config.get("subtasks") or [], self._mark, "subtasks")
        )
        sections = [as_map(one, self._mark, "a subtask") for one in listed]
        for section in sections:
            check_keys(section, "hydro subtask", self._mark, self._notes)
        if not any(section.get("cases") for section in sections):
            sections = find_subtasks(self._files, self._top, sections)
        if empty := next((one for one in sections if not one.get("cases")), None):
            raise Unusable(self._mark, f"{show(self._mark)}: the subtask {show(empty.get('id') or '')} has no test.")
        if not sections:
            raise Unusable(self._mark, "The package has no test case.")
        return sorted(sections, key=lambda one: self._score(one.get("id")))

    def _score(self, value: object) -> float:
        return 0.0 if not value else as_number(value, self._mark, "score", least=0, most=1e9)

    def _tests(
        self, section: Mapping[str, Any], kind: str, score: float
    ) -> Iterator[tuple[str | None, str | None, float]]:
        cases = [as_map(one, self._mark, "a case") for one in as_list(section["cases"], self._mark, "cases")]
        rest = score - sum(self._score(one.get("score")) for one in cases)
        shares = iter(_spread(rest, sum(not one.get("score") for one in cases)))
        for case in cases:
            check_keys(case, "hydro case", self._mark, self._notes)
            self._take_limits(case, section)
            names = self._name(case.get("input")), self._name(case.get("output"))
            own = self._score(case.get("score"))
            yield *names, own or (next(shares) if kind == "sum" else score)

    def _name(self, value: object) -> str | None:
        if value in (None, "", "/dev/null"):
            return None
        name = self._top + as_text(value, self._mark, "the name of a file")
        if name not in self._files:
            raise Unusable(name, f"{show(name)}, which {self._mark} names, is not in the package.")
        return name

    def _cases(self, subtasks: Sequence[_Subtask], *, output_only: bool) -> Iterator[Case]:
        tests = [(one, number, test) for one in subtasks for number, test in enumerate(one.tests, 1)]
        multi = self._word("subType", "") == "multi"
        if output_only and not multi and len(tests) > 1:
            raise Unusable(
                self._mark,
                f"{show(self._mark)}: one output that is judged by several tests is not supported: set subType: multi.",
            )
        for place, (subtask, number, (input_, answer, points)) in enumerate(tests, 1):
            name = f"{subtask.name.removeprefix('subtask ')}.{number}" if len(subtasks) > 1 else str(number)
            yield Case(
                name=self._output_name(input_, place) if output_only and multi else name,
                input=input_,
                answer=answer,
                group=subtask.name,
                score=points,
            )

    def _output_name(self, input_: str | None, number: int) -> str:
        """Return how contestants call the output of a test: ``submit_answer.ts``."""
        if "filename" in self._config:
            return self._word("filename", "").replace("#", str(number))
        text = "" if input_ is None else self._files.text(input_)
        return "".join(re.findall(r"[a-zA-Z0-9_.-]", text)) or str(number)

    def _groups(self, subtasks: Sequence[_Subtask], *, absolute: bool) -> Iterator[Group]:
        yield Group(name="", parent=None, accepts=Accepts.ALWAYS if absolute else Accepts.ALL)
        known = {one.name for one in subtasks}
        for one in subtasks:
            if strange := next((name for name in one.needs if name not in known), None):
                raise Unusable(
                    self._mark, f"{show(self._mark)}: {one.name} depends on {strange}, which does not exist."
                )
            yield Group(
                name=one.name,
                aggregate=_AGGREGATES[one.kind],
                max_score=one.score,
                depends_on=one.needs,
                # Hydro goes on as long as the score can change
                judge_all=one.kind != "min",
                accepts=Accepts.ANY if one.kind == "max" else Accepts.ALL,
            )

    # -- limits

    def _take_limits(self, case: Mapping[str, Any], section: Mapping[str, Any]) -> None:
        levels = (case, section, self._config)
        time = next((one["time"] for one in levels if one.get("time")), None)
        memory = next((one["memory"] for one in levels if one.get("memory")), None)
        self._limits.add(
            (
                None if time is None else self._quantity(time, "time", _TIME, _MS),
                None if memory is None else self._quantity(memory, "memory", _MEMORY, _MIB),
            )
        )

    def _quantity(self, value: object, key: str, pattern: re.Pattern[str], units: Mapping[str, float]) -> int:
        """Return a time in ms or a memory size in MB: a bare number has that unit already (``parseTimeMS``)."""
        text = as_text(value, self._mark, key).strip()
        match = None if re.fullmatch(r"[0-9]+", text) else pattern.fullmatch(text)
        number = float(match[1]) * units[match[2].lower()] if match else as_number(text, self._mark, key)
        whole = math.floor(number) if units is _MS else math.ceil(number)
        return round(as_number(whole, self._mark, key, least=1, most=1e9))

    def _all_limits(self, *, output_only: bool) -> Limits:
        if len(self._limits) > 1 and not output_only:
            raise Unusable(self._mark, f"{show(self._mark)}: tests with limits of their own are not supported.")
        time_ms, memory_mb = (None, None) if output_only else next(iter(self._limits))
        return Limits(time_ms=time_ms, memory_mb=memory_mb, time_factors=tuple(sorted(self._factors())))

    def _factors(self) -> Iterator[tuple[str, float]]:
        for name, value in as_map(self._config.get("time_limit_rate"), self._mark, "time_limit_rate").items():
            rate = as_number(value, self._mark, "time_limit_rate", least=0.01, most=100)
            for key in _LANGUAGES.get(name.partition(".")[0], ()):
                yield key, rate

    # -- programs

    def _decider(self, *, interactive: bool) -> tuple[Compare | None, Checker | None]:
        kind = self._word("checker_type", "default")
        named = self._config.get("interactor" if interactive else "checker")
        if interactive:
            if named is None:
                raise Unusable(self._mark, f"{show(self._mark)}: an interactive problem needs its interactor.")
            return None, Checker(
                program=self._program(named, "The interactor"), protocol=Protocol.HYDRO, interactive=True
            )
        if kind in {"default", "strict"}:
            if named is not None:
                self._notes.append(f"{show(self._mark)}: checker: checker_type is {kind}, so the checker is not used.")
            return Compare(way="trimmed_lines" if kind == "default" else "whole_lines"), None
        if kind != "testlib":
            raise Unusable(
                self._mark,
                f"{show(self._mark)}: checkers of the type {show(kind)} are not supported; testlib's are.",
            )
        if isinstance(named, str) and named in STANDARD and self._top + named not in self._files:
            return STANDARD[named], None
        if named is None:
            raise Unusable(self._mark, f"{show(self._mark)} names no checker.")
        return None, Checker(program=self._program(named, "The checker"), protocol=Protocol.HYDRO)

    def _program(self, value: object, what: str) -> Program:
        section = as_map(value, self._mark, what) if isinstance(value, Mapping) else {"file": value}
        check_keys(section, "hydro program", self._mark, self._notes)
        name = self._name(section.get("file"))
        if name is None:
            raise Unusable(self._mark, f"{show(self._mark)}: {what} names no file.")
        lang = as_text(section.get("lang") or "", self._mark, "lang").rpartition(".")[2]
        language = language_named(lang.replace("cc", "cpp", 1)) if lang else None
        beside = [
            self._name(one)
            for one in as_list(self._config.get("judge_extra_files") or [], self._mark, "judge_extra_files")
        ]
        headers = [one for one in (*beside, self._header()) if one is not None and one != name]
        if sources := sources_in(self._files, headers):
            raise Unusable(sources[0], f"{show(sources[0])}: a second source beside a checker is not supported.")
        return program_of(self._files, (name, *dict.fromkeys(headers)), what, language=language)

    def _header(self) -> str | None:
        name = self._top + "testlib.h"
        return name if name in self._files else None

    def _validators(self) -> tuple[Checker, ...]:
        if "validator" not in self._config:
            return ()
        return (Checker(program=self._program(self._config["validator"], "The validator"), protocol=Protocol.TESTLIB),)

    def _statements(self) -> Iterator[Statement]:
        for name in self._files.in_folder(""):
            match = _STATEMENT.fullmatch(base(name))
            if match is not None and suffix(name) == "md":
                yield Statement(language=language_code(match["language"] or "zh"), kind="md", file=name)


def _spread(rest: float, count: int) -> list[float]:
    """Return shares of the points that are left: whole numbers, the last ones larger (``getScore``)."""
    if count == 0:
        return []
    whole = max(rest, 0)
    low, more = math.floor(whole / count), round(whole % count)
    return [float(low + (number >= count - more)) for number in range(count)]
