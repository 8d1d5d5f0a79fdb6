"""A database's frame over Polars: what is read, and that it says what Polars would say."""

from __future__ import annotations

import ibis
import narwhals as nw
import polars as pl
import pytest

from metaxy_core.frames.deferred import deferred
from metaxy_core.frames.dialect import lazy

ROWS = pl.DataFrame(
    {"id": [1, 2, 3, 4], "text": ["x", None, "", "w"], "flag": [True, None, False, True]}
)
QUERIES = {
    "everything": lambda rows: rows,
    "some columns in another order": lambda rows: rows.select("flag", "id"),
    "filtered": lambda rows: rows.filter(nw.col("id") > 1),
    "filtered by a column that is not asked for": lambda rows: rows.filter(nw.col("id") > 2).select(
        "text"
    ),
    "the first rows": lambda rows: rows.sort("id").head(2),
    "the first rows, then filtered": lambda rows: rows.head(2).filter(nw.col("id") > 1),
    "filtered, then the first rows": lambda rows: rows.filter(nw.col("id") > 1).head(2),
    "counted": lambda rows: rows.select(nw.len()),
    "nested": lambda rows: rows.select(nw.struct("id", "text").alias("both")),
    "joined with itself": lambda rows: rows.join(rows.filter(nw.col("id") > 2), on="id"),
    "nothing": lambda rows: rows.filter(nw.col("id") > 9),
}


class Counted:
    """A table in DuckDB, and the columns of every query that reads it."""

    def __init__(self, monkeypatch):
        self.read = []
        connection = ibis.duckdb.connect()
        self.frame = lazy(connection.create_table("rows", ROWS.to_arrow()))
        original = type(connection).to_pyarrow

        def counting(backend, expression, /, **how):
            self.read.append(list(expression.schema().names))
            return original(backend, expression, **how)

        monkeypatch.setattr(type(connection), "to_pyarrow", counting)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("query", QUERIES)
def test_it_says_what_polars_says(query, engine, monkeypatch):
    ask = QUERIES[query]
    found = ask(deferred(Counted(monkeypatch).frame)).to_native().collect(engine=engine)
    expected = ask(nw.from_native(ROWS.lazy())).to_native().collect()
    assert found.schema == expected.schema
    assert sorted(map(str, found.rows())) == sorted(map(str, expected.rows()))


def test_nothing_is_read_before_it_is_collected_and_then_what_is_asked_for(monkeypatch):
    counted = Counted(monkeypatch)
    frame = deferred(counted.frame)
    chosen = frame.filter(nw.col("id") > 1).select("text")
    assert frame.collect_schema() == nw.from_native(ROWS).schema
    assert counted.read == []
    chosen.collect()
    assert counted.read == [["id", "text"]]


def test_an_error_of_the_database_comes_through(monkeypatch):
    counted = Counted(monkeypatch)
    frame = deferred(counted.frame)
    counted.frame.to_native().get_backend().drop_table("rows")
    with pytest.raises(Exception, match="rows does not exist"):
        frame.collect()
