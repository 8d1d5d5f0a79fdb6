"""What commands print: a text, a table or JSON, on the terminal or into a file."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from metaxy_core.errors import ConfigError
from metaxy_core.render.text import one_line, visible

Format = Literal["plain", "json"]


def show(text: str, output: Path | None = None) -> None:
    """Print a text, or write it to a file and say so on standard error.

    Its control characters are printed as they are: user-made text is made clean before.

    Raises:
        ConfigError: the file cannot be written.
    """
    if output is None:
        encoding = sys.stdout.encoding or "utf-8"
        # A terminal that lacks a character shows a question mark rather than fail.
        print(text.encode(encoding, "replace").decode(encoding))
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"Cannot write {output}: {error.strerror}.") from error
    tell(f"Wrote {output}")


def tell(message: str) -> None:
    """Say something on standard error; control characters in it are made visible."""
    print(visible(message), file=sys.stderr)


def show_rows(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], format: Format, empty: str
) -> None:
    """Print records: as a table of these columns, or as a JSON list with all their names.

    A missing value is a dash in the table, numbers stand to the right, `empty` is what the table
    says where there is no record.
    """
    if format == "json":
        show(json.dumps(list(rows), indent=2))
        return
    show(_aligned(columns, rows) if rows else empty)


def is_colourful() -> bool:
    """Whether standard output is a terminal that wants colours (see no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def width() -> int:
    """The columns to draw in: the terminal's, or 100 where the output goes elsewhere."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def _aligned(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    heads = [column.replace("_", " ") for column in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    numeric = [
        all(isinstance(row[column], int | None) for row in rows)
        and any(row[column] is not None for row in rows)
        for column in columns
    ]
    lines = []
    for line in [heads, *cells]:
        padded = [
            cell.rjust(wide) if right else cell.ljust(wide)
            for cell, wide, right in zip(line, widths, numeric, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return "-" if value is None or value == "" else one_line(str(value))
