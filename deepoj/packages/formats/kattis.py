"""ICPC/Kattis problem packages: ``legacy`` (including the ICPC's subset and DOMjudge's variants), ``2023-07-draft`` and
``2025-09``, its successor.

This module reads ``problem.yaml`` of all of them; ``kattis_groups`` reads the test groups. Tests are in natural order
(1, 2, 10), as in all formats here; the format's own order is that of bytes.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from deepoj.judging.compare import DOMJUDGE_FLOATS
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.paths import base, suffix, without_suffix
from deepoj.judging.problem import Checker, Compare, Group, Included, Limits, Plan, Program, Protocol
from deepoj.judging.sources import PLAIN_NAME
from deepoj.packages.formats.constants import MAX_FILLED_BYTES, NAME
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.kattis_groups.folders import DATA, GROUP_FILES
from deepoj.packages.formats.kattis_groups.kind import ProblemKind
from deepoj.packages.formats.kattis_groups.read import read_tests
from deepoj.packages.formats.keys import check_keys
from deepoj.packages.formats.programs import program_of, units
from deepoj.packages.formats.statements import language_code, read_statements
from deepoj.packages.formats.submissions import LIST as SUBMISSIONS_LIST
from deepoj.packages.formats.submissions import TOP as SUBMISSIONS
from deepoj.packages.formats.submissions import read_submissions
from deepoj.packages.formats.texts import as_map, as_number, as_text, as_words, refuse_ambiguous, yaml_map

MARK = "problem.yaml"
#: the file of DOMjudge's older packages, which may have no problem.yaml
OLD_MARK = "domjudge-problem.ini"
_TIME_LIMIT_FILE = ".timelimit"
DRAFT = "2023-07"
STABLE = "2025-09"
_OUTPUT_VALIDATORS = ("output_validator/", "output_validators/")
_GRADERS = "graders/"
_INCLUDED = "include/"
_STATEMENTS = ("statement/", "problem_statement/")
_INPUT_VALIDATORS = ("input_validators/", "input_validator/", "input_format_validators/")
_TYPES = frozenset({"pass-fail", "scoring", "interactive", "multi-pass", "submit-answer"})
_GRAMMARS = frozenset({"ctd", "viva"})


def has_data(files: Files) -> bool:
    """Return whether there are tests; without them, a file called problem.yaml belongs to another format."""
    return bool(files.below("data/"))


def read(files: Files) -> Plan:
    """Read an ICPC/Kattis package. Raises Unusable."""
    config = yaml_map(files, MARK) if MARK in files else {}
    ini = _ini(files)
    kind = _kind(files, config)
    _check_keys(config, ini, kind)
    _refuse_other_verdicts(files, config, kind)
    constants = _constants(config)
    filled = _filled(files, kind) if constants else ()
    files.fill(filled, constants)
    _check_test_keys(files, kind)
    if not files.below("data/secret/"):
        if kind.scoring:
            raise Unusable(None, "The package has no folder data/secret, and samples give no points.")
        kind.notes.append("The package has no secret tests: its samples alone decide.")
    validator = _output_validator(files, kind, config)
    examples = read_submissions(files, kind.notes, outputs=kind.output_only)
    kind.domjudge = OLD_MARK in files or (
        SUBMISSIONS_LIST not in files and any(example.expected_scores for example in examples)
    )
    tests = read_tests(files, kind)
    return Plan(
        format=_format(config, kind),
        made_for="domjudge" if kind.domjudge else "",
        cases=tests.cases,
        groups=tests.groups,
        scored=kind.scoring,
        points=tests.points,
        title=_title(config.get("name", ini.get("name", ""))),
        tags=_tags(config.get("keywords")),
        compare=None
        if validator is not None
        else compare_of_flags(tests.flags or kind.flags, MARK, domjudge=kind.domjudge),
        checker=validator,
        grader=_grader(files, tests.groups),
        input_validators=_input_validators(files, kind),
        limits=_limits(files, config, ini, kind),
        output_only=kind.output_only,
        included=_included(files),
        constants=tuple(constants.items()),
        filled=filled,
        examples=examples,
        statements=read_statements(files, _titles(config.get("name"))),
        attachments=files.below("attachments/"),
        unsupported=tuple(dict.fromkeys(kind.notes)),
    )


def compare_of_flags(flags: tuple[str, ...], file: str, *, domjudge: bool) -> Compare:
    """Return the comparison of the default validator with these arguments.

    Without arguments it compares tokens and ignores case. ``domjudge``: DOMjudge's validator, which treats floats
    differently.
    """
    floats = DOMJUDGE_FLOATS if domjudge else "floats"
    case_sensitive = space_sensitive = False
    absolute: float | None = None
    relative: float | None = None
    words = list(flags)
    while words:
        word = words.pop(0)
        if word == "case_sensitive":
            case_sensitive = True
        elif word == "space_change_sensitive":
            space_sensitive = True
        elif word in {"float_tolerance", "float_absolute_tolerance", "float_relative_tolerance"}:
            if not words:
                raise Unusable(file, f"{show(file)}: {word} needs a number.")
            number = as_number(words.pop(0), file, word, least=0)
            absolute = number if word != "float_relative_tolerance" else absolute
            relative = number if word != "float_absolute_tolerance" else relative
        else:
            raise Unusable(file, f"{show(file)}: the default validator has no argument {show(word)}.")
    return Compare(
        way="tokens" if absolute is None and relative is None else floats,
        case_sensitive=case_sensitive,
        space_sensitive=space_sensitive,
        absolute=absolute,
        relative=relative,
    )


# ---------------------------------------------------------------------------------------------------------------------
# problem.yaml


def _format(config: Mapping[str, Any], kind: ProblemKind) -> str:
    if not kind.draft:
        return "kattis-legacy"
    return f"kattis-{STABLE if str(config.get('problem_format_version')).startswith(STABLE) else DRAFT}"


def _kind(files: Files, config: Mapping[str, Any]) -> ProblemKind:
    version = as_text(config.get("problem_format_version", "legacy"), MARK, "problem_format_version")
    draft = version.startswith((DRAFT, STABLE)) or version == "draft"
    if not draft and version not in {"legacy", "legacy-icpc"}:
        raise Unusable(
            MARK, f"{show(MARK)}: the format {show(version)} is not supported; legacy, 2023-07-draft and 2025-09 are."
        )
    kind = ProblemKind(draft=draft, stable=version.startswith(STABLE))
    kind.grading = as_map(config["grading"], MARK, "grading") if isinstance(config.get("grading"), dict) else {}
    types = _types(config.get("type", "pass-fail"))
    kind.scoring = "scoring" in types
    kind.interactive = "interactive" in types
    kind.multipass = "multi-pass" in types
    kind.output_only = "submit-answer" in types
    strange = [word for word in types if word not in _TYPES]
    if strange:
        raise Unusable(MARK, f"{show(MARK)}: the type {show(strange[0])} is not supported.")
    if kind.scoring and "pass-fail" in types:
        raise Unusable(MARK, f"{show(MARK)}: a problem cannot be both pass-fail and scoring.")
    if kind.output_only and (kind.interactive or kind.multipass):
        raise Unusable(MARK, f"{show(MARK)}: submit-answer cannot be interactive nor have several passes.")
    words = as_text(config.get("validation") or "default", MARK, "validation").split()
    # packages that are being migrated to the draft may still have the old key
    if "validation" in config or not draft:
        _validation(kind, words)
    if draft:
        kind.custom = kind.custom or any(files.below(top) for top in _OUTPUT_VALIDATORS)
    kind.flags = as_words(config.get("validator_flags", config.get("validator_args")), MARK, "validator_flags")
    return kind


def _types(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(as_text(one, MARK, "type") for one in value)
    return tuple(as_text(value, MARK, "type").split())


def _validation(kind: ProblemKind, words: list[str]) -> None:
    known = {"default", "custom", "interactive", "score", "multi-pass"}
    strange = [word for word in words if word not in known]
    if strange or (words and words[0] not in {"default", "custom"}):
        raise Unusable(MARK, f"{show(MARK)}: validation {show(' '.join(words))} is not supported.")
    kind.custom = "custom" in words
    kind.interactive = kind.interactive or "interactive" in words
    kind.multipass = kind.multipass or "multi-pass" in words
    kind.validator_scores = "score" in words
    if not kind.custom and len(words) > 1:
        raise Unusable(MARK, f"{show(MARK)}: {show(' '.join(words[1:]))} needs validation: custom.")


def _check_keys(config: Mapping[str, Any], ini: Mapping[str, str], kind: ProblemKind) -> None:
    """Refuse or note keys of the problem (``keys``)."""
    check_keys({key: value for key, value in config.items() if value != "all"}, "kattis problem.yaml", MARK, kind.notes)
    check_keys(ini, "kattis domjudge-problem.ini", OLD_MARK, kind.notes)
    limits = as_map(config.get("limits"), MARK, "limits")
    check_keys(limits, "kattis problem.yaml limits", MARK, kind.notes)
    multipliers = as_map(limits.get("time_multipliers"), MARK, "limits.time_multipliers")
    check_keys(multipliers, "kattis problem.yaml limits.time_multipliers", MARK, kind.notes)
    check_keys(as_map(config.get("grading"), MARK, "grading"), "kattis problem.yaml grading", MARK, kind.notes)


def _check_test_keys(files: Files, kind: ProblemKind) -> None:
    """Refuse or note keys of groups and tests."""
    for name in files.below(DATA):
        if base(name) in GROUP_FILES:
            _check_group(yaml_map(files, name), name, kind)
        elif kind.draft and without_suffix(name) + ".in" in files and suffix(name) == "yaml":
            case = yaml_map(files, name)
            check_keys(case, "kattis test case .yaml", name, kind.notes)


def _check_group(group: Mapping[str, Any], name: str, kind: ProblemKind) -> None:
    if not kind.draft:
        check_keys(group, "kattis testdata.yaml", name, kind.notes)
        return
    # packages that are being migrated use keys of both formats
    check_keys(group, "kattis test_group.yaml", name, kind.notes, also=("kattis testdata.yaml",))
    for key in ("scoring", "grading"):
        if isinstance(group.get(key), dict):
            check_keys(as_map(group[key], name, key), "kattis test_group.yaml scoring", name, kind.notes)


def _refuse_other_verdicts(files: Files, config: Mapping[str, Any], kind: ProblemKind) -> None:
    if kind.grading.get("objective", "max") != "max":
        raise Unusable(MARK, f"{show(MARK)}: problems that look for the least score are not supported.")
    static = files.below("static_validator/")
    if static:
        raise Unusable(static[0], f"{show(static[0])}: validators that look at sources are not supported.")


def _constants(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the constants' values by name."""
    constants = {}
    for name, value in as_map(config.get("constants"), MARK, "constants").items():
        if not NAME.fullmatch(name):
            raise Unusable(
                MARK, f"{show(MARK)}: a constant's name has letters, digits and _ only, unlike {show(name)}."
            )
        for one in value.values() if isinstance(value, Mapping) else (value,):
            refuse_ambiguous(one, MARK, f"the constant {name}")
        if not isinstance(value, Mapping):
            constants[name] = as_text(value, MARK, f"the constant {name}")
            continue
        # of a constant with several notations, ``{{name}}`` is its 'value', and ``{{name.way}}`` another notation
        for way, one in value.items():
            constants[f"{name}.{way}"] = as_text(one, MARK, f"the constant {name}")
        if "value" in value:
            constants[name] = constants[f"{name}.value"]
    return constants


