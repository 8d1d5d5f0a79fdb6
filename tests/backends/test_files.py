"""Stores in files: their folders, and what is said where there is no file."""

from __future__ import annotations

import pytest

from metaxy_core import DuckDBMetadataStore, SQLiteMetadataStore, StoreUnavailableError
from tests.builders import feature, graph

GRAPH = graph(feature("a", fields=["f"]))
STORES = [DuckDBMetadataStore, SQLiteMetadataStore]


@pytest.mark.parametrize("kind", STORES)
def test_the_first_write_makes_the_folder_and_reading_does_not(kind, tmp_path):
    store = kind(tmp_path / "new" / "folder" / "meta.db", graph=GRAPH)
    with pytest.raises(StoreUnavailableError, match="The first write makes it") as error:
        store.open("r").__enter__()
    assert error.value.reason == "missing"
    assert not (tmp_path / "new").exists()
    with store.open("w"):
        store.push()
    with store.open("r"):
        assert len(store.snapshots()) == 1


@pytest.mark.parametrize("kind", STORES)
def test_a_folder_that_cannot_be_made_is_named(kind, tmp_path):
    (tmp_path / "taken").write_text("a file")
    store = kind(tmp_path / "taken" / "meta.db", graph=GRAPH)
    with pytest.raises(StoreUnavailableError, match="its folder .*taken cannot be made"):
        store.open("w").__enter__()
