"""What resolve_update() is asked and answers beyond the known mistakes."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest

from metaxy_core.errors import (
    FeatureNotFoundError,
    FilterError,
    MetadataSchemaError,
    VersioningEngineMismatchError,
)
from tests.builders import NOTHING, aggregation, edge, feature, graph, rows, said, settle


def test_a_root_without_samples_says_what_it_needs(make_store):
    with make_store(graph(feature("a"))) as store:
        with pytest.raises(ValueError, match=r"'a' is a root.*samples=.*\(id\)"):
            store.resolve_update("a")


def test_a_parent_in_no_store_names_the_stores_tried(make_store):
    features = graph(feature("a"), feature("b", "a"))
    with make_store(features, fallback_stores=[make_store(features, name="prod")]) as store:
        with pytest.raises(FeatureNotFoundError, match="prod"):
            store.resolve_update("b")


@pytest.mark.parametrize(
    "how",
    [
        {"filters": "size > 3"},
        {"select": ["size"]},
        {"rename": {"size": "s"}},
        {"lineage": aggregation(["id"]), "select": ["size"]},
    ],
)
def test_an_optional_parent_that_no_store_has_is_empty(make_store, how):
    features = graph(feature("a"), feature("b"), feature("c", "a", edge("b", optional=True, **how)))
    with make_store(features) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        assert said(settle(store, "c"))["new"] == ["x"]
        settle(store, "b", samples=rows({"id": ["x"], "size": [9]}))
        assert said(settle(store, "c"))["stale"] == ["x"]
        assert said(store.resolve_update("c")) == NOTHING


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"filters": "nope > 3"}, "filter 'nope > 3' names columns"),
        ({"select": ["nope"]}, "selects nope"),
        ({"rename": {"nope": "x"}}, "renames nope"),
    ],
)
def test_an_edge_that_names_unknown_columns_is_a_clear_error(make_store, how, message):
    with make_store(graph(feature("a"), feature("b", edge("a", **how)))) as store:
        settle(store, "a", samples=rows({"id": ["x"], "size": [1]}))
        with pytest.raises(MetadataSchemaError, match=f"{message}.*columns: id, size"):
            store.resolve_update("b")


def test_a_filter_over_unknown_columns_names_the_known_ones(make_store):
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        settle(store, "a", samples=rows({"id": ["x"], "size": [1]}))
        with pytest.raises(FilterError, match="Its columns: .*size"):
            store.resolve_update("b", filters={"a": "nope = 1"})
        with pytest.raises(FilterError, match="no parent has the columns"):
            store.resolve_update("b", global_filters=["nope = 1"])
        with pytest.raises(FilterError, match="neither the feature nor a parent"):
            store.resolve_update("b", filters={"c": "id = 'x'"})


def test_unknown_arguments_are_errors(make_store):
    with make_store(graph(feature("a"))) as store, pytest.raises(TypeError, match="sample"):
        store.resolve_update("a", sample=1)


def test_static_filters_select_and_rename_apply_in_that_order(make_store):
    how = {"rename": {"size": "bytes"}, "filters": "bytes > 3", "select": ["bytes"]}
    with make_store(graph(feature("a"), feature("b", edge("a", **how)))) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"], "size": [1, 9], "path": ["p", "q"]}))
        found = store.resolve_update("b").new.drop(
            "metaxy_stale_fields", "metaxy_provenance_by_field"
        )
        assert found.rows(named=True) == [{"id": "y", "bytes": 9}]


def test_staleness_predicates_offer_stored_samples_again_without_naming_fields(make_store):
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        todo = store.resolve_update("b").todo().to_native()
        store.write(
            "b", todo.with_columns(score=pl.Series([0.1 if i == "x" else 0.9 for i in todo["id"]]))
        )
        stale = store.resolve_update("b", staleness_predicates=["score < 0.5"]).stale
        assert stale["id"].to_list() == ["x"]
        assert stale["metaxy_stale_fields"].to_list() in ([None], [[]])


def test_skip_comparison_offers_everything_expected_as_new(make_store):
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        settle(store, "b")
        assert said(store.resolve_update("b", skip_comparison=True))["new"] == ["x"]


def test_lazy_increments_count_without_fetching_and_collect_to_the_same(make_store):
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        lazy = store.resolve_update("b", lazy=True)
        assert lazy.counts == {"new": 2, "stale": 0, "orphaned": 0, "waiting": 0}
        assert said(lazy.collect()) == said(store.resolve_update("b"))


def test_every_versioning_engine_gives_the_same(make_store):
    features = graph(feature("a", fields=["f", "g"]), feature("b", "a", fields=["f", "g"]))
    with make_store(features) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}, fields=("f", "g")))
        found = [
            sorted(store.resolve_update("b", versioning_engine=engine).new.select(
                "id", "metaxy_provenance_by_field").rows(), key=str)
            for engine in ("auto", "native", "polars")
        ]  # fmt: skip
        assert found[0] == found[1] == found[2]


def test_the_native_engine_refuses_samples_from_elsewhere():
    from metaxy_core import DuckDBMetadataStore

    with DuckDBMetadataStore(graph=graph(feature("a"))) as store:
        with pytest.raises(VersioningEngineMismatchError, match="polars"):
            store.resolve_update("a", samples=rows({"id": ["x"]}), versioning_engine="native")


def test_integer_and_boolean_ids_are_grouped_and_joined_alike(make_store):
    features = graph(
        feature("a", ids=["n", "flag"]),
        feature("b", edge("a", lineage=aggregation(["flag"])), ids="flag"),
    )
    with make_store(features) as store:
        settle(store, "a", samples=rows({"n": [1, 2, -3], "flag": [True, True, False]}))
        assert said(settle(store, "b"), "flag")["new"] == [False, True]
        assert said(store.resolve_update("b"), "flag") == NOTHING


def test_filters_on_samples_work_before_anything_is_stored(make_store):
    with make_store(graph(feature("a"))) as store:
        samples = rows({"id": ["x", "y"], "day": ["mon", "tue"]})
        first = store.resolve_update("a", samples=samples, global_filters=["day = 'mon'"])
        assert said(first) == NOTHING | {"new": ["x"]}
        store.write("a", rows({"id": ["z"]}))
        again = store.resolve_update("a", samples=samples, global_filters=["day = 'mon'"])
        assert said(again) == NOTHING | {"new": ["x"]}


def test_a_predicate_on_unknown_columns_of_the_feature_itself_is_refused(make_store):
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        settle(store, "b")
        for asked in ({"staleness_predicates": ["nope = 1"]}, {"filters": {"b": "nope = 1"}}):
            with pytest.raises(FilterError, match="'b' has not all columns.*columns: id"):
                store.resolve_update("b", **asked)


def test_features_may_be_called_as_subqueries_are(make_store):
    names = [f"t{number}" for number in range(14)]
    features = graph(feature("t0"), *(feature(b, a) for a, b in pairwise(names)))
    with make_store(features) as store:
        for text in "12":
            settle(store, "t0", samples=rows({"id": ["x", "y"]}, [text, "1"]))
            for name in names[1:]:
                settle(store, name)
        store.delete("t0", "id = 'y'")
        for name in names[1:]:
            assert said(store.resolve_update(name))["stale"] == []
        assert said(store.resolve_update("t1")) == NOTHING | {"orphaned": ["y"]}
        assert len(store.read("t13").collect("polars")) == 2


@pytest.mark.parametrize("dtype", [pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Int8, pl.Int32])
def test_ids_may_be_integers_of_any_width(make_store, dtype):
    samples = rows({"id": pl.Series([1, 2], dtype=dtype)})
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        assert said(store.resolve_update("a", samples=samples))["new"] == [1, 2]
        store.write("a", rows({"id": [1, 2]}))
        assert said(store.resolve_update("a", samples=samples)) == NOTHING
        assert said(settle(store, "b")) == NOTHING | {"new": [1, 2]}


def test_samples_with_a_column_of_nothing_are_filtered(make_store):
    samples = rows({"id": ["x", "y"], "note": [None, None]})
    with make_store(graph(feature("a"))) as store:
        found = store.resolve_update("a", samples=samples, filters={"a": "note IS NULL"})
        assert said(found)["new"] == ["x", "y"]


def test_what_is_to_do_comes_in_batches_of_a_size_while_the_store_is_written_to(
    make_store, monkeypatch
):
    monkeypatch.setattr("metaxy_core.store.increment._PAGE", 3)
    features = graph(feature("a"), feature("b", "a"))
    with make_store(features).open("w") as store:
        store.write("a", rows({"id": range(10)}))
        whole = store.resolve_update("b")
        lazy, sizes, ids = store.resolve_update("b", lazy=True), [], []
        for batch in lazy.iter_batches(4):
            assert batch.schema == whole.new.schema
            sizes.append(len(batch))
            ids += batch["id"].to_list()
            store.write("b", batch)
        assert sizes == [4, 4, 2]
        assert sorted(ids) == list(range(10))
        done = store.resolve_update("b", lazy=True)
        assert done.is_empty
        assert list(done.iter_batches(4)) == []


def test_a_unit_whose_parent_went_before_it_was_fetched_is_not_made_from_nothing(make_store):
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"], "path": ["1", "1"]}))
        lazy = store.resolve_update("b", lazy=True)
        assert lazy.counts["new"] == 2
        store.delete("a", "id = 'x'", soft=False)
        # A store in memory still has the row: the increment holds the table as it was.
        assert set(lazy.new.collect("polars")["path"]) == {"1"}
