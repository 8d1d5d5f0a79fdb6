"""The IO manager with plain assets: what it stores, loads and reports."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import narwhals as nw
import polars as pl
import pytest

from metaxy_dagster import Increment, MetaxyStore
from tests.dagster.conftest import data_version, metadata, outcomes, rows, run, videos

LISTED = videos({"a": "1", "b": "1", "c": "1"})


@dg.asset(key=["ex", "video"], io_manager_key="metaxy_io")
def video() -> Any:
    return LISTED


@dg.asset(
    key=["ex", "crop"],
    io_manager_key="metaxy_io",
    ins={"work": dg.AssetIn(["ex", "video"], metadata={"metaxy/increment_of": "ex/crop"})},
)
def crop(work: Increment) -> Any:
    return work.todo()


def test_a_root_frame_is_compared_and_only_the_difference_is_stored(store: MetaxyStore) -> None:
    run([video], store)
    again = run([video], store)
    assert outcomes(again, "ex/video")["new"] == (0, 0, 0, 0)
    assert metadata(again, "ex/video")["metaxy/rows_written"] == 0


def test_an_increment_is_injected_and_what_is_returned_is_stored(store: MetaxyStore) -> None:
    run([video, crop], store)
    assert rows(store, "ex/crop") == [("a",), ("b",), ("c",)]


def test_an_iterator_is_stored_chunk_by_chunk(store: MetaxyStore) -> None:
    def chunks(work: Increment) -> Iterator[Any]:
        for number, batch in enumerate(work.iter_batches(1)):
            assert len(rows(store, "ex/crop")) == number
            if number == 2:
                raise ValueError("boom")
            yield batch

    @dg.asset(
        key=["ex", "crop"],
        io_manager_key="metaxy_io",
        ins={"work": dg.AssetIn(["ex", "video"], metadata={"metaxy/increment_of": "ex/crop"})},
    )
    def crop(work: Increment):  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        return dg.MaterializeResult(value=chunks(work))

    run([video, crop], store, fails=True)
    assert len(rows(store, "ex/crop")) == 2


def test_a_listing_that_fails_leaves_no_local_files(
    store: MetaxyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frames() -> Iterator[Any]:
        yield LISTED
        yield LISTED.drop("metaxy_provenance_by_field")

    @dg.asset(key=["ex", "video"], io_manager_key="metaxy_io")
    def video():  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        return dg.MaterializeResult(value=frames())

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    failed = run([video], store, fails=True)
    assert not failed.success
    assert list(tmp_path.glob("metaxy-*")) == []
    assert len(rows(store, "ex/video")) == 3


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (Any, nw.LazyFrame),
        (nw.LazyFrame, nw.LazyFrame),
        (nw.DataFrame, nw.DataFrame),
        (pl.DataFrame, pl.DataFrame),
        (pl.LazyFrame, pl.LazyFrame),
        (ibis.Table, ibis.Table),
    ],
)
def test_inputs_are_loaded_as_annotated(store: MetaxyStore, annotation: Any, kind: Any) -> None:
    seen: list[Any] = []

    def use(ids: Any) -> None:
        table = ids.to_polars() if isinstance(ids, ibis.Table) else ids.lazy().collect()
        seen.append((isinstance(ids, kind), sorted(table["id"].to_list())))

    use.__annotations__["ids"] = annotation
    asset = dg.asset(ins={"ids": dg.AssetIn(["ex", "video"], metadata={"columns": ["id"]})})(use)
    run([video, asset], store)
    assert seen == [(True, ["a", "b", "c"])]


def test_an_input_of_another_type_is_refused(store: MetaxyStore) -> None:
    @dg.asset(ins={"ids": dg.AssetIn(["ex", "video"])})
    def use(ids: dict) -> None:  # type: ignore[type-arg]
        pass

    with pytest.raises(Exception, match="does not load"):
        run([video, use], store)


def test_nothing_returned_is_still_reported(store: MetaxyStore) -> None:
    @dg.asset(key=["ex", "video"], io_manager_key="metaxy_io")
    def nothing() -> Any:
        return None

    run([video], store)
    assert metadata(run([nothing], store), "ex/video")["dagster/row_count"] == 3


def test_something_else_is_refused_with_the_feature_named(store: MetaxyStore) -> None:
    @dg.asset(key=["ex", "video"], io_manager_key="metaxy_io")
    def wrong() -> Any:
        return 42

    with pytest.raises(Exception, match=r"'ex/video' gave a int"):
        run([wrong], store)


def test_the_data_version_is_that_of_the_content(store: MetaxyStore) -> None:
    first, second = run([video], store), run([video], store)
    assert data_version(first, "ex/video") == data_version(second, "ex/video")
