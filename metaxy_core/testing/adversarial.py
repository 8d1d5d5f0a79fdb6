"""Values that have fooled stores, engines and drivers: for ids, field versions, code versions."""

from __future__ import annotations

from itertools import product

_PIECES = (
    "", " ", "x", "X", "0", "-1", "1e3", "NULL", "null", "None", "nan", "true", "\\N", "\\", "\\\\",
    "'", "''", '"', '""', "`", "%", "_", "--", "/*", ";", "?", ":a", "$1", "{}", "{0}", "%s", "|",
    ",", "\t", "\n", "\r\n", "\x1f", "\x1e", "\x7f", "\x01", "é", "e\u0301", "ß", "İ", "ı", "ﬁ",
    "שלום", "\u202ex", "\u200b", "\ufeff", "日本", "𝔘", "👩‍👩‍👧", "🇪🇺", "\U0010fffd",
    "\ud7ff", "\ue000", "\uffff", "../a", "a/b", "<b>", "&amp;", "\x1b[31m",
)  # fmt: skip

EDGE_INTEGERS = (-(2**63), -(2**63) + 1, -(2**53) - 1, -1, 0, 1, 2**31, 2**53 + 1, 2**63 - 1)
"""64-bit integers at the edges of what engines and JSON hold exactly."""

LONG_TEXT = "é|\x1f'" * 209_716
"""A text of 1 MiB (in UTF-8)."""


def adversarial_texts() -> list[str]:
    """More than 400 texts, no two equal: each piece alone, padded, doubled and beside others.

    >>> texts = adversarial_texts()
    >>> len(texts) >= 400, len(texts) == len(set(texts))
    (True, True)
    """
    shapes = list(_PIECES)
    shapes += [f" {piece} " for piece in _PIECES]
    shapes += [piece * 2 for piece in _PIECES]
    shapes += [f"{piece}{other}" for piece, other in product(_PIECES, ("x", "|", "\x1f", "'"))]
    shapes += [f"{other}{piece}" for piece, other in product(_PIECES, ("\\", "é"))]
    return list(dict.fromkeys(shapes))
