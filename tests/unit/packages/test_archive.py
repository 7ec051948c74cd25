"""Archives: what is refused and by which file's name, and archives that lie."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepoj.judging.problem import Case, Plan
from deepoj.packages.formats import Archive, PackageFault, UnzipLimits, check_upload, open_package, unpack
from tests.fakes.settings import unzip_limits

LIMITS = unzip_limits()


def make_zip(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def check(data: bytes, tmp_path: Path, limits: UnzipLimits = LIMITS) -> Plan | PackageFault:
    path = tmp_path / "package.zip"
    path.write_bytes(data)
    return check_upload(path, limits)


def fault(data: bytes, tmp_path: Path, limits: UnzipLimits = LIMITS) -> PackageFault:
    found = check(data, tmp_path, limits)
    assert isinstance(found, PackageFault), found
    return found


# ----------------------------------------------------------------------------------------------------------- archives


def test_a_good_package(tmp_path: Path) -> None:
    data = make_zip(
        {
            "t/1.in": b"1 2\n",
            "t/1.out": b"3\n",
            "t/": b"",
            "t/.DS_Store": b"x",
            "__MACOSX/t/._1.in": b"x",
            "__MACOSX/t/1.in": b"x",
            "t/Thumbs.db": b"x",
            "notes.yaml": b"x",
        }
    )
    plan = check(data, tmp_path)
    assert isinstance(plan, Plan)
    assert plan.cases == (Case(name="1", input="t/1.in", answer="t/1.out"),)
    assert plan.total_bytes == 6


def windows_zip(entries: dict[str, bytes], system: int = 0) -> bytes:
    """As .NET before 4.6.1 and PowerShell 5 pack a folder."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = system
            archive.writestr(entry, data)
    return out.getvalue()


@pytest.mark.parametrize("system", [0, 10, 14])
def test_a_zip_whose_folders_windows_separated(tmp_path: Path, system: int) -> None:
    package = {
        "p\\": b"",
        "p\\problem.yaml": b"name: x\nvalidation: custom\n",
        "p\\data\\secret\\1.in": b"1\n",
        "p\\data\\secret/1.ans": b"1\n",
        "p\\output_validators\\v\\v.cpp": b"int main() {}\n",
        "__MACOSX\\p\\._problem.yaml": b"x",
    }
    plan = check(windows_zip(package, system), tmp_path)
    assert isinstance(plan, Plan), plan
    assert (plan.format, plan.title) == ("kattis-legacy", "x")
    assert [(case.input, case.answer) for case in plan.cases] == [("p/data/secret/1.in", "p/data/secret/1.ans")]
    assert plan.checker is not None
    assert plan.checker.program.files == ("p/output_validators/v/v.cpp",)
    assert "backslash" in fault(windows_zip(package, 3), tmp_path).sentence, "there it is a letter of a name"


def test_name_with_a_backslash_is_left_out_with_a_note(tmp_path: Path) -> None:
    plan = check(make_zip({"1.in": b"", "1.out": b"", "a\\b.txt": b"", "a\\\\2.md": b""}), tmp_path)
    assert isinstance(plan, Plan), plan
    assert [case.name for case in plan.cases] == ["1"]
    assert plan.unsupported == (
        "'a\\b.txt' has a backslash in its name, and is left out.",
        "'a\\\\2.md' has a backslash in its name, and is left out.",
    )


@pytest.mark.parametrize("name", ["a\\2.in", "data\\secret\\2.ans", "p\\data\\secret", "data/secret/a\\b"])
def test_name_with_a_backslash_that_may_be_a_test_is_refused(name: str, tmp_path: Path) -> None:
    found = check(make_zip({"1.in": b"", "1.out": b"", name: b""}), tmp_path)
    assert isinstance(found, PackageFault), found
    assert (found.file, "It may be a test" in found.sentence) == (name, True)


