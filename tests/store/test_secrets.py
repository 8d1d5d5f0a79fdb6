"""A secret given to any store is found nowhere: canaries in every shape of address and option."""

from __future__ import annotations

import logging
import traceback
import warnings

import ibis
import pytest

from metaxy_core import (
    ClickHouseMetadataStore,
    DeltaMetadataStore,
    DuckDBMetadataStore,
    DuckLakeMetadataStore,
    IbisMetadataStore,
    IcebergMetadataStore,
    LanceDBMetadataStore,
    PostgresMetadataStore,
)
from metaxy_core.errors import StoreUnavailableError
from tests.builders import feature, graph, rows
from tests.properties.rules import LONG

FEATURES = graph(feature("a"))
SECRET = "canary-5ecret"
NOBODY = "127.0.0.1:1"
S3 = {
    "AWS_ACCESS_KEY_ID": f"key-{SECRET}",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": f"token-{SECRET}",
    "AWS_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL": f"http://{NOBODY}",
    "AWS_ALLOW_HTTP": "true",
    "max_retries": "0",
    "client_max_retries": "0",
    "retry_timeout": "1s",
    "connect_timeout": "1s",
}
GCS = {"service_account_key": f'{{"private_key": "{SECRET}"}}'}
AZURE = {"account_name": "a", "account_key": SECRET, "sas_token": f"sig={SECRET}"}
REST = {"type": "rest", "uri": f"http://{NOBODY}"}
SQL = {"type": "sql", "warehouse": "file:///tmp/none"}

