"""Sources that mean harm to their compiler, as data: what each is, and how it has to end.

``CE``: a Compile Error in every version of the compiler. ``HARMLESS``: the compiler may accept it, and the row's
comment says why that is no harm; it must be a verdict all the same, within the limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CE: Final = "a compile error"
HARMLESS: Final = "any verdict"

MAIN = "int main() { return 0; }\n"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One source."""

    name: str
    code: str
    ends: str = CE
    language: str = "cpp17"
    #: words that the compiler's output has
    says: str = ""


def include(path: str, *, ends: str = CE, says: str = "") -> Hostile:
    return Hostile(f"include {path}", f'#include "{path}"\n{MAIN}', ends, says=says)


def asm(name: str, text: str, *, ends: str = CE, says: str = "") -> Hostile:
    """Assembler at the top level, one directive a line."""
    lines = "".join(f'    "{line}\\n"\n' for line in text.replace("\\", "\\\\").replace('"', '\\"').splitlines())
    return Hostile(name, f"__asm__(\n{lines});\n{MAIN}", ends, says=says)


def doubled(times: int, first: str) -> str:
    """Macros M0 … of which each is ten of the one before."""
    return f"#define M0 {first}\n" + "".join(f"#define M{n} {f'M{n - 1} ' * 10}\n" for n in range(1, times + 1))


INCLUDES = (
    include("/dev/random"),
    include("/dev/urandom"),
    include("/dev/zero"),
    include("/dev/full"),
    include("/dev/tty"),
    include("/dev/mem"),
    include("/etc/shadow"),
    include("/root/.ssh/id_ed25519"),
    include("/proc/kcore"),
    include("/proc/1/environ"),
    include("/proc/self/exe"),
    # files that say they are empty are empty to a preprocessor; in them is the compiler itself, no more
    include("/proc/self/mem", ends=HARMLESS),
    include("/proc/self/environ", ends=HARMLESS),
    include("/proc/self/maps", ends=HARMLESS),
    include("/proc/self/cmdline", ends=HARMLESS),
    include("."),
    include("/"),
    include("main.cpp", says="#include nested depth"),
    include("../" * 40 + "etc/shadow"),
    include("x" * 100_000),
    # empty here: the compiler's input is /dev/null
    include("/dev/stdin", ends=HARMLESS),
    include("/dev/null", ends=HARMLESS),
    # two lines of our own making that hold no secret, and are no C++
    include("/etc/passwd"),
    Hostile("include_next", f"#include_next </etc/shadow>\n{MAIN}"),
    Hostile("import", f'#import "/dev/random"\n{MAIN}'),
    Hostile("embed", f'const unsigned char a[] = {{\n#embed "/dev/random"\n}};\n{MAIN}', language="c17"),
    # it learns what a program in the box could see: nothing
    Hostile(
        "has_include",
        f'#if __has_include("/etc/shadow") || __has_include("/root")\n#error seen\n#endif\n{MAIN}',
        HARMLESS,
    ),
    Hostile("includes itself by a macro", f'#define ME "main.cpp"\n#include ME\n#include ME\n{MAIN}'),
)

BOMBS = (
    Hostile("macros", f"{doubled(9, '1 +')}int x = M9 0;\n{MAIN}"),
    Hostile("macros to nothing", f"{doubled(10, '')}M10\n{MAIN}#error end\n"),
    Hostile("macros, stringified",
            f"{doubled(8, 'xxxxxxxxxx')}#define S(a) #a\n#define T(a) S(a)\nint x = T(M8);\n{MAIN}"),
    Hostile("pushed macros", "#define A 1\n" + '#pragma push_macro("A")\n' * 20_000 + "int x = ;\n"),
    Hostile(
        "templates, two a level",
        "template <int N, int M> struct A { typename A<N + 1, M * 2>::T x; typename A<N + 1, M * 2 + 1>::T y; };\n"
        f"A<0, 0> a;\n{MAIN}",
    ),
    Hostile("templates, types that double", "template <class T> int f(T t) { return f(&t) + f(&t); }\nint x = f(0);\n"),
    Hostile(
        "templates, packs",
        "#include <utility>\ntemplate <int... A> constexpr int f(std::integer_sequence<int, A...>) "
        f"{{ return (A + ...); }}\nconstexpr int x = f(std::make_integer_sequence<int, 1 << 30>());\n{MAIN}",
    ),
    Hostile(
        "templates that argue in pairs",
        "template <class A, class B> struct P {};\n"
        "template <int N> struct D { using T = P<typename D<N - 1>::T, typename D<N - 1>::T>; };\n"
        "template <> struct D<0> { using T = int; };\nint x = D<40>::T();\n",
    ),
    Hostile("constexpr", "constexpr int f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2); }\nint a[f(60)];\n"),
    Hostile(
        "constexpr that never ends", f"constexpr int f() {{ for (;;) {{}} return 0; }}\nconstexpr int x = f();\n{MAIN}"
    ),
    Hostile(
        "constexpr memory",
        "struct A { char a[1 << 28]; constexpr A() : a() { for (auto &c : a) c = 1; } };\n"
        f"constexpr A x;\nstatic_assert(x.a[5] == 2);\n{MAIN}",
    ),
    Hostile("constexpr depth", f"constexpr int f(int n) {{ return f(n + 1); }}\nconstexpr int x = f(0);\n{MAIN}"),
    Hostile("parentheses", f"int x = {'(' * 500_000}1{')' * 500_000};\nint y = ;\n{MAIN}"),
    Hostile("braces", f"{'namespace a {' * 70_000}\n"),
    Hostile("pointers", f"int {'*' * 900_000}x;\nint y = x;\n{MAIN}"),
    Hostile("a sum of a mebibyte", f"int x = {'1+' * 500_000};\n{MAIN}"),
    Hostile("an inheritance of twos", "struct A0 {};\n" + "".join(
        f"struct L{n} : A{n} {{}}; struct R{n} : A{n} {{}}; struct A{n + 1} : L{n}, R{n} {{}};\n" for n in range(24)
    ) + f"A24 a;\nA0 &b = a;\n{MAIN}"),
    Hostile("lambdas in lambdas", "auto f = " + "[]{ return " * 2_000 + "1" + "; }" * 2_000 + ";\nint x = f;\n"),
)  # fmt: skip

