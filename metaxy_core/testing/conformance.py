"""One suite that every store passes: subclass it, say how a store is made, run it with pytest.

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def make_store(self, tmp_path):
            return lambda graph, **options: MyStore(tmp_path / "db", graph=graph, **options)

Every store that `make_store` makes must be empty at first and keep what is written while the
object lives. What a backend says it cannot do (`Backend.gaps`) is tested for a typed refusal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import narwhals as nw
import polars as pl
import pytest

from metaxy_core.backends.base import Capability
from metaxy_core.errors import (
    FallbackDeleteError,
    FeatureNotFoundError,
    HashSchemeMismatchError,
    MetadataSchemaError,
    SetClosedError,
    StoreError,
    SystemDataNotFoundError,
)
from metaxy_core.graph import Graph
from metaxy_core.spec import FeatureDep, FeatureSpec, FieldSpec, LineageRelationship
from metaxy_core.store import Increment, MetadataStore, settling
from metaxy_core.store.stores import InMemoryMetadataStore
from metaxy_core.testing.adversarial import EDGE_INTEGERS, LONG_TEXT, adversarial_texts

MakeStore = Callable[..., MetadataStore]
Said = dict[str, list[Any]]

PROVENANCE = "metaxy_provenance_by_field"
DATA_VERSION = "metaxy_data_version_by_field"
_NOTHING: Said = {"new": [], "stale": [], "orphaned": []}

CHAIN = Graph(
    [
        FeatureSpec("a", id_columns=["id"], fields=["f"]),
        FeatureSpec("b", id_columns=["id"], fields=["f"], deps=["a"]),
        FeatureSpec("c", id_columns=["id"], fields=["f"], deps=["b"]),
    ]
)
SHAPES = Graph(
    [
        FeatureSpec("take", id_columns=["id"], fields=["audio", "frames"]),
        FeatureSpec("note", id_columns=["key"], fields=["text"]),
        FeatureSpec(
            "voice",
            id_columns=["speaker"],
            fields=["sound"],
            deps=[FeatureDep("take", lineage=LineageRelationship.aggregation("speaker"))],
        ),
        FeatureSpec(
            "chunk",
            id_columns=["id", "number"],
            fields=["audio"],
            deps=[FeatureDep("take", lineage=LineageRelationship.expansion("id"))],
        ),
        FeatureSpec(
            "captioned",
            id_columns=["id"],
            fields=["frames", "text"],
            deps=[
                FeatureDep("take", select=["speaker"], filters=["length > 1"]),
                FeatureDep("note", rename={"key": "id", "body": "caption"}, optional=True),
            ],
        ),
    ]
)


class StoreConformance:
    """What a store must do, whatever keeps its tables."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Make an empty store of a graph: `make_store(graph, **options)`."""
        raise NotImplementedError("Give the fixture make_store.")

    # -- the backend's contract ------------------------------------------------------------------

    def test_tables_are_made_widened_and_dropped(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            backend = store.backend
            assert backend.scan("t") is None
            _append(store, "t", pl.DataFrame({"id": ["x"], "n": [1]}))
            _append(store, "t", pl.DataFrame({"id": ["y"], "m": [0.5]}))
            assert "t" in backend.tables()
            assert _table(store, "t") == [
                {"id": "x", "n": 1, "m": None},
                {"id": "y", "n": None, "m": 0.5},
            ]
            backend.drop("t")
            backend.drop("t")
            assert backend.scan("t") is None

    def test_commit_numbers_ascend(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            given = [list(store.backend.commit(list, numbers=n)) for n in (1, 3, 1)]
            flat = [number for numbers in given for number in numbers]
            assert [len(numbers) for numbers in given] == [1, 3, 1]
            assert flat == sorted(set(flat))

    def test_a_commit_that_fails_leaves_nothing(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            _unless_gap(store, "atomic commits")
            _append(store, "t", pl.DataFrame({"id": ["x"]}))

            def fails(_: Any) -> None:
                store.backend.append("t", _lazy(pl.DataFrame({"id": ["y"]})))
                store.backend.append("u", _lazy(pl.DataFrame({"id": ["y"]})))
                raise OSError("disk full")

            with pytest.raises(OSError, match="disk full"):
                store.backend.commit(fails)
            assert _table(store, "t") == [{"id": "x"}]
            assert store.backend.scan("u") is None

    def test_rows_are_deleted_by_the_columns_given(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            _append(store, "t", pl.DataFrame({"a": ["x", "x", "y"], "b": [1, 2, 1]}))
            gone = _lazy(pl.DataFrame({"a": ["x"], "b": [2]}))
            assert store.backend.commit(lambda _: store.backend.delete("t", gone)) == 1
            assert _table(store, "t", by=["a"]) == [{"a": "x", "b": 1}, {"a": "y", "b": 1}]

    def test_last_rounds_are_guessed_of_tables_that_are_there(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            _settle(store, "a", _roots("id", ["x", "y"]))
            guessed = store.backend.last_rounds({"a": ["id"], "nowhere": ["id"]})
            assert guessed.keys() <= {"a"}

    def test_frames_are_loaded_held_and_released(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            backend = store.backend
            loaded = backend.load(_lazy(pl.DataFrame({"id": ["x", "y"]})))
            held = backend.hold(lambda: loaded.filter(nw.col("id") == "x"), "key", [loaded])
            assert held.collect("polars")["id"].to_list() == ["x"]
            backend.release(held)
            backend.release(loaded)
            assert list(backend.tables()) == [t for t in backend.tables() if "held" not in t]

    # -- increments ------------------------------------------------------------------------------

    def test_exactly_what_changed_is_offered(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            _settle(store, "a", _roots("id", ["x", "y", "z"]))
            assert said(_settle(store, "b")) == _NOTHING | {"new": ["x", "y", "z"]}
            assert said(_settle(store, "b")) == _NOTHING
            assert said(store.resolve_update("c")) == _NOTHING | {"new": ["x", "y", "z"]}
            _settle(store, "c")
            store.write("a", _roots("id", ["x"], "2"))
            assert said(_settle(store, "b")) == _NOTHING | {"stale": ["x"]}
            assert said(_settle(store, "c")) == _NOTHING | {"stale": ["x"]}
            store.delete("a", "id = 'y'")
            assert said(store.resolve_update("b")) == _NOTHING | {"orphaned": ["y"]}
            store.undelete("a")
            assert said(store.resolve_update("b")) == _NOTHING

    def test_a_comparison_from_where_the_last_one_ended_is_the_same(
        self, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settling, "FROM_ROWS", 1)
        monkeypatch.setattr(settling, "LARGEST_PART", 1)
        with make_store(CHAIN) as store:
            _settle(store, "a", _roots("id", ["x", "y", "z"]))
            _settle(store, "b")
            assert store.settle(store.resolve_update("b"))
            assert store.resolve_update("b").mark is None
            store.write("a", _roots("id", ["x"], "2"))
            _settle(store, "a", _roots("id", ["w"]))
            store.delete("a", "id = 'y'")
            expected = {"new": ["w"], "stale": ["x"], "orphaned": ["y"]}
            found = store.resolve_update("b")
            assert said(found) == expected == said(store.resolve_update("b", full=True))
            assert store.settle(found)
            assert said(store.resolve_update("b")) == expected

    def test_lazy_increments_are_the_same(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            _settle(store, "a", _roots("id", ["x", "y"]))
            _settle(store, "b")
            store.write("a", _roots("id", ["x"], "2"))
            store.delete("a", "id = 'y'")
            lazy, eager = store.resolve_update("b", lazy=True), store.resolve_update("b")
            for status in ("new", "stale", "orphaned"):
                one = getattr(lazy, status).collect("polars").to_native()
                other = getattr(eager, status).to_native()
                assert one.select(other.columns).to_dicts() == other.to_dicts()

    def test_a_code_version_left_and_come_back_to_is_current(self, make_store: MakeStore) -> None:
        bumped = Graph(
            [
                FeatureSpec("a", id_columns=["id"], fields=["f"]),
                FeatureSpec(
                    "b", id_columns=["id"], fields=[FieldSpec("f", code_version="2")], deps=["a"]
                ),
            ]
        )
        with make_store(CHAIN) as store:
            _settle(store, "a", _roots("id", ["x"]))
            _settle(store, "b")
            changed = store.using(bumped)
            assert said(_settle(changed, "b")) == _NOTHING | {"stale": ["x"]}
            assert said(store.resolve_update("b")) == _NOTHING
            history = store.read("b", with_feature_history=True).collect("polars")
            assert len(history) == 2

    def test_a_group_is_stale_when_any_member_changed(self, make_store: MakeStore) -> None:
        with make_store(SHAPES) as store:
            _settle(store, "take", _takes({"x": "ann", "y": "ann", "z": "bob"}))
            assert said(_settle(store, "voice"), "speaker")["new"] == ["ann", "bob"]
            store.write("take", _takes({"y": "ann"}, text="2"))
            assert said(_settle(store, "voice"), "speaker") == _NOTHING | {"stale": ["ann"]}
            store.delete("take", "id = 'x'")
            assert said(_settle(store, "voice"), "speaker") == _NOTHING | {"stale": ["ann"]}
            store.delete("take", "speaker = 'bob'")
            assert said(_settle(store, "voice"), "speaker") == _NOTHING | {"orphaned": ["bob"]}

    def test_a_set_of_children_is_replaced_whole(self, make_store: MakeStore) -> None:
        with make_store(SHAPES) as store:
            _settle(store, "take", _takes({"x": "ann", "y": "bob"}))
            assert said(store.resolve_update("chunk"))["new"] == ["x", "y"]
            store.write("chunk", _children(store, {"x": 3}), empty_parents=_units(store, ["y"]))
            assert said(store.resolve_update("chunk")) == _NOTHING
            assert _ids(store, "chunk", "id", "number") == [("x", 0), ("x", 1), ("x", 2)]
            with pytest.raises(SetClosedError, match="already written"):
                store.write("chunk", _children(store, {"x": 1}, skip_comparison=True))
            store.write("take", _takes({"x": "ann"}, text="2"))
            assert said(store.resolve_update("chunk")) == _NOTHING | {"stale": ["x"]}
            store.write("chunk", _children(store, {"x": 1}))
            assert _ids(store, "chunk", "id", "number") == [("x", 0)]

    def test_an_open_set_counts_for_nothing_until_it_is_closed(self, make_store: MakeStore) -> None:
        with make_store(SHAPES) as store:
            _settle(store, "take", _takes({"x": "ann"}))
            children = _children(store, {"x": 3})
            store.write("chunk", children.head(2), partial=True)
            assert said(store.resolve_update("chunk"))["new"] == ["x"]
            assert _ids(store, "chunk", "id", "number") == []
            store.write("chunk", children.tail(1))
            assert said(store.resolve_update("chunk")) == _NOTHING
            assert _ids(store, "chunk", "id", "number") == [("x", 0), ("x", 1), ("x", 2)]

    def test_optional_renamed_selected_and_filtered_edges(self, make_store: MakeStore) -> None:
        with make_store(SHAPES) as store:
            _settle(store, "take", _takes({"x": "ann", "y": "bob"}, length=2))
            store.write("take", _takes({"z": "cid"}, length=1))
            assert said(_settle(store, "captioned"))["new"] == ["x", "y"]
            notes = pl.DataFrame({"key": ["x", "q"], "body": ["hi", "?"]})
            _settle(store, "note", notes.with_columns(_struct(["text"], ["1", "1"])))
            increment = store.resolve_update("captioned")
            assert said(increment) == _NOTHING | {"stale": ["x"]}
            row = increment.stale.rows(named=True)[0]
            assert (row["speaker"], row["caption"]) == ("ann", "hi")
            assert row["metaxy_stale_fields"] == ["frames", "text"]

    def test_filters_choose_whole_units_on_both_sides(self, make_store: MakeStore) -> None:
        with make_store(SHAPES) as store:
            _settle(store, "take", _takes({"x": "ann", "y": "ann", "z": "bob"}))
            only = store.resolve_update("voice", filters={"take": "id = 'x'"})
            assert said(only, "speaker")["new"] == ["ann"]
            _settle(store, "voice")
            store.write("take", _takes({"x": "ann", "z": "bob"}, text="2"))
            some = store.resolve_update("voice", global_filters=["speaker IN ('bob', 'cid')"])
            assert said(some, "speaker") == _NOTHING | {"stale": ["bob"]}
            old = store.resolve_update("voice", staleness_predicates=["speaker LIKE 'a%'"])
            assert said(old, "speaker")["stale"] == ["ann", "bob"]

    # -- rows ------------------------------------------------------------------------------------

    def test_types_come_back_as_they_were(self, make_store: MakeStore) -> None:
        moment = dt.datetime(2024, 2, 29, 23, 59, 59, 123456)
        columns = {
            "whole": pl.Series([2**63 - 1, None], dtype=pl.Int64),
            "number": pl.Series([0.1, None], dtype=pl.Float64),
            "flag": pl.Series([True, None], dtype=pl.Boolean),
            "text": pl.Series(["é", None], dtype=pl.String),
            "day": pl.Series([dt.date(1969, 12, 31), None], dtype=pl.Date),
            "local": pl.Series([moment, None], dtype=pl.Datetime("us")),
            "utc": pl.Series([moment, None], dtype=pl.Datetime("us", "UTC")),
            "bytes": pl.Series([b"\x00\xff", None], dtype=pl.Binary),
            "decimal": pl.Series([Decimal("1.50"), None], dtype=pl.Decimal(20, 2)),
            "unsigned": pl.Series([2**64 - 1, None], dtype=pl.UInt64),
            "list": pl.Series([["a", "b"], None], dtype=pl.List(pl.String)),
            "struct": pl.Series([{"a": 1}, None], dtype=pl.Struct({"a": pl.Int64})),
        }
        rows, kept = _roots("id", ["x", "y"]), []
        with make_store(CHAIN) as store:
            for name, values in columns.items():
                wide = rows.with_columns(values.alias(name))
                if not isinstance(nw.from_native(wide).schema[name], store.backend.unstorable):
                    rows = wide
                    kept.append(name)
                    continue
                with pytest.raises(MetadataSchemaError, match=f"column '{name}'"):
                    store.write("a", wide)
                assert not store.has_feature("a")
            store.write("a", rows)
            found = store.read("a").collect("polars").to_native().sort("id")
            todo = store.resolve_update("b").todo().to_native().sort("id")
            expected = {name: columns[name].to_list() for name in kept}
            assert {name: found[name].to_list() for name in kept} == expected
            assert {name: todo[name].to_list() for name in kept} == expected

    def test_refused_rows_store_nothing(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            for rows in (
                pl.DataFrame({"x": [1]}),
                _roots("id", ["x", None]),
                _roots("id", ["x", "x"]),
                _roots("id", [1.5]),
                pl.DataFrame({"id": ["x"]}),
            ):
                with pytest.raises(MetadataSchemaError):
                    store.write("a", rows)
            assert not store.has_feature("a")
            store.write("a", _roots("id", ["x"]).with_columns(size=1))
            with pytest.raises(MetadataSchemaError, match="'size' is stored as Int64"):
                store.write("a", _roots("id", ["y"]).with_columns(size=pl.lit("big")))
            assert _ids(store, "a") == ["x"]

    def test_a_retried_write_is_stored_once(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            for _ in range(3):
                store.write("a", _roots("id", ["x"]), write_id="job:1")
            assert len(store.read("a", with_sample_history=True).collect("polars")) == 1

    def test_several_features_are_stored_together(self, make_store: MakeStore) -> None:
        with make_store(SHAPES) as store:
            notes = pl.DataFrame({"key": ["x"]}).with_columns(_struct(["text"], ["1"]))
            stored = store.write_multi({"take": _takes({"x": "ann"}), "note": notes})
            assert stored == {"take": 1, "note": 1}
            with pytest.raises(MetadataSchemaError):
                store.write_multi({"take": _takes({"y": "bob"}), "note": pl.DataFrame({"no": [1]})})
            assert _ids(store, "take") == ["x"]

    def test_a_new_field_and_a_new_column_are_added(self, make_store: MakeStore) -> None:
        wider = Graph(
            [
                FeatureSpec("a", id_columns=["id"], fields=["f", "g/h"]),
                FeatureSpec("b", id_columns=["id"], fields=["f"], deps=["a"]),
            ]
        )
        with make_store(CHAIN) as store:
            _settle(store, "a", _roots("id", ["x", "y"]))
            more = store.using(wider)
            rows = _roots("id", ["x"], fields=["f", "g/h"]).with_columns(size=1)
            more.write("a", rows)
            found = more.read("a").collect("polars").to_native().sort("id")
            assert found["size"].to_list() == [1, None]
            assert [row["g/h"] is None for row in found[PROVENANCE]] == [False, True]

    def test_reads_choose_columns_rows_and_history(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            store.write("a", _roots("id", ["x", "y"], "1").with_columns(n=pl.Series([1, 2])))
            store.write("a", _roots("id", ["x"], "2").with_columns(n=3))
            assert _ids(store, "a", filters="n > 1") == ["x", "y"]
            assert store.read("a", columns=["n"]).collect_schema().names() == ["n"]
            everything = store.read("a", with_sample_history=True).collect("polars")
            assert sorted(everything["n"].to_list()) == [1, 2, 3]
            store.delete("a", "id = 'x'")
            assert _ids(store, "a") == ["y"]
            assert _ids(store, "a", include_soft_deleted=True) == ["x", "y"]
            assert store.delete("a", "id = 'y'", soft=False) == 1
            assert _ids(store, "a") == []
            assert store.undelete("a") == 1
            assert _ids(store, "a") == ["x"]

    def test_an_equal_override_stops_a_change(self, make_store: MakeStore) -> None:
        with make_store(CHAIN) as store:
            version = pl.Series(DATA_VERSION, [{"f": "same"}])
            store.write("a", _roots("id", ["x"], "1").with_columns(version))
            _settle(store, "b")
            store.write("a", _roots("id", ["x"], "2").with_columns(version))
            assert said(store.resolve_update("b")) == _NOTHING

    # -- the same bits ---------------------------------------------------------------------------

    def test_texts_give_the_digests_of_the_reference_engine(self, make_store: MakeStore) -> None:
        texts = [*adversarial_texts(), LONG_TEXT]
        ids = pl.Series("id", texts)
        provenance = pl.Series(PROVENANCE, [{"f": text} for text in reversed(texts)])
        self._same_everywhere(make_store, CHAIN, pl.DataFrame([ids, provenance]), ["b"])

    def test_integers_give_the_digests_of_the_reference_engine(self, make_store: MakeStore) -> None:
        rows = _roots("id", EDGE_INTEGERS)
        self._same_everywhere(make_store, CHAIN, rows, ["b"])
        grouped = pl.DataFrame(
            {"id": EDGE_INTEGERS, "speaker": ["ann"] * len(EDGE_INTEGERS), "length": 2}
        )
        rows = grouped.with_columns(_struct(["audio", "frames"], ["1"] * len(EDGE_INTEGERS)))
        self._same_everywhere(make_store, SHAPES, rows, ["voice", "chunk", "captioned"], "take")

    def test_groups_give_the_digests_of_the_reference_engine(self, make_store: MakeStore) -> None:
        texts = adversarial_texts()
        rows = pl.DataFrame({"id": texts, "speaker": [text[:1] for text in texts], "length": 2})
        rows = rows.with_columns(_struct(["audio", "frames"], texts))
        self._same_everywhere(make_store, SHAPES, rows, ["voice"], "take")

    def test_code_versions_give_the_digests_of_the_reference_engine(
        self, make_store: MakeStore
    ) -> None:
        texts = list(filter(None, adversarial_texts()[:60]))
        fields = [FieldSpec(f"f{n}", code_version=text) for n, text in enumerate(texts)]
        graph = Graph(
            [
                FeatureSpec("a", id_columns=["id"], fields=["f"]),
                FeatureSpec("b", id_columns=["id"], fields=fields, deps=["a"]),
            ]
        )
        self._same_everywhere(make_store, graph, _roots("id", ["x"]), ["b"])

    def test_nul_is_kept_or_refused(self, make_store: MakeStore) -> None:
        rows = _roots("id", ["x\x00y"], "v\x00w").with_columns(note=pl.lit("\x00"))
        with make_store(CHAIN) as store:
            if "NUL in texts" not in store.backend.gaps:
                self._same_everywhere(make_store, CHAIN, rows, ["b"])
                return
            with pytest.raises(MetadataSchemaError, match="NUL"):
                store.write("a", rows)
            assert not store.has_feature("a")
            with pytest.raises(MetadataSchemaError, match="NUL"):
                store.resolve_update("a", samples=rows)

    def test_fingerprints_are_those_of_the_reference_engine(self, make_store: MakeStore) -> None:
        rows = _roots("id", adversarial_texts())
        with make_store(CHAIN) as store, InMemoryMetadataStore(graph=CHAIN) as reference:
            for one in (store, reference):
                one.write("a", rows)
            assert store.fingerprint("a") == reference.fingerprint("a")
            assert store.fingerprint("b") == reference.fingerprint("b")

    def test_both_engines_of_a_store_say_the_same(self, make_store: MakeStore) -> None:
        with make_store(SHAPES) as store:
            _settle(store, "take", _takes({"x": "ann", "y": "ann", "z": "bob"}))
            for key in ("voice", "chunk", "captioned"):
                found = [
                    _comparable(store.resolve_update(key, versioning_engine=engine).todo())
                    for engine in ("auto", "polars")
                ]
                assert found[0] == found[1]

    def test_sha256_works_from_end_to_end(self, make_store: MakeStore) -> None:
        with make_store(CHAIN, hash_algorithm="sha256") as store:
            _settle(store, "a", _roots("id", ["x"]))
            todo = store.resolve_update("b").todo()
            assert len(todo[PROVENANCE][0]["f"]) == 64
            store.write("b", todo)
            assert said(store.resolve_update("b")) == _NOTHING

    # -- stores among stores ---------------------------------------------------------------------

    def test_parents_come_from_fallback_stores(self, make_store: MakeStore) -> None:
        shared = InMemoryMetadataStore(graph=CHAIN)
        with shared:
            _settle(shared, "a", _roots("id", ["x"]))
        with make_store(CHAIN, fallback_stores=[shared]) as store:
            lazy = store.read("a")
            assert said(_settle(store, "b")) == _NOTHING | {"new": ["x"]}
            assert lazy.collect("polars")["id"].to_list() == ["x"]
            with pytest.raises(FallbackDeleteError, match="memory://"):
                store.delete("a", "id = 'x'")
            assert not store.has_feature("a")
            with pytest.raises(FeatureNotFoundError, match="memory://"):
                store.read("c")

    def test_it_is_a_fallback_for_others(self, make_store: MakeStore) -> None:
        shared = make_store(CHAIN)
        with shared:
            _settle(shared, "a", _roots("id", ["x"]))
        with InMemoryMetadataStore(graph=CHAIN, fallback_stores=[shared]) as store:
            assert said(_settle(store, "b")) == _NOTHING | {"new": ["x"]}

    def test_other_digests_are_refused(self, make_store: MakeStore) -> None:
        store = make_store(CHAIN)
        with store:
            _settle(store, "a", _roots("id", ["x"]))
        other = MetadataStore(store.backend, graph=CHAIN, hash_algorithm="sha256")
        with pytest.raises(HashSchemeMismatchError, match=r"md5/1.*sha256/1"):
            with other.open("r"):
                pass

    def test_graphs_are_recorded_and_loaded(self, make_store: MakeStore) -> None:
        with make_store(SHAPES) as store:
            with pytest.raises(SystemDataNotFoundError, match="metaxy push"):
                store.load_snapshot()
            assert store.push() is True
            assert store.push() is False
            assert [one.version for one in store.snapshots()] == [SHAPES.snapshot_version]
            assert store.load_snapshot().graph.snapshot_version == SHAPES.snapshot_version
            assert store.push("v1") is False
            assert [one.tags for one in store.snapshots()] == [("v1",)]
            assert store.load_snapshot("v1").version == SHAPES.snapshot_version
            assert store.load_sources("v1") == {}

    def test_a_store_opened_for_reading_writes_nothing(self, make_store: MakeStore) -> None:
        store = make_store(CHAIN)
        with store.open("w"):
            _settle(store, "a", _roots("id", ["x"]))
        with store.open("r"):
            assert said(store.resolve_update("b"))["new"] == ["x"]
            for change in (
                lambda: store.write("a", _roots("id", ["y"])),
                lambda: store.delete("a", "id = 'x'"),
                lambda: store.drop("a"),
                lambda: store.push(),
            ):
                with pytest.raises(StoreError, match="open for reading"):
                    change()
        with store.open("r"):
            assert _ids(store, "a") == ["x"]

    def _same_everywhere(
        self,
        make_store: MakeStore,
        graph: Graph,
        rows: pl.DataFrame,
        features: Iterable[str],
        root: str = "a",
    ) -> None:
        """Rows, then increments written and resolved again, as in memory."""
        with make_store(graph) as store, InMemoryMetadataStore(graph=graph) as reference:
            for one in (store, reference):
                one.write(root, one.resolve_update(root, samples=rows).todo())
            assert _stored(store, root) == _stored(reference, root)
            for key in features:
                ours, theirs = store.resolve_update(key), reference.resolve_update(key)
                assert _comparable(ours.todo()) == _comparable(theirs.todo())
                if key != "chunk":
                    store.write(key, ours.todo())
                    assert store.resolve_update(key).is_empty


def said(increment: Increment, *ids: str) -> Said:
    """The ids per status, sorted."""
    found: Said = {}
    for status in ("new", "stale", "orphaned"):
        frame = getattr(increment, status)
        rows = sorted(frame.select(*(ids or ("id",))).rows()) if len(frame) else []
        found[status] = [row[0] if len(row) == 1 else row for row in rows]
    return found


def _unless_gap(store: MetadataStore, capability: Capability) -> None:
    if gap := store.backend.gaps.get(capability):
        pytest.skip(f"{gap.kind}: {gap.reason}")


def _lazy(frame: pl.DataFrame) -> Any:
    return nw.from_native(frame.lazy())


def _append(store: MetadataStore, table: str, rows: pl.DataFrame) -> None:
    store.backend.commit(lambda _: store.backend.append(table, _lazy(rows)))


def _table(store: MetadataStore, table: str, by: Iterable[str] = ("id",)) -> list[dict[str, Any]]:
    found = store.backend.scan(table)
    assert found is not None
    rows: list[dict[str, Any]] = found.collect("polars").sort(*by).rows(named=True)
    return rows


def _struct(fields: Iterable[str], texts: Iterable[str]) -> pl.Series:
    return pl.Series(PROVENANCE, [dict.fromkeys(fields, text) for text in texts])


def _roots(
    column: str, ids: Iterable[Any], text: str = "1", fields: Iterable[str] = ("f",)
) -> pl.DataFrame:
    made = pl.DataFrame({column: list(ids)})
    return made.with_columns(_struct(list(fields), [text] * made.height))


def _takes(speakers: Mapping[str, str], text: str = "1", length: int = 2) -> pl.DataFrame:
    frame = pl.DataFrame({"id": list(speakers), "speaker": list(speakers.values())})
    return frame.with_columns(
        _struct(["audio", "frames"], [text] * frame.height), length=pl.lit(length)
    )


def _settle(store: MetadataStore, key: str, samples: pl.DataFrame | None = None) -> Increment:
    increment = store.resolve_update(key, samples=samples)
    if not increment.is_empty:
        store.write(key, increment.todo())
    return increment


def _children(store: MetadataStore, counts: Mapping[str, int], **resolve: Any) -> pl.DataFrame:
    todo: pl.DataFrame = store.resolve_update("chunk", **resolve).todo().to_native()
    made = [
        todo.filter(pl.col("id") == unit).with_columns(number=pl.lit(number, pl.Int64))
        for unit, count in counts.items()
        for number in range(count)
    ]
    return pl.concat(made)


def _units(store: MetadataStore, units: list[str]) -> pl.DataFrame:
    todo: pl.DataFrame = store.resolve_update("chunk").todo().to_native()
    return todo.filter(pl.col("id").is_in(units))


def _ids(store: MetadataStore, key: str, *columns: str, **read: Any) -> list[Any]:
    found = store.read(key, columns=list(columns or ("id",)), **read).collect("polars")
    return sorted(row[0] if len(row) == 1 else row for row in found.rows())


def _comparable(todo: Any) -> list[dict[str, Any]]:
    frame: pl.DataFrame = todo.to_native()
    rows = frame.select(sorted(frame.columns)).to_dicts()
    return sorted(rows, key=lambda row: str(row))


def _stored(store: MetadataStore, key: str) -> list[dict[str, Any]]:
    rows = store.read(key).collect("polars").rows(named=True)
    volatile = ("metaxy_created_at", "metaxy_updated_at")
    kept = [{name: row[name] for name in sorted(row) if name not in volatile} for row in rows]
    return sorted(kept, key=lambda row: str(row))
