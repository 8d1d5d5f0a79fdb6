"""Waiting for others to let go of a store, and saying so: a silent wait looks like a hang."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import tenacity

PATIENCE: Final = 2.0
"""Seconds of waiting before it is logged, once."""
_LOGGER = logging.getLogger("metaxy_core")


def telling(uri: str) -> Callable[[tenacity.RetryCallState], None]:
    """For `before_sleep`: log, once and as a warning, that a wait takes long.

    Where no logging is set up Python prints warnings on standard error: the command line, too.
    """
    told = False

    def tell(state: tenacity.RetryCallState) -> None:
        nonlocal told
        if not told and (state.seconds_since_start or 0) >= PATIENCE:
            told = True
            _LOGGER.warning("metaxy: waiting for %s, which somebody else has open ...", uri)

    return tell
