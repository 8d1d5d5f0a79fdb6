"""No secret is shown, in whatever shape it was written."""

from __future__ import annotations

import datetime
import json
import logging
import math
import traceback

import pytest

from metaxy_core import ConfigError
from metaxy_core.addresses import harmless
from metaxy_core.config.secrets import shown, unwrap, wrap

CANARY = "s3cr3t-canary"
SHAPES = [
    f'type = "postgres"\ndsn = "postgresql://me:{CANARY}@host:5432/db"',
    f'type = "postgres"\ndsn = "postgresql://host/db?user=me&password={CANARY}"',
    f'type = "postgres"\ndsn = "host=h password={CANARY}"',
    f'type = "postgres"\ndsn = "host=h password=\'{CANARY} x\'"',
    f'type = "postgres"\nhost = "h"\npassword = "{CANARY}"',
    'type = "postgres"\nhost = "h"\npassword = 20261121',
    'type = "duckdb"\nsettings = {motherduck_token = 20261121, x = 2026-11-21}',
    f'type = "postgres"\nhost = "h"\nparameters = {{sslpassword = "{CANARY}"}}',
    f'type = "clickhouse"\ndsn = "clickhouse://me:{CANARY}@host/db"',
    f'type = "clickhouse"\nhost = "h"\npassword = "{CANARY}"',
    f'type = "duckdb"\npath = "md:db?motherduck_token={CANARY}"',
    f'type = "duckdb"\npath = "m.duckdb"\nsettings = {{motherduck_token = "{CANARY}"}}',
    f'type = "delta"\nuri = "s3://key:{CANARY}@bucket/x"',
    f'type = "delta"\nuri = "s3://bucket/x"\nstorage_options = {{secret = "{CANARY}"}}',
    f'type = "iceberg"\nwarehouse = "w"\ncatalog = {{uri = "postgresql://u:{CANARY}@h/d"}}',
    f'type = "ducklake"\ncatalog = "postgres:dbname=d password={CANARY}"',
    f'type = "ibis"\nconnection = "trino://u:{CANARY}@h/d"',
    f'type = "postgres"\nconfig = {{password = "{CANARY}"}}',
    f'type = "{CANARY}"\npassword = "{CANARY}"'.replace(CANARY, "none", 1),
    f'type = "postgres"\npasword = "{CANARY}"',
    f'type = "postgres"\nport = "{CANARY}"',
    f'type = "delta"\nuri = "x"\nstorage_options = "{CANARY}"',
    f'type = "postgres"\ndsn = "postgresql://me:{CANARY}@host:port/db"',
    f'type = "postgres"\ndsn = "postgresql://u@h/dbpostgresql://u:{CANARY}@h/db"',
    f'type = "ibis"\nconnection = "nothing://u:{CANARY}@h/db"',
    f'type = "postgres"\ndsn = "jdbc:postgresql://me:{CANARY}@host/db"',
]


@pytest.mark.parametrize("store", SHAPES)
def test_no_shape_of_a_secret_is_shown(root, store, caplog):
    caplog.set_level(logging.DEBUG)
    said = []
    try:
        config = root.load(f"[stores.dev]\n{store}")
        said += [repr(config), str(config.model_dump()), config.model_dump_json()]
        said += [repr(config._merged), str(config.stores["dev"])]
        said.append(str({k: shown(k, v) for k, v in config.stores["dev"].options.items()}))
        made = config.make_store()
        said += [repr(made), made.display(), str(made.backend.describe())]
    except (ConfigError, ImportError) as error:
        said += [str(error), repr(error)]
        chain = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        said.append(repr(chain))
    assert CANARY not in "\n".join([*said, caplog.text])
    assert "20261121" not in "\n".join([*said, caplog.text])


ADDRESSES = [
    f"md:db?motherduck_token={CANARY}",
    f"postgresql://u:{CANARY}@h/db",
    f"duckdb://u:{CANARY}@h/db.duckdb",
    f"u:{CANARY}@h/db",
    f"host=/tmp/x password={CANARY}",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_store_given_by_its_address_is_not_repeated(root, address):
    config = root.load(f"store = '{address}'")
    said = [repr(config), str(config)]
    try:
        made = config.make_store()
        said += [repr(made), made.display(), str(made.backend.describe())]
    except ConfigError as error:
        said += traceback.format_exception(error)
    assert CANARY not in "\n".join(said)


@pytest.mark.parametrize("address", ["postgresql://h/db", "s3://bucket/m.duckdb"])
def test_an_address_is_no_duckdb_file(root, address):
    with pytest.raises(ConfigError, match=r"\[stores\.NAME\]") as error:
        root.load("").make_store(address)
    assert address not in str(error.value)


def test_a_configured_store_may_have_the_name_of_an_address(root):
    config = root.load('[stores."a://b"]\ntype = "memory"')
    assert config.make_store("a://b").name == "a://b"


def test_whatever_toml_can_say_is_printed_as_json():
    said = {"lock_timeout": math.nan, "secure": True, "x": datetime.date(2026, 11, 21), "y": [1.5]}
    printed = {name: shown(name, value) for name, value in wrap(said).items()}
    assert json.loads(json.dumps(printed, allow_nan=False)) == {
        "lock_timeout": "nan", "secure": True, "x": "**********", "y": ["**********"],
    }  # fmt: skip


def test_what_is_wrapped_comes_back_as_it_was():
    said = {"password": "p", "n": 3, "m": {"k": [1, "x"]}, "on": True, "none": None}
    assert unwrap(wrap(said)) == said
    assert unwrap(wrap(wrap(said))) == said


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("s3://bucket/a=1/b", "s3://bucket/a=1/b"),
        ("postgresql://u:p/w@host:5432/db", "postgresql://host:5432/db"),
        ("https://host/x#p", "https://host/x"),
        ("x://a@b@c", "**********"),
        ("x://u:p?w@host/db", "**********"),
        ("x://h/db?password=p@ss", "**********"),
        ("jdbc:x://u:p@h", "**********"),
        ("x://u:p", "**********"),
        ("user:p@host", "**********"),
        ("a=b", "**********"),
        ("Server=h;Pwd=p", "**********"),
        (":memory:", ":memory:"),
    ],
)
def test_of_an_address_only_harmless_parts_are_seen(text, seen):
    assert harmless(text) == seen
