"""Copying, compacting, verifying and rebasing: nothing that counts is changed by accident."""

from __future__ import annotations

import narwhals as nw
import polars as pl
import pytest

from metaxy_core import GraphSnapshot, InMemoryMetadataStore
from metaxy_core.errors import HashSchemeMismatchError, MetadataSchemaError
from tests.builders import (
    NOTHING,
    edge,
    expansion,
    feature,
    graph,
    rows,
    said,
    settle,
    stale_fields,
)

CHAIN = graph(feature("a"), feature("b", "a"))
SETS = graph(feature("a"), feature("c", edge("a", lineage=expansion("id")), ids=["id", "n"]))


def everything(store, key):
    found = store.read(key, with_sample_history=True, include_soft_deleted=True).collect("polars")
    names = [name for name in found.columns if not name.endswith("_at")]
    return sorted(map(str, found.select(*sorted(names)).rows()))


# -- copy ------------------------------------------------------------------------------------------


def test_a_copy_has_the_history_and_the_same_copy_again_does_nothing(make_store):
    source, target = make_store(CHAIN), make_store(CHAIN)
    with source:
        settle(source, "a", samples=rows({"id": ["x", "y"]}))
        settle(source, "a", samples=rows({"id": ["x"]}, "2"))
        settle(source, "b")
        source.delete("a", "id = 'y'")
    with target:
        assert target.copy_metadata(source) == {"a": 4, "b": 2}
        assert target.copy_metadata(source) == {"a": 0, "b": 0}
        with source.open("r"):
            assert everything(target, "a") == everything(source, "a")
        assert said(target.resolve_update("b")) == NOTHING | {"orphaned": ["y"]}
        assert target.undelete("a") == 1
        assert said(target.resolve_update("b")) == NOTHING


def test_recorded_graphs_come_with_their_code_and_tags_into_a_store_without_any(make_store):
    source, target = make_store(CHAIN), make_store(CHAIN)
    later = graph(feature("a", fields=["f"]), feature("b", "a", fields=[("f", 2)]))
    with source:
        source.push("v1")
    with source.using(later) as changed:
        changed.push("v2")
    with target:
        assert target.copy_snapshots(source, dry_run=True) == 2
        assert target.snapshots() == []
        assert target.copy_snapshots(source) == 2
        assert target.copy_snapshots(source) == 0
        assert [(one.version, one.tags) for one in target.snapshots()] == [
            (CHAIN.snapshot_version, ("v1",)),
            (later.snapshot_version, ("v2",)),
        ]
        assert target.load_snapshot("latest").version == later.snapshot_version
        assert target.load_snapshot("v1").version == CHAIN.snapshot_version
        assert target.push() is True


def test_a_later_copy_brings_what_is_new_in_its_order(make_store):
    source, target = make_store(CHAIN), make_store(CHAIN)
    with source:
        settle(source, "a", samples=rows({"id": ["x", "y"]}))
    with target:
        target.copy_metadata(source)
    with source:
        settle(source, "a", samples=rows({"id": ["x"]}, "2"))
        settle(source, "a", samples=rows({"id": ["x"]}, "3"))
    with target:
        assert target.copy_metadata(source, ["a"]) == {"a": 2}
        now = rows({"id": ["x", "y"]}, ["3", "1"])
        assert said(target.resolve_update("a", samples=now)) == NOTHING


def test_filters_bring_whole_units_and_an_older_row_never_hides_a_newer_one(make_store):
    source, target = make_store(CHAIN), make_store(CHAIN)
    with source:
        source.write("a", rows({"id": ["x", "y"], "size": [1, 1]}))
        source.write("a", rows({"id": ["x"], "size": [9]}, "2"))
    with target:
        assert target.copy_metadata(source, filters={"a": "size > 5"}, history=False) == {"a": 1}
        assert target.copy_metadata(source) == {"a": 1}
        found = dict(target.read("a", columns=["id", "size"]).collect("polars").rows())
        assert found == {"x": 9, "y": 1}


