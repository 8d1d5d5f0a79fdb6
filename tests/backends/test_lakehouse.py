"""What only lakehouse stores have to do: folders of any name, catalogs of other systems."""

from __future__ import annotations

from itertools import count

import polars as pl
import psycopg
import pytest

from metaxy_core import (
    DeltaMetadataStore,
    DuckLakeMetadataStore,
    IcebergMetadataStore,
    LanceDBMetadataStore,
)
from metaxy_core.errors import StoreUnavailableError
from tests.builders import NOTHING, feature, graph, rows, said, settle

pytestmark = pytest.mark.slow

FEATURES = graph(feature("a"))
DERIVED = graph(feature("a"), feature("b", "a"))
SECRET = "canary-s3cret"
NUMBERS = count()
STORES = (DeltaMetadataStore, DuckLakeMetadataStore, IcebergMetadataStore, LanceDBMetadataStore)


@pytest.mark.parametrize("kind", STORES, ids=lambda kind: kind.__name__)
def test_a_folder_may_have_a_space_and_an_accent_in_its_name(kind, tmp_path):
    folder = tmp_path / "données d'hier"
    folder.mkdir()
    with kind(folder / "store", graph=FEATURES) as store:
        store.write("a", rows({"id": ["x"]}))
        store.write("a", rows({"id": ["y"]}).with_columns(n=pl.lit(1)))
        assert store.delete("a", "id = 'x'", soft=False) == 1
    with store.open("r"):
        assert store.read("a").collect("polars")["id"].to_list() == ["y"]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("kind", [DeltaMetadataStore, IcebergMetadataStore])
def test_a_folder_whose_name_the_client_would_change_is_refused(kind, tmp_path):
    with pytest.raises(StoreUnavailableError, match="cannot use a folder with %"):
        with kind(tmp_path / "100%41", graph=FEATURES):
            pass


@pytest.fixture(params=["sqlite", "postgres"])
def lake(request, tmp_path):
    """Makes stores on one lake whose catalog is not DuckDB's."""
    options = {}
    catalog = f"sqlite:{tmp_path / 'catalog.db'}"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        with psycopg.connect(host=server, user="postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {(name := f'lake{next(NUMBERS)}')}")
        catalog = f"postgres:dbname={name} host={server} user=postgres password={SECRET}"
        options = {"data_path": tmp_path / "files"}
    return lambda **more: DuckLakeMetadataStore(catalog, graph=DERIVED, **options, **more)


def test_two_writers_share_a_lake(lake):
    one, other = lake(), lake()
    with one, other:
        settle(one, "a", samples=rows({"id": ["x"]}))
        settle(other, "a", samples=rows({"id": ["x", "y"]}))
        assert said(one.resolve_update("b")) == NOTHING | {"new": ["x", "y"]}
        settle(other, "b")
        other.write("a", rows({"id": ["x"]}, "2"))
        one.write("a", rows({"id": ["z"]}))
    with lake().open("r") as store:
        assert said(store.resolve_update("b")) == NOTHING | {"new": ["z"], "stale": ["x"]}
    assert SECRET not in f"{one!r} {one.display()} {one.get_store_metadata('a')}"


@pytest.mark.parametrize("lake", ["postgres"], indirect=True)
def test_a_commit_that_another_one_came_between_is_done_again(lake):
    one, other = lake(), lake()
    with one, other:
        began, commits = other.backend.numbers, []

        def numbers(count):
            commits.append(began(count))
            if len(commits) == 1:
                one.write("a", rows({"id": ["x"]}))
            return commits[-1]

        other.backend.numbers = numbers
        other.write("a", rows({"id": ["y"]}))
        assert len(commits) == 2
        assert sorted(other.read("a").collect("polars")["id"].to_list()) == ["x", "y"]


def test_writers_of_a_catalog_in_sqlite_take_turns(tmp_path):
    catalog = f"sqlite:{tmp_path / 'catalog.db'}"
    one = DuckLakeMetadataStore(catalog, graph=FEATURES)
    other = DuckLakeMetadataStore(catalog, graph=FEATURES, lock_timeout=0.05)
    with one, other:
        one.write("a", rows({"id": ["x"]}))

        def meanwhile(_):
            assert len(other.read("a").collect()) == 1
            with pytest.raises(StoreUnavailableError, match="somebody else was writing") as error:
                other.backend.commit(lambda _: None)
            assert error.value.reason == "locked"

        one.backend.commit(meanwhile)
        other.write("a", rows({"id": ["y"]}))
        assert len(one.read("a").collect()) == 2
