"""Polygon packages: ``problem.xml`` beside its tests, testlib checker and interactor, solutions with tags.

Only what is in the archive counts: a package whose tests are still to be made by its script is refused, and says which
kind of package to download. Tests keep the package's order, which is that of their numbers.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from xml.etree.ElementTree import Element

from deepoj.judging.packages import submissions as words
from deepoj.judging.packages.faults import Unusable, show
from deepoj.judging.packages.files import Files
from deepoj.judging.packages.keys import check_keys
from deepoj.judging.packages.names import base, folder, suffix
from deepoj.judging.packages.programs import language_named, program_of
from deepoj.judging.packages.submissions import example_of
from deepoj.judging.packages.texts import as_number, xml_of
from deepoj.judging.problem import (
    Aggregate,
    Case,
    Checker,
    Compare,
    Example,
    Group,
    Included,
    Limits,
    Plan,
    Program,
    Protocol,
    Statement,
)
from deepoj.judging.sources import PLAIN_NAME

MARK = "problem.xml"
_PATTERN = re.compile(r"%(?:0(?P<width>[1-9]))?d")
_HEADERS = frozenset({"h", "hpp", "hh", "hxx"})
_MIB = 1024 * 1024

#: solutions by tag → what their author promises; without an entry: nothing
_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "main": (words.AC,),
        "accepted": (words.AC,),
        "wrong-answer": (words.WA,),
        "presentation-error": (words.PE, words.WA),
        "time-limit-exceeded": (words.TLE,),
        "time-limit-exceeded-or-accepted": (words.TLE, words.AC),
        "time-limit-exceeded-or-memory-limit-exceeded": (words.TLE, words.MLE),
        "memory-limit-exceeded": (words.MLE, words.RE),
        "rejected": (words.WA, words.TLE, words.RE, words.MLE, words.OLE, words.PE),
        "failed": (words.WA, words.TLE, words.RE, words.MLE, words.OLE, words.PE),
    }
)
#: standard checkers whose source a package may leave out, as ways of comparing that decide alike
_STANDARD: Mapping[str, Compare] = MappingProxyType(
    {
        "wcmp": Compare(),
        "hcmp": Compare(),
        "ncmp": Compare(),
        "rcmp4": Compare(way="floats", absolute=1e-4, relative=1e-4),
        "rcmp6": Compare(way="floats", absolute=1e-6, relative=1e-6),
        "rcmp9": Compare(way="floats", absolute=1e-9, relative=1e-9),
        "yesno": Compare(case_sensitive=False),
        "nyesno": Compare(case_sensitive=False),
    }
)


def read(files: Files) -> Plan:
    """Raises Unusable."""
    root = xml_of(files, MARK)
    if root.tag != "problem":
        raise Unusable(MARK, f"{show(MARK)} is no problem of Polygon: its root is {show(root.tag)}.")
    notes: list[str] = []
    testset = _testset(root, notes)
    cases = _cases(files, testset)
    groups, scored = _groups(testset, cases)
    _refuse_what_changes_verdicts(root, notes)
    assets = root.find("assets")
    interactor = _asset(files, assets, "interactor", "The interactor")
    decides = _asset(files, assets, "checker", "The checker")
    compare = None if decides is not None else _standard(assets)
    if decides is None and compare is None and interactor is None:
        raise Unusable(MARK, f"{show(MARK)} names no checker whose source is in the package{_named(assets)}.")
    return Plan(
        format="polygon",
        cases=cases,
        groups=groups,
        scored=scored,
        title=_title(root),
        compare=compare if interactor is None else None,
        checker=decides if interactor is None else _checker(interactor, interactive=True),
        output_checker=None if interactor is None else decides,
        input_validators=_validators(files, assets, notes),
        limits=_limits(testset),
        included=_included(files, root),
        examples=_solutions(files, assets, scored, notes),
        statements=_statements(files, root),
        windows_texts=_windows_texts(files, cases),
        unsupported=tuple(dict.fromkeys(notes)),
    )


def _checker(one: Checker, *, interactive: bool) -> Checker:
    return Checker(program=one.program, protocol=one.protocol, interactive=interactive)


def _keys_of(element: Element) -> dict[str, str]:
    """Attributes and elements alike."""
    return {**{one.tag: "" for one in element}, **element.attrib}


def _title(root: Element) -> str:
    names = {one.get("language", ""): one.get("value", "") for one in root.iterfind("names/name")}
    return (names.get("english") or next(iter(names.values()), "") or root.get("short-name") or "").strip()


def _refuse_what_changes_verdicts(root: Element, notes: list[str]) -> None:
    check_keys(_keys_of(root), "polygon problem", MARK, notes)
    assets = root.find("assets")
    check_keys({} if assets is None else _keys_of(assets), "polygon assets", MARK, notes)
    for kind in ("checker", "interactor"):
        decider = None if assets is None else assets.find(kind)
        check_keys({} if decider is None else _keys_of(decider), "polygon checker", MARK, notes)
    judging = root.find("judging")
    if judging is None:
        return
    check_keys(_keys_of(judging), "polygon judging", MARK, notes)
    for key in ("input-file", "output-file"):
        name = judging.get(key, "")
        if name not in {"", "stdin", "stdout", "standard input", "standard output"}:
            raise Unusable(
                MARK, f"{show(MARK)}: programs that read or write the file {show(name)} are not supported,"
                " only standard input and output."
            )  # fmt: skip
    runs = judging.get("run-count", "1")
    if runs != "1":
        raise Unusable(MARK, f"{show(MARK)}: problems that run a program {show(runs)} times a test are not supported.")


#: what Polygon's types of files begin with → our languages
_OF_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "c": ("c17",),
        "cpp": ("cpp17", "cpp20", "cpp23"),
        "h": ("c17", "cpp17", "cpp20", "cpp23"),
        **dict.fromkeys(("python", "py"), ("python3", "pypy3")),
        **{one: (one,) for one in ("java", "kotlin", "pascal", "csharp", "rust", "go", "scala", "javascript")},
        "pas": ("pascal",),
        "kt": ("kotlin",),
        "hpp": ("cpp17", "cpp20", "cpp23"),
    }
)


def _included(files: Files, root: Element) -> tuple[Included, ...]:
    """Resources that are compiled with every submission, for the types of sources that they name, or their own."""
    found = []
    for resource in root.iterfind("files/resources/file"):
        if not any(asset.get("name", "").upper() == "SOLUTION" for asset in resource.iterfind("assets/asset")):
            continue
        path = resource.get("path", "")
        kinds = resource.get("for-types") or resource.get("forTypes") or resource.get("type") or suffix(path)
        heads = [re.split(r"[^a-z]", kind.strip().lower())[0] for kind in kinds.split(";") if kind.strip()]
        languages = tuple(dict.fromkeys(key for head in heads for key in _OF_TYPES.get(head, ())))
        if path not in files or not languages or not PLAIN_NAME.fullmatch(base(path)):
            raise Unusable(
                MARK, f"{show(MARK)}: {show(path)} is compiled with every submission, which is not supported for"
                f" {show(kinds)}, or it is not in the package."
            )  # fmt: skip
        found.append(Included(languages=languages, files=((base(path), path),)))
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------------------
# Tests


def _testset(root: Element, notes: list[str]) -> Element:
    found = list(root.iterfind("judging/testset"))
    if not found:
        raise Unusable(MARK, f"{show(MARK)} has no testset.")
    chosen = next((one for one in found if one.get("name") == "tests"), found[0])
    notes += [
        f"{show(MARK)}: the testset {show(one.get('name', ''))} is left out." for one in found if one is not chosen
    ]
    check_keys(_keys_of(chosen), "polygon testset", MARK, notes)
    for test in chosen.iterfind("tests/test"):
        check_keys(test.attrib, "polygon test", MARK, notes)
    for group in chosen.iterfind("groups/group"):
        attributes = dict(group.attrib)
        if attributes.get("feedback-policy") == "complete":
            del attributes["feedback-policy"]
        check_keys(attributes, "polygon group", MARK, notes)
    return chosen


def _cases(files: Files, testset: Element) -> tuple[Case, ...]:
    tests = list(testset.iterfind("tests/test"))
    count = round(as_number(testset.findtext("test-count") or len(tests), MARK, "test-count", least=0, most=100_000))
    if tests and len(tests) != count:
        raise Unusable(MARK, f"{show(MARK)} lists {len(tests)} tests and counts {count}.")
    inputs = _paths(testset, "input-path-pattern", count)
    answers = _paths(testset, "answer-path-pattern", count)
    if not count:
        raise Unusable(MARK, "The package has no test case.")
    made = []
    for number in range(count):
        test = tests[number] if tests else None
        for name, kind in ((inputs[number], "input"), (answers[number], "answer")):
            if name not in files:
                raise Unusable(
                    name,
                    f"{show(name)}, the {kind} of test {number + 1}, is not in the package: its tests are made by a"
                    " script, which is not run. Download the full package (Linux or Windows) from Polygon.",
                )
        points = None if test is None else test.get("points")
        made.append(
            Case(
                name=str(number + 1),
                input=inputs[number],
                answer=answers[number],
                group="" if test is None else test.get("group", ""),
                score=None if points is None else as_number(points, MARK, "points", least=0),
                sample=test is not None and test.get("sample") == "true",
            )
        )
    return tuple(made)


def _windows_texts(files: Files, cases: Sequence[Case]) -> tuple[str, ...]:
    """The tests, where the package is the one for Windows: it alone brings binaries. Its tests were written there, and
    a program that reads lines here would find a carriage return at their ends."""
    if not any(suffix(name).lower() == "exe" for name in files.names):
        return ()
    names = (name for case in cases for name in (case.input, case.answer) if name is not None)
    return tuple(dict.fromkeys(names))


def _paths(testset: Element, key: str, count: int) -> list[str]:
    pattern = (testset.findtext(key) or "").strip()
    place = _PATTERN.search(pattern)
    if place is None or pattern.count("%") != 1:
        raise Unusable(MARK, f"{show(MARK)}: {key} {show(pattern)} is not supported.")
    width = int(place["width"] or 0)
    return [f"{pattern[: place.start()]}{number:0{width}d}{pattern[place.end() :]}" for number in range(1, count + 1)]


def _groups(testset: Element, cases: Sequence[Case]) -> tuple[tuple[Group, ...], bool]:
    """The groups, those that others depend on first, and whether there is a score at all."""
    told = {one.get("name", ""): one for one in testset.iterfind("groups/group")}
    names = list(dict.fromkeys(case.group for case in cases if case.group))
    scored = any(case.score for case in cases) or any(_points(one.get("points")) for one in told.values())
    if not names:
        return (), scored
    depends = {
        name: tuple(
            one.get("group", "") for one in told[name].iterfind("dependencies/dependency")
        ) if name in told else ()
        for name in names
    }  # fmt: skip
    for name, others in depends.items():
        for other in others:
            if other not in depends:
                raise Unusable(MARK, f"{show(MARK)}: group {show(name)} depends on {show(other)}, which has no test.")
    groups = [Group(name="", parent=None)]
    for name in _ordered(depends):
        one = told.get(name)
        policy = "each-test" if one is None else one.get("points-policy", "each-test")
        if policy not in {"each-test", "complete-group"}:
            raise Unusable(MARK, f"{show(MARK)}: the points policy {show(policy)} is not supported.")
        points = None if one is None else one.get("points")
        whole = policy == "complete-group"
        mine = [case.score for case in cases if case.group == name]
        groups.append(
            Group(
                name=name,
                aggregate=Aggregate.ALL if whole else Aggregate.SUM,
                max_score=as_number(points, MARK, "points", least=0)
                if points is not None and (whole or not any(mine))
                else sum(score or 0.0 for score in mine) if scored else None,
                depends_on=depends[name],
            )
        )  # fmt: skip
    return tuple(groups), scored


def _points(text: str | None) -> float:
    return 0.0 if text is None else as_number(text, MARK, "points", least=0)


def _ordered(depends: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Each after those it depends on."""
    try:
        return list(graphlib.TopologicalSorter(depends).static_order())
    except graphlib.CycleError as error:
        circle = show(", ".join(error.args[1]))
        raise Unusable(MARK, f"{show(MARK)}: the groups {circle} depend on each other in a circle.") from None


