"""One of two programs that run at the same time: ``hold`` leaves a text wherever it may, ``search`` looks for it.

Needs nothing but Debian's Python: it runs inside a sandbox, and outside of one to show that the search can find.
Usage: ``neighbour.py hold TEXT MILLISECONDS`` or ``neighbour.py search TEXT``. Each prints one JSON line: ``began`` and
``ended``, in seconds of the monotonic clock; ``hold`` the ``places`` that it wrote to, ``search`` the number of
``files`` that it read and the paths where it ``found`` the text. ``search`` is given the text backwards: its own
arguments are among what it reads.
"""

import json
import os
import stat
import sys
import time

PLACES = (".", "/tmp", "/dev/shm", "/var/tmp", "/run", "/w")
NAME = "hostile-note"
#: of a process, by /proc
OF_PROCESS = ("environ", "cmdline", "cwd", "root/tmp", "root/w", "root/dev/shm", "fd")
#: where another run's scratch is if the sandbox has no root of its own; the names above cannot be listed there
NEXT = tuple(f"../../{number}/w" for number in range(8))
PROCESSES = 1000
FILE_BYTES = 4096
DEPTH_MAX = 3
#: the same for all runs, and large
COMMON = ("/proc", "/sys", "/usr")


def read(path: str) -> str:
    """A regular file's beginning; empty if it cannot be read, or is none: a pipe would be robbed of its content."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, FILE_BYTES).decode(errors="replace") if is_file else ""
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def files(path: str, depth: int = DEPTH_MAX):  # type: ignore[no-untyped-def]
    """Paths of files at and below ``path``, those that links in it point to included."""
    if os.path.realpath(path) in COMMON:
        return
    try:
        names = os.listdir(path)  # noqa: PTH208
    except NotADirectoryError:
        yield path
        return
    except OSError:
        return
    for name in names if depth else ():
        yield from files(f"{path}/{name}", depth - 1)


def hold(text: str) -> dict[str, object]:
    places = []
    for place in PLACES:
        try:
            with open(f"{place}/{NAME}", "w") as note:  # noqa: PTH123
                note.write(text)
            places.append(place)
        except OSError:
            continue
    return {"places": places}


def processes() -> list[str]:
    """Numbers of processes; where /proc cannot be listed, all that there may be."""
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return [str(number) for number in range(1, PROCESSES)]


def search(text: str) -> dict[str, object]:
    places = [(place, DEPTH_MAX) for place in (*PLACES, "..", "../..", *NEXT)]
    places += [(f"/proc/{pid}/{name}", 1) for pid in processes() for name in OF_PROCESS]
    paths = [path for place, depth in places for path in files(place, depth)]
    return {"files": len(paths), "found": sorted({path for path in paths if text in read(path)})}


def main() -> None:
    deed, text, *milliseconds = sys.argv[1:]
    began = time.monotonic()
    if deed == "hold":
        seen = hold(text)
        time.sleep(int(milliseconds[0]) / 1000)
    else:
        seen = search(text[::-1])
    print(json.dumps({"began": began, "ended": time.monotonic(), **seen}))  # noqa: T201


if __name__ == "__main__":
    main()
