"""The filter language: what it says, what it refuses, NULL included."""

from __future__ import annotations

import narwhals as nw
import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore
from metaxy_core.errors import FilterError
from metaxy_core.frames.filters import apply, expression

ROWS = pl.DataFrame(
    {"n": [1, 2, 3, None], "t": ["a", "b'c", None, "%"], "yes": [True, False, None, True]}
)


@pytest.fixture(params=["polars", "duckdb"])
def frame(request):
    """The rows, in each engine."""
    lazy = nw.from_native(ROWS.lazy())
    if request.param == "polars":
        yield lazy
    else:
        with DuckDBMetadataStore() as store:
            yield store.backend.load(lazy)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("n > 1", [2, 3]),
        ("n >= 1 AND n <> 2", [1, 3]),
        ("n = 1 OR t = 'b''c'", [1, 2]),
        ("NOT (n = 1)", [2, 3]),
        ("n IS NULL", [None]),
        ("t IS NOT NULL AND n IS NOT NULL", [1, 2]),
        ("n IN (1, 3)", [1, 3]),
        ("NOT n IN (1, 3)", [2]),
        ("n BETWEEN 2 AND 3", [2, 3]),
        ("t LIKE 'b%'", [2]),
        ("t LIKE '%c'", [2]),
        ("yes", [None, 1]),
        ("NOT yes", [2]),
        ("true", [None, 1, 2, 3]),
        ('n > -1.5 AND "n" < 2', [1]),
    ],
)
def test_what_a_filter_keeps(frame, text, kept):
    found = apply(frame, [text]).collect("polars")["n"].to_list()
    assert sorted(found, key=lambda n: (n is not None, n)) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n >",
        "n = 1; DROP TABLE a",
        "n = (SELECT 1)",
        "pg_sleep(1) = 1",
        "n = 1 --",
        "n = 1 /* AND n > 5 */",
        "a.n = 1",
        "CASE WHEN n = 1 THEN true END",
        "t LIKE 'a_b'",
        "(" * 2000 + "n = 1" + ")" * 2000,
    ],
)
def test_what_is_not_in_the_language_is_refused(text):
    with pytest.raises(FilterError):
        expression(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a b c", "Invalid expression / Unexpected token at column 5."),
        ("a = (", "something is missing at column 5."),
        ("a = 'x", "Missing ' from 1:4"),
    ],
)
def test_a_filter_that_cannot_be_read_is_told_on_one_line_without_colours(text, told):
    with pytest.raises(FilterError) as error:
        expression(text)
    assert str(error.value).endswith(told)
    assert "\x1b" not in str(error.value)
    assert "\n" not in str(error.value)