def test_sets_and_their_childless_parents_are_copied_once(make_store):
    source, target = make_store(SETS), make_store(SETS)
    with source:
        settle(source, "a", samples=rows({"id": ["x", "y"]}))
        todo = source.resolve_update("c").todo().to_native()
        source.write("c", todo.filter(id="x").with_columns(n=1), empty_parents=todo.filter(id="y"))
        source.write("a", rows({"id": ["x"]}, "2"))
        open_set = source.resolve_update("c").todo().to_native().with_columns(n=1)
        source.write("c", open_set, partial=True)
    with target:
        assert target.copy_metadata(source) == {"a": 3, "c": 2}
        assert target.copy_metadata(source) == {"a": 0, "c": 0}
        assert said(target.resolve_update("c"))["stale"] == ["x"]


def test_restored_units_are_copied_with_all_their_versions(make_store):
    source, target = make_store(CHAIN), make_store(CHAIN)
    with source:
        for text in "12":
            source.write("a", rows({"id": ["x"]}, text))
        source.delete("a", "id = 'x'")
        source.undelete("a")
    with target:
        assert target.copy_metadata(source) == {"a": 5}
        assert target.copy_metadata(source) == {"a": 0}


def test_only_rows_of_one_graph_are_copied_when_asked(make_store):
    bumped = graph(feature("a", fields=[("f", "2")]), feature("b", "a"))
    source, target = make_store(CHAIN), make_store(CHAIN)
    with source:
        source.write("a", rows({"id": ["x"]}))
        source.using(bumped).write("a", rows({"id": ["y"]}))
    with target:
        copied = target.copy_metadata(source, snapshot_version=CHAIN.snapshot_version[:12])
        assert copied == {"a": 1}
        assert target.read("a").collect()["id"].to_list() == ["x"]


def test_other_digests_and_other_types_are_refused(make_store):
    target = make_store(CHAIN)
    with target:
        target.write("a", rows({"id": [1]}))
        with InMemoryMetadataStore(graph=CHAIN, hash_algorithm="sha256") as source:
            settle(source, "a", samples=rows({"id": ["x"]}))
            with pytest.raises(HashSchemeMismatchError, match=r"sha256/1.*md5/1"):
                target.copy_metadata(source)
        with InMemoryMetadataStore(graph=CHAIN) as source:
            settle(source, "a", samples=rows({"id": ["x"]}))
            with pytest.raises(MetadataSchemaError, match="id column 'id' is String"):
                target.copy_metadata(source)


# -- compact ---------------------------------------------------------------------------------------


def test_superseded_rows_go_and_everything_says_the_same(make_store):
    bumped = graph(feature("a"), feature("b", "a", fields=[("f", "2")]))
    with make_store(CHAIN) as store:
        for text in "123":
            settle(store, "a", samples=rows({"id": ["x", "y"]}, text))
            settle(store, "b")
        settle(store.using(bumped), "b")
        assert store.compact(dry_run=True) == {"a": 4, "b": 4}
        assert store.compact(keep=2) == {"a": 2, "b": 2}
        assert store.compact() == {"a": 2, "b": 2}
        assert store.compact() == {"a": 0, "b": 0}
        assert said(store.resolve_update("b")) == NOTHING
        assert said(store.using(bumped).resolve_update("b")) == NOTHING
        assert store.verify() == []


def test_what_undelete_would_bring_back_is_kept(make_store):
    with make_store(CHAIN) as store:
        for text in "12":
            settle(store, "a", samples=rows({"id": ["x"]}, text))
        settle(store, "b")
        store.delete("a", "id = 'x'")
        assert store.compact() == {"a": 1, "b": 0}
        assert said(store.resolve_update("b")) == NOTHING | {"orphaned": ["x"]}
        assert store.undelete("a") == 1
        assert said(store.resolve_update("b")) == NOTHING
        assert store.compact() == {"a": 1, "b": 0}


def test_open_sets_that_can_still_be_closed_are_kept(make_store):
    with make_store(SETS) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        todo = store.resolve_update("c").todo().to_native()
        store.write("c", todo.filter(id="x").with_columns(n=1), partial=True)
        assert store.compact() == {"a": 0, "c": 0}
        store.write("c", todo.filter(id="x").with_columns(n=2))
        assert store.compact() == {"a": 0, "c": 1}
        assert sorted(store.read("c", columns=["n"]).collect("polars")["n"].to_list()) == [1, 2]


def test_compact_keeps_at_least_one(make_store):
    with make_store(CHAIN) as store, pytest.raises(ValueError, match="at least one.*given: 0"):
        store.compact(keep=0)


