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
_NO_TOKENS = "tokens and other rules of a contest are not part of a problem"
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
            **_refused("not supported: groups name their grader by grading: custom in testdata.yaml", "custom_scoring"),
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
        "hydro problem.yaml": {
            **_applied("title", "tag"),
            **_harmless("pid", "owner", "nSubmit", "nAccept", "difficulty", "hidden", "html", "sort", "reference"),
        },
        "hydro config.yaml": {
            **_applied(
                "type", "subType", "time", "memory", "filename", "checker_type", "checker", "interactor", "validator",
                "judge_extra_files", "cases", "subtasks", "time_limit_rate",
            ),
            **_harmless("detail", "key"),
            **_harmless("langs", words="submissions are taken in every language, not only in these"),
            **_refused("files beside a submission are not supported in this format", "user_extra_files", "template"),
            **_refused("several programs that speak with each other are not supported", "manager", "num_processes"),
            **_refused("questions with fixed answers are not supported", "answers"),
            **_refused("problems of other servers are not supported", "redirect", "target"),
            **_refused("a memory limit that depends on the language is not supported", "memory_limit_rate"),
        },
        "hydro subtask": _applied("id", "type", "score", "if", "time", "memory", "cases"),
        "hydro case": {**_applied("input", "output", "score", "time", "memory"), **_harmless("id")},
        "hydro program": _applied("file", "lang"),
        "luogu test": _applied("timeLimit", "memoryLimit", "score", "subtaskId", "isPretest"),
        "uoj problem.conf": {
            **_applied(
                "use_builtin_judger", "use_builtin_checker", "submit_answer", "n_tests", "n_ex_tests", "n_sample_tests",
                "n_subtasks", "input_pre", "input_suf", "output_pre", "output_suf", "time_limit", "time_limit_N",
                "memory_limit", "memory_limit_N", "output_limit", "output_limit_N", "point_score_N", "subtask_end_N",
                "subtask_score_N", "subtask_type_N", "subtask_dependence_N", "subtask_dependence_N_N",
            ),
            **_harmless(
                "subtask_used_time_type_N", "show_in", "show_out", "show_res", "problem_id", "dont_use_formatter",
                "check_existence_only_in_sample_test",
            ),
            **_harmless("validate_input_before_test", words="'problem verify' runs the validator, judging does not"),
            **_harmless(
                "checker_time_limit", "checker_memory_limit", "checker_output_limit", "validator_time_limit",
                "validator_memory_limit", "standard_time_limit", "standard_memory_limit", words=_OUR_LIMITS,
            ),
            **_refused("functions that the problem's own program calls are not supported", "with_implementer"),
            **_refused("interactors of UOJ are not supported: use Kattis or Polygon", "interaction_mode"),
            **_refused("outputs that a program makes are not supported", "output_gen_N", "output_file_id_N"),
            **_refused("programs without an input are not supported", "disable_program_input",
                       "disable_program_input_N"),
            **_refused("files that a program may read are not supported", "readable_N"),
            **_refused("outputs with a token are not supported", "token"),
            **_refused("subtasks by folders are not supported: give subtask_end_1 and so on", "subtask_in_folder"),
        },
        "cms task.yaml": {
            **_applied(
                "title", "nome", "time_limit", "timeout", "memory_limit", "memlimit", "infile", "outfile", "n_input",
                "output_only", "total_value", "primary_language",
            ),
            **_harmless("name", "nome_breve", "version", "public_testcases", "risultati", "feedback_level",
                        "score_precision", "allowed_languages"),
            **_harmless(
                "token_mode", "token_max_number", "token_min_interval", "token_gen_initial", "token_gen_number",
                "token_gen_interval", "token_gen_max", "token_total", "token_initial", "token_gen_time", "token_max",
                "score_mode", "max_submission_number", "max_user_test_number", "min_submission_interval",
                "min_user_test_interval", words=_NO_TOKENS,
            ),
            **_refused("several programs that speak with each other are not supported", "num_processes"),
            **_refused("other score types than those of gen/GEN are not supported", "score_type",
                       "score_type_parameters"),
        },
    }
)  # fmt: skip

#: places where an unknown key could change verdicts
STRICT = frozenset(TABLES) - {
    "kattis problem.yaml",
    "kattis domjudge-problem.ini",
    "dmoj init.yml",
    "polygon problem",
    "hydro problem.yaml",
}


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
