"""Problem packages of every supported format, read into a ``judging.problem.Plan``.

The steps::

    file ─▶ Archive.open   checks the zip's directory: names, kinds, declared sizes, duplicates; decompresses nothing
         ─▶ Files          the files below the package's own folder; small texts are read with bounds
         ─▶ read_plan      detects the format; one module per format makes the Plan
         ─▶ Archive.copy   decompresses and trusts no declared size

Every fault of a package is returned as a ``PackageFault``, which names the file. A feature that is not supported
becomes a sentence in ``Plan.unsupported`` if judging is right without it, and a fault if it would be wrong.

Inside this package a reader that cannot continue raises ``Unusable``. It never leaves: ``read_plan`` and ``Archive``
return its fault.

Everything here blocks and may take a second for a package of full size: call it in a thread. The archive's names never
become names on a disk: the caller who unpacks chooses those.
"""

from deepoj.packages.formats.archive import Archive, UnzipLimits
from deepoj.packages.formats.directory import pack_directory, zip_fault
from deepoj.packages.formats.entry import READERS_VERSION, check_upload, lay_out, open_package, read_plan, unpack
from deepoj.packages.formats.faults import PackageFault

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
