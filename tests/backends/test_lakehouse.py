"""What only lakehouse stores have to do: folders of any name."""

from __future__ import annotations

import polars as pl
import pytest

from metaxy_core import (
    DeltaMetadataStore,
    DuckLakeMetadataStore,
    IcebergMetadataStore,
    LanceDBMetadataStore,
)
from metaxy_core.errors import StoreUnavailableError
from tests.builders import feature, graph, rows

pytestmark = pytest.mark.slow

FEATURES = graph(feature("a"))
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