SHAPES = {
    "duckdb query": lambda _: DuckDBMetadataStore(f"md:lab?motherduck_token={SECRET}"),
    "duckdb long query": lambda _: DuckDBMetadataStore(
        f"motherduck:lab?motherduck_token={SECRET}&attach_mode=single"
    ),
    "duckdb config": lambda at: DuckDBMetadataStore(
        at / "x.db", config={"motherduck_token": SECRET}
    ),
    "duckdb config of a setting": lambda at: DuckDBMetadataStore(
        at / "x.db", config={"memory_limit": SECRET}
    ),
    "duckdb address": lambda _: DuckDBMetadataStore(f"postgresql://ann:{SECRET}@{NOBODY}/lab"),
    "duckdb address without a slash": lambda _: DuckDBMetadataStore(f"ann:{SECRET}@db/lab"),
    "duckdb keys": lambda _: DuckDBMetadataStore(f"host=none/x password={SECRET}"),
    "ducklake keys": lambda at: DuckLakeMetadataStore(
        f"postgres:dbname=lake host=127.0.0.1 port=1 user=ann password={SECRET}", data_path=at
    ),
    "ducklake quoted": lambda at: DuckLakeMetadataStore(
        f"postgres:host=127.0.0.1 port=1 password='{SECRET} x'", data_path=at
    ),
    "ducklake uri": lambda at: DuckLakeMetadataStore(
        f"postgres:postgresql://ann:{SECRET}@{NOBODY}/lake", data_path=at
    ),
    "ducklake query": lambda at: DuckLakeMetadataStore(
        f"postgres:postgresql://{NOBODY}/lake?password={SECRET}", data_path=at
    ),
    "ducklake malformed": lambda at: DuckLakeMetadataStore(
        f"postgres:host=127.0.0.1 port=1 {SECRET}", data_path=at
    ),
    "ducklake other kind": lambda at: DuckLakeMetadataStore(
        f"mysql:host=db password={SECRET}", data_path=at
    ),
    "ducklake bare uri": lambda at: DuckLakeMetadataStore(
        f"postgresql://ann:{SECRET}@db/lake", data_path=at
    ),
    "ducklake prefix": lambda at: DuckLakeMetadataStore(
        f"ducklake:postgres:host=127.0.0.1 port=1 password={SECRET}", data_path=at
    ),
    "ducklake data path": lambda at: DuckLakeMetadataStore(
        at / "x.ducklake", data_path=f"s3://key:{SECRET}@bucket/lake"
    ),
    "delta s3": lambda _: DeltaMetadataStore("s3://bucket/m", storage_options=S3),
    "delta gcs": lambda _: DeltaMetadataStore("gs://bucket/m", storage_options=GCS),
    "delta user": lambda _: DeltaMetadataStore(f"s3://key:{SECRET}@bucket/m"),
    "delta query": lambda _: DeltaMetadataStore(f"https://h/m?sig={SECRET}"),
    "delta slash": lambda _: DeltaMetadataStore(f"s3://key:a/{SECRET}@bucket/m"),
    "lancedb s3": lambda _: LanceDBMetadataStore(
        "s3://bucket/m", storage_options={**S3, "timeout": "1s"}
    ),
    "lancedb gcs": lambda _: LanceDBMetadataStore("gs://bucket/m", storage_options=GCS),
    "lancedb azure": lambda _: LanceDBMetadataStore("az://bucket/m", storage_options=AZURE),
    "lancedb user": lambda _: LanceDBMetadataStore(f"s3://key:{SECRET}@bucket/m"),
    "lancedb query": lambda _: LanceDBMetadataStore(f"s3://bucket/m?token={SECRET}"),
    "iceberg token": lambda _: IcebergMetadataStore("s3://b/m", catalog={**REST, "token": SECRET}),
    "iceberg credential": lambda _: IcebergMetadataStore(
        "s3://b/m", catalog={**REST, "credential": f"id:{SECRET}"}
    ),
    "iceberg uri": lambda _: IcebergMetadataStore(
        "s3://b/m", catalog={**REST, "uri": f"http://ann:{SECRET}@{NOBODY}/?key={SECRET}"}
    ),
    "iceberg sql": lambda _: IcebergMetadataStore(
        "s3://b/m", catalog={**SQL, "uri": f"postgresql+psycopg://ann:{SECRET}@{NOBODY}/c"}
    ),
    "iceberg unknown sql": lambda _: IcebergMetadataStore(
        "s3://b/m", catalog={**SQL, "uri": f"nosql://ann:{SECRET}@{NOBODY}/c"}
    ),
    "iceberg kind": lambda _: IcebergMetadataStore(
        "s3://b/m", catalog={"type": "none", "token": SECRET}
    ),
    "iceberg s3": lambda at: IcebergMetadataStore(
        at, catalog={**REST, "s3.secret-access-key": SECRET}
    ),
    "iceberg user": lambda _: IcebergMetadataStore(f"s3://key:{SECRET}@bucket/m"),
    "postgres uri": lambda _: PostgresMetadataStore(
        f"postgresql://ann:{SECRET}@{NOBODY}/lab", connect_timeout=2
    ),
    "clickhouse uri": lambda _: ClickHouseMetadataStore(
        f"clickhouse://ann:{SECRET}@{NOBODY}/lab", connect_timeout=1
    ),
    "ibis": lambda _: IbisMetadataStore(_with_token(ibis.duckdb.connect())),
}
WORKS = {"ibis"}
SLOW = {"lancedb s3"}  # Lance tries for twenty seconds


def _with_token(connection):
    connection.canary = SECRET
    return connection


@pytest.mark.slow
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if LONG or shape not in SLOW])
def test_a_secret_is_found_nowhere(shape, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    said = []
    caplog.set_level(logging.DEBUG)
    caught = None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            store = SHAPES[shape](tmp_path)
            said += [repr(store), str(store), store.display(), repr(store.backend)]
            said += [str(store.get_store_metadata("a")), str(store.backend.describe())]
            store = store.using(FEATURES)
            with store.open("w"):
                store.write("a", rows({"id": ["x"]}))
        except Exception as error:  # noqa: BLE001  # whatever a driver raises
            caught = error
            said += [repr(error), *traceback.format_exception(error)]
            said += [str(value) for value in vars(error).values()]
    assert (caught is None) == (shape in WORKS)
    said += [caplog.text, *(str(warning.message) for warning in warned)]
    assert not [text for text in said if SECRET in text]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.startswith("duckdb")])
def test_a_secret_in_a_missing_file_is_found_nowhere(shape, tmp_path):
    store = SHAPES[shape](tmp_path).using(FEATURES)
    with pytest.raises(StoreUnavailableError) as caught, store.open("r"):
        pass
    said = [*traceback.format_exception(caught.value), repr(vars(caught.value))]
    assert not [text for text in said if SECRET in text]