def linked(files: dict[str, bytes], links: dict[str, str]) -> bytes:
    """As ``zip -y`` packs links."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for name, target in links.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
    return out.getvalue()


TESTS = {"t/1.in": b"one", "t/1.out": b"two"}


@pytest.mark.parametrize(
    ("links", "names"),
    [
        ({"t/2.in": "1.in", "t/2.out": "../t/1.out"}, ["1", "2"]),
        ({"t/2.in": "./3", "t/2.out": "3", "t/3": "1.in"}, ["1", "2"]),
        ({"u": "t"}, ["t/1", "u/1"]),
        ({"u": "t/../t/.", "t/2.in": "../u/1.in", "t/2.out": "1.out"}, ["t/1", "t/2", "u/1", "u/2"]),
        ({"u/deep": "../t"}, ["t/1", "u/deep/1"]),
    ],
)
def test_links_of_a_zip_are_followed(links: dict[str, str], names: list[str], tmp_path: Path) -> None:
    plan = check(linked(TESTS, links), tmp_path)
    assert isinstance(plan, Plan), plan
    assert [case.name for case in plan.cases] == names
    assert plan.unsupported == ()
    assert plan.total_bytes == 6 * len(names)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/etc/passwd", "out"), ("../x", "out"), ("../../etc/passwd", "out"), ("t/../../t/1.in", "out"),
        ("nothing", "nowhere"), ("", "circle"), ("t/1.in/deeper", "nowhere"), ("odd", "circle"), (".", "circle"),
        ("\0", "nowhere"), ("\xff", "nowhere"),
    ],
)  # fmt: skip
def test_link_that_leads_to_no_file_of_a_zip_is_left_out(target: str, why: str, tmp_path: Path) -> None:
    plan = check(linked(TESTS, {"odd": target}), tmp_path)
    assert isinstance(plan, Plan), plan
    assert [why in note for note in plan.unsupported] == [True], plan.unsupported


@pytest.mark.parametrize("names", [("t/2.in", "t/2.out"), ("data/secret",), ("p/data/sample/more",), ("data",)])
def test_link_that_may_be_a_test_and_leads_nowhere_is_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    found = fault(linked(TESTS, dict.fromkeys(names, "/elsewhere")), tmp_path)
    assert (found.file, "It may be a test" in found.sentence) == (names[0], True)
    assert "leads out of the package" in found.sentence


def test_link_that_a_test_needs_is_named_by_the_refusal(tmp_path: Path) -> None:
    found = fault(linked({**TESTS, "t/2.out": b""}, {"t/2.in": "/etc/passwd"}), tmp_path)
    assert "without its input" in found.sentence
    assert "leads out of the package" in found.sentence


@pytest.mark.parametrize(
    ("files", "links", "words"),
    [
        ({"a/1.in": b""}, {"a": "t"}, "below a link"),
        ({}, {"big": "x" * 5000}, "4096"),
    ],
)
def test_links_that_mean_harm_are_refused(
    files: dict[str, bytes], links: dict[str, str], words: str, tmp_path: Path
) -> None:
    assert words in fault(linked({**TESTS, **files}, links), tmp_path).sentence


def test_links_to_a_large_file_count_as_often_as_it_has_names(tmp_path: Path) -> None:
    links = {f"t/{n}.in": "1.in" for n in range(2, 9)} | {f"t/{n}.out": "1.in" for n in range(2, 9)}
    data = linked({"t/1.in": bytes(1000), "t/1.out": b""}, links)
    assert "worker.unzip_limits.max_bytes" in fault(data, tmp_path, unzip_limits(max_bytes=14_000)).sentence
    assert "With the links" in fault(data, tmp_path, unzip_limits(max_files=29)).sentence
    assert isinstance(check(data, tmp_path, unzip_limits(max_bytes=15_000, max_files=30)), Plan)


def test_file_that_is_not_needed_may_be_large_and_damaged(tmp_path: Path) -> None:
    data = make_zip({"1.in": b"x", "1.out": b"y", "statement/film.bin": bytes(5000)})
    broken = _patch_directory(data, "statement/film.bin", _set("<I", 16, 0xDEADBEEF))
    assert isinstance(check(broken, tmp_path, unzip_limits(max_file_bytes=10, max_bytes=100)), Plan)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("..\\1.in", "'..'"),
        ("a\\..\\..\\1.in", "'..'"),
        ("a/..\\1.in", "'..'"),
        ("\\1.in", "absolute"),
        ("\\\\server\\share\\1.in", "absolute"),
        ("C:\\1.in", "absolute"),
        ("a\\\\1.in", "empty or '.' part"),
        (".\\1.in", "empty or '.' part"),
        ("a\\1\r.in", "control character"),
    ],
)
def test_nothing_leads_out_of_a_zip_of_windows(tmp_path: Path, name: str, says: str) -> None:
    assert says in fault(windows_zip({"1.in": b"", "1.out": b"", name: b""}), tmp_path).sentence


def test_two_names_of_windows_that_are_one(tmp_path: Path) -> None:
    found = fault(windows_zip({"t\\1.in": b"a", "t/1.in": b"b", "t/1.out": b""}), tmp_path)
    assert found == PackageFault("t/1.in", "'t/1.in' is in the package twice.")


def test_unpack_of_windows_gives_every_byte() -> None:
    opened = open_package(io.BytesIO(windows_zip({"x\\1.in": b"in1", "x\\1.out": b"out1"})), LIMITS)
    assert not isinstance(opened, PackageFault)
    with opened:
        assert opened.archive.read("x/1.in", 100) == b"in1"
        assert opened.archive.check(opened.archive.names) is None


def test_unpack_gives_every_byte() -> None:
    opened = open_package(
        io.BytesIO(make_zip({"x/2.in": b"in2", "x/2.ans": b"ans2", "x/1.in": b"in1", "x/1.out": b""})), LIMITS
    )
    assert not isinstance(opened, PackageFault)
    sinks: dict[str, io.BytesIO] = {}
    with opened:
        assert unpack(opened, lambda name: nullcontext(sinks.setdefault(name, io.BytesIO()))) is None
    got = {name: sink.getvalue() for name, sink in sinks.items()}
    assert got == {"x/1.in": b"in1", "x/1.out": b"", "x/2.in": b"in2", "x/2.ans": b"ans2"}


def test_unpack_stops_when_told() -> None:
    opened = open_package(io.BytesIO(make_zip({"1.in": b"x", "1.out": b"y"})), LIMITS)
    assert not isinstance(opened, PackageFault)
    with opened:
        found = unpack(opened, lambda _name: nullcontext(io.BytesIO()), keep_on=lambda: False)
    assert found is not None
    assert "too long" in found.sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/1.in", "absolute"),
        ("C:/1.in", "absolute"),
        ("../1.in", "'..'"),
        ("a/../../1.in", "'..'"),
        ("__MACOSX/../1.in", "'..'"),
        ("a\\..\\1.in", "'..'"),
        ("a//1.in", "empty"),
        ("./1.in", "'.' part"),
        ("a\n1.in", "control character"),
        ("a\x7f1.in", "control character"),
        ("a\x9b1.in", "control character"),
        ("d" * 300 + ".in", "longer than"),
        ("é" * 130 + ".in", "longer than"),
    ],
)
def test_evil_names_are_refused(name: str, words: str, tmp_path: Path) -> None:
    found = fault(make_zip({"1.in": b"", "1.out": b"", name: b""}), tmp_path)
    assert words in found.sentence


def test_a_nul_in_a_name_is_refused(tmp_path: Path) -> None:
    data = make_zip({"1.in": b"", "1.out": b"", "2.inX.txt": b""}).replace(b"2.inX.txt", b"2.in\0.txt")
    found = fault(data, tmp_path)
    assert "NUL" in found.sentence
    assert found.file is not None
    assert "\0" not in found.file + found.sentence


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    data = make_zip({"1.in": b"", "1.out": b"", "é.in": b""}).replace("é".encode(), b"\xff\xfe")
    assert "not a readable zip" in fault(data, tmp_path).sentence


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (stat.S_IFCHR | 0o666, "neither a file"),
        (stat.S_IFBLK | 0o666, "neither a file"),
        (stat.S_IFIFO | 0o666, "neither a file"),
        (stat.S_IFSOCK | 0o666, "neither a file"),
    ],
)
def test_devices_are_refused(mode: int, words: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("1.in", b"")
        archive.writestr("1.out", b"")
        entry = zipfile.ZipInfo("extra")
        entry.external_attr = mode << 16
        archive.writestr(entry, b"/etc/passwd")
    found = fault(out.getvalue(), tmp_path)
    assert found.file == "extra"
    assert words in found.sentence


def _patch_directory(data: bytes, name: str, change: Callable[[bytearray, int], None]) -> bytes:
    """Lets ``change`` edit the directory record of ``name`` (offset of the record in the whole archive)."""
    patched = bytearray(data)
    at = patched.find(b"PK\x01\x02")
    while at >= 0:
        length = struct.unpack_from("<H", patched, at + 28)[0]
        if bytes(patched[at + 46 : at + 46 + length]) == name.encode():
            change(patched, at)
            return bytes(patched)
        at = patched.find(b"PK\x01\x02", at + 4)
    raise AssertionError(name)


def _set(fmt: str, offset: int, value: int) -> Callable[[bytearray, int], None]:
    return lambda data, at: struct.pack_into(fmt, data, at + offset, value)


GOOD = {"1.in": b"1 2\n" * 100, "1.out": b"3\n" * 100}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("<H", 8, 1), "encrypted"),
        (_set("<H", 8, 0x40), "encrypted"),
        (_set("<H", 10, 12), "method other than deflate"),
        (_set("<H", 10, 14), "method other than deflate"),
        (_set("<H", 10, 99), "method other than deflate"),
        (_set("<I", 24, 60_000_000), "more bytes than its compressed form"),
        (_set("<I", 24, 500), "declares"),
        (_set("<I", 24, 10), "damaged"),
        (_set("<I", 16, 0xDEADBEEF), "damaged"),
        (_set("<I", 42, 5), "cannot be read"),
        (_set("<I", 20, 0x7FFFFFFF), "overlap"),
    ],
    ids=["encrypted", "strong", "bzip2", "lzma", "method99", "ratio", "more", "less", "crc", "offset", "sizes"],
)
def test_archives_that_lie_are_refused(change: Callable[[bytearray, int], None], words: str, tmp_path: Path) -> None:
    found = fault(_patch_directory(make_zip(GOOD), "1.in", change), tmp_path)
    assert words in found.sentence, found


def test_a_stored_entry_with_two_sizes_is_refused(tmp_path: Path) -> None:
    data = _patch_directory(make_zip(GOOD, zipfile.ZIP_STORED), "1.in", _set("<I", 24, 401))
    assert "two sizes" in fault(data, tmp_path).sentence


def _directory_offset(data: bytes, at: int) -> bytes:
    """The same archive, whose end record claims that the directory begins at ``at``."""
    return data[:-6] + struct.pack("<I", at) + data[-2:]


def test_entries_that_are_nowhere_are_refused(tmp_path: Path) -> None:
    """An offset before the file's beginning would be an OSError of seek, two at one place a mere warning."""
    good = make_zip(GOOD)
    real = struct.unpack("<I", good[-6:-2])[0]
    assert "not where its directory says" in fault(_directory_offset(good, real + 30), tmp_path).sentence
    same = _patch_directory(good, "1.out", _set("<I", 42, 0))
    assert "not where its directory says" in fault(same, tmp_path).sentence