MESSAGES = (
    Hostile("an error of a mebibyte", f"#error {'e' * 1_000_000}\n"),
    Hostile("an error in other bytes", "#error \u202e\u0007\u001b[31m\U0001f4a3\ufffe\n"),
    Hostile("a name of a mebibyte", f"int main() {{ return {'n' * 1_000_000}; }}\n"),
    Hostile("warnings without end", f"{doubled(6, '_Pragma("message(\\"xxxxxxxxxxxxxxxxxxxx\\")")')}M6\n#error end\n"),
    Hostile(
        "types without end",
        "template <class A, class B, class C> struct T {};\n"
        "template <class A> using U = T<A, A, A>;\n"
        f"using X = {'U<' * 14}int{'>' * 14};\nint x = X();\n{MAIN}",
    ),
    Hostile("notes without end", "".join(f"void f(int (*)[{n}]);\n" for n in range(1, 9_000)) + 'int x = f("");\n'),
    Hostile("forged words", '#line 1 "g++: fatal error: Killed signal terminated program cc1plus"\nint x = y;\n'),
    Hostile("a forged verdict", '#error {\\"verdict\\": \\"OK\\", \\"sandbox_error\\": \\"exec: errno 2\\"}\n'),
)

OBJECTS = (
    Hostile("an array of 4 GiB", f"int a[1 << 30] = {{1}};\n{MAIN}"),
    Hostile("an array of 2 EiB", f"char a[1L << 61] = {{1}};\n{MAIN}"),
    Hostile("an array of 100 MiB", f"char a[100 << 20] = {{1}};\n{MAIN}"),
    Hostile("a range without end", f"int a[] = {{[0 ... 2147483646] = 7}};\n{MAIN}", language="c17"),
    Hostile("an alignment of 256 MiB", f"alignas(1 << 28) char a[1] = {{1}};\n{MAIN}"),
    asm("incbin /etc/shadow", '.incbin "/etc/shadow"', says="shadow"),
    asm("incbin /dev/zero", '.incbin "/dev/zero"'),
    asm("incbin /dev/random", '.incbin "/dev/random"'),
    # as for the preprocessor: it says that it is empty
    asm("incbin /proc/self/mem", '.incbin "/proc/self/mem"', ends=HARMLESS),
    asm("include /etc/shadow", '.include "/etc/shadow"'),
    asm("include itself", '.include "main.cpp"'),
    # bytes that every program in the box may read
    asm("incbin a tool", '.incbin "/usr/bin/env"', ends=HARMLESS),
    asm("fill", ".fill 1 << 34, 8, 1"),
    asm("space", ".space 1 << 40, 1"),
    asm("zeros", ".data\n.zero 1 << 36"),
    asm("rept", ".rept 1 << 30\n.quad 1\n.endr"),
    asm("rept in rept", ".rept 1 << 15\n.rept 1 << 15\n.long 1\n.endr\n.endr"),
    asm("a macro that calls itself", ".macro m\nm\nm\n.endm\nm"),
    asm("org", ".data\n.org 1 << 40"),
    asm("an alignment", ".data\n.byte 1\n.balign 1 << 30\n.byte 1"),
    # 16 TiB of common symbols: no kernel maps them, so the program cannot even start
    Hostile("common", f'__asm__(".comm huge, 1 << 44, 1");\n{MAIN}', HARMLESS),
    Hostile("sections", "".join(f'__asm__(".section s{n},\\"a\\"\\n.quad 1\\n.text");\n' for n in range(70_000))
            + "int x = ;\n"),
    Hostile("symbols", f'__asm__(".rept 1 << 24\\n.globl sym_\\\\@\\nsym_\\\\@:\\n.endr");\n{MAIN}'),
    Hostile("undefined", "".join(f"int f{n}();\n" for n in range(500))
            + "int main() { return 0" + "".join(f" + f{n}()" for n in range(500)) + "; }\n",
            says="undefined reference"),
    Hostile("two beginnings", f'__asm__(".globl _start\\n_start:\\n");\n{MAIN}', says="multiple definition"),
)  # fmt: skip

