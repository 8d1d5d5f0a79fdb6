"""What of a path or an address may be shown: what is known to be harmless, rebuilt from its parts.

Nothing is looked for that might be a secret; everything is one that is not known not to be.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "**********"
_AUTHORITY = re.compile(r"[\w.\-,\[\]]*(:\d+)?\Z")


def harmless(text: str) -> str:
    """A path as it is; of an address scheme, host and path; of anything else nothing.

    >>> harmless("data/meta.duckdb"), harmless("s3://key:secret@bucket/prefix?token=x")
    ('data/meta.duckdb', 's3://bucket/prefix')
    >>> harmless("postgres:host=h password=p"), harmless("md:db?motherduck_token=t")
    ('**********', 'md:db')
    """
    scheme, found, rest = text.partition("://")
    if not found:
        shown = text.partition("?")[0]
        return HIDDEN if re.search("[=@;]", shown) else shown
    if rest.count("@") > 1 or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.\-]*", scheme):
        return HIDDEN
    before, at, after = rest.partition("@")
    if at and re.search("[?#]", before):
        return HIDDEN
    shown = re.split("[?#]", after if at else rest, maxsplit=1)[0]
    authority = shown.partition("/")[0]
    return f"{scheme}://{shown}" if _AUTHORITY.match(authority) else HIDDEN
