"""Untrusted YAML and XML, with bounds on what they may unfold to, and their values with the required types.

YAML 1.1 and 1.2 read some scalars differently: ``1:30`` is 90 or a text, ``010`` is 8 or 10, ``1_000`` is 1000 or a
text. Formats do not say which YAML they mean, and their tools differ. Here these numbers are ``Ambiguous``: accepted
where text is wanted, and refused where a number is. Keys are texts as written (``no`` would be false to YAML 1.1). A
key that occurs twice in a map is refused: tools differ in which of the two counts.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import yaml
from defusedxml.common import DefusedXmlException
from yaml.composer import Composer
from yaml.constructor import SafeConstructor

from deepoj.packages.formats.faults import Unusable, clean, show
from deepoj.packages.formats.files import Files

_MAX_DEPTH = 32
#: of all YAML in a package; an alias counts as often as it is used
_MAX_VALUES = 100_000
#: of texts that aliases repeat, in one file: readers may copy each of them
_MAX_REPEATED_CHARS = 1024 * 1024
#: integers that YAML 1.1 and 1.2 read alike, and that are short enough for all calculations
_PLAIN_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})|0x[0-9a-fA-F]{1,15}")
_MAX_NUMBER_CHARS = 400
_PLAIN_FLOAT = re.compile(r"[-+]?(?:[0-9]++(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,9})?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|nan)", re.IGNORECASE)
_INTEGER_TAG, _FLOAT_TAG, _TEXT_TAG = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:str"
_DATE_TAG, _MERGE_TAG = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"


class Ambiguous(str):
    """A scalar that is one number in YAML 1.1 and another, or a text, in YAML 1.2; or a number that is too long."""

    __slots__ = ()


def _number(loader: SafeConstructor, node: yaml.ScalarNode) -> int | float | str:
    """Return a number if both versions of YAML agree, else ``Ambiguous``."""
    text = str(loader.construct_scalar(node))
    if len(text) > _MAX_NUMBER_CHARS:
        return Ambiguous(text)
    if node.tag == _INTEGER_TAG and _PLAIN_INTEGER.fullmatch(text):
        return int(text, 0)
    if node.tag == _FLOAT_TAG and _PLAIN_FLOAT.fullmatch(text):
        return float(text)
    if node.tag == _FLOAT_TAG and _NOT_FINITE.fullmatch(text):
        return math.nan if text.lower().endswith("nan") else math.copysign(math.inf, -1 if text[0] == "-" else 1)
    return Ambiguous(text)


def _text(loader: SafeConstructor, node: yaml.ScalarNode) -> str:
    """Return a date as text: no format uses dates for judging, so an invalid one must not refuse the package."""
    return str(loader.construct_scalar(node))


class _CountingLoader(Composer, yaml.CSafeLoader):
    """A safe loader that counts values. An alias counts as all its values: ten lines cannot unfold to a billion.

    libyaml parses (ten times as fast as PyYAML), and PyYAML's composer composes, because counting can be added there.
    """

    yaml_constructors = {  # noqa: RUF012 - as PyYAML declares it
        **SafeConstructor.yaml_constructors,
        _INTEGER_TAG: _number,
        _FLOAT_TAG: _number,
        _DATE_TAG: _text,
    }

    def __init__(self, text: str, max_values: int) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)
        self._depth = 0
        self._max_values = max_values
        self.values = 0
        #: of texts, as often as they are used
        self._chars = self._repeated_chars = 0
        #: values and characters of each node
        self._weights: dict[int, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        alias = self.check_event(yaml.AliasEvent)
        if self._depth >= _MAX_DEPTH:
            raise yaml.YAMLError(f"it nests deeper than {_MAX_DEPTH} levels")
        before, chars_before = self.values, self._chars
        self._depth += 1
        node = Composer.compose_node(self, parent, index)
        self._depth -= 1
        if alias:
            if id(node) not in self._weights:
                raise yaml.YAMLError("an alias is inside the value that it names")
            values, chars = self._weights[id(node)]
            self.values += values
            self._chars += chars
            self._repeated_chars += chars
        else:
            self.values += 1
            self._chars += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
            self._weights[id(node)] = self.values - before, self._chars - chars_before
        if self.values > self._max_values:
            raise yaml.YAMLError(f"with it the package's YAML unfolds to more than {_MAX_VALUES} values")
        if self._repeated_chars > _MAX_REPEATED_CHARS:
            raise yaml.YAMLError(f"its aliases repeat more than {_MAX_REPEATED_CHARS} characters")
        if isinstance(node, yaml.MappingNode) and not alias:
            _take_keys_as_written(node)
        return node


def _take_keys_as_written(node: yaml.MappingNode) -> None:
    """Make every key a text, even if it would be another type as a value: ``no: Hei`` is a name in Norwegian."""
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE_TAG:
            continue
        key.tag = _TEXT_TAG
        if key.value in seen:
            raise yaml.YAMLError(f"the key '{clean(key.value)}' is there twice (line {key.start_mark.line + 1})")
        seen.add(key.value)


def yaml_of(files: Files, name: str) -> Any:
    """Return the value of a YAML file, not to be changed; an empty file is None. Raises Unusable."""
    if name in files.yaml_read:
        return files.yaml_read[name]
    text = files.text(name)
    loader = None
    try:
        loader = _CountingLoader(text, _MAX_VALUES - files.yaml_values)
        value = files.yaml_read[name] = loader.get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        # dates and numbers that YAML's patterns accept and Python refuses raise ValueError
        raise Unusable(name, f"{show(name)} is not usable YAML: {_why(error)}.") from None
    finally:
        if loader is not None:
            files.yaml_values += loader.values
            loader.dispose()
    return value


def parse_yaml(text: str) -> object:
    """Return the value of a YAML text with the same bounds. Raises ValueError: what is wrong with it."""
    loader = None
    try:
        loader = _CountingLoader(text, _MAX_VALUES)
        value: object = loader.get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(_why(error)) from None
    finally:
        if loader is not None:
            loader.dispose()
    return value


def yaml_map(files: Files, name: str) -> dict[str, Any]:
    """Return a YAML file that is a map with text keys; an empty file is an empty map. Raises Unusable."""
    return as_map(yaml_of(files, name), name, "it")


def xml_of(files: Files, name: str) -> Element:
    """Return the root of an XML file without entities, DTDs and external references. Raises Unusable."""
    text = files.text(name, max_bytes=4 * 1024 * 1024)
    if text.startswith("<?xml"):
        # the text is already decoded, so its declared encoding no longer applies
        text = text.partition("?>")[2]
    try:
        root: Element = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise Unusable(name, f"{show(name)} is not usable XML: {_why(error)}.") from None
    depth, level = 0, [root]
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise Unusable(name, f"{show(name)} is not usable XML: it nests deeper than {_MAX_DEPTH} levels.")
        level = [child for element in level for child in element]
    return root


def _why(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{clean(error.problem or 'it cannot be parsed')} (line {error.problem_mark.line + 1})"
    return clean(" ".join(str(error).split())) or type(error).__name__


# ---------------------------------------------------------------------------------------------------------------------
# Values with the required types; ``what`` names the key in the sentence


def as_map(value: object, file: str, what: str) -> dict[str, Any]:
    """Return a map with text keys; None is an empty map."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Unusable(file, f"{show(file)}: {what} must be a map of keys and values.")
    return {str(key): one for key, one in value.items()}