def _filled(files: Files, kind: ProblemKind) -> tuple[str, ...]:
    """Return the files in which constants are replaced by their values."""
    filled = []
    for name in files.names:
        program = name.startswith((*_OUTPUT_VALIDATORS, *_INPUT_VALIDATORS, _INCLUDED, _GRADERS)) or (
            name.startswith(SUBMISSIONS) and name != SUBMISSIONS_LIST
        )
        statement = name.startswith(_STATEMENTS) and suffix(name).lower() in {"md", "tex"}
        group = name.startswith(DATA) and base(name) in GROUP_FILES
        if not (program or statement or group):
            continue
        if files.size(name) > MAX_FILLED_BYTES:
            kind.notes.append(f"{show(name)} has more than {MAX_FILLED_BYTES} bytes: constants in it stay as they are.")
        else:
            filled.append(name)
    return tuple(filled)


#: the format's codes of languages for which we have several keys; other codes equal our keys
_CODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("c", "cgmp"), ("c17",)),
        **dict.fromkeys(("cpp", "cppgmp"), ("cpp17", "cpp20", "cpp23")),
        **dict.fromkeys(("python3", "python3numpy"), ("python3", "pypy3")),
    }
)


def language_keys(code: str) -> tuple[str, ...]:
    """Return our keys of a language that the format names by a code; empty: we do not have it."""
    return tuple(key for key in _CODES.get(code, (code,)) if key in LANGUAGES)


