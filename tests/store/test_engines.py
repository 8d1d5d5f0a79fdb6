"""Which engine computes an increment, and what happens where the database cannot."""

from __future__ import annotations

import narwhals as nw
import polars as pl
import pytest

from metaxy_core import DuckDBMetadataStore, InMemoryMetadataStore, SQLiteMetadataStore
from metaxy_core.errors import (
    HashSchemeMismatchError,
    PolarsMaterializationWarning,
    StoreNotOpenError,
    VersioningEngineMismatchError,
)
from metaxy_core.frames.polars import PolarsDialect
from tests.builders import edge, feature, graph, rows, said, settle

FEATURES = graph(feature("a"), feature("b", "a"), feature("c", edge("a", filters=("n > 0",))))


def test_a_store_says_what_its_own_frames_are():
    assert InMemoryMetadataStore().native_implementation() is nw.Implementation.POLARS
    assert DuckDBMetadataStore().native_implementation() is nw.Implementation.IBIS


def test_the_engine_of_a_store_can_be_had(make_store):
    with make_store(FEATURES) as store:
        frame = nw.from_native(pl.LazyFrame({"text": ["a"]}))
        for name in ("auto", "native", "polars"):
            engine = store.create_versioning_engine(name)
            digested = engine.dialect.digest(engine.bring(frame), ["text"], store.scheme.algorithm)
            assert digested.collect("polars")["text"].to_list() == [store.scheme.digest("a")]
        assert isinstance(store.create_versioning_engine("polars").dialect, PolarsDialect)
        with pytest.raises(ValueError, match="versioning_engine is one of"):
            store.create_versioning_engine("duck")
    with pytest.raises(StoreNotOpenError):
        store.create_versioning_engine()


def test_the_hash_algorithm_can_be_validated(make_store, tmp_path):
    other = DuckDBMetadataStore(tmp_path / "o.db", graph=FEATURES, hash_algorithm="sha256")
    with make_store(FEATURES) as store:
        store.validate_hash_algorithm()
        store.fallback_stores = (other,)
        store.validate_hash_algorithm(check_fallback_stores=False)
        with pytest.raises(HashSchemeMismatchError, match=r"uses the scheme sha256/1"):
            store.validate_hash_algorithm()


@pytest.fixture
def beside_lists():
    """A store that keeps no lists, and one to fall back to whose rows have some."""
    other = InMemoryMetadataStore(graph=FEATURES)
    with other:
        lists = rows({"id": ["x", "y"], "tags": [["t"], None], "n": [1, 0]})
        settle(other, "a", samples=lists)
    return SQLiteMetadataStore(graph=FEATURES, fallback_stores=[other])


@pytest.mark.parametrize(("key", "new"), [("b", ["x", "y"]), ("c", ["x"])])
def test_what_the_database_cannot_take_is_compared_in_memory(beside_lists, key, new):
    with beside_lists as store:
        with pytest.warns(PolarsMaterializationWarning, match=f"'{key}'.*'tags' has the type List"):
            increment = store.resolve_update(key)
        assert said(increment) == {"new": new, "stale": [], "orphaned": []}
        assert ["t"] in increment.todo()["tags"].to_list()
        assert said(store.resolve_update(key, versioning_engine="polars")) == said(increment)


def test_what_the_database_cannot_take_is_planned_in_memory(beside_lists):
    with beside_lists as store:
        with pytest.warns(PolarsMaterializationWarning, match="The plan is made in memory"):
            plan = store.plan(["b", "c"])
        assert [plan.of(key).then.new for key in ("b", "c")] == [2, 1]
        store.versioning_engine = "native"
        with pytest.raises(VersioningEngineMismatchError, match="'tags' has the type List"):
            store.plan(["b"])


def test_the_native_engine_says_what_it_cannot_take(beside_lists):
    with beside_lists as store:
        with pytest.raises(VersioningEngineMismatchError, match=r"'b'.*'tags' has the type List"):
            store.resolve_update("b", versioning_engine="native")


def test_samples_with_columns_that_the_database_has_no_type_for_can_be_filtered():
    with SQLiteMetadataStore(graph=FEATURES) as store:
        given = rows({"id": ["x", "y"], "tags": [["t"], None], "n": [1, 0]})
        with pytest.warns(PolarsMaterializationWarning):
            increment = store.resolve_update("a", samples=given, filters={"a": "n > 0"})
        assert said(increment) == {"new": ["x"], "stale": [], "orphaned": []}
