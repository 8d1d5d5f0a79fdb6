"""Stores made from data: checked, complete, and silent about secrets."""

from __future__ import annotations

import pytest

import metaxy_core
from metaxy_core import DuckDBMetadataStore, InMemoryMetadataStore
from metaxy_core.errors import ConfigError
from tests.builders import feature, graph, rows, settle

STORES = [name for name in metaxy_core.__all__ if name.endswith("MetadataStore")]


def test_a_store_is_made_from_its_config(tmp_path):
    config = {"path": tmp_path / "a.duckdb", "hash_algorithm": "sha256", "project": "p"}
    store = DuckDBMetadataStore.from_config(config, graph=graph(feature("a", project="p")))
    with store:
        settle(store, "a", samples=rows({"id": ["x"]}))
    assert (tmp_path / "a.duckdb").exists()
    assert str(store.scheme) == "sha256/1"
    model = DuckDBMetadataStore.config_model()
    assert DuckDBMetadataStore.from_config(model(**config)).project == "p"


def test_unknown_and_wrong_options_are_refused_by_name():
    with pytest.raises(ConfigError, match="DuckDBMetadataStore.*pth: Extra inputs"):
        DuckDBMetadataStore.from_config({"pth": "a.duckdb"})
    with pytest.raises(ConfigError, match="lock_timeout: Input should be a valid number"):
        DuckDBMetadataStore.from_config({"lock_timeout": "soon"})
    with pytest.raises(ConfigError, match="versioning_engine"):
        InMemoryMetadataStore.from_config({"versioning_engine": "duck"})


@pytest.mark.parametrize("name", [n for n in STORES if n not in ("MetadataStore",)])
def test_every_store_has_a_model_also_under_its_earlier_name(name):
    model = getattr(metaxy_core, name).config_model()
    assert getattr(metaxy_core, f"{name}Config") is model
    assert {"name", "project", "hash_algorithm"} <= model.model_fields.keys()
    assert "options" not in model.model_fields


def test_a_secret_is_not_shown_by_a_config_or_its_error():
    model = metaxy_core.ClickHouseMetadataStore.config_model()
    assert "canary" not in repr(model(host="h", password="canary"))
    with pytest.raises(ConfigError) as error:
        metaxy_core.ClickHouseMetadataStore.from_config({"password": "canary", "port": "canary"})
    assert "canary" not in str(error.value)


def test_an_option_that_models_have_a_method_for_is_an_option():
    model = metaxy_core.PostgresMetadataStore.config_model()
    assert "canary" not in repr(model(dsn="postgresql://h/d", schema="s", password="canary"))
    for config in ({"host": "h", "schema": "s"}, model(host="h", schema="s")):
        store = metaxy_core.PostgresMetadataStore.from_config(config)
        assert store.backend.schema == "s"
