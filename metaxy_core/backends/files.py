"""Stores in a file: the first write makes it, and the folder that it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from metaxy_core.addresses import harmless
from metaxy_core.errors import StoreUnavailableError

MAKE_IT: Final = "The first write makes it: a run, or `metaxy push`."
"""What to do about a store that is not there."""


def make_folder(path: str | Path) -> None:
    """Make the folder of a file that is about to be made, unless its path looks like an address.

    Raises:
        StoreUnavailableError: it cannot be made; names it.
    """
    if harmless(str(path)) != str(path):  # a mistake, and maybe a secret: make no folder of it
        return
    folder = Path(path).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(
            str(path),
            "read-only" if isinstance(error, PermissionError) else "missing",
            f"its folder {folder} cannot be made: {error.strerror}.",
        ) from error