def test_limits_are_kept(tmp_path: Path) -> None:
    data = make_zip({"1.in": b"x" * 1000, "1.out": b"y" * 1000})
    assert "1.in" in fault(data, tmp_path, unzip_limits(max_file_bytes=999)).sentence
    assert "at most 1999" in fault(data, tmp_path, unzip_limits(max_bytes=1999)).sentence
    assert "at most 1 are" in fault(data, tmp_path, unzip_limits(max_files=1)).sentence
    assert isinstance(check(data, tmp_path, unzip_limits(max_bytes=2000, max_files=2, max_file_bytes=1000)), Plan)


def test_duplicate_entries_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name in ("1.in", "1.out", "1.in"):
            archive.writestr(name, b"")
    assert "twice" in fault(out.getvalue(), tmp_path).sentence


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x05\x06", b"PK\x05\x06" + b"\xff" * 17 + b"\1", b"\0" * 70000])
def test_archive_that_is_no_zip_is_refused(data: bytes, tmp_path: Path) -> None:
    found = fault(data, tmp_path)
    assert found.file is None
    assert "zip" in found.sentence.lower()


def test_an_empty_zip_is_refused(tmp_path: Path) -> None:
    assert "no test case" in fault(make_zip({}), tmp_path).sentence


def test_a_directory_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 40_000_000, 0, 0)
    assert "zip directory is too large" in fault(end, tmp_path).sentence
    for comment in (b"", b"c" * 65535):
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
        zip64 = locator + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, 0, len(comment)) + comment
        assert "ZIP64" in fault(zip64, tmp_path).sentence


