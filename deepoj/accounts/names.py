"""Which names of users and of groups are allowed, and which are the same name."""

from __future__ import annotations

import re
import unicodedata

from deepoj.words.names import is_line

#: 32 characters of a letter and three marks each; normalising a name of 1 MiB would take seconds
_MAX_RAW_CHARS = 128
#: of a group, after NFKC
MAX_GROUP_NAME_CHARS = 64
#: what ``clean_username`` allows, for sentences
USERNAME_RULE = "3 to 32 letters or digits (2 in Chinese, Japanese or Korean), and _ . - but not first"
_PSEUDONYM = re.compile(r"deleted-\d.*")


def clean_username(raw: str) -> str | None:
    """Return the name as it is stored; None if it is not allowed.

    3 to 32 characters after NFKC: letters, marks and digits of any script, and ``_ . -`` but not first. Two letters of
    Chinese, Japanese or Korean are enough, as in most Chinese names; the first is no mark of repetition or length. NFKC
    folds variants of a character (full-width letters).
    Separators, symbols and invisible characters are refused, also those that Unicode counts as letters and marks.
    Scripts may be mixed: a name grants no rights, administrators are a column.
    """
    if len(raw) > _MAX_RAW_CHARS:
        return None
    name = unicodedata.normalize("NFKC", raw)
    least = 2 if _is_short_name(name) else 3
    if not least <= len(name) <= 32 or unicodedata.category(name[0])[0] not in "LN":
        return None
    if any(letter not in "_.-" and unicodedata.category(letter) not in _NAME_CATEGORIES for letter in name):
        return None
    return None if _INVISIBLE.intersection(name) else name


def clean_prefix(raw: str) -> str:
    """Return the beginning of a name, in the form in which names are stored."""
    return unicodedata.normalize("NFKC", raw.strip())


def clean_group_name(raw: str) -> str | None:
    """Return the name of a group as it is stored: 1 to 64 printable characters after NFKC, not all of
    them invisible. None: it is not allowed."""
    name = unicodedata.normalize("NFKC", raw.strip()[:_MAX_RAW_CHARS]).strip()
    return name if 1 <= len(name) <= MAX_GROUP_NAME_CHARS and is_visible(name) else None


def _is_short_name(name: str) -> bool:
    """Return whether these are two letters of Chinese, Japanese or Korean, and the first is not a modifier (Lm)."""
    return len(name) == 2 and all(map(_is_cjk_letter, name)) and unicodedata.category(name[0]) != "Lm"


def _is_cjk_letter(character: str) -> bool:
    number = ord(character)
    return unicodedata.category(character)[0] == "L" and any(first <= number <= last for first, last in _CJK_BLOCKS)


#: Unicode's blocks of the letters of which two are a name. Width (UAX #11) does not tell them: Yi, Tangut, Nüshu and
#: Khitan are wide, too. Hangul as syllables alone: NFKC composes them, and a single jamo is no syllable.
_CJK_BLOCKS = (
    (0x3005, 0x3005),  # 々, as in the surname 佐々
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3100, 0x312F), (0x31A0, 0x31BF),  # Bopomofo and its extension
    (0x31F0, 0x31FF),  # Katakana Phonetic Extensions
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),  # Han, and the planes kept for it
    (0xAC00, 0xD7A3),  # Hangul Syllables
)  # fmt: skip
_NAME_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl"})
#: letters and marks that are invisible: Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, those that
#: NFKC keeps and the categories above allow
_INVISIBLE = frozenset(
    chr(number)
    for first, last in (
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180D), (0x180F, 0x180F), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
    )
    for number in range(first, last + 1)
)  # fmt: skip
_BLANK = _INVISIBLE | {" ", "\u2800"}


def is_visible(name: str) -> bool:
    """Return whether a name is printable and shows at least one character; U+2800 is a symbol without dots."""
    return is_line(name) and not _BLANK.issuperset(name)


def is_reserved(name: str, reserved: frozenset[str]) -> bool:
    """Return whether a cleaned name is one of ``ADMIN_USERS``, ignoring case and form."""
    folded = _folded(name)
    return any(_folded(other) == folded for other in reserved)


def pseudonym_of(user_id: int) -> str:
    """Return the name of an erased account. If another account has it, ``erase_account`` (SQL) adds to it."""
    return f"deleted-{user_id}"


def is_pseudonym(name: str) -> bool:
    """Return whether a cleaned name looks like that of an erased account: new accounts may not have one."""
    return _PSEUDONYM.fullmatch(_folded(name)) is not None


def _folded(name: str) -> str:
    """Return Unicode's toNFKC_Casefold, as far as names need it: folding can undo a normal form, so normalise twice."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())