#: languages whose folders only repeat the packages that the sources name: their compilers take all from one folder
_FOLDERS_FOR_PEOPLE: Mapping[str, str] = MappingProxyType({"java": "java", "kotlin": "kt", "scala": "scala"})


def _included(files: Files) -> tuple[Included, ...]:
    """Return the files of ``include/<language>/``, and of ``include/default/`` for every language."""
    included = []
    for top in files.folders_in(_INCLUDED):
        code = base(top.removesuffix("/"))
        archived: dict[str, str] = {}
        for name in files.below(top):
            beside = _name_beside(name, name[len(top) :], code)
            if archived.setdefault(beside, name) != name:
                raise Unusable(name, f"{show(name)} and {show(archived[beside])} would have one name in one folder.")
        included.append(
            Included(
                languages=() if code == "default" else _CODES.get(code, (code,)),
                files=tuple(archived.items()),
            )
        )
    return tuple(included)


def _name_beside(name: str, path: str, code: str) -> str:
    """Return the name that an included file has beside a submission. ``path``: below its language's folder."""
    folders = path.split("/")
    if not all(PLAIN_NAME.fullmatch(part) for part in folders):
        raise Unusable(name, f"{show(name)}: included files and their folders have plain names.")
    beside = folders.pop()
    if not folders:
        return beside
    if suffix(beside) != _FOLDERS_FOR_PEOPLE.get(code):
        known = ", ".join(f"{_INCLUDED}{key}/" for key in _FOLDERS_FOR_PEOPLE)
        raise Unusable(name, f"{show(name)}: included files are in further folders only as sources below {known}.")
    if without_suffix(beside).lower() == "main":
        raise Unusable(name, f"{show(name)}: a main program beside submissions is in no further folder.")
    return beside


