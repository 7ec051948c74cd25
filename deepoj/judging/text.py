"""Turn the bytes of programs and compilers into text that every store, log and browser accepts."""

from __future__ import annotations

#: Control characters become their pictures (U+2400 …); tab and newline stay. Those from 128 on have no pictures; some
#: terminals obey them like ESC [.
_PICTURES = (
    {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"}
    | {127: 0x2421}
    | dict.fromkeys(range(128, 160), 0xFFFD)
)


def visible(raw: bytes | str) -> str:
    """Return text without NULs, other control characters or lone surrogates; undecodable bytes become U+FFFD.

    PostgreSQL's jsonb refuses NUL and surrogates, a terminal obeys escape sequences: none of these can get through.
    """
    data = raw.encode("utf-8", "replace") if isinstance(raw, str) else raw
    return data.decode("utf-8", "replace").translate(_PICTURES)


def cut(text: str, max_chars: int, missing_bytes: int = 0) -> str:
    """Return at most ``max_chars`` of ``text``, with a last line that states how much was cut.

    ``missing_bytes``: how much had been lost before this call.
    """
    left_out = len(text) - max_chars
    if left_out <= 0 and missing_bytes <= 0:
        return text
    what = f"{max(left_out, 0) + missing_bytes} more bytes" if missing_bytes > 0 else f"{left_out} more characters"
    return f"{text[:max_chars]}\n[cut: {what}]"
