"""Every unit is in exactly one bucket, the same one on every engine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl
import pytest

from metaxy_core import (
    SLOT,
    Buckets,
    DefinitionError,
    DuckDBMetadataStore,
    FeatureDep,
    FeatureGraph,
    FeatureSpec,
    InMemoryMetadataStore,
    LineageRelationship,
    MetadataStore,
    SQLiteMetadataStore,
)
from metaxy_core.errors import FilterError
from metaxy_core.store import settling

GRAPH = FeatureGraph(
    [
        FeatureSpec("video", id_columns=["id", "n"], fields=["f"], columns={"n": "int"}),
        FeatureSpec("crop", id_columns=["id", "n"], fields=["f"], deps=["video"]),
        FeatureSpec("words", id_columns=["id", "n"], fields=["f"], deps=["crop"]),
        FeatureSpec(
            "album",
            id_columns=["size"],
            deps=[FeatureDep("video", lineage=LineageRelationship.aggregation(["size"]))],
        ),
    ]
)
IDS = [("ä" * (number % 3) + f"v{number}", number - 20) for number in range(60)]


def videos(ids: list[tuple[str, int]], text: str = "1") -> pl.DataFrame:
    names, numbers = zip(*ids, strict=True)
    return pl.DataFrame(
        {
            "id": names,
            "n": numbers,
            "size": [number % 2 for number in numbers],
            "site": ["north" if number % 3 else "south" for number in numbers],
            "metaxy_provenance_by_field": [{"f": text}] * len(names),
        }
    )


def stores(folder: Path) -> dict[str, MetadataStore]:
    return {
        "memory": InMemoryMetadataStore(graph=GRAPH),
        "duckdb": DuckDBMetadataStore(str(folder / "m.duckdb"), graph=GRAPH),
        "sqlite": SQLiteMetadataStore(str(folder / "m.sqlite"), graph=GRAPH),
    }


def fill(store: MetadataStore) -> None:
    """Of the crops 17 are up to date, 20 stale, 20 not there yet and 3 not expected any more."""
    with store.open("w") as opened:
        opened.write("video", videos(IDS[:40]))
        opened.write("crop", opened.resolve_update("crop").new)
        opened.write("video", videos(IDS[20:], "2"))
        opened.delete("video", "n < -17")


def statuses(opened: MetadataStore, buckets: Buckets | None = None) -> list[tuple[Any, ...]]:
    increment = opened.resolve_update("crop", buckets=buckets, lazy=True)
    return sorted(increment.labels.select("id", "n", "metaxy_status").collect("polars").rows())


def test_buckets_share_the_increment_and_are_the_same_on_every_engine(tmp_path: Path) -> None:
    found = {}
    for name, store in stores(tmp_path).items():
        fill(store)
        with store.open("r") as opened:
            whole = statuses(opened)
            found[name] = [statuses(opened, Buckets(5, (number,))) for number in range(5)]
            two = statuses(opened, Buckets(5, (1, 3)))
        assert Counter(row[2] for row in whole) == {"new": 20, "stale": 20, "orphaned": 3}
        assert sorted(row for part in found[name] for row in part) == whole
        assert sorted(found[name][1] + found[name][3]) == two
    assert found["memory"] == found["duckdb"] == found["sqlite"]
    assert all(found["memory"])


def test_stored_rows_are_in_the_bucket_that_python_says(tmp_path: Path) -> None:
    everything = nw.from_native(videos(IDS[:40]))
    for store in stores(tmp_path).values():
        fill(store)
        with store.open("r") as opened:
            for number in range(3):
                bucket = Buckets(3, (number,))
                rows = opened.read("crop", columns=["id", "n"], buckets=bucket).collect("polars")
                assert sorted(rows.rows()) == sorted(
                    bucket.keep(everything, ["id", "n"]).select("id", "n").rows()
                )
                assert opened.fingerprint("crop", buckets=bucket).rows == len(rows)


def test_a_feature_made_from_another_is_in_the_same_buckets() -> None:
    store, bucket = InMemoryMetadataStore(graph=GRAPH), Buckets(4, (2,))
    fill(store)
    with store.open("w") as opened:
        opened.write("crop", opened.resolve_update("crop", buckets=bucket).new)
        done = opened.resolve_update("crop", buckets=bucket)
        assert done.counts["new"] == 0
        opened.write("words", opened.resolve_update("words", buckets=bucket).new)
        rows = {
            key: sorted(opened.read(key, columns=["id", "n"], buckets=bucket).collect().rows())
            for key in ("crop", "words")
        }
        assert rows["crop"] == rows["words"]
        assert len(opened.read("words").collect()) == len(rows["words"])


def test_units_are_counted_by_columns_and_buckets_in_one_query(tmp_path: Path) -> None:
    counted = []
    for store in stores(tmp_path).values():
        fill(store)
        with store.open("r") as opened:
            increment = opened.resolve_update("crop", lazy=True)
            sites = sorted(increment.count_by("site").rows())
            slots = Counter[tuple[int, str]]()
            for slot, status, n in increment.count_by(SLOT).rows():
                slots[Buckets.number_of(slot, 3), status] += n
            parts = [opened.resolve_update("crop", buckets=Buckets(3, (n,))) for n in range(3)]
            assert slots == Counter(
                {(n, s): part.counts[s] for n, part in enumerate(parts) for s in ("new", "stale")}
            )
            albums = sorted(opened.resolve_update("album", lazy=True).count_by("site").rows())
        counted.append((sites, slots, albums))
    assert counted[0][0] == [
        ("north", "new", 13), ("north", "stale", 13), ("south", "new", 7), ("south", "stale", 7),
    ]  # fmt: skip
    assert counted[0][2] == [("north", "new", 2), ("south", "new", 2)]
    assert counted[0] == counted[1] == counted[2]


def test_a_column_that_no_parent_has_is_told() -> None:
    store = InMemoryMetadataStore(graph=GRAPH)
    fill(store)
    with store.open("r") as opened, pytest.raises(FilterError, match="no parent has the column x"):
        opened.resolve_update("crop", lazy=True).count_by("x")


def test_where_no_bucket_is_chosen_no_unit_is_in_one() -> None:
    ids = nw.from_native(pl.DataFrame({"id": ["x", "y"]}))
    assert len(Buckets(4, ()).keep(ids, ["id"])) == 0


def test_buckets_that_are_not_there_are_refused() -> None:
    with pytest.raises(DefinitionError, match="1 to 4096 buckets; given: 0"):
        Buckets(0, ())
    with pytest.raises(DefinitionError, match="Of 2 buckets, numbered from 0, there is no 2"):
        Buckets(2, (2,))


def test_what_one_bucket_was_compared_for_is_not_taken_for_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "FROM_ROWS", 1)
    monkeypatch.setattr(settling, "LARGEST_PART", 1)
    store = InMemoryMetadataStore(graph=GRAPH)
    fill(store)
    with store.open("w") as opened:
        done = opened.resolve_update("crop", buckets=Buckets(3, (0,)), lazy=True)
        assert done.mark is None
        whole = opened.resolve_update("crop", lazy=True)
        assert whole.mark is not None
        opened.settle(whole.mark)
        parts = [opened.resolve_update("crop", buckets=Buckets(3, (n,))) for n in range(3)]
        assert sum(part.counts["new"] for part in parts) == 20


def test_a_group_that_lost_a_member_is_stale_in_its_own_bucket(tmp_path: Path) -> None:
    for name, store in stores(tmp_path).items():
        with store.open("w"):
            store.write("video", videos(IDS))
            store.write("album", store.resolve_update("album").todo())
            moved = videos(IDS[:1]).with_columns(size=pl.lit(1, pl.Int64))
            store.write("video", moved)
            found = []
            for number in range(8):
                increment = store.resolve_update("album", buckets=Buckets(8, (number,)))
                assert increment.new.is_empty()
                assert increment.orphaned.is_empty()
                found += increment.stale["size"].to_list()
            assert sorted(found) == [0, 1], name
