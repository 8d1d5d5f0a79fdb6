"""The frame types of stored columns."""

from __future__ import annotations

from typing import Final

import narwhals as nw

from metaxy_core.columns import STORED, Kind

_TYPES: Final[dict[Kind, nw.dtypes.DType]] = {
    "text": nw.String(),
    "time": nw.Datetime("us", "UTC"),
    "number": nw.Int64(),
    "flag": nw.Boolean(),
}

STORED_TYPES: Final = {name: _TYPES[kind] for name, kind in STORED.items()}
"""The type of each system column of a feature table."""