def test_a_zip_with_a_comment_is_fine(tmp_path: Path) -> None:
    out = io.BytesIO(make_zip(GOOD))
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"made by hand"
    assert isinstance(check(out.getvalue(), tmp_path), Plan)


@given(st.data())
def test_no_damage_raises(draw: st.DataObject) -> None:
    """Bytes flipped anywhere give a package or a fault, and nothing that unfolds past the limits."""
    data = bytearray(make_zip(GOOD))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    opened = open_package(io.BytesIO(data), unzip_limits(max_bytes=2000))
    if isinstance(opened, PackageFault):
        return
    total = io.BytesIO()
    with opened:
        unpack(opened, lambda _name: nullcontext(total))
    assert len(total.getvalue()) <= 2000


def _archive(data: bytes, limits: UnzipLimits = LIMITS) -> Archive:
    archive = Archive.open(io.BytesIO(data), limits)
    assert isinstance(archive, Archive), archive
    return archive


def test_an_archive_inside_is_taken_in_under_its_name() -> None:
    inner = make_zip({"1.in": b"one", "d/2.in": b"two"})
    with _archive(make_zip({"tests.zip": inner})) as archive:
        assert archive.adopt("tests.zip") is None
        assert archive.names == ("tests.zip", "tests.zip/1.in", "tests.zip/d/2.in")
        assert archive.read("tests.zip/d/2.in", 10) == b"two"


