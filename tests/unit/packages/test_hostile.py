"""What unfolds, nests or lies inside configuration files: a sentence each, soon, and nothing raised."""

from __future__ import annotations

import random
import resource
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepoj.judging.problem import Plan
from deepoj.packages.formats import PackageFault, check_upload, pack_directory
from tests.fakes.settings import unzip_limits
from tests.unit.packages.makers import fault, read, zipped

CASE = {"1.in": "1\n", "1.out": "1\n"}
KATTIS = {"data/secret/1.in": "1\n", "data/secret/1.ans": "1\n"}

_LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
_MERGES = "a0: &a0 {k0: x, j0: y}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], k{n}: x}}\n" for n in range(1, 12)
)
_ENTITIES = (
    '<!DOCTYPE problem [<!ENTITY a "xxxxxxxxxx">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10))
    + "]><problem>&k;</problem>"
)


@pytest.mark.parametrize(
    "raw",
    [
        _LAUGHS,
        _MERGES,
        "&a [*a]",
        "&a {b: *a}",
        "a: " + "[" * 2000 + "]" * 2000,
        "a: " + "{b: " * 2000,
        "- " * 3000 + "x",
        "a: !!python/object/apply:os.system [id]",
        "a: !!python/name:os.system ''",
        "? {a: b}\n: c\n- d",
        "a: *nothing",
        "--- 1\n--- 2",
        "[" + "1," * 150_000 + "1]",
        "%YAML 9.9\n--- a",
    ],
    ids=lambda raw: str(raw)[:20],
)
@pytest.mark.parametrize("name", ["deepoj.yaml", "problem.yaml", "init.yml", "data/testdata.yaml"])
def test_yaml_that_bites(name: str, raw: str) -> None:
    files = {**CASE, **KATTIS, name: raw}
    if name == "data/testdata.yaml":
        files["problem.yaml"] = "name: x"
    found = read(files)
    assert isinstance(found, PackageFault)
    assert found.file == name, found
    assert len(found.sentence) < 500


@pytest.mark.parametrize(
    "raw",
    [
        _ENTITIES,
        '<!DOCTYPE p [<!ENTITY e SYSTEM "file:///etc/passwd">]><problem>&e;</problem>',
        '<!DOCTYPE p SYSTEM "http://192.0.2.1/x.dtd"><problem/>',
        "<problem>" * 5000,
        "<a>" * 40 + "</a>" * 40,
        "<problem>\x01</problem>",
        "",
        "<problems/>",
        "<problem/>",
    ],
    ids=lambda raw: str(raw)[:20],
)
def test_xml_that_bites(raw: str) -> None:
    found = fault({"problem.xml": raw})
    assert found.file in {None, "problem.xml"}


def test_a_yaml_bomb_costs_little() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for raw in (_LAUGHS, _MERGES):
        fault({**CASE, "deepoj.yaml": raw})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024, "KiB"


@given(st.text(max_size=200))
def test_any_text_as_configuration_is_a_plan_or_a_fault(raw: str) -> None:
    for name in ("deepoj.yaml", "problem.yaml", "init.yml", "problem.xml"):
        read({**CASE, **KATTIS, name: raw.encode("utf-8", "surrogatepass")})


_WORDS = st.sampled_from(["", "a", "1.in", "1e-6", "custom", "break", "0 1"])
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-10, 10), st.floats(), _WORDS)


def _deeper(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(_SCALARS, inner, max_size=3))


_VALUES = st.recursive(_SCALARS, _deeper, max_leaves=6)


def _keys(names: str) -> st.SearchStrategy[Mapping[object, object]]:
    return st.dictionaries(st.sampled_from(names.split()), _VALUES, max_size=4)


@given(
    problem=_keys("type name validation validator_flags limits problem_format_version grading constants languages"),
    group=_keys(
        "on_reject grading grader_flags range accept_score reject_score output_validator_flags scoring max_score"
        " score_aggregation require_pass output_validator_args static_validation"
    ),
    case=_keys("args output_validator_args"),
    submissions=st.dictionaries(st.sampled_from(["accepted", "accepted/*.py", "{a,b}"]), _VALUES, max_size=2),
)
def test_any_values_in_a_kattis_package(problem: object, group: object, case: object, submissions: object) -> None:
    import yaml

    for version in ("legacy", "2023-07-draft"):
        told = {"problem_format_version": version} | (problem if isinstance(problem, dict) else {})
        read(
            {
                **KATTIS,
                "problem.yaml": yaml.safe_dump(told),
                "data/secret/testdata.yaml": yaml.safe_dump(group),
                "data/secret/test_group.yaml": yaml.safe_dump(group),
                "data/secret/1.yaml": yaml.safe_dump(case),
                "output_validators/v.py": "",
                "submissions/submissions.yaml": yaml.safe_dump(submissions),
                "submissions/accepted/a.py": "",
            }
        )


@given(
    _keys("test_cases archive checker interactive points short_circuit pretest_test_cases"),
    st.lists(_keys("in out points batched dependencies"), max_size=3),
)
def test_any_values_in_init_yml(told: dict[str, object], cases: list[object]) -> None:
    import yaml

    read({**CASE, "init.yml": yaml.safe_dump({"test_cases": cases} | told)})


# ---------------------------------------------------------------------------------------------------------------- whole


def test_two_thousand_and_one_files(tmp_path: Path) -> None:
    files = {f"{number}.in": "" for number in range(1000)} | {f"{number}.out": "" for number in range(1000)}
    path = tmp_path / "p.zip"
    path.write_bytes(zipped(files))
    found = check_upload(path, unzip_limits())
    assert isinstance(found, Plan)
    assert len(found.cases) == 1000
    path.write_bytes(zipped({**files, "one-more.txt": ""}))
    many = check_upload(path, unzip_limits())
    assert isinstance(many, PackageFault)
    assert "2001" in many.sentence


