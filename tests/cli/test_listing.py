import json
import os
import subprocess
import sys
from pathlib import Path


def test_features_are_listed_parents_first(here):
    ran = here.run("list", "features")
    assert ran.code == 0
    lines = [line.split("  ") for line in ran.out.splitlines()]
    assert [line[0] for line in lines] == ["feature", "video", "crop", "faces"]


def test_features_as_json_have_full_versions(here):
    rows = json.loads(here.run("list", "features", "--format", "json").out)
    assert [(row["feature"], row["fields"], row["parents"]) for row in rows] == [
        ("video", ["audio", "frames"], []),
        ("crop", ["audio", "frames"], ["video"]),
        ("faces", ["faces"], ["crop"]),
    ]
    assert {len(row["version"]) for row in rows} == {64}


def test_a_module_without_features_says_so(here):
    here.declare(text="")
    assert here.run("list", "features").out == "The module declares no features.\n"


STORES = """
store = "dev"
[stores.dev]
type = "duckdb"
path = "meta.duckdb"
fallback_stores = ["prod"]
[stores.prod]
type = "postgres"
dsn = "postgresql://me:s3cret@host:5432/db"
[stores.wrong]
type = "duckdb"
pth = "x"
"""


def test_stores_are_listed_without_secrets_and_with_what_is_wrong(here):
    here.configure(STORES)
    ran = here.run("list", "stores", "--format", "json")
    assert ran.code == 0
    assert "s3cret" not in ran.out + ran.err
    dev, prod, wrong = json.loads(ran.out)
    assert (dev["default"], dev["fallback_stores"]) == (True, ["prod"])
    assert dev["uri"] == f"duckdb://{here.path}/meta.duckdb"
    assert (prod["uri"], prod["problem"]) == ("postgresql://me@host:5432/db", None)
    assert (wrong["uri"], "Did you mean 'path'" in wrong["problem"]) == (None, True)
    assert "did you mean" in here.run("list", "stores").out.lower()


def test_a_configuration_without_stores_says_so(here):
    assert here.run("list", "stores").out == "The configuration names no stores.\n"


def test_what_a_module_prints_is_not_in_the_result(here):
    here.declare(text="print('hello')\n" + (here.path / "cli_features.py").read_text())
    ran = here.run("list", "features", "--format", "json")
    assert len(json.loads(ran.out)) == 3
    assert ran.err == "hello\n"


def test_listing_features_imports_no_engine(here):
    code = (
        "import sys; from metaxy_core.cli.app import main; main(['list', 'features']); "
        "engines = {'polars', 'ibis', 'duckdb', 'pyarrow', 'sqlglot', 'narwhals', 'dagster'}; "
        "print(sorted(engines & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert ran.stdout.splitlines()[-1] == "[]"
