"""Languages as data: what a source is called, how it is compiled, how it runs, what its runtime needs beside a program.

A language is a row of ``table.py``; nothing else in the program knows a compiler's name. ``row.py`` says what a row
holds, ``toolchain.py`` fills its templates, ``families.py`` has what rows of one kind share. To add one: a row, and a
folder of smoke programs in ``tests/languages``.
"""

from deepoj.judging.languages.row import Heap, Kit, Language
from deepoj.judging.languages.table import LANGUAGES, outside_usr, resolve
from deepoj.judging.languages.toolchain import Toolchain

__all__ = ["LANGUAGES", "Heap", "Kit", "Language", "Toolchain", "outside_usr", "resolve"]