def _title(value: object) -> str:
    """Return the title: a text, or of a map of languages the English one, else the first."""
    if isinstance(value, Mapping):
        names = {str(key): as_text(name, MARK, "name") for key, name in value.items()}
        return names.get("en") or next(iter(names.values()), "")
    return as_text(value, MARK, "name").strip()


def _tags(value: object) -> tuple[str, ...]:
    """Return the keywords: a list, or one text with commas or spaces between them. Others have no effect."""
    if isinstance(value, str):
        parts = value.split(",")
        return tuple(parts if len(parts) > 1 else value.split())
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _titles(value: object) -> dict[str, str]:
    """Return the titles by language."""
    if not isinstance(value, Mapping):
        return {}
    return {language_code(str(key)): as_text(name, MARK, "name").strip() for key, name in value.items()}


def _ini(files: Files) -> dict[str, str]:
    """Return the keys and values of ``domjudge-problem.ini``, which has no sections; quotes are optional."""
    if OLD_MARK not in files:
        return {}
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string("[problem]\n" + files.text(OLD_MARK))
    except configparser.Error:
        raise Unusable(OLD_MARK, f"{show(OLD_MARK)} is not a list of keys and values.") from None
    return {key: (value or "").strip().strip("'\"") for key, value in parser.items("problem")}