def test_a_test_of_64_mib_and_one_of_a_byte_more(tmp_path: Path) -> None:
    most = unzip_limits().max_file_bytes
    path = tmp_path / "p.zip"
    path.write_bytes(zipped({"1.in": bytes(most), "1.out": ""}))
    found = check_upload(path, unzip_limits())
    assert isinstance(found, Plan)
    assert found.total_bytes == most
    path.write_bytes(zipped({"1.in": bytes(most + 1), "1.out": ""}))
    more = check_upload(path, unzip_limits())
    assert isinstance(more, PackageFault)
    assert (more.file, str(most) in more.sentence) == ("1.in", True)


def test_an_archive_in_an_archive_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    init = "archive: t.zip\ntest_cases: [{in: 1.in, out: 1.out, points: 1}]\n"
    for inner in (zipped(CASE), zipped({"1.in": ""}), b"PK", zipped({"1.in": "", "1.out": "", "../x": ""})):
        read({"init.yml": init, "t.zip": inner})
    assert list(scratch.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------- directories


def packed(home: Path, target: Path) -> PackageFault | Plan:
    with target.open("wb") as out:
        fault = pack_directory(home, out, unzip_limits(), 1 << 20)
    return fault or check_upload(target, unzip_limits())


def test_links_of_a_directory_are_followed_in_it_and_left_out_otherwise(tmp_path: Path) -> None:
    home, secret = tmp_path / "p", tmp_path / "secret"
    (home / "sub").mkdir(parents=True)
    (home / "1.in").write_text("one")
    (home / "1.out").symlink_to("1.in")
    (home / "sub" / "2.in").symlink_to(home / "1.in")
    (home / "sub" / "2.out").symlink_to("../1.out")
    (home / "more").symlink_to("sub")
    secret.write_text("not yours")
    for link, target in (
        ("a", secret), ("b", home / "nothing"), ("c", Path("/dev/zero")), ("d", Path("d")), ("e", Path()),
        ("f", Path("../p/1.in")),
    ):  # fmt: skip
        (home / link).symlink_to(target)
    found = packed(home, tmp_path / "a.zip")
    assert isinstance(found, Plan), found
    assert [case.name for case in found.cases] == ["1", "more/2", "sub/2"]
    assert found.total_bytes == 18
    assert [note.split(" is a link that ")[1].split(",")[0] for note in found.unsupported] == [
        "leads out of the package", "leads nowhere", "leads out of the package", "leads in a circle",
        "leads in a circle", "leads out of the package",
    ]  # fmt: skip
    assert b"not yours" not in (tmp_path / "a.zip").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "a.zip").read_bytes()


def test_links_that_multiply_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "p"
    (home / "a").mkdir(parents=True)
    for number in range(60):
        (home / "a" / f"{number}.in").touch()
        (home / f"link{number}").symlink_to("a")
    found = packed(home, tmp_path / "a.zip")
    assert isinstance(found, PackageFault)
    assert "With the links in it" in found.sentence


def test_directory_that_is_too_large_is_refused_before_it_is_packed(tmp_path: Path) -> None:
    """The files are holes of 100 GB: compressing one takes an hour."""
    home = tmp_path / "p"
    home.mkdir()
    for name in ("1.in", "1.out", "video.mp4"):
        with (home / name).open("wb") as file:
            file.truncate(100 << 30)
    found = packed(home, tmp_path / "a.zip")
    assert isinstance(found, PackageFault)
    assert (found.file, "worker.unzip_limits.max_file_bytes" in found.sentence) == ("1.in", True)
    assert (tmp_path / "a.zip").stat().st_size == 0


def test_zip_that_grows_too_large_stops_while_it_is_packed(tmp_path: Path) -> None:
    home = tmp_path / "p"
    home.mkdir()
    (home / "1.in").write_text("1")
    (home / "1.out").write_text("1")
    with (home / "video.mp4").open("wb") as file:
        for _ in range(8):
            file.write(random.Random(1).randbytes(1 << 20))
    found = packed(home, tmp_path / "a.zip")
    assert isinstance(found, PackageFault)
    assert "api.limits.problem_zip_max_bytes" in found.sentence
    assert (tmp_path / "a.zip").stat().st_size < 4 << 20


def test_a_directory_that_is_too_much(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.in").write_bytes(bytes(10))
    with (tmp_path.parent / f"{tmp_path.name}.zip").open("wb") as out:
        few = pack_directory(tmp_path, out, unzip_limits(max_files=3), 1 << 20)
        small = pack_directory(tmp_path, out, unzip_limits(max_file_bytes=9), 1 << 20)
    assert few is not None
    assert small is not None
    assert small.file == "0.in"


def test_many_configuration_files_count_together() -> None:
    """Each of them is small enough by itself."""
    folders = {f"data/secret/{number}/{name}": "" for number in range(20) for name in ("1.in", "1.ans")}
    values = {f"data/secret/{number}/testdata.yaml": f"range: [{'1,' * 9_000}1]" for number in range(20)}
    found = fault({**KATTIS, **folders, **values, "problem.yaml": "name: x"})
    assert "more than 100000 values" in found.sentence
    bytes_ = {f"data/secret/{number}/testdata.yaml": "#" * 100_000 for number in range(20)}
    found = fault({**KATTIS, **folders, **bytes_, "problem.yaml": "name: x"})
    assert "bytes together" in found.sentence
