"""What could only go wrong later is refused before anything is stored."""

from __future__ import annotations

import narwhals as nw
import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore
from metaxy_core.errors import CrossProjectWriteError, MetadataSchemaError, StoreNotOpenError
from tests.builders import NOTHING, edge, expansion, feature, graph, rows, said, settle


def test_ids_of_another_type_than_the_parents_are_refused(make_store):
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        settle(store, "a", samples=rows({"id": [1, 2]}))
        todo = store.resolve_update("b").todo().to_native()
        with pytest.raises(MetadataSchemaError, match="'id' is String.*Int64 in its parents"):
            store.write("b", todo.with_columns(pl.col("id").cast(pl.String)))
        assert not store.has_feature("b")
        store.write("b", todo.with_columns(pl.col("id").cast(pl.Int32)))
        assert said(store.resolve_update("b")) == NOTHING


def test_renamed_ids_are_compared_under_their_new_name(make_store):
    children = feature("b", edge("a", rename={"id": "a_id"}, lineage=expansion("a_id")),
                       ids=["a_id", "n"])  # fmt: skip
    with make_store(graph(feature("a"), children)) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        todo = store.resolve_update("b").todo().to_native().with_columns(n=1)
        with pytest.raises(MetadataSchemaError, match="'a_id' is Int32.*String in its parents"):
            store.write("b", todo.with_columns(a_id=7))
        assert store.write("b", todo) == 1


def test_samples_of_another_id_type_than_stored_are_refused(make_store):
    with make_store(graph(feature("a"))) as store:
        settle(store, "a", samples=rows({"id": [1]}))
        with pytest.raises(MetadataSchemaError, match="'id' is String.*Int64 in its own stored"):
            store.resolve_update("a", samples=rows({"id": ["1"]}))


def test_a_table_that_somebody_else_made_is_refused(make_store):
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        theirs = nw.from_native(pl.LazyFrame({"id": ["x"]}))
        store.backend.commit(lambda _: store.backend.append("a", theirs))
        for use in (
            lambda: store.write("a", rows({"id": ["y"]})),
            lambda: store.read("a"),
            lambda: store.resolve_update("b"),
            lambda: store.delete("a", "id = 'x'"),
        ):
            with pytest.raises(MetadataSchemaError, match="not made by this library.*columns: id"):
                use()
        assert store.backend.scan("a").collect("polars")["id"].to_list() == ["x"]


def test_a_column_whose_type_somebody_changed_is_refused():
    with DuckDBMetadataStore(graph=graph(feature("a"), feature("b", "a"))) as store:
        settle(store, "a", samples=rows({"id": ["x"], "size": [1]}))
        store.backend.run("ALTER TABLE a ALTER size TYPE VARCHAR")
        with pytest.raises(MetadataSchemaError, match="'size' is stored as String.*Int64"):
            store.write("a", rows({"id": ["y"], "size": [2]}))
        store.backend.run("ALTER TABLE a ALTER metaxy_open TYPE VARCHAR")
        for use in (
            lambda: store.write("a", rows({"id": ["y"]})),
            lambda: store.resolve_update("b"),
        ):
            with pytest.raises(MetadataSchemaError, match="'metaxy_open'.*String.*Change it back"):
                use()


def test_modes_and_engines_are_of_closed_sets(make_store):
    store = make_store(graph(feature("a")))
    with pytest.raises(ValueError, match="'r' or 'w'; given: 'rw'"):
        with store.open("rw"):
            pass
    with pytest.raises(ValueError, match="auto, native, polars; given: 'duck'"):
        make_store(graph(feature("a")), versioning_engine="duck")
    with pytest.raises(StoreNotOpenError, match=r"open\('w'\)"):
        store.write("a", rows({"id": ["x"]}))
    with pytest.raises(StoreNotOpenError, match=r"open\('r'\)"):
        store.read("a")


def test_features_of_another_project_are_protected(make_store):
    features = graph(feature("a", project="theirs"), feature("b"))
    with make_store(features, project="ours") as store:
        with pytest.raises(CrossProjectWriteError, match="belongs to the project 'theirs'.*'ours'"):
            store.write("a", rows({"id": ["x"]}))
        with store.allow_cross_project_writes():
            store.write("a", rows({"id": ["x"]}))
        for use in (
            lambda: store.write_multi({"b": rows({"id": ["x"]}), "a": rows({"id": ["y"]})}),
            lambda: store.delete("a", "id = 'x'"),
            lambda: store.undelete("a"),
            lambda: store.drop("a"),
        ):
            with pytest.raises(CrossProjectWriteError):
                use()
        assert not store.has_feature("b")
        assert store.read("a").collect()["id"].to_list() == ["x"]
