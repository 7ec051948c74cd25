"""Symbolic links of a package: further names of files in it. No link is ever made on a disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from deepoj.packages.formats.faults import PackageFault, show
from deepoj.packages.formats.names import natural_key

#: Linux's limit
_MAX_HOPS = 40
_OUT, _CIRCLE = "leads out of the package", "leads in a circle"


@dataclass(slots=True)
class Followed:
    """The result of following links."""

    #: further names of files → the file's own name
    aliases: dict[str, str] = field(default_factory=dict)
    #: links that are left out → the sentence why
    left_out: dict[str, str] = field(default_factory=dict)


def follow(files: Collection[str], links: Mapping[str, str], most: int) -> Followed | PackageFault:
    """Follow each link (its name → its target, as ``readlink`` gives it) to a file, or to a folder with all its files.

    The result has at most ``most`` names.
    """
    known = frozenset(files)
    folders = {folder for name in (*files, *links) for folder in _folders(name)}
    followed = Followed()
    ends = {link: _end(link, links) for link in sorted(links, key=natural_key)}
    below_link = next((name for name in files if any(folder in links for folder in _folders(name))), None)
    if below_link is not None:
        return PackageFault(below_link, f"{show(below_link)} is below a link.")
    for link, (end, fault) in ends.items():
        top = end + "/" if end else ""
        why = fault
        if end in known:
            followed.aliases[link] = end
        elif end is None or (end and end not in folders):
            why = fault or "leads nowhere"
        elif f"{link}/".startswith(top):
            why = _CIRCLE
        else:
            inside = {name: name for name in files if name.startswith(top)}
            inside |= {name: to for name, (to, _) in ends.items() if to in known and name.startswith(top)}
            followed.aliases |= {f"{link}/{name[len(top) :]}": to for name, to in inside.items()}
        if why:
            followed.left_out[link] = f"{show(link)} is a link that {why}, and is left out."
        if len(followed.aliases) > most:
            return PackageFault(link, f"With the links in it the package has more than {most} files.")
    return followed


def _folders(name: str) -> list[str]:
    return [name[:at] for at, char in enumerate(name) if char == "/"]


def _end(link: str, links: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the name that a link leads to, through all further links; or None and why it leads out of the package."""
    parts = deque(link.split("/"))
    done: list[str] = []
    hops = 0
    while parts:
        part = parts.popleft()
        if part in ("", "."):
            continue
        if part == "..":
            if not done:
                return None, _OUT
            done.pop()
            continue
        done.append(part)
        target = links.get("/".join(done))
        if target is None:
            continue
        hops += 1
        if hops > _MAX_HOPS:
            return None, _CIRCLE
        if target.startswith("/"):
            return None, _OUT
        done.pop()
        parts.extendleft(reversed(target.split("/")))
    return "/".join(done), ""
