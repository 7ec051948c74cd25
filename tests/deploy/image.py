"""``deploy/Dockerfile`` carried out without a container engine: its steps, read from it, done in a Debian root.

What it knows is what that file uses; anything else is refused, so that a new step is not silently left out.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.deploy import roots

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


class StepFailed(Exception):
    """A step of the file ended with an exit code; the text is what it printed."""


@dataclass(frozen=True)
class Image:
    """A stage, as far as it has been carried out, and what a container of it begins with."""

    root: Path
    env: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    shell: tuple[str, ...] = ("/bin/sh", "-c")
    workdir: str = "/"
    user: int = 0
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    base: str
    name: str
    steps: tuple[tuple[str, str], ...]


def stages(text: str) -> dict[str, Stage]:
    """The file's stages by their names, in order."""
    whole = re.sub(r"^\s*#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, whole.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.split()
            found[name] = Stage(base, name, ())
        else:
            last = next(reversed(found.values()))
            found[last.name] = replace(last, steps=(*last.steps, (word, rest.strip())))
    return found


def build(directory: Path, build_args: Mapping[str, str]) -> dict[str, Image]:
    """Every stage, each a root below ``directory``. Raises StepFailed, ValueError for a step it does not know."""
    built: dict[str, Image] = {}
    for stage in stages(DOCKERFILE.read_text()).values():
        root = directory / stage.name
        if stage.base in built:
            image = replace(built[stage.base], root=roots.copy_root(built[stage.base].root, root), args={})
        else:
            version = re.fullmatch(r"debian:(\d+)\.\d+-slim", stage.base)
            if version is None:
                raise ValueError(f"no base that can be had here: {stage.base}")
            image = Image(roots.make_root(root, release=roots.codename(version[1])))
        for word, rest in stage.steps:
            image = step(image, word, rest, built, build_args)
        built[stage.name] = image
    return built


def step(image: Image, word: str, rest: str, built: Mapping[str, Image], build_args: Mapping[str, str]) -> Image:
    """Does what has to be done in the root; the image with what the step says of its containers."""
    told: dict[str, Any] = {}
    match word:
        case "RUN":
            run(image, rest)
        case "COPY":
            copy(image, rest, built)
        case "WORKDIR":
            (image.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            told = {"workdir": rest}
        case "SHELL":
            told = {"shell": tuple(json.loads(rest))}
        case "USER":
            told = {"user": int(rest)}
        case "ENV":
            set_here = dict(pair.split("=", 1) for pair in shlex.split(rest))
            told = {"env": {**image.env, **{name: expand(image, value) for name, value in set_here.items()}}}
        case "ARG":
            name, _, default = shlex.split(rest)[0].partition("=")
            told = {"args": {**image.args, name: build_args.get(name, default)}}
        case "ENTRYPOINT":
            told = {"entrypoint": tuple(json.loads(rest)), "command": ()}
        case "CMD":
            told = {"command": tuple(json.loads(rest))}
        case "STOPSIGNAL" if rest == "SIGTERM":
            pass
        case _:
            raise ValueError(f"a step that is not known here: {word} {rest}")
    return replace(image, **told)


def expand(image: Image, value: str) -> str:
    known = {"PATH": roots.PATH, **image.env}
    return re.sub(r"\$(\w+)", lambda found: known[found[1]], value)


def run(image: Image, command: str) -> None:
    with roots.cache():  # apt's packages are kept there
        within = replace(roots.builder(image.root, **image.env, **image.args), workdir=image.workdir, user=image.user)
        done = within.run(*image.shell, command)
    if done.returncode:
        raise StepFailed(f"{command}\nended with {done.returncode}:\n{done.stdout[-4000:]}")


def copy(image: Image, rest: str, built: Mapping[str, Image]) -> None:
    """As ``COPY`` does: a directory gives what is in it; files go under their names into a place that ends with /."""
    *words, to = rest.split()
    place = image.root / str(Path(image.workdir, to)).lstrip("/")
    taken_from = [word.removeprefix("--from=") for word in words if word.startswith("--from=")]
    sources = [word for word in words if not word.startswith("--")]
    if taken_from:
        (source,) = sources
        shutil.copytree(built[taken_from[0]].root / source.lstrip("/"), place, symlinks=True, dirs_exist_ok=True)
        return
    for source in sources:
        for name in sent(source):
            inner = Path(name).relative_to(source)
            target = place / (inner if inner.parts else Path(source).name if to.endswith("/") else "")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)


def sent(source: str) -> Iterator[str]:
    """The files of the context at or below ``source`` which the builder gets to see, by ``Dockerfile.dockerignore``."""
    here = ROOT / source
    for path in sorted(here.rglob("*")) if here.is_dir() else [here]:
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and not ignored(name):
            yield name


def ignored(name: str) -> bool:
    """The last line that fits decides; a line fits what is below what it names, too."""
    out = False
    above = [Path(name), *Path(name).parents][:-1]
    for line in Path(f"{DOCKERFILE}.dockerignore").read_text().split():
        pattern = line.removeprefix("!")
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatchcase(part.name, pattern[3:]) for part in above)
        else:
            fits = any(fnmatch.fnmatchcase(part.as_posix(), pattern) for part in above)
        if fits:
            out = not line.startswith("!")
    return out
