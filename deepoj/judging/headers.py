"""Choose precompiled headers for a C++ source so that the output of ``g++`` stays the same, byte for byte.

A precompiled header is the state of the compiler after one or more includes. It may replace them only where the
compiler has just begun: they are the first thing in the source, in this order, except for blanks and comments. GCC
rejects some wrong uses by itself (a macro that the header uses has another value) and accepts others (``#pragma GCC
optimize`` before the include would have affected the header's functions). So the check is ours.

GCC takes a precompiled header in place of the first include alone. One that was made of several includes is found under
the name of the first. The source's other includes of them then meet guards that are defined, and add nothing.

``bits/stdc++.h`` includes ``<future>`` and ``<filesystem>``, and their inline functions make GCC instantiate some
thousand templates in each compilation, which takes a third to a half of its time with a precompiled header. An operator
may have them left out (``compile.lean_headers``) for a *lean* source, which names nothing of them. The program then
does the same, but it is not always the same byte by byte: GCC inlines some calls otherwise, and of several equal
functions it keeps another one. So it is no default, and whether the two are left out never depends on what this node
has precompiled already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: headers that are precompiled for the first source that begins with them: the first is usual in contests, the second
#: in textbooks
HEADERS = ("bits/stdc++.h", "iostream")
#: includes every header of the language's standard library
ALL = "bits/stdc++.h"
#: Headers with which a source may begin. Others are left alone: they may be missing here, or not be the compiler's.
_NAMES = (
    "bits/stdc++.h iostream"
    " algorithm any array atomic bit bitset cassert cctype cerrno cfloat charconv chrono cinttypes climits clocale"
    " cmath compare complex concepts condition_variable cstdarg cstddef cstdint cstdio cstdlib cstring ctime cwchar"
    " cwctype deque exception execution filesystem forward_list fstream functional future initializer_list iomanip"
    " ios iosfwd istream iterator limits list locale map memory memory_resource mutex new numbers numeric optional"
    " ostream queue random ranges ratio regex set shared_mutex span sstream stack stdexcept streambuf string"
    " string_view system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility"
    " valarray variant vector"
    " assert.h ctype.h errno.h float.h inttypes.h limits.h math.h stdint.h stdio.h stdlib.h string.h time.h"
    " ext/pb_ds/assoc_container.hpp ext/pb_ds/hash_policy.hpp ext/pb_ds/priority_queue.hpp"
    " ext/pb_ds/tag_and_trait.hpp ext/pb_ds/tree_policy.hpp ext/pb_ds/trie_policy.hpp ext/rope"
)
_STANDARD = frozenset(_NAMES.split())
#: further includes are not looked at
_MOST_INCLUDES = 16
#: the name in the scratch of the header to precompile, and of the result
HEADER_NAME = "header.h"
PRECOMPILED_NAME = "header.h.gch"
#: Blanks, comments, then an include, and only blanks behind it on its line. A backslash at the end of a line can make
#: a comment longer or shorter than it looks, so none may precede the include. Quotes could name a file of the
#: submission.
_INCLUDE = re.compile(
    rb"(?:[ \t\f\v]|\r?\n|//[^\\\n]*\n|/\*[^\\]*?\*/)*+"
    rb"#[ \t]*include[ \t]*<([^<>\\\n]+)>[ \t]*(?:\r?\n|\Z)"
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: Options that leave out the two headers: libstdc++ takes them for included already. If its guards have other names,
#: they change nothing.
_LEAVE_OUT = ("-D_GLIBCXX_FUTURE=1", "-D_GLIBCXX_FILESYSTEM=1")
#: Names that only these two headers of ``bits/stdc++.h`` declare in ``std`` or define as macros; a test finds them.
LEFT_OUT_NAMES = frozenset(
    b"async filesystem future future_category future_errc future_error future_status launch packaged_task promise"
    b" shared_future __async_result_of __atomic_futex_unsigned __atomic_futex_unsigned_base __basic_future"
    b" __create_task_state __future_base __cpp_lib_filesystem".split()
)
#: Other names by which a source can see that something is left out: overloads of the two headers, a clock whose type is
#: a member of ``std::filesystem``, and the C library's macro that makes one name of two.
_REVEALING_NAMES = frozenset(b"make_error_code make_error_condition file_clock __file_clock file_time __CONCAT".split())
_INCLUDING = frozenset((b"include", b"include_next", b"import"))
_NAME = re.compile(rb"[A-Za-z_]\w*")
#: a line that goes on in the next one: GCC allows blanks behind the backslash
_SPLICE = re.compile(rb"\\[ \t\f\v\0]*\r?\n")
#: Pasting, in both spellings, and characters named by numbers make names out of other text. A line marker turns
#: warnings off. ``_GLIBCXX`` begins guards.
_REVEALING = re.compile(rb"##|%:%:|\\[uUN]|#[ \t]*(?:line\b|\d)|_GLIBCXX")
#: What a source adds to ``std``, functions of the two headers may find; a using directive ends with the semicolon. All
#: names up to it are taken at once: a look from each of them made 64 KiB of ``namespace std`` cost 2.4 s.
_STD = re.compile(rb"\bnamespace\s++std\b[\w:\s]*+(;?)")


def first_includes(source: bytes) -> tuple[str, ...]:
    """Return the standard headers whose includes the source begins with, in order and each once; empty if it begins
    otherwise. Headers that ``bits/stdc++.h`` has included already are left out."""
    names: dict[str, None] = {}
    at = len(_BYTE_ORDER_MARK) if source.startswith(_BYTE_ORDER_MARK) else 0
    while match := _INCLUDE.match(source, at):
        name = match[1].decode("ascii", "replace")
        if name not in _STANDARD or len(names) == _MOST_INCLUDES:
            break
        if ALL not in names or name.startswith("ext/"):
            names[name] = None
        at = match.end()
    return tuple(names)


def is_lean(source: bytes) -> bool:
    """Whether a source begins with ``bits/stdc++.h`` and can name nothing that ``leaving_out`` leaves out."""
    first = first_includes(source)
    if first[:1] != (ALL,):
        return False
    text = _SPLICE.sub(b"", source)
    names = _NAME.findall(text)
    return (
        sum(name in _INCLUDING for name in names) == len(first)
        and LEFT_OUT_NAMES.isdisjoint(names)
        and _REVEALING_NAMES.isdisjoint(names)
        and not _REVEALING.search(text)
        and all(semicolon for semicolon in _STD.findall(text))
    )


def leaving_out(compile_argv: Sequence[str]) -> tuple[str, ...]:
    """Return the compile line for a lean source, which reads less of ``bits/stdc++.h``."""
    return (compile_argv[0], *_LEAVE_OUT, *compile_argv[1:])


def leaves_out(compile_argv: Sequence[str]) -> bool:
    """Whether a compile line is for a lean source."""
    return not set(_LEAVE_OUT).isdisjoint(compile_argv)


def precompile_argv(compile_argv: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """Return the command that precompiles ``HEADER_NAME`` for this compile line. The options must be the same; sources,
    output and libraries are left out, for they are no options of the language."""
    words = list(compile_argv)
    if "-o" in words:
        at = words.index("-o")
        del words[at : at + 2]
    options = [word for word in words if word not in sources and not word.startswith("-l")]
    return (*options, "-x", "c++-header", HEADER_NAME, "-o", PRECOMPILED_NAME)


def with_headers(compile_argv: Sequence[str], directory: str) -> tuple[str, ...]:
    """Return the compile line with ``directory`` as the first directory for headers."""
    return (compile_argv[0], "-I", directory, *compile_argv[1:])