def _limits(testset: Element) -> Limits:
    time, memory = testset.findtext("time-limit"), testset.findtext("memory-limit")
    return Limits(
        time_ms=None if time is None else round(as_number(time, MARK, "time-limit", least=1, most=1e9)),
        memory_mb=None if memory is None else max(round(as_number(memory, MARK, "memory-limit", least=1) / _MIB), 1),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Programs


def _source(files: Files, element: Element | None) -> tuple[str, str | None] | None:
    """The path of an asset's source, or of the copy that some packages have of it, if that is in the package, and its
    language if it names one."""
    places = () if element is None else (element.find("source"), element.find("copy"))
    there = [one for one in places if one is not None]
    path = next((path for one in there if (path := one.get("path", "")) in files), None)
    kind = next((kind for one in there if (kind := one.get("type", ""))), None)
    return None if path is None else (path, language_named(kind) if kind else None)


def _testlib(files: Files, element: Element | None, what: str) -> Program | None:
    """A program of the setter's with the headers beside it, testlib's own among them if the package brings it."""
    found = _source(files, element)
    if found is None:
        return None
    path, language = found
    beside = [name for name in files.in_folder(folder(path)) if suffix(name).lower() in _HEADERS]
    if language is not None and not language.startswith(("c17", "cpp")):
        beside = []
    program = program_of(files, (path, *beside), what, language=language)
    return Program(language=program.language, files=program.files, entry=path, root=program.root)


def _asset(files: Files, assets: Element | None, kind: str, what: str) -> Checker | None:
    element = None if assets is None else assets.find(kind)
    if element is not None and element.get("type", "testlib") != "testlib":
        raise Unusable(MARK, f"{show(MARK)}: {kind}s of the type {show(element.get('type', ''))} are not supported.")
    program = _testlib(files, element, what)
    if program is None:
        if kind == "interactor" and element is not None:
            raise Unusable(MARK, f"{show(MARK)}: the source of the interactor is not in the package.")
        return None
    return Checker(program=program, protocol=Protocol.TESTLIB)


def _named(assets: Element | None) -> str:
    """Which checker it names after all, for the sentence that refuses it."""
    element = None if assets is None else assets.find("checker")
    source = None if element is None else element.find("source")
    names = [] if element is None else [element.get("name", ""), "" if source is None else source.get("path", "")]
    return "".join(f" ({', '.join(show(name) for name in names if name)})" if any(names) else "")


def _standard(assets: Element | None) -> Compare | None:
    element = None if assets is None else assets.find("checker")
    name = "" if element is None else element.get("name", "")
    return _STANDARD.get(name.removeprefix("std::").removesuffix(".cpp")) if name.startswith("std::") else None


def _validators(files: Files, assets: Element | None, notes: list[str]) -> tuple[Checker, ...]:
    found = []
    for element in () if assets is None else assets.iterfind("validators/validator"):
        program = _testlib(files, element, "The validator")
        if program is None:
            notes.append(f"{show(MARK)}: the source of a validator is not in the package.")
        else:
            found.append(Checker(program=program, protocol=Protocol.TESTLIB))
    return tuple(found)


def _solutions(files: Files, assets: Element | None, scored: bool, notes: list[str]) -> tuple[Example, ...]:
    found = []
    for element in () if assets is None else assets.iterfind("solutions/solution"):
        tag = element.get("tag", "")
        source = _source(files, element)
        if source is None:
            notes.append(f"{show(MARK)}: the source of a solution ({tag}) is not in the package.")
            continue
        path, language = source
        expected = _TAGS.get(tag, ())
        if scored and expected and expected != (words.AC,):
            expected = (*expected, words.PARTIAL)
        found.append(
            example_of(
                files,
                path,
                (path,),
                notes,
                expected=expected,
                promised_by=tag if expected else "",
                language=language,
                entry=path,
            )
        )
    return tuple(found)


def _statements(files: Files, root: Element) -> tuple[Statement, ...]:
    kinds = {"application/x-tex": "tex", "application/pdf": "pdf", "text/html": "html"}
    return tuple(
        Statement(language=one.get("language", ""), kind=kinds.get(one.get("type", ""), suffix(base(path))), file=path)
        for one in root.iterfind("statements/statement")
        if (path := one.get("path", "")) in files
    )
