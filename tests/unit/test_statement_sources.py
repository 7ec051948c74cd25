"""What readers get of a package: samples, images and attachments, within bounds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deepoj.packages.formats import PackageFault, open_package
from deepoj.packages.formats.constants import fill_within
from deepoj.packages.formats.entry import Opened
from deepoj.packages.statements import sources
from deepoj.packages.statements.sources import PublicFiles, StatementNotes, read_samples, read_source, title_of
from deepoj.words.statements import StatementFileKind, StatementSample
from tests.fakes.settings import unzip_limits
from tests.unit.packages.makers import Content, zipped

PNG = b"\x89PNG\r\n\x1a\n."
CASE = {"1.in": "1\n", "1.out": "1\n"}
KATTIS = {"problem.yaml": "", "data/secret/1.in": "1\n", "data/secret/1.ans": "1\n"}


@contextmanager
def opened(files: Content) -> Iterator[Opened]:
    package = open_package(io.BytesIO(zipped(files)), unzip_limits())
    assert not isinstance(package, PackageFault), package
    with package:
        yield package


def samples(files: Content) -> tuple[tuple[StatementSample, ...], tuple[str, ...]]:
    notes = StatementNotes()
    with opened(files) as package:
        return read_samples(package, notes), notes.all()


def test_kattis_samples_have_conversations_and_texts_for_readers() -> None:
    folder = {"1.in": "hidden\n", "1.ans": "3\n", "1.in.statement": "1 2\n", "1.interaction": ">1\n",
              "2.interaction": "<2\n"}  # fmt: skip
    files = KATTIS | {f"data/sample/{name}": text for name, text in folder.items()}
    found, notes = samples(files)
    assert found == (
        StatementSample(input="1 2\n", output="3\n", interaction=">1\n"),
        StatementSample(input="", output="", interaction="<2\n"),
    )
    assert notes == ()


def test_long_and_further_samples_are_left_out_with_a_note() -> None:
    files: Content = {**CASE, "sample/1.in": "x" * (sources.MAX_SAMPLE_BYTES + 1), "sample/1.out": "1"}
    assert samples(files) == ((), ("The sample 'sample/1.in' has 65537 bytes and is not shown: at most 65536 are.",))
    many = CASE | {f"sample/{number}.{end}": "1" for number in range(30) for end in ("in", "out")}
    found, notes = samples(many)
    assert len(found) == sources.MAX_SAMPLES
    assert notes == ("20 of 30 samples are shown.",)


def test_samples_with_other_bytes_are_text() -> None:
    found, _ = samples({**CASE, "sample/1.in": b"\xff\x00\r\n", "sample/1.out": ""})
    assert found[0].input == "\ufffd\ufffd\n"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("a.png", "a.png"), ("./a.png", "a.png"), ("a", "a.png"), ("b", "b.png"), ("img/b.png", "b.png"),
        ("../problem.yaml", None), ("/etc/passwd", None), ("http://x/a.png", None), ("img/../a.png", None), ("", None),
        ("c.svg", None), ("d.png", None),
    ],
)  # fmt: skip
def test_images_are_found_beside_the_statement_only(target: str, name: str | None) -> None:
    files: Content = {**KATTIS, "problem_statement/problem.tex": "", "problem_statement/a.png": PNG,
             "problem_statement/img/b.png": PNG, "problem_statement/c.svg": "<svg onload=alert(1)/>",
             "problem_statement/d.png": "<html>"}  # fmt: skip
    with opened(files) as package:
        found = PublicFiles(package, StatementNotes()).image("problem_statement/problem.tex", target)
    assert (found and found.name) == name


def test_files_beyond_the_bounds_are_left_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 20)
    monkeypatch.setattr(sources, "MAX_FILES_BYTES", 30)
    notes = StatementNotes()
    with opened({**CASE, "attachments/a": "x" * 21, "attachments/b": "x" * 20, "attachments/c": "x" * 11}) as package:
        files = PublicFiles(package, notes)
        for name in package.plan.attachments:
            files.attach(name)
    assert [name for _, name in files.files] == ["b"]
    assert len(notes.all()) == 2
    assert all(f"'attachments/{name}'" in note for name, note in zip("ac", notes.all(), strict=True))


def test_names_fit_an_address_and_are_unique() -> None:
    names = ("a b.txt", "x/a_b.txt", '";<>.html', "和.zip", ".hidden")
    with opened({**CASE, **{f"attachments/{name}": name for name in names}}) as package:
        files = PublicFiles(package, StatementNotes())
        for name in package.plan.attachments:
            files.attach(name)
        public = [name for _, name in files.files]
    assert sorted(public) == ["2-a_b.txt", "_.html", "_.zip", "a_b.txt", "hidden"]
    assert {kind for kind, _ in files.files} == {StatementFileKind.ATTACHMENT}


def test_source_is_decoded_and_unreadable_bytes_are_noted() -> None:
    notes = StatementNotes()
    with opened(
        {**CASE, "statement.md": b"\xef\xbb\xbfa\r\n\xff", "statement.zh.md": "和".encode("utf-16")}
    ) as package:
        found = {one.language: read_source(package, one, notes) for one in package.plan.statements}
    assert {language: source.text for language, source in found.items() if source} == {"en": "a\n\ufffd", "zh": "和"}
    assert notes.all() == ("'statement.md' is not UTF-8 text: unreadable characters are shown as \ufffd.",)


def test_titles_are_one_printable_line() -> None:
    assert title_of(" a\n\u202e b\0 ") == "a b"
    assert len(title_of("x" * 999)) == sources.MAX_TITLE_CHARS


def test_constants_that_would_unfold_too_far_are_not_filled_in() -> None:
    constants = {"n": "x" * 100}
    assert fill_within(b"{{n}} {{m}}", constants, 200) == b"x" * 100 + b" {{m}}"
    assert fill_within(b"{{n}}" * 3, constants, 299) is None
