"""Every key in the formats' specifications, and its treatment. The keys of our own format are those of its model.

``APPLIED``: a reader reads it. ``HARMLESS``: it affects no verdict; if the rule has a sentence, the setter is told.
``REFUSED``: verdicts would differ, so the package is refused by the key's name, unless the value says that the key is
not used (``false``, an empty list). A key in no table is noted to the setter, or refused where an unknown key could
change verdicts (``STRICT``). ``deploy/docs/packages.md`` shows the tables; a test compares the two.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from deepoj.packages.formats.faults import Unusable, show


class KeyTreatment(enum.StrEnum):
    """Treatment of a key."""

    APPLIED = "applied"
    HARMLESS = "no effect on verdicts"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Rule:
    """Treatment of a key, and the end of a sentence about it: what is not supported, or a note to the setter."""

    fate: KeyTreatment
    words: str = ""


def _applied(*keys: str) -> dict[str, Rule]:
    return dict.fromkeys(keys, Rule(KeyTreatment.APPLIED))


def _harmless(*keys: str, words: str = "") -> dict[str, Rule]:
    return dict.fromkeys(keys, Rule(KeyTreatment.HARMLESS, words))


def _refused(words: str, *keys: str) -> dict[str, Rule]:
    return dict.fromkeys(keys, Rule(KeyTreatment.REFUSED, words))


_GENERATED = "tests that a generator makes while judging are not supported: run it, and put its tests in the package"
_IN_PYTHON = "graders in Python for DMOJ's judge are not supported"
_FILE_IO = "programs that read or write files are not supported"
_OUR_LIMITS = "the node's own limits hold for checkers and interactors"

_KATTIS_VISUAL = ("input_visualizer_args", "output_visualizer_args", "full_feedback", "hint", "description")

#: place → key → rule. A place is a format and the section in which the key occurs
TABLES: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "kattis problem.yaml": {
            **_applied(
                "problem_format_version", "type", "name", "limits", "validation", "validator_flags", "validator_args",
                "grading", "constants", "keywords",
            ),
            **_harmless(
                "uuid", "version", "credits", "author", "authors", "source", "source_url", "license", "rights_owner",
                "embargo_until", "short-name", "short_name",
            ),
            **_harmless("allow_file_writing", words="programs may write files in their own directory in any case"),
            **_harmless("languages", words="submissions are taken in every language, not only in these"),
        },
        "kattis problem.yaml limits": {
            **_applied(
                "time_limit", "memory", "output", "time_multiplier", "time_multipliers", "time_resolution",
                "compilation_time", "compilation_memory", "validation_passes",
            ),
            **_harmless("time_safety_margin"),
            **_harmless("code", words="the server's limit of a source's size holds"),
            **_harmless("validation_time", "validation_memory", "validation_output", words=_OUR_LIMITS),
        },
        "kattis problem.yaml limits.time_multipliers": {**_applied("ac_to_time_limit"),
                                                       **_harmless("time_limit_to_tle")},
        "kattis problem.yaml grading": {
            **_applied("objective", "on_reject", "accept_score", "reject_score", "range"),
            **_harmless("show_test_data_groups"),
            **_refused("a grader of the package's own is not supported", "custom_scoring"),
        },
        "kattis testdata.yaml": {
            **_applied(
                "on_reject", "grading", "grader_flags", "input_validator_flags", "output_validator_flags",
                "accept_score", "reject_score", "range",
            ),
        },
        "kattis test_group.yaml": {
            **_applied(
                "max_score", "score_aggregation", "require_pass", "args", "input_validator_args",
                "output_validator_args", "scoring", "grading",
            ),
            **_refused("validators that look at sources are not supported",
                       "static_validation", "static_validation_score", "static_validator_args"),
            **_harmless(*_KATTIS_VISUAL),
        },
        "kattis test_group.yaml scoring": _applied(
            "max_score", "score_aggregation", "require_pass", "score", "aggregation",
        ),
        "kattis test case .yaml": {
            **_applied("args", "input_validator_args", "output_validator_args"),
            **_harmless(*_KATTIS_VISUAL),
        },
        "kattis domjudge-problem.ini": {
            **_applied("timelimit", "name"),
            **_harmless("short-name", "probid", "color", "allow_submit", "allow_judge", "externalid", "points"),
            **_refused("programs that only a DOMjudge server has are not supported",
                       "special_run", "special_compare", "special_compare_args"),
        },
        "dmoj init.yml": {
            **_applied(
                "test_cases", "pretest_test_cases", "archive", "checker", "interactive", "points", "short_circuit",
                "binary_data", "wall_time_factor", "output_limit_length", "unbuffered", "in", "out",
            ),
            **_harmless("meta", "output_prefix_length"),
            **_refused("batches say themselves which others they depend on", "dependencies", "dependencies_file"),
            **_refused(_GENERATED, "generator", "generator_args"),
            **_refused("submissions that are functions called by the problem's own program are not supported",
                       "signature_grader"),
            **_refused(_IN_PYTHON, "custom_judge", "grader"),
            **_refused(_FILE_IO, "file_io", "io_redirects"),
            **_refused("links beside a program are not supported", "symlinks"),
            **_refused("hints to DMOJ's own compilers and interpreters are not supported", "hints"),
            **_refused("several programs that speak with each other are not supported", "communication"),
            **_refused("outputs in the place of programs are not supported in this format", "output_only"),
        },
        "dmoj test_cases": {
            **_applied("case_points"),
            **_refused("patterns of one's own are not supported: list the cases", "input_format", "output_format"),
        },
        "dmoj a test case": {
            **_applied("in", "out", "points", "batched", "dependencies", "binary_data"),
            **_harmless("output_prefix_length"),
            **_refused(_GENERATED, "generator", "generator_args"),
            **_refused(_FILE_IO, "file_io", "io_redirects"),
            **_refused("it is supported for the whole problem alone, not for a single case",
                       "checker", "interactive", "wall_time_factor", "output_limit_length"),
            **_refused("links beside a program are not supported", "symlinks"),
            **_refused("several programs that speak with each other are not supported", "communication"),
        },
        "dmoj checker": _applied("name", "args"),
        "dmoj checker standard": {},
        "dmoj checker easy": {},
        "dmoj checker unordered": {},
        "dmoj checker identical": _harmless("pe_allowed"),
        "dmoj checker sorted": _applied("split_on"),
        "dmoj checker rstripped": _applied("filter_new_line"),
        "dmoj checker floats": _applied("precision", "error_mode"),
        "dmoj checker floatsabs": _applied("precision"),
        "dmoj checker floatsrel": _applied("precision"),
        "dmoj checker linecount": {
            **_harmless("feedback"),
            **_refused("a comparison in Python is not supported", "match"),
        },
        "dmoj checker bridged": {
            **_applied("files", "lang", "type", "flags", "args_format_string", "args"),
            **_harmless("feedback", "cached"),
            **_harmless("time_limit", "memory_limit", "compiler_time_limit", words=_OUR_LIMITS),
        },
        "dmoj interactive": {
            **_applied("files", "lang", "type", "flags", "args_format_string", "args"),
            **_harmless("feedback", "cached"),
            **_harmless("preprocessing_time", "memory_limit", "compiler_time_limit", words=_OUR_LIMITS),
        },
        "polygon problem": {
            **_applied("short-name", "names", "statements", "judging", "files", "assets", "tags"),
            **_harmless("revision", "url", "tutorials", "properties", "stresses", "documents", "materials"),
        },
        "polygon assets": {
            **_applied("checker", "interactor", "validators", "solutions"),
            **_harmless("extra-validators"),
        },
        "polygon checker": {
            **_applied("name", "type", "source", "copy"),
            **_harmless("binary", "testset", "runs"),
        },
        "polygon judging": {
            **_applied("input-file", "output-file", "run-count"),
            **_harmless("cpu-name", "cpu-speed", "testset"),
        },
        "polygon testset": {
            **_applied("name", "time-limit", "memory-limit", "test-count", "input-path-pattern", "answer-path-pattern",
                       "tests", "groups"),
            **_harmless("output-path-pattern"),
        },
        "polygon test": {
            **_applied("sample", "group", "points"),
            **_harmless("method", "cmd", "from-file", "description"),
        },
        "polygon group": {
            **_applied("name", "points", "points-policy"),
            **_harmless("feedback-policy", words="feedback policies change nothing; hidden tests are never shown"),
        },
    }
)  # fmt: skip

#: places where an unknown key could change verdicts
STRICT = frozenset(TABLES) - {"kattis problem.yaml", "kattis domjudge-problem.ini", "dmoj init.yml", "polygon problem"}


def check_keys(
    section: Mapping[str, Any], place: str, file: str, notes: list[str], *, also: Iterable[str] = ()
) -> None:
    """Refuse or note the keys of a section as ``TABLES[place]`` says. ``also``: further places whose keys may occur.

    Raises:
      Unusable: a key is refused, or is unknown where it could change verdicts.
    """
    rules = dict(TABLES[place])
    for other in also:
        rules |= TABLES[other]
    for key, value in section.items():
        rule = rules.get(key)
        if rule is None and (place in STRICT or key.endswith("++")):
            raise Unusable(
                file, f"{show(file)}: the key {show(key)} is not known here, where it could change verdicts."
            )
        if rule is None:
            notes.append(f"{show(file)}: {show(key)} is not known and changes nothing.")
        elif rule.fate is KeyTreatment.REFUSED and value:
            raise Unusable(file, f"{show(file)}: {show(key)}: {rule.words}.")
        elif rule.fate is KeyTreatment.HARMLESS and rule.words:
            notes.append(f"{show(file)}: {show(key)}: {rule.words}.")
