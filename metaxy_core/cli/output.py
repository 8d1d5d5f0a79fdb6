"""What commands print: a text, a table or JSON, on the terminal or into a file.

Standard output has the result alone; what is said besides, progress too, is on standard error.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from metaxy_core.errors import ConfigError
from metaxy_core.render.text import one_line, visible

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Format = Annotated[
    Literal["plain", "json"], Parameter(help="For people, or JSON for programs (docs/schemas).")
]
Command = TypeVar("Command", bound=Callable[..., int])
T = TypeVar("T")

JSON_TYPES: dict[Callable[..., int], Callable[[], Any]] = {}
"""Per command, what gives the type of what it prints with `--format json`."""


def gives(kind: Callable[[], Any]) -> Callable[[Command], Command]:
    """Say what a command's JSON is: a function that gives a type, for its schema in the docs.

    >>> @gives(lambda: list[int])
    ... def numbers() -> int:
    ...     return 0
    >>> JSON_TYPES.pop(numbers)()
    list[int]
    """

    def said(command: Command) -> Command:
        JSON_TYPES[command] = kind
        return command

    return said


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


def show_json(value: Any) -> None:
    """Print a value, made of plain ones, as JSON."""
    show(json.dumps(value, indent=2))


def show_rows(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], format: Format, empty: str
) -> None:
    """Print records: as a table of these columns, or as a JSON list with all their names.

    A missing value is a dash in the table, numbers stand to the right, `empty` is what the table
    says where there is no record.
    """
    if format == "json":
        show_json(list(rows))
        return
    show(_aligned(columns, rows) if rows else empty)


def show_records(
    columns: Sequence[str], records: Sequence[DataclassInstance], format: Format, empty: str
) -> None:
    """Print dataclasses, see `show_rows`."""
    show_rows(columns, [asdict(record) for record in records], format, empty)


def progress(
    items: Sequence[T], label: str, name: Callable[[T], str] = str
) -> Generator[T, None, None]:
    """The items, with a bar on standard error while they are worked on, on a terminal only."""
    if len(items) < 2 or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*parts, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task(label, total=len(items))
        for item in items:
            bar.update(task, description=f"{label} {escape(one_line(name(item)))}")
            yield item
            bar.advance(task)


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
        all(type(row[column]) in (int, type(None)) for row in rows)
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
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        value = [f"{name}={one}" for name, one in value.items()]
    if isinstance(value, Iterable) and not isinstance(value, str):
        value = ", ".join(map(str, value))
    return "-" if value is None or value == "" else one_line(str(value))
