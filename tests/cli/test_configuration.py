import json

import pytest

SETTINGS = """
module = "cli_features"
store = "dev"
[stores.dev]
type = "duckdb"
path = "meta.duckdb"
settings = {threads = 1, motherduck_token = "s3cret"}
[stores.prod]
type = "postgres"
dsn = "${DSN:-host=localhost port=1 password=s3cret}"
"""


@pytest.fixture(params=["plain", "json"])
def format(request):
    return request.param


def test_every_setting_is_printed_with_who_said_it_and_no_secret(here, monkeypatch, format):
    here.configure(SETTINGS)
    monkeypatch.setenv("METAXY_STORES__DEV__LOCK_TIMEOUT", "5")
    ran = here.run("config", "print", "--project", "x", "--format", format)
    assert ran.code == 0
    assert "s3cret" not in ran.out + ran.err
    if format == "json":
        found = {one["key"]: (one["value"], one["origin"]) for one in json.loads(ran.out)}
        file = str(here.path / "metaxy.toml")
        assert found["project"] == ("x", "argument")
        assert found["store"] == ("dev", file)
        assert found["auto_create_tables"] == (True, "default")
        assert found["stores.dev.path"] == ("meta.duckdb", file)
        assert found["stores.dev.lock_timeout"][1] == "environment"
        assert found["stores.prod.dsn"] == ("**********", file)
        hidden = dict.fromkeys(("threads", "motherduck_token"), "*" * 10)
        assert found["stores.dev.settings"][0] == hidden


@pytest.mark.parametrize("verb", ["print", "check"])
@pytest.mark.parametrize("store", ["md:db?motherduck_token=s3cret", "postgresql://u:s3cret@h/db"])
def test_the_address_of_a_store_is_printed_without_its_secret(here, verb, store, format):
    ran = here.run("config", verb, "--store", store, "--format", format)
    assert "s3cret" not in ran.out + ran.err


def test_a_right_configuration_is_checked_as_such(here):
    here.configure(SETTINGS.replace(', motherduck_token = "s3cret"', ""))
    ran = here.run("config", "check")
    assert ran.code == 0
    assert "3 features" in ran.out
    assert here.run("push").code == 0
    ran = here.run("config", "check", "--open", "--format", "json")
    found = {one["subject"]: one["ok"] for one in json.loads(ran.out)}
    assert (ran.code, found["store dev"], found["store prod"]) == (1, True, False)


def test_everything_that_is_wrong_is_found_at_once(here, monkeypatch):
    here.configure(SETTINGS + '[stores.third]\ntype = "duckdb"\npth = "x"\n')
    here.declare(text="1 / 0")
    monkeypatch.setenv("METAXY_STROE", "dev")
    ran = here.run("config", "check", "--format", "json")
    wrong = {one["subject"]: one["told"] for one in json.loads(ran.out) if not one["ok"]}
    assert ran.code == 1
    assert set(wrong) == {"METAXY_STROE", "features", "store third"}
    assert "cli_features.py:1: ZeroDivisionError" in wrong["features"]


def test_a_variable_that_is_not_set_is_told_beside_the_rest(here):
    here.configure('module = "cli_features"\n[stores.dev]\ntype = "duckdb"\npath = "${NO_PATH}"\n')
    wanted = "'stores.dev.path' needs the environment variable NO_PATH"
    ran = here.run("config", "check", "--format", "json")
    told = {one["subject"]: one["told"] for one in json.loads(ran.out)}
    assert ran.code == 1
    assert wanted in told["store dev"]
    assert told["features"] == "3 features"
    ran = here.run("config", "print")
    assert (ran.code, "${NO_PATH}" in ran.out) == (0, True)
    ran = here.run("list", "stores", "--format", "json")
    assert wanted in json.loads(ran.out)[0]["problem"]
    ran = here.run("status")
    assert (ran.code, wanted in ran.err) == (1, True)


def test_a_configuration_that_cannot_be_read_is_one_message(here):
    here.configure("store = ")
    for command in ("print", "check"):
        ran = here.run("config", command)
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)


def test_the_project_of_the_configuration_counts_for_history_and_diff(here):
    here.configure('module = "cli_features"\nstore = "meta.duckdb"\nproject = "vision"\n')
    assert here.run("push").code == 0
    assert here.run("graph", "history").out.split()[-1] == "vision"
    assert here.run("graph", "diff").code == 0
    assert "the project 'default'" in here.run("graph", "history", "--project", "default").out