def test_an_archive_inside_counts_against_the_same_limits() -> None:
    inner = make_zip({"1.in": b"x" * 900, "2.in": b"x" * 900})
    outer = make_zip({"tests.zip": inner})
    for limits, words in (
        (unzip_limits(max_files=2), "3 entries"),
        (unzip_limits(max_bytes=len(inner) - 1), "unpack to"),
        (unzip_limits(max_file_bytes=len(inner) - 1), "a file may have"),
    ):
        with _archive(outer, limits) as archive:
            found = archive.adopt("tests.zip")
            assert found is not None
            assert words in found.sentence
            assert "tests.zip" in found.sentence or found.file is None
    with _archive(outer, unzip_limits(max_bytes=len(inner) + 1000)) as archive:
        assert archive.adopt("tests.zip") is None
        assert archive.size_fault(["tests.zip/1.in"]) is None
        assert archive.size_fault(["tests.zip/1.in", "tests.zip/2.in"]) is not None


@pytest.mark.parametrize("inner", [b"no zip", make_zip({"../1.in": b""})])
def test_a_bad_archive_inside_is_a_fault(inner: bytes) -> None:
    with _archive(make_zip({"tests.zip": inner})) as archive:
        assert archive.adopt("tests.zip") is not None


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=8),
        st.binary(max_size=200),
        max_size=8,
    ),
    st.integers(0, 200),
)
def test_archive_returns_the_entries_that_were_zipped(entries: dict[str, bytes], cut: int) -> None:
    with _archive(make_zip(entries)) as archive:
        assert set(archive.names) == set(entries)
        for name, data in entries.items():
            assert archive.size(name) == len(data)
            assert archive.head(name, cut) == data[:cut]
            read = archive.read(name, cut)
            assert read == data if len(data) <= cut else isinstance(read, PackageFault)
