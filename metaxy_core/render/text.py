"""User-made text on its way into a picture: one clean line, cut to fit, and how wide it is."""

from __future__ import annotations

import unicodedata

_REPLACED = "\N{REPLACEMENT CHARACTER}"
_NARROW = frozenset("iljtfrI.,:;'|!/()[]-` ")
_WIDE = frozenset("mwMW@%&")


def one_line(text: str) -> str:
    """The text on one line, its control and direction characters made visible.

    >>> one_line("a\\n  b\\x1b[31m")
    'a b�[31m'
    """
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    """The text with its control and direction characters made visible; lines stay lines.

    >>> visible("a\\n  b\\x1b[31m")
    'a\\n  b�[31m'
    """
    return "".join(
        # Cc, Cf, Cs, Co, Cn: escapes, overrides of direction, halves of pairs, private, unassigned.
        _REPLACED if unicodedata.category(char).startswith("C") and char != "\n" else char
        for char in text
    )


def versions(before: str | None, after: str | None) -> str:
    """Old and new version in one text; one of them where they are equal or one is missing."""
    if before and after and before != after:
        return f"{before} → {after}"
    return after or before or ""


def elide(text: str, limit: int) -> str:
    """Cut the middle out of a text that has more than `limit` characters; the end says more.

    >>> elide("a/long/name/of/a/feature", 14)
    'a/lo…a/feature'
    """
    if len(text) <= limit:
        return text
    head = (limit - 1) // 3
    return f"{text[:head]}…{text[head + 1 - limit :]}"


def width(text: str, size: float, *, bold: bool = False, mono: bool = False) -> float:
    """How many pixels a text takes at most in the fonts the pictures name.

    Nothing is known about the reader's fonts: these are the advances of DejaVu Sans, the widest
    of the usual ones.
    """
    return size * sum(_advance(char, bold, mono) for char in text)


def _advance(char: str, bold: bool, mono: bool) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return 1.1
    if mono:
        return 0.62
    if char in _NARROW:
        advance = 0.40
    elif char in _WIDE:
        advance = 0.98
    else:
        advance = 0.72 if char.isupper() or not char.isascii() else 0.64
    return advance * 1.1 if bold else advance
