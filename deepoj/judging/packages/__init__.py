"""What a problem package may be, in whatever format it comes, and what it is once read: a ``judging.problem.Plan``.

The way of a package::

    file ─▶ Archive.open   the zip by its directory: names, kinds, declared sizes, doubles; nothing is decompressed
         ─▶ Files          its files below the package's own folder, small texts read with bounds
         ─▶ read_plan      detects the format; one module a format makes the Plan
         ─▶ Archive.copy   decompresses and trusts no declared size

Everything that can be wrong comes back as a ``PackageFault``, which names the file. What a package asks for and is not
supported is a sentence in ``Plan.unsupported`` where judging is right without it, and a fault where it would be wrong.

Inside the room a reader that cannot go on raises ``Unusable``; it never leaves (``read_plan`` and ``Archive`` return
its fault).

Everything here is blocking and may take a second for a package of the full size: call it in a thread. An archive's own
names never become names on a disk: whoever unpacks chooses them.
"""

from deepoj.judging.packages.archive import Archive, UnzipLimits
from deepoj.judging.packages.directory import pack_directory, zip_fault
from deepoj.judging.packages.entry import READERS_VERSION, check_upload, lay_out, open_package, read_plan, unpack
from deepoj.judging.packages.faults import PackageFault

__all__ = [
    "READERS_VERSION",
    "Archive",
    "PackageFault",
    "UnzipLimits",
    "check_upload",
    "lay_out",
    "open_package",
    "pack_directory",
    "read_plan",
    "unpack",
    "zip_fault",
]
