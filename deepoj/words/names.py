"""Names and other texts of one line that people write: which characters they may have, and their order in lists.

U+200C and U+200D (the joiners) are invisible, and Unicode counts them as control characters. Persian, languages of
India and emoji are not written right without them. They are allowed where they change how the letters beside them
look, and refused elsewhere: "Red Pandas" with a joiner in it would look like another team's name. Usernames have none
(``accounts.names``): people type them to log in.
"""

from __future__ import annotations

import re
import unicodedata

_NON_JOINER, _JOINER = "\u200c", "\u200d"
_JOINERS = frozenset((_NON_JOINER, _JOINER))
#: a spreadsheet takes a cell that begins so for a formula; with the full-width signs those of Chinese and Japanese do
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BREAKS = re.compile(r"[\t\r\n]")
#: Unicode's blocks of scripts whose letters join: Arabic to Mandaic and Arabic's extensions, those of India, Myanmar,
#: Khmer and Mongolian, later ones of India, Adlam
_JOINING_BLOCKS = (
    (0x0600, 0x0DFF), (0x1000, 0x109F), (0x1780, 0x18AF), (0x1900, 0x1CFF), (0xA840, 0xABFF),
    (0x10A00, 0x10FFF), (0x11000, 0x11FFF), (0x1E900, 0x1E95F),
)  # fmt: skip
#: canonical combining class of the sign that leaves out a vowel
_VIRAMA = 9
_EMOJI_SHAPE = "\ufe0f"
_SKIN_TONES = (0x1F3FB, 0x1F3FF)

#: GB 2312 has 94 characters in a row; its Chinese ones begin with this row, the common ones sorted by pinyin
_GB_WIDTH, _GB_FIRST_ROW = 94, 0xB0
_HAN = ((0x3400, 0x9FFF), (0x20000, 0x3FFFF))
_HAN_BY_PINYIN, _HAN_OTHERS = 0x4E00, 0x40000
_DIGITS = re.compile("([0-9]+)")


def is_line(text: str) -> bool:
    """Return whether all characters may stand in a text of one line: they are printable, or joiners at their places."""
    return text.isprintable() or all(map(_may_stand, *_with_neighbours(text)))


def is_text(text: str) -> bool:
    """Return whether all characters may stand in a text of several lines."""
    return is_line(_BREAKS.sub(" ", text))


def printable_line(text: str, instead: str) -> str:
    """Return the text with ``instead`` for each character that may not stand in it."""
    return "".join(
        one if _may_stand(before, one, after) else instead
        for before, one, after in zip(*_with_neighbours(text), strict=True)
    )


def no_formula(text: str) -> str:
    """Return the text for a cell of a table: one that a spreadsheet would take for a formula gets an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def name_key(name: str) -> tuple[object, ...]:
    """Return the sort key of a name in lists: t2 is before t10, in digits of any script.

    Case, accents and joiners decide only between names that are equal without them. Common Chinese characters are in
    the order of their pinyin.
    """
    if name.isascii():
        return digits_key(name.lower()), name
    folded = unicodedata.normalize("NFKD", name).casefold()
    return digits_key("".join(map(_weight, folded))), name


def digits_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key by which ASCII digits count as numbers, and stand before all else.

    They are compared as text, so no number is too long.
    """
    words: list[tuple[int, int, str]] = []
    for index, word in enumerate(_DIGITS.split(text)):
        if index % 2:
            digits = word.lstrip("0")
            words.append((0, len(digits), digits))
        elif word:
            words.append((1, 0, word))
    return tuple(words)


def _weight(letter: str) -> str:
    """Return what a letter counts as in the order of names; empty: nothing."""
    if unicodedata.combining(letter) or letter in _JOINERS:
        return ""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    number = ord(letter)
    if not _is_in(number, _HAN):
        return letter
    try:
        row, column = letter.encode("gb2312")
    except UnicodeEncodeError:
        return chr(_HAN_OTHERS + number)
    return chr(_HAN_BY_PINYIN + (row - _GB_FIRST_ROW) * _GB_WIDTH + column)


def _with_neighbours(text: str) -> tuple[str, str, str]:
    """Return the text with the characters before and those after its own; there is a space at both ends."""
    return f" {text[:-1]}"[: len(text)], text, f"{text[1:]} "[: len(text)]


def _may_stand(before: str, one: str, after: str) -> bool:
    if one not in _JOINERS:
        return one.isprintable()
    if _VIRAMA in (unicodedata.combining(before), unicodedata.combining(after)):
        return True
    if one == _JOINER and _is_emoji(after):
        return _is_emoji(before) or before == _EMOJI_SHAPE or _is_in(ord(before), (_SKIN_TONES,))
    # at a word's end, the joiner gives a letter the shape that it has inside of words; the non-joiner does nothing
    return _joins(before) and (one == _JOINER or _joins(after))


def _is_emoji(letter: str) -> bool:
    return unicodedata.category(letter) == "So"


def _joins(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LM" and _is_in(ord(letter), _JOINING_BLOCKS)


def _is_in(number: int, blocks: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= number <= last for first, last in blocks)