def as_list(value: object, file: str, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unusable(file, f"{show(file)}: {what} must be a list.")
    return value


def as_text(value: object, file: str, what: str) -> str:
    """Return a text; a number becomes its text."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    quotes = "; put it in quotes" if isinstance(value, bool) else ""
    raise Unusable(file, f"{show(file)}: {what} must be text{quotes}.")


def as_number(value: object, file: str, what: str, *, least: float = -math.inf, most: float = math.inf) -> float:
    """Return a finite number; also one in quotes, or with an exponent without a dot (1e-6 is text to YAML)."""
    refuse_ambiguous(value, file, what)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unusable(file, f"{show(file)}: {what} must be a number.")
    # Python's float accepts more: 1_000, digits of other scripts
    if isinstance(value, str) and not (len(value) <= _MAX_NUMBER_CHARS and _PLAIN_FLOAT.fullmatch(value.strip())):
        raise Unusable(file, f"{show(file)}: {what} must be a number, not {show(value)}.")
    number = float(value)
    if not math.isfinite(number) or not least <= number <= most:
        raise Unusable(file, f"{show(file)}: {what} is out of range: {show(value)}.")
    return number


def refuse_ambiguous(value: object, file: str, what: str) -> None:
    """Refuse an ambiguous ``value`` that is used as a number or passed to a program. Raises Unusable."""
    if isinstance(value, Ambiguous):
        raise Unusable(
            file,
            f"{show(file)}: {what}: {show(value)} is not the same number to every reader of YAML: write it in plain"
            " decimal digits, or put it in quotes if it is text.",
        )


def as_bool(value: object, file: str, what: str) -> bool:
    if not isinstance(value, bool):
        raise Unusable(file, f"{show(file)}: {what} must be true or false.")
    return value


def as_words(value: object, file: str, what: str) -> tuple[str, ...]:
    """Return arguments: a list of them, or one text that is split as in a shell."""
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(as_text(one, file, what) for one in value)
    try:
        words = tuple(shlex.split(as_text(value, file, what)))
    except ValueError:
        raise Unusable(file, f"{show(file)}: the quotes in {what} do not match.") from None
    return words
