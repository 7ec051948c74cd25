"""Polygon packages: ``problem.xml`` beside its tests, testlib checker and interactor, solutions with tags.

Only files in the archive count. A package whose tests its script has yet to make is refused, with the kind of package
to download. Tests keep the package's order, which is that of their numbers.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from xml.etree.ElementTree import Element

from deepoj.judging.paths import base, folder, suffix
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
from deepoj.packages.formats import submissions as words
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.keys import check_keys
from deepoj.packages.formats.programs import language_named, program_of
from deepoj.packages.formats.statements import language_code
from deepoj.packages.formats.submissions import example_of
from deepoj.packages.formats.testlib_checkers import STANDARD
from deepoj.packages.formats.texts import as_number, xml_of

MARK = "problem.xml"
_PATTERN = re.compile(r"%(?:0(?P<width>[1-9]))?d")
_HEADERS = frozenset({"h", "hpp", "hh", "hxx"})
_MIB = 1024 * 1024

#: tag of a solution → the promised verdicts; no entry: no promise
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


def read(files: Files) -> Plan:
    """Read a Polygon package. Raises Unusable."""
    root = xml_of(files, MARK)
    if root.tag != "problem":
        raise Unusable(MARK, f"{show(MARK)} is not a Polygon problem: its root is {show(root.tag)}.")
    notes: list[str] = []
    testset = _testset(root, notes)
    cases = _cases(files, testset)
    groups, scored = _groups(testset, cases)
    _refuse_other_verdicts(root, notes)
    assets = root.find("assets")
    interactor = _asset(files, assets, "interactor", "The interactor")
    checker = _asset(files, assets, "checker", "The checker")
    compare = None if checker is not None else _standard(assets)
    if checker is None and compare is None and interactor is None:
        raise Unusable(MARK, f"{show(MARK)} names no checker whose source is in the package{_named(assets)}.")
    return Plan(
        format="polygon",
        cases=cases,
        groups=groups,
        scored=scored,
        title=_title(root),
        tags=tuple(one.get("value", "") for one in root.iterfind("tags/tag")),
        compare=compare if interactor is None else None,
        replaced_checker=_checker_name(assets) if compare is not None and interactor is None else "",
        checker=checker if interactor is None else _checker(interactor, interactive=True),
        output_checker=None if interactor is None else checker,
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
    """Return the names of an element's attributes and children, with the attributes' values."""
    return {**{one.tag: "" for one in element}, **element.attrib}


def _title(root: Element) -> str:
    names = {one.get("language", ""): one.get("value", "") for one in root.iterfind("names/name")}
    return (names.get("english") or next(iter(names.values()), "") or root.get("short-name") or "").strip()


def _refuse_other_verdicts(root: Element, notes: list[str]) -> None:
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


#: first word of Polygon's file types → our languages
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
    """Return resources that are compiled with every submission, for the source types that they name, or their own."""
    included = []
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
        included.append(Included(languages=languages, files=((base(path), path),)))
    return tuple(included)


# ---------------------------------------------------------------------------------------------------------------------
# Tests


def _testset(root: Element, notes: list[str]) -> Element:
    testsets = list(root.iterfind("judging/testset"))
    if not testsets:
        raise Unusable(MARK, f"{show(MARK)} has no testset.")
    chosen = next((one for one in testsets if one.get("name") == "tests"), testsets[0])
    notes += [
        f"{show(MARK)}: the testset {show(one.get('name', ''))} is left out." for one in testsets if one is not chosen
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
    cases = []
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
        cases.append(
            Case(
                name=str(number + 1),
                input=inputs[number],
                answer=answers[number],
                group="" if test is None else test.get("group", ""),
                score=None if points is None else as_number(points, MARK, "points", least=0),
                sample=test is not None and test.get("sample") == "true",
            )
        )
    return tuple(cases)


def _windows_texts(files: Files, cases: Sequence[Case]) -> tuple[str, ...]:
    """Return the tests if the package is the one for Windows, the only one with binaries.

    Its tests were written on Windows: without conversion, programs would read a carriage return at the ends of lines.
    """
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
    """Return the groups, each after those that it depends on, and whether there is a score at all."""
    elements = {one.get("name", ""): one for one in testset.iterfind("groups/group")}
    names = list(dict.fromkeys(case.group for case in cases if case.group))
    scored = any(case.score for case in cases) or any(_points(one.get("points")) for one in elements.values())
    if not names:
        return (), scored
    depends = {
        name: tuple(
            one.get("group", "") for one in elements[name].iterfind("dependencies/dependency")
        ) if name in elements else ()
        for name in names
    }  # fmt: skip
    for name, others in depends.items():
        for other in others:
            if other not in depends:
                raise Unusable(MARK, f"{show(MARK)}: group {show(name)} depends on {show(other)}, which has no test.")
    groups = [Group(name="", parent=None)]
    for name in _ordered(depends):
        one = elements.get(name)
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
    """Return the groups, each after those that it depends on."""
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
    """Return the path of an asset's source, and its language if it names one.

    Some packages have a copy of the source, which may be used instead. None: neither is in the package.
    """
    places = () if element is None else (element.find("source"), element.find("copy"))
    present = [one for one in places if one is not None]
    path = next((path for one in present if (path := one.get("path", "")) in files), None)
    kind = next((kind for one in present if (kind := one.get("type", ""))), None)
    return None if path is None else (path, language_named(kind) if kind else None)


def _testlib(files: Files, element: Element | None, what: str) -> Program | None:
    """Return a setter's program with the headers beside it, including testlib's if the package has it."""
    source = _source(files, element)
    if source is None:
        return None
    path, language = source
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
    """Return the names that a package gives for its checker, for the sentence that refuses it."""
    element = None if assets is None else assets.find("checker")
    source = None if element is None else element.find("source")
    names = [] if element is None else [element.get("name", ""), "" if source is None else source.get("path", "")]
    return "".join(f" ({', '.join(show(name) for name in names if name)})" if any(names) else "")


def _checker_name(assets: Element | None) -> str:
    element = None if assets is None else assets.find("checker")
    return "" if element is None else element.get("name", "")


def _standard(assets: Element | None) -> Compare | None:
    name = _checker_name(assets)
    return STANDARD.get(name.removeprefix("std::").removesuffix(".cpp")) if name.startswith("std::") else None


def _validators(files: Files, assets: Element | None, notes: list[str]) -> tuple[Checker, ...]:
    validators = []
    for element in () if assets is None else assets.iterfind("validators/validator"):
        program = _testlib(files, element, "The validator")
        if program is None:
            notes.append(f"{show(MARK)}: the source of a validator is not in the package.")
        else:
            validators.append(Checker(program=program, protocol=Protocol.TESTLIB))
    return tuple(validators)


def _solutions(files: Files, assets: Element | None, scored: bool, notes: list[str]) -> tuple[Example, ...]:
    examples = []
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
        examples.append(
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
    return tuple(examples)


def _statements(files: Files, root: Element) -> tuple[Statement, ...]:
    kinds = {"application/x-tex": "tex", "application/pdf": "pdf", "text/html": "html"}
    titles = {language_code(one.get("language", "")): one.get("value", "") for one in root.iterfind("names/name")}
    return tuple(
        Statement(
            language=language,
            kind=kinds.get(one.get("type", ""), suffix(base(path))),
            file=path,
            title=titles.get(language, "").strip(),
        )
        for one in root.iterfind("statements/statement")
        if (path := one.get("path", "")) in files
        for language in (language_code(one.get("language", "")),)
    )
