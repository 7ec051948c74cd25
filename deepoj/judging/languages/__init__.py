"""Languages as data: the source's name, how it is compiled and run, and what its runtime needs beside a program.

A language is a row of ``table.py``; no other part of the program knows a compiler's name. ``row.py`` defines the fields
of a row, ``toolchain.py`` fills its templates, ``families.py`` has the common parts of similar rows. To add a language:
add a row, and a folder of smoke programs in ``tests/languages``.
"""

from deepoj.judging.languages.row import Heap, Language, ToolchainArchive
from deepoj.judging.languages.table import LANGUAGES, outside_usr, resolve
from deepoj.judging.languages.toolchain import Toolchain

__all__ = ["LANGUAGES", "Heap", "Language", "Toolchain", "ToolchainArchive", "outside_usr", "resolve"]