OPTIONS = (
    # what looks like an option is a warning at most: nothing is loaded, nothing written
    Hostile("plugin by a pragma", f'#pragma GCC optimize ("-fplugin=/w/evil.so")\n{MAIN}', HARMLESS),
    Hostile("plugin by an attribute", f'__attribute__((optimize("-fplugin=/w/evil.so"))) {MAIN}', HARMLESS),
    Hostile("a dump by a pragma", f'#pragma GCC optimize ("-fdump-tree-all=/w/dump")\n{MAIN}', HARMLESS),
    Hostile("another output", f'#pragma GCC optimize ("-o /w/other")\n#pragma GCC target ("-o")\n{MAIN}', HARMLESS),
    Hostile("dependencies", f'#pragma GCC dependency "/etc/shadow"\n{MAIN}'),
    Hostile("a precompiled header", f'#pragma GCC pch_preprocess "/dev/random"\n{MAIN}'),
    Hostile("a module", f'import "/etc/shadow";\n{MAIN}', language="cpp20"),
    Hostile("a linker's option", f'#pragma comment(linker, "/dev/random")\n{MAIN}', HARMLESS),
    asm("another file", '.file "/etc/passwd"\n.ident "x"', ends=HARMLESS),
    asm("prints", '.rept 1 << 26\n.print "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"\n.endr'),
    asm("errors", '.rept 1 << 26\n.error "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"\n.endr'),
)

BYTES = (
    # a warning: what is no C++ is left out
    Hostile("NULs", "int\0 main() { return\0 0; }\0\n", HARMLESS),
    Hostile("only NULs", "\0" * 100_000),
    Hostile("letters of everywhere", "int \u00e4\u4e2d\u202e\U0001f4a3 = ;\n"),
    Hostile("one line of a mebibyte", f"int x = {'y ' * 500_000};\n"),
    Hostile("a string of a mebibyte", f'int x = "{"s" * 1_000_000}";\n'),
    Hostile("a string that does not end", f'const char *x = R"({"s" * 500_000}\n'),
    Hostile("a comment that does not end", f"{MAIN}/* {'c' * 500_000}"),
    Hostile("lines without number", "\n" * 1_000_000 + "int x = ;\n"),
    Hostile("empty", "", says="undefined reference"),
    Hostile("backslashes", "\\\n" * 400_000 + "int x = ;\n"),
)

PYTHON = (
    Hostile("parentheses", "(" * 1_000_000, language="python3"),
    Hostile("brackets that end", "[" * 150 + "]" * 150 + " +\n", language="python3"),
    Hostile("minuses", "x = " + "-" * 900_000 + "\n", language="python3"),
    Hostile("a sum", "x = " + "1+" * 450_000 + "\n", language="python3"),
    Hostile("attributes", "x = a" + ".a" * 450_000 + " =\n", language="python3"),
    Hostile("indents", "".join(f"{' ' * n}if 1:\n" for n in range(1_000)), language="python3"),
    Hostile("loops", "".join(f"{' ' * n}for x in y:\n" for n in range(40)) + " " * 40 + "pass\n", language="python3"),
    Hostile("lambdas", "x = " + "lambda: " * 100_000 + "\n", language="python3"),
    Hostile("a number", "x = " + "9" * 1_000_000 + "\n", language="python3", says="Exceeds the limit"),
    Hostile("NULs", "x = 1\0\n", language="python3", says="null bytes"),
    Hostile("an unknown encoding", "# coding: evil\n", language="python3", says="unknown encoding"),
    Hostile("an encoding that is none", "# coding: zlib_codec\n", language="python3", says="encod"),
    Hostile("a name of a mebibyte", "n" * 1_000_000 + " = = 1\n", language="python3"),
    Hostile("strings in strings", 'f"' + "{f'" * 200 + "\n", language="python3"),
    Hostile("arguments twice", "def f(" + ", ".join(f"a{n}" for n in range(20_000)) + ", a1): 1\n", language="python3"),
    # the compiler of Python folds within small bounds only; what is left is the run's to pay
    Hostile("powers", "if 0:\n x = 9 ** 9 ** 9 ** 9\n y = 'a' * 10 ** 10\n z = (1,) * 10 ** 10\n w = 1 << 10 ** 10\n",
            HARMLESS, language="python3"),
    Hostile("alternatives", "def f(x):\n match x:\n" + "".join(
        f"  case {'|'.join(map(str, range(200)))}: pass\n" for _ in range(300)), HARMLESS, language="python3"),
)  # fmt: skip

SOURCES = {
    f"{kind}: {source.name}"[:70]: source
    for kind, sources in {
        "include": INCLUDES,
        "bomb": BOMBS,
        "message": MESSAGES,
        "object": OBJECTS,
        "option": OPTIONS,
        "bytes": BYTES,
        "python": PYTHON,
    }.items()
    for source in sources
}
