import json

STORES = """
module = "cli_features"
[stores.dev]
type = "duckdb"
path = "meta.duckdb"
[stores.crop]
type = "memory"
"""


def test_a_feature_is_described_with_what_follows_from_its_declaration(here):
    shown = json.loads(here.run("describe", "crop", "--format", "json").out)
    assert (shown["kind"], shown["feature"], shown["children"]) == ("feature", "crop", ["faces"])
    assert shown["fields"][0]["parents"] == ["video/audio"] or shown["fields"][0]["parents"]
    assert [(one["feature"], one["lineage"], one["on"]) for one in shown["parents"]] == [
        ("video", "identity", ["id"])
    ]
    text = here.run("describe", "crop").out
    assert "description" in text
    assert "A crop." in text


def test_a_store_is_described_and_it_is_said_whether_it_can_be_read(here):
    here.configure(STORES)
    shown = json.loads(here.run("describe", "dev", "--format", "json").out)
    assert (shown["kind"], shown["state"], shown["tables"]) == ("store", "missing", None)
    assert here.run("push", "--store", "dev").code == 0
    shown = json.loads(here.run("describe", "dev", "--format", "json").out)
    assert (shown["state"], shown["tables"], shown["hash_algorithm"]) == ("ok", 0, "md5")
    (here.path / "meta.duckdb").write_bytes(b"junk" * 1000)
    assert json.loads(here.run("describe", "dev", "--format", "json").out)["state"] == "corrupt"


def test_a_feature_comes_before_a_store_of_its_name(here):
    here.configure(STORES)
    assert json.loads(here.run("describe", "crop", "--format", "json").out)["kind"] == "feature"


def test_a_store_is_described_without_features(here):
    here.configure(STORES.replace('module = "cli_features"', ""))
    assert json.loads(here.run("describe", "dev", "--format", "json").out)["kind"] == "store"


def test_what_there_is_not_is_refused(here):
    ran = here.run("describe", "nothing")
    assert (ran.code, ran.out) == (1, "")
    assert "no feature 'nothing'" in ran.err
