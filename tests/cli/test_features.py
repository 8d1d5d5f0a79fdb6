import json


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
