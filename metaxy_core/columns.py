"""Names and types of the columns the library owns: the contract of what is on disk.

By-field values are flat text columns, one per field; users see them as two struct columns.
Every name begins with `metaxy_`, which user columns may not.
"""

from __future__ import annotations

from typing import Final, Literal

from metaxy_core.keys import FieldKey

PREFIX: Final = "metaxy_"

PROVENANCE: Final = "metaxy_provenance"
PROVENANCE_BY_FIELD: Final = "metaxy_provenance_by_field"
DATA_VERSION: Final = "metaxy_data_version"
DATA_VERSION_BY_FIELD: Final = "metaxy_data_version_by_field"
FEATURE_VERSION: Final = "metaxy_feature_version"
SNAPSHOT_VERSION: Final = "metaxy_snapshot_version"
CREATED_AT: Final = "metaxy_created_at"
UPDATED_AT: Final = "metaxy_updated_at"
DELETED_AT: Final = "metaxy_deleted_at"
MATERIALIZATION_ID: Final = "metaxy_materialization_id"
COMMIT: Final = "metaxy_commit"
"""The order of commits, assigned by the store: the one thing that decides "latest"."""
WRITE_ID: Final = "metaxy_write_id"
"""`<writer>:<call>`: makes a retried write a no-op and tells one writer's rows from another's."""
OPEN: Final = "metaxy_open"
"""True for rows of a 1:N set that no plain write has closed yet; they count for nothing."""

MADE_FROM: Final = "metaxy_made_from"
"""What a unit that failed was to be made from: its fields' expected provenance, joined."""

STALE_FIELDS: Final = "metaxy_stale_fields"
STATUS: Final = "metaxy_status"

Kind = Literal["text", "time", "number", "flag"]

STORED: Final[dict[str, Kind]] = {
    PROVENANCE: "text",
    DATA_VERSION: "text",
    FEATURE_VERSION: "text",
    SNAPSHOT_VERSION: "text",
    CREATED_AT: "time",
    UPDATED_AT: "time",
    DELETED_AT: "time",
    MATERIALIZATION_ID: "text",
    COMMIT: "number",
    WRITE_ID: "text",
    OPEN: "flag",
}
"""System columns of every feature table, beside the flat by-field columns; UTC, microseconds."""


def provenance_of(field: FieldKey) -> str:
    """The stored column of a field's provenance."""
    return f"{PROVENANCE}__{field.to_column()}"


def data_version_of(field: FieldKey) -> str:
    """The stored column of a field's data version."""
    return f"{DATA_VERSION}__{field.to_column()}"


def is_by_field(column: str) -> bool:
    """Whether the column is a stored by-field value, of a field still declared or not."""
    return column.startswith((f"{PROVENANCE}__", f"{DATA_VERSION}__"))


def is_system(column: str) -> bool:
    """Whether the column belongs to the library."""
    return column.lower().startswith(PREFIX)
