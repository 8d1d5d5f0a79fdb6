"""What write() accepts, refuses and stores."""

from __future__ import annotations

import polars as pl
import pytest

from metaxy_core.errors import MetadataSchemaError, StoreNotOpenError
from tests.builders import edge, expansion, feature, graph, rows, settle


@pytest.fixture
def store(make_store):
    """An open store with one root and one derived feature."""
    with make_store(graph(feature("a"), feature("b", "a"))) as store:
        yield store


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pl.DataFrame({"x": [1]}), r"no id column id\. Its id columns are: id\. Columns given: x"),
        (rows({"id": ["x", None]}), r"id column 'id' is NULL in 1 of the 2 rows"),
        (rows({"id": [1.5]}), r"id column 'id' must be text, integer or boolean; given: Float64"),
        (pl.DataFrame({"id": ["x"]}), r"no column 'metaxy_provenance_by_field'.*members f"),
        (rows({"id": ["x"]}, fields=("g",)), r"missing: f; unknown: g"),
        (rows({"id": ["x"]}, [{"f": 1.5}]), r"must be text, integer or boolean; given: Float64"),
        (rows({"id": ["x"], "metaxy_mine": [1]}), r"begin with 'metaxy_' are taken: metaxy_mine"),
        (rows({"id": ["x"], "A": [1], "a": [2]}), r"'A' and 'a' differ only in case"),
        (pl.DataFrame({"id": ["x"], "metaxy_provenance_by_field": ["t"]}), r"must be a struct"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_refused_and_nothing_is_stored(store, given, message):
    with pytest.raises(MetadataSchemaError, match=message):
        store.write("a", given)
    assert not store.has_feature("a")


def test_a_derived_features_provenance_must_come_from_the_increment(store):
    settle(store, "a", samples=rows({"id": ["x"]}))
    with pytest.raises(MetadataSchemaError, match="comes from the increment"):
        store.write("b", rows({"id": ["x"]}, "made up"))
    assert not store.has_feature("b")


def test_a_column_of_another_type_than_stored_is_refused(store):
    store.write("a", rows({"id": ["x"], "size": [1]}))
    with pytest.raises(MetadataSchemaError, match="'size' is stored as Int64.*String"):
        store.write("a", rows({"id": ["y"], "size": ["big"]}))
    store.write("a", rows({"id": ["y"], "size": [None]}))
    assert sorted(store.read("a").collect()["id"].to_list()) == ["x", "y"]


def test_write_multi_stores_all_features_or_none(store):
    good = rows({"id": ["x"]})
    with pytest.raises(MetadataSchemaError):
        store.write_multi({"a": good, "b": good})
    assert not store.has_feature("a")


class InterruptedHereError(Exception):
    pass


def test_a_failing_commit_leaves_no_part_behind(store, monkeypatch):
    settle(store, "a", samples=rows({"id": ["x"]}))
    append, calls = store.backend.append, []

    def fails_second(table, frame, key):
        calls.append(table)
        if len(calls) == 2:
            raise InterruptedHereError
        return append(table, frame, key)

    monkeypatch.setattr(store.backend, "append", fails_second)
    todo = store.resolve_update("b").todo()
    with pytest.raises(InterruptedHereError):
        store.write_multi({"a": rows({"id": ["y"]}), "b": todo})
    assert store.read("a").collect()["id"].to_list() == ["x"]
    assert not store.has_feature("b")


def test_a_retried_write_is_stored_once(store):
    for _ in range(3):
        store.write("a", rows({"id": ["x"]}), write_id="job-7:1")
    assert len(store.read("a", with_sample_history=True).collect()) == 1


def test_rows_carry_the_run_that_wrote_them(make_store):
    with make_store(graph(feature("a")), materialization_id="run-1") as store:
        store.write("a", rows({"id": ["x"]}))
        store.write("a", rows({"id": ["y"]}), materialization_id="run-2")
        found = store.read("a", columns=["id", "metaxy_materialization_id"]).collect("polars")
        assert sorted(found.rows()) == [("x", "run-1"), ("y", "run-2")]


def test_rows_read_back_and_written_again_change_nothing_for_the_children(store):
    settle(store, "a", samples=rows({"id": ["x"]}))
    settle(store, "b")
    again = store.read("a").collect("polars").to_native().with_columns(note=pl.lit("seen"))
    store.write("a", again)
    assert store.resolve_update("b").is_empty
    assert store.read("a").collect()["note"].to_list() == ["seen"]


def test_other_frame_libraries_are_accepted(store):
    frame = rows({"id": ["x", "y"]})
    store.write("a", frame.lazy())
    store.write("a", frame.to_arrow())
    store.write("a", frame.to_pandas())
    assert sorted(store.read("a").collect()["id"].to_list()) == ["x", "y"]


def test_provenance_is_made_from_columns_and_framed(make_store):
    made = feature("a", fields=["f"], provenance_from={"f": ["one", "two"]})
    with make_store(graph(made)) as store:
        settle(store, "a", samples=pl.DataFrame({"id": ["x"], "one": ["x|y"], "two": ["z"]}))
        changed = pl.DataFrame({"id": ["x"], "one": ["x"], "two": ["y|z"]})
        assert len(store.resolve_update("a", samples=changed).stale) == 1


def test_a_store_that_is_not_open_says_so(make_store):
    store = make_store(graph(feature("a")))
    with pytest.raises(StoreNotOpenError, match="is not open"):
        store.read("a")
    with store.open("r"), pytest.raises(StoreNotOpenError, match="open for reading"):
        store.write("a", rows({"id": ["x"]}))


def test_partial_writes_are_for_one_to_many_features(store):
    with pytest.raises(MetadataSchemaError, match="1:N"):
        store.write("a", rows({"id": ["x"]}), partial=True)


def test_children_of_one_parent_carry_one_provenance(make_store):
    chunk = feature("c", edge("a", lineage=expansion()), ids=["id", "n"])
    with make_store(graph(feature("a"), chunk)) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        mixed = rows({"id": ["x", "x"], "n": [1, 2]}, ["0" * 32, "1" * 32])
        with pytest.raises(MetadataSchemaError, match="must carry the same provenance"):
            store.write("c", mixed)


def test_undelete_restores_every_version_and_leaves_live_rows_alone(make_store):
    def features(version):
        return graph(feature("a"), feature("b", "a", fields=[("f", version)]))

    store = make_store(features(1))
    with store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        settle(store, "b")
    bumped = store.using(features(2))
    with bumped:
        settle(bumped, "b")
        bumped.delete("b", "id = 'x'")
        assert bumped.resolve_update("b").new["id"].to_list() == ["x"]
        assert bumped.undelete("b", "true") == 1
        assert bumped.resolve_update("b").is_empty
    with store:
        assert store.resolve_update("b").is_empty


def test_a_hard_delete_removes_every_row_of_the_sample(store):
    settle(store, "a", samples=rows({"id": ["x", "y"]}))
    settle(store, "a", samples=rows({"id": ["x", "y"]}, "2"))
    store.delete("a", "id = 'x'")
    assert store.delete("a", "id = 'x'", soft=False) == 1
    everything = store.read("a", with_sample_history=True, include_soft_deleted=True).collect()
    assert sorted(set(everything["id"].to_list())) == ["y"]


def test_reads_show_history_and_deleted_rows_when_asked(store):
    for version in "123":
        settle(store, "a", samples=rows({"id": ["x"], "v": [version]}, version))
    store.write("a", rows({"id": ["y"], "v": ["1"]}))
    store.delete("a", "id = 'y'")

    def read(**how):
        return sorted(store.read("a", columns=["id", "v"], **how).collect("polars").rows())

    assert read() == [("x", "3")]
    assert read(with_sample_history=True) == [("x", "1"), ("x", "2"), ("x", "3")]
    assert read(include_soft_deleted=True) == [("x", "3"), ("y", "1")]


def test_filters_of_read_apply_after_the_stored_row_was_chosen(store):
    settle(store, "a", samples=rows({"id": ["x"], "v": [1]}, "1"))
    settle(store, "a", samples=rows({"id": ["x"], "v": [2]}, "2"))
    assert len(store.read("a", filters="v = 1").collect()) == 0


def test_write_multi_refuses_one_feature_under_two_names(store):
    from metaxy_core import FeatureKey

    with pytest.raises(ValueError, match="given twice: a"):
        store.write_multi({"a": rows({"id": ["x"]}), FeatureKey("a"): rows({"id": ["x"]})})


def test_a_null_boolean_is_no_provenance(make_store):
    made = feature("a", fields=["f"], provenance_from={"f": ["flag"]})
    with make_store(graph(made)) as store:
        with pytest.raises(MetadataSchemaError, match="NULL in 1 of the 1"):
            store.write(
                "a",
                pl.DataFrame({"id": ["x"], "flag": [None]}, schema_overrides={"flag": pl.Boolean}),
            )


def test_samples_that_came_from_read_are_refused_for_a_root(store):
    settle(store, "a", samples=rows({"id": ["x"]}))
    with pytest.raises(MetadataSchemaError, match="came from read"):
        store.resolve_update("a", samples=store.read("a"))


@pytest.mark.parametrize("dtype", [pl.Duration, pl.Time, pl.Int128])
def test_types_that_not_every_engine_gives_back_are_refused(store, dtype):
    given = rows({"id": ["x"]}).with_columns(pl.lit(None).cast(dtype).alias("odd"))
    with pytest.raises(MetadataSchemaError, match="'odd' has the type"):
        store.write("a", given)
    assert not store.has_feature("a")


def test_values_that_a_stored_type_cannot_hold_are_refused(store):
    store.write("a", rows({"id": ["x"], "ratio": [0.5], "n": [1]}))
    store.write("a", rows({"id": ["y"], "n": [3_000_000_000]}))
    with pytest.raises(MetadataSchemaError, match="'ratio' is stored as Float64"):
        store.write("a", rows({"id": ["z"], "ratio": [2**53 + 1]}))


def test_filters_over_unknown_columns_are_refused_by_every_verb(store):
    from metaxy_core.errors import FilterError

    settle(store, "a", samples=rows({"id": ["x"], "size": [1]}))
    for verb in (store.read, store.delete, store.undelete):
        with pytest.raises(FilterError, match="Columns: id, size"):
            verb("a", filters="nope = 1")
    with pytest.raises(FilterError, match="cannot be applied"):
        store.read("a", filters="size > 'big'")


def test_deleted_rows_of_other_versions_are_left_out_when_one_is_asked_for(make_store):
    def features(version):
        return graph(feature("a"), feature("b", "a", fields=[("f", version)]))

    store = make_store(features(1))
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        settle(store, "b")
        store.delete("b", "id = 'x'")
    with store.using(features(2)) as bumped:
        found = bumped.read("b", feature_version="current", include_soft_deleted=True)
        assert len(found.collect()) == 0