def _limits(files: Files, config: Mapping[str, Any], ini: Mapping[str, str], kind: ProblemKind) -> Limits:
    given = as_map(config.get("limits"), MARK, "limits")

    def number(key: str, factor: int = 1) -> int | None:
        value = given.get(key)
        return None if value is None else round(as_number(value, MARK, f"limits.{key}", least=1e-3, most=1e9) * factor)

    time_ms = number("time_limit", 1000)
    if time_ms is None and _TIME_LIMIT_FILE in files:
        text = files.text(_TIME_LIMIT_FILE).strip()
        time_ms = round(as_number(text, _TIME_LIMIT_FILE, "the time limit", least=1e-3, most=1e6) * 1000)
    if time_ms is None and "timelimit" in ini:
        # DOMjudge may add, after a colon, how far a program may exceed it
        seconds = ini["timelimit"].partition(":")[0]
        time_ms = round(as_number(seconds, OLD_MARK, "timelimit", least=1e-3, most=1e6) * 1000)
    if time_ms is None and not kind.domjudge:
        kind.notes.append(
            "The package states no time limit (it is to be measured with its own submissions):"
            " give one when you upload it, or the default is used."
        )
    multipliers = as_map(given.get("time_multipliers"), MARK, "limits.time_multipliers")
    multiplier = multipliers.get("ac_to_time_limit") if kind.draft else given.get("time_multiplier")
    return Limits(
        time_ms=time_ms,
        memory_mb=number("memory"),
        output_mb=number("output"),
        time_multiplier=None if multiplier is None else as_number(multiplier, MARK, "the time multiplier", least=1),
        time_resolution_ms=number("time_resolution", 1000) if kind.draft else None,
        compile_time_ms=number("compilation_time", 1000),
        compile_memory_mb=number("compilation_memory"),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Validators


def _output_validator(files: Files, kind: ProblemKind, config: Mapping[str, Any]) -> Checker | None:
    if not kind.custom:
        if kind.interactive or kind.multipass:
            raise Unusable(MARK, f"{show(MARK)}: an interactive or multi-pass problem needs its own output validator.")
        return None
    validators = [one for top in _OUTPUT_VALIDATORS for one in units(files, top, single=top == _OUTPUT_VALIDATORS[0])]
    if not validators:
        raise Unusable(None, "The problem is to be judged by its own output validator, but the package has none.")
    if len(validators) > 1:
        raise Unusable(
            validators[1][0],
            f"{show(validators[1][0])} is a second output validator beside {show(validators[0][0])}: one is supported.",
        )
    limits = as_map(config.get("limits"), MARK, "limits")
    passes = as_number(limits.get("validation_passes", 2), MARK, "limits.validation_passes", least=2, most=1000)
    return Checker(
        program=program_of(files, validators[0], "The output validator"),
        protocol=Protocol.VALIDATOR,
        args=kind.flags,
        interactive=kind.interactive,
        multipass=kind.multipass,
        max_passes=round(passes),
        scores=kind.validator_scores,
    )


def _grader(files: Files, groups: tuple[Group, ...]) -> Program | None:
    """Return the program that computes the results of groups; None: none asks for it. Raises Unusable."""
    if all(group.grader_args is None for group in groups):
        return None
    graders = units(files, _GRADERS)
    if not graders:
        raise Unusable(None, "A group of tests has 'grading: custom', but the package has no program in graders/.")
    if len(graders) > 1:
        raise Unusable(
            graders[1][0], f"{show(graders[1][0])} is a second grader beside {show(graders[0][0])}: one is supported."
        )
    return program_of(files, graders[0], "The grader")


def _input_validators(files: Files, kind: ProblemKind) -> tuple[Checker, ...]:
    validators = []
    for top in _INPUT_VALIDATORS:
        grammars = [name for name in files.below(top) if suffix(name).lower() in _GRAMMARS]
        kind.notes += [f"{show(name)}: Checktestdata and VIVA files are not run." for name in grammars]
        for unit in units(files, top):
            try:
                validators.append(
                    Checker(program=program_of(files, unit, "The input validator"), protocol=Protocol.VALIDATOR)
                )
            except Unusable as unusable:
                # verdicts do not need it
                kind.notes.append(str(unusable))
    return tuple(validators)
