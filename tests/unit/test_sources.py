"""File names of a program in the scratch, for each form of a submission."""

from __future__ import annotations

import pytest

from deepoj.judging import sources
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.sources import public_class, scratch_names
from deepoj.words.sources import SourceFile

MAIN = "public static void main(String[] args) {}"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (f"public class Solution {{ {MAIN} }}", "Solution"),
        (f"class Other {{}} public final class Sums {{ {MAIN} }}\npublic final class Sums {{", "Sums"),
        (f"class Node {{ public class Inner {{ }} {MAIN} }}", None),
        (
            "// public class A {\n/* public class B { */ class C { String s = \"} public class D {\"; char c = '{'; }",
            None,
        ),
        ('class A { String s = """\n} public class B { " \\""" """; } public class C { }', "C"),
        ("public enum Color { RED }", "Color"),
        ("public abstract strictfp class A { }", "A"),
        ("public sealed interface A permits B { }", "A"),
        ("public @interface A { }", "A"),
        ('@SuppressWarnings("x") @Deprecated public @X class A<T> extends B { }', "A"),
        ("package p; import java.util.*; public record P(int x) { }", "P"),
        ("public class нет { }", "нет"),
        ("class A { }", None),
        ("", None),
    ],
)
def test_public_class_of_a_java_source(code: str, name: str | None) -> None:
    assert public_class(code) == name


@pytest.mark.parametrize(
    "start", ["/*", '"', "'", '"""', '"\\', "'\\", '"""\\', "public ", "/**/", "//", "@", "class{", '"a', "/*/", '\\"']
)
def test_java_tokens_never_look_twice_at_a_character(start: str) -> None:
    """An unclosed comment or literal is a token, too, so no match is abandoned and the time is linear."""
    code = start * 1_000
    covered = 0
    for token in sources._JAVA_TOKEN.finditer(code):
        between = code[covered : token.start()]
        assert not set(between) & set("\"'"), "a literal that was begun and given up"
        assert "/*" not in between, "a comment that was begun and given up"
        covered = token.end()
    assert not set(code[covered:]) & set("\"'")
    assert public_class(code) is None


@pytest.mark.parametrize(
    ("language", "files", "beside", "names"),
    [
        # a single file gets the name of the language's commands, with or without a name of its own
        ("cpp20", [("", "")], (), ["main.cpp"]),
        ("cpp20", [("solve.cc", "")], (), ["main.cc"]),
        ("python3", [("heapq.py", "")], (), ["main.py"]),
        ("javascript", [("a.mjs", "")], (), ["main.mjs"]),
        ("rust", [("lib.rs", "")], (), ["main.rs"]),
        # beside files of the problem it keeps its name, by which they may refer to it
        ("python3", [("", "")], ("grader.py",), ["main.py"]),
        ("python3", [("", "")], ("main.py",), ["solution.py"]),
        ("python3", [("answer.py", "")], ("main.py",), ["answer.py"]),
        ("java", [("", "public class Answer {}")], ("Main.java",), ["Answer.java"]),
        ("java", [("", "class Answer {}")], ("Main.java",), ["solution.java"]),
        # Java's public classes
        ("java", [("", "class A {}")], (), ["Main.java"]),
        ("java", [("", "public class HelloWorld {}")], (), ["HelloWorld.java"]),
        ("java", [("any.java", "public class HelloWorld {}")], (), ["HelloWorld.java"]),
        ("java", [("any.java", "class HelloWorld {}")], (), ["Main.java"]),
        ("java", [("", "public class нет {}")], (), ["нет.java"]),
        ("java", [("", f"public class {'x' * 250} {{}}")], (), [f"{'x' * 250}.java"]),
        ("java", [("", f"public class {'x' * 251} {{}}")], (), ["Main.java"]),
        ("java", [("", f"public class {'ы' * 200} {{}}")], (), ["Main.java"]),
        ("java", [("b.java", "public class B {}"), ("a.java", "class A {}")], (), ["B.java", "a.java"]),
        ("java", [("x.java", "public class B {}"), ("y.java", "public class B {}")], (), ["x.java", "y.java"]),
        # several keep their names
        ("python3", [("solve.py", ""), ("main.py", "")], (), ["solve.py", "main.py"]),
    ],
)
def test_names_in_the_scratch(
    language: str, files: list[tuple[str, str]], beside: tuple[str, ...], names: list[str]
) -> None:
    sent = [SourceFile(name, code) for name, code in files]
    assert scratch_names(LANGUAGES[language], sent, beside=beside) == tuple(names)
