"""Files of other judges' packages that no reader here takes: their configuration, and programs that nothing reads.

Bare tests are pairs of files and nothing else. An archive that also holds one of these files would be judged with other
limits, another comparison or other groups than its author set, so it is refused by name, at any depth and in either
case of letters.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from deepoj.judging.paths import base, folder, suffix, without_suffix
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.programs import sources_in

_OWN = "put its tests into a zip, and its limits, groups and checker into deepoj.yaml"
_FOLDER = "zip the folder that holds this file, under exactly this name"
_KATTIS = f"{_FOLDER}, with the tests of a Kattis package in data/ or those of Hydro's in testdata/"
_CONFIG = (
    f"{_FOLDER}, with the tests beside it (Hydro, Luogu) or in testdata/ (Hydro). Packages of other judges with a file"
    f" of this name cannot be read: {_OWN}"
)
_TPS = (
    "graders, managers, stubs and tasks of several processes cannot be judged here. Of a plain task, make the tests"
    f" ('tps gen'), then {_OWN}, or export it from TPS for CMS's Italian format"
)
#: name in lower letters → whose configuration it is, and what to upload instead
_MARKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "deepoj.yaml": ("a package of our own format", _FOLDER),
        "problem.xml": ("a Codeforces Polygon package", f"{_FOLDER}, as Polygon's full package has it"),
        "problem.yaml": ("an ICPC/Kattis or Hydro package", _KATTIS),
        "domjudge-problem.ini": ("a DOMjudge package", _KATTIS),
        "init.yml": ("a DMOJ package", _FOLDER),
        "task.yaml": ("a CMS task in the Italian format", _FOLDER),
        "problem.conf": ("a UOJ package", _FOLDER),
        **dict.fromkeys(("config.yaml", "config.yml"), ("a Hydro, Luogu or SIO2 package", _CONFIG)),
        "config.ini": ("a Vijos package", "write it as Hydro's config.yaml"),
        **dict.fromkeys(
            ("contest.yaml", "contest.json"),
            ("a contest of CMS", "upload one task at a time: zip the folder that holds its task.yaml"),
        ),
        **dict.fromkeys(("problem.json", "subtasks.json", "solutions.json"), ("a TPS package", _TPS)),
        "problemset.json": ("a TPS package", _TPS),
        **dict.fromkeys(("data.yml", "data_rule.txt", "data.yaml"), ("a SYZOJ package", _OWN)),
        "problem.info": ("a BOCA package", _OWN),
        **dict.fromkeys(("problem.yml", "handler.yml"), ("a Jutge package", _OWN)),
        "problem.properties": ("a PCMS2 package", f"export it from Polygon, or {_OWN}"),
        "problem.rbx.yml": ("an rbx package", "build it for Polygon or BOCA's successor DOMjudge, and upload that"),
        "info.toml": ("a Library Checker problem", f"generate its tests, then {_OWN}"),
    }
)
#: the list of generated tests in CMS's Italian format has no ending
_GEN = re.compile(r"(?:.*/)?gen/GEN", re.IGNORECASE)
_LEMON = "cdf"

#: words of the names of programs that decide about outputs, or stand between a program and its tests
_ROLES = frozenset(
    {
        "checker", "check", "chk", "spj", "specialjudge", "comparator", "compare", "correttore", "validator", "val",
        "interactor", "communicator", "manager", "grader", "stub", "implementer", "judger", "scorer",
    }
)  # fmt: skip
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
#: folders whose programs are submissions, or material for contestants
_NOT_ROLES = ("submissions/", "solutions/", "solution/", "attachments/", "statement/", "problem_statement/")
_BINARIES = frozenset({"", "exe", "jar", "class", "o"})


def refuse_foreign(files: Files) -> None:
    """Refuse bare tests beside the configuration file of another judge. Raises Unusable."""
    for name in files.names:
        owner, advice = _MARKS.get(base(name).lower(), ("", ""))
        if _GEN.fullmatch(name):
            owner, advice = "a CMS task in the Italian format", "zip the task's folder with its task.yaml"
        if suffix(name).lower() == _LEMON:
            owner, advice = "a Lemon contest", _OWN
        if owner:
            raise Unusable(
                name,
                f"{show(name)} is the configuration of {owner}, so these are no bare tests, and no reader takes the"
                f" file under this name or in this place. To upload it: {advice}.",
            )


def refuse_unread_programs(files: Files, read: Collection[str]) -> None:
    """Refuse tests that are compared by default beside a checker, manager, grader or validator that nothing reads.

    Raises Unusable.
    """
    for name in unread_programs(files, read):
        raise Unusable(
            name,
            f"{show(name)} looks like a checker, validator, grader or manager, and nothing in the package reads it:"
            " name it in deepoj.yaml (checker, interactor), or remove it. Graders, stubs and managers that are linked"
            " with a submission are not supported.",
        )


def unread_programs(files: Files, read: Collection[str]) -> Iterable[str]:
    """Yield programs that are called like checkers, validators, graders or managers and are not among ``read``."""
    for name in files.names:
        if name not in read and not name.startswith(_NOT_ROLES) and _is_program(files, name) and _has_role(name):
            yield name


def _is_program(files: Files, name: str) -> bool:
    return bool(sources_in(files, (name,))) or suffix(name).lower() in _BINARIES


def _has_role(name: str) -> bool:
    stem = _WORD.findall(without_suffix(base(name)))
    words = [word.lower() for word in (*stem, *_WORD.findall(folder(name)))]
    # `judge` alone; `judge_solution` is a solution
    return any(word in _ROLES or word.removesuffix("s") in _ROLES for word in words) or stem in (["judge"], ["Judge"])
