"""The only reader of environment and file: flag > environment > ``config.yaml`` (or ``APP_CONFIG``) > default.

:func:`load` gives a frozen, checked :class:`Config`. Every value keeps its source, so that an error and ``deepoj
config show`` can name it. An empty environment variable counts as not set (compose files pass empty strings), and so
does an empty value in the file. Lists in the environment are separated by commas. Unknown keys in the file and unknown
``DEEPOJ_…`` variables are errors; other variables are ignored.
"""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from deepoj.config.draft import ConfigError
from deepoj.config.fields import Section
from deepoj.config.keys import NOT_KEYS, allowed, leaves, mask, value_of
from deepoj.config.model import Config
from deepoj.config.roles import ROLE_ALIASES, Role, expand_roles
from deepoj.config.rules import decide

DEFAULT_FILE = "config.yaml"
#: our variables that are no settings: of the build, of the tests, and of deepoj/client
_NOT_SETTINGS = ("DEEPOJ_SANITIZE", "DEEPOJ_TEST_", "DEEPOJ_TOKEN", "DEEPOJ_URL")
_ROLE_KEYS = ("roles", "without_roles")


def _from_flags(flags: Mapping[str, object]) -> Iterator[tuple[str, object, str]]:
    for name, value in flags.items():
        if name not in leaves():
            raise ConfigError(f"There is no setting {name} for a flag to set.{_did_you_mean(name, leaves())}")
        if value is not None:
            yield name, value, "flag"


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    known = {leaf.env for leaf in leaves().values()}
    for name in environ:
        if name.startswith("DEEPOJ_") and not name.startswith(_NOT_SETTINGS) and name not in known:
            raise ConfigError(f"There is no setting for the environment variable {name}.{_env_hint(name)}")
    for leaf in leaves().values():
        value = environ.get(leaf.env, "") if leaf.env else ""
        if value:
            yield leaf.key, value, f"environment {leaf.env}"


def _env_hint(name: str) -> str:
    for leaf in leaves().values():
        if leaf.env and name == f"DEEPOJ_{leaf.key}".upper().replace(".", "_"):
            return f" {leaf.key} is set by {leaf.env}."
    return _did_you_mean(name, [leaf.env for leaf in leaves().values() if leaf.env])


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses duplicate keys. Plain YAML loaders silently keep the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node.value, str):
                continue  # a list or mapping as a key: the base class refuses it
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key "{key_node.value}" is given twice', key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _from_file(path: Path) -> Iterator[tuple[str, object, str]]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The settings file {path} is not UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"The settings file {path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if content is not None and not isinstance(content, Mapping):
        raise ConfigError(f"The settings file {path} must hold keys and values, such as `api: {{port: 18080}}`.")
    yield from _flatten(content or {}, Config, "", path)


def _flatten(
    content: Mapping[object, object], model: type[Section], prefix: str, path: Path
) -> Iterator[tuple[str, object, str]]:
    names = [name for name in model.model_fields if prefix or name not in NOT_KEYS | {"without_roles"}]
    for raw, value in content.items():
        name = str(raw)
        where = f"{path}:{prefix}{name}"
        if name not in names:
            everything = [*names, *(leaf for leaf in leaves() if leaf.endswith(f".{name}"))]
            raise ConfigError(f"There is no setting {prefix}{name} ({where}).{_did_you_mean(name, everything)}")
        annotation = model.model_fields[name].annotation
        if value is None:
            continue
        if isinstance(annotation, type) and issubclass(annotation, Section):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{name} ({where}) is a group of settings, not a value.")
            yield from _flatten(value, annotation, f"{prefix}{name}.", path)
        else:
            yield f"{prefix}{name}", value, where


def _did_you_mean(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    exact = [other for other in known if other.rpartition(".")[2] == name]
    close = exact[:1] or difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def _settings_file(config_file: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = config_file or (Path(environ["APP_CONFIG"]) if environ.get("APP_CONFIG") else None)
    if named is not None:
        return named  # a file named by the user must exist
    return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> Config:
    """Read all sources, apply the rules, and return the checked settings.

    ``flags``: values by key as in the file (``api.port``); None for a flag that was not given.

    Raises ConfigError (exit code 2). Its text is one sentence with name, source, value and allowed values. A node calls
    ``checks.require_startable`` as well; other commands do not need a JWT secret.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    path = _settings_file(config_file, environ)
    for name, value, source in (
        *(_from_file(path) if path else ()),
        *_from_environment(environ),
        *_from_flags(flags or {}),
    ):
        values[name] = value
        sources[name] = source
    typed = _validate({name: _typed(name, value, sources[name]) for name, value in values.items()}, sources)
    draft = decide(_values_of(typed), sources)
    for name, why in draft.decided.items():
        draft.sources.setdefault(name, why)
    everything = {name: draft.sources.get(name, "default") for name in leaves()}
    return _validate(draft.values, everything, warnings=tuple(draft.warnings))


def _typed(name: str, value: object, source: str) -> object:
    """Convert the text forms of lists and roles for the model. The model converts and checks everything else."""
    info = leaves()[name].info
    if name in _ROLE_KEYS:
        try:
            return expand_roles(value)
        except ValueError as error:
            allowed = ", ".join([*Role, *ROLE_ALIASES])
            raise ConfigError(f"{name} ({source}): {error}; the roles are {allowed}.") from error
    if isinstance(value, str) and typing.get_origin(info.annotation) is tuple:
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, bool) and info.annotation is not bool:
        raise _wrong(name, value, source)
    if name.endswith("admin_registration") and isinstance(value, str):
        return value.lower()
    return value


def _validate(values: Mapping[str, object], sources: Mapping[str, str], *, warnings: tuple[str, ...] = ()) -> Config:
    nested: dict[str, Any] = {"sources": types.MappingProxyType(dict(sources)), "warnings": warnings}
    for name, value in values.items():
        *groups, last = name.split(".")
        place = nested
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    try:
        return Config.model_validate(nested)
    except ValidationError as error:
        loc = error.errors(include_url=False, include_context=False)[0]["loc"]
        name = next(key for key in leaves() if f"{'.'.join(map(str, loc))}.".startswith(f"{key}."))
        raise _wrong(name, values.get(name), sources.get(name, "default")) from None


def _values_of(cfg: Config) -> dict[str, Any]:
    return {name: value_of(cfg, name) for name in leaves()}


def _wrong(name: str, value: object, source: str) -> ConfigError:
    return ConfigError(f'{name} is "{mask(name, value)}" ({source}); it must be {allowed(leaves()[name].info)}.')
