"""What a program of several files is: which of them is called what, and which is started."""

from __future__ import annotations

import pytest

from deepoj.judging.sources import started_class

MAIN = "public static void main(String[] args) {}"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (f"class Solution {{ {MAIN} }}", "Solution"),
        (f"class Other {{}} public final class Sums {{ {MAIN} }}\npublic final class Sums {{", "Sums"),
        (f"class Node {{ int x; }}\nclass Run {{ class Inner {{ }} {MAIN} }}", "Run"),
        (f"// class A {{\n/* class B {{ */ class C {{ String s = \"}} class D {{\"; char c = '{{'; {MAIN} }}", "C"),
        ("class A { final static void run() {} static final void main(String... a) {} }", "A"),
        ("class A { }", None),
        ("", None),
    ],
)
def test_the_class_that_is_started(code: str, name: str | None) -> None:
    assert started_class(code) == name