# -- verify ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"metaxy_provenance__f": "ff"}, "no digest of md5/1"),
        ({"metaxy_provenance__f": "0" * 32}, "not the digest of its fields"),
        ({"metaxy_data_version__f": None}, "has no value in metaxy_data_version"),
        ({"metaxy_write_id": None}, "a column that every row has is NULL"),
        ({"id": None}, "an id column is NULL"),
        ({}, "twice in one commit"),
        ({"metaxy_feature_version": "other"}, "two feature versions in one commit"),
    ],
)
def test_what_breaks_a_rule_is_found_and_named(make_store, change, rule):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        assert store.verify() == []
        row = store.backend.scan("a").filter(nw.col("id") == "x").collect("polars").to_native()
        bad = row.with_columns(pl.lit(v, row.schema[k]).alias(k) for k, v in change.items())
        store.backend.commit(lambda _: store.backend.append("a", nw.from_native(bad.lazy())))
        found = [finding for finding in store.verify() if rule in finding.rule]
        assert [finding.rows for finding in found] == [1]
        assert found[0].feature == "a"
        assert found[0].examples[0]["id"] in ("x", None)


def test_children_that_differ_in_provenance_are_found(make_store):
    with make_store(SETS) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        todo = store.resolve_update("c").todo().to_native().with_columns(n=1)
        store.write("c", todo)
        assert store.verify() == []
        row = store.backend.scan("c").collect("polars").to_native()
        bad = row.with_columns(n=pl.lit(2, row.schema["n"]), metaxy_provenance=pl.lit("0" * 32))
        store.backend.commit(lambda _: store.backend.append("c", nw.from_native(bad.lazy())))
        rules = [finding.rule for finding in store.verify(["c"])]
        assert "the children of one parent differ in provenance" in rules


# -- rebase ----------------------------------------------------------------------------------------


def versions(a="1", b="1"):
    return graph(
        feature("a", fields=[("f", a)]), feature("b", "a", fields=[("f", b)]), feature("c", "b")
    )


def test_what_was_up_to_date_is_carried_and_nothing_follows(make_store):
    with make_store(versions()) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        settle(store, "b")
        settle(store, "c")
        store.push()
        store.write("a", rows({"id": ["y"]}, "2"))
        bumped = store.using(versions(b="2"))
        assert said(bumped.resolve_update("b"))["stale"] == ["x", "y"]
        assert bumped.rebase("b", dry_run=True) == 1
        assert bumped.rebase("b") == 1
        assert said(bumped.resolve_update("b")) == NOTHING | {"stale": ["y"]}
        assert said(bumped.resolve_update("c")) == NOTHING
        assert bumped.verify() == []


def test_a_roots_results_are_carried_with_its_samples(make_store):
    samples = rows({"id": ["x", "y"]})
    with make_store(versions()) as store:
        settle(store, "a", samples=samples)
        settle(store, "b")
        bumped, before = store.using(versions(a="2")), GraphSnapshot.of(versions())
        assert bumped.rebase("a", from_snapshot=before, samples=samples) == 2
        assert said(bumped.resolve_update("a", samples=samples)) == NOTHING
        # What the videos are has not changed; what b is made of says so only after its own rebase.
        assert bumped.rebase("b", from_snapshot=before) == 0
        assert said(bumped.resolve_update("b")) == NOTHING


def test_sets_and_childless_parents_are_carried(make_store):
    def sets(version):
        children = feature("c", edge("a", lineage=expansion("id")), ids=["id", "n"],
                           fields=[("f", version)])  # fmt: skip
        return graph(feature("a"), children)

    with make_store(sets("1")) as store:
        settle(store, "a", samples=rows({"id": ["x", "y"]}))
        todo = store.resolve_update("c").todo().to_native()
        store.write("c", todo.filter(id="x").with_columns(n=1), empty_parents=todo.filter(id="y"))
        bumped = store.using(sets("2"))
        assert bumped.rebase("c", from_snapshot=GraphSnapshot.of(sets("1"))) == 2
        assert said(bumped.resolve_update("c")) == NOTHING


def test_a_graph_with_other_fields_is_refused(make_store):
    with make_store(versions()) as store:
        settle(store, "a", samples=rows({"id": ["x"]}))
        settle(store, "b")
        before = GraphSnapshot.of(graph(feature("a"), feature("b", "a", fields=["f", "g"])))
        with pytest.raises(MetadataSchemaError, match="fields are not those"):
            store.rebase("b", from_snapshot=before)
        assert stale_fields(store.resolve_update("b")) == {}
