"""Failures are state: left out, offered again, quarantined, released by other inputs or code."""

from __future__ import annotations

import sys
from datetime import timedelta

import polars as pl
import pytest

from metaxy_core.errors import FilterError, MetadataSchemaError
from metaxy_core.system.failures import RetryPolicy
from tests.builders import NOTHING, edge, expansion, feature, graph, rows, said, settle

CHAIN = graph(feature("a", fields=["f", "g"]), feature("b", "a", fields=["f", "g"]))
LATER = RetryPolicy(max_attempts=3, backoff=timedelta(hours=1))
AT_ONCE = RetryPolicy(max_attempts=3, backoff=timedelta(0))


def samples(**texts):
    found = [{"f": text, "g": "1"} for text in texts.values()]
    return rows({"id": list(texts)}, found)


def fail(store, ids, policy=LATER, errors="no picture", feature="b"):
    todo = store.resolve_update(feature).todo().to_native()
    return store.record_failures(
        feature, todo.filter(pl.col("id").is_in(ids)), errors, policy=policy
    )


def test_what_failed_is_left_out_and_counted(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1"))
        assert fail(store, ["x"], errors=ValueError("no picture")) == 0
        found = store.resolve_update("b")
        assert said(found) == NOTHING | {"new": ["y"]}
        assert (found.failed, found.counts["new"]) == (1, 1)
        (failure,) = store.failures("b").rows(named=True)
        assert (failure["id"], failure["metaxy_error"]) == ("x", "ValueError")
        assert (failure["metaxy_message"], failure["metaxy_attempt"]) == ("no picture", 1)
        assert failure["metaxy_retry_at"] - failure["metaxy_failed_at"] == timedelta(hours=1)
        assert not failure["metaxy_quarantined"]


def test_after_its_back_off_it_is_offered_and_after_its_budget_quarantined(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        assert [fail(store, ["x"], AT_ONCE) for _ in range(3)] == [0, 0, 1]
        found = store.resolve_update("b")
        assert said(found) == NOTHING
        assert found.failed == 1
        assert store.failures("b")["metaxy_attempt"].to_list() == [3]
        assert store.failures("b")["metaxy_quarantined"].to_list() == [True]


def test_the_wait_doubles_up_to_the_longest():
    policy = RetryPolicy(9, timedelta(minutes=5), timedelta(hours=1))
    assert [policy.wait(n).total_seconds() / 60 for n in (1, 2, 3, 4, 5, 900)] == [
        5, 10, 20, 40, 60, 60,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="at least 1"):
        RetryPolicy(0)


def test_other_inputs_release_at_once_and_begin_anew(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        for _ in range(3):
            fail(store, ["x"], AT_ONCE)
        settle(store, "a", samples=samples(x="2"))
        assert said(store.resolve_update("b")) == NOTHING | {"new": ["x"]}
        fail(store, ["x"])
        assert store.failures("b")["metaxy_attempt"].to_list() == [1]


def test_other_code_releases_at_once(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        fail(store, ["x"])
        bumped = store.using(graph(CHAIN["a"], feature("b", "a", fields=["f", ("g", 2)])))
        assert said(bumped.resolve_update("b")) == NOTHING | {"new": ["x"]}
        assert said(store.resolve_update("b")) == NOTHING


def test_a_stale_sample_that_fails_stays_as_it_was(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        settle(store, "b")
        settle(store, "a", samples=samples(x="2"))
        fail(store, ["x"])
        assert store.resolve_update("b").failed == 1
        assert len(store.read("b").collect()) == 1


def test_success_ends_it(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1"))
        fail(store, ["x"], AT_ONCE)
        settle(store, "b")
        assert len(store.failures("b")) == 0
        assert store.resolve_update("b").failed == 0


def test_success_with_other_inputs_ends_it_too(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1"))
        for _ in range(3):
            fail(store, ["x", "y"], AT_ONCE)
        settle(store, "a", samples=samples(x="2"))
        settle(store, "b")
        assert store.failures("b")["id"].to_list() == ["y"]
        settle(store, "a", samples=samples(x="1"))
        assert said(store.resolve_update("b")) == NOTHING | {"stale": ["x"]}


def test_retry_offers_again_from_the_first_attempt(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1"))
        for _ in range(3):
            fail(store, ["x", "y"], AT_ONCE)
        assert store.retry_failures("b", "id = 'x'") == 1
        assert said(store.resolve_update("b")) == NOTHING | {"new": ["x"]}
        assert store.failures("b")["id"].to_list() == ["y"]
        fail(store, ["x"])
        assert sorted(store.failures("b").select("id", "metaxy_attempt").rows()) == [
            ("x", 1),
            ("y", 3),
        ]
        assert store.clear_failures("b", units=pl.DataFrame({"id": ["y"]})) == 1
        assert store.failures("b")["id"].to_list() == ["x"]


def test_a_forced_comparison_offers_what_failed(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        fail(store, ["x"])
        assert said(store.resolve_update("b", skip_comparison=True))["new"] == ["x"]


def test_samples_of_a_root_fail_too(make_store):
    with make_store(CHAIN) as store:
        given = samples(x="1", y="1")
        store.record_failures("a", given.head(1), ["gone"], policy=LATER)
        assert said(store.resolve_update("a", samples=given)) == NOTHING | {"new": ["y"]}
        assert said(store.resolve_update("a", samples=samples(x="2")))["new"] == ["x"]


def test_a_parent_whose_children_could_not_be_made(make_store):
    chunks = feature("b", edge("a", lineage=expansion()), ids=["id", "n"], fields=["f", "g"])
    with make_store(graph(CHAIN["a"], chunks)) as store:
        settle(store, "a", samples=samples(x="1", y="1"))
        fail(store, ["y"])
        assert said(store.resolve_update("b")) == NOTHING | {"new": ["x"]}
        assert store.failures("b")["id"].to_list() == ["y"]


def test_the_same_again_after_more_failures_uses_the_compiled_query(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1", z="1"))
        settle(store, "b")
        settle(store, "a", samples=samples(x="2", y="2", z="2"))
        for failed in ("x", "y", "z"):
            fail(store, [failed])
            assert failed not in said(store.resolve_update("b"))["stale"]
        assert store.resolve_update("b").failed == 3


def test_as_many_errors_as_rows(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        with pytest.raises(MetadataSchemaError, match="1 units failed, but 2 errors"):
            fail(store, ["x"], errors=["one", "two"])


def test_units_limit_a_comparison(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1", y="1"))
        for wanted in ("x", "y"):
            units = pl.DataFrame({"id": [wanted, wanted]})
            assert said(store.resolve_update("b", units=units))["new"] == [wanted]
        with pytest.raises(MetadataSchemaError, match="no column id"):
            store.resolve_update("b", units=pl.DataFrame({"other": ["x"]}))


@pytest.mark.parametrize("ids", [[1, 2], [True, False]], ids=["integers", "booleans"])
def test_ids_that_are_no_texts(make_store, ids):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=rows({"id": ids}, [{"f": "1", "g": "1"}] * 2))
        for attempt in (1, 2, 3):
            fail(store, [ids[0]], AT_ONCE)
            assert store.failures("b")["metaxy_attempt"].to_list() == [attempt]
        assert said(store.resolve_update("b"))["new"] == [ids[1]]


def test_each_error_stays_with_its_sample(make_store):
    names = [f"s{number}" for number in range(300)]
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(**dict.fromkeys(names, "1")))
        todo = store.resolve_update("b").todo().to_native()
        store.record_failures("b", todo, [f"no {name}" for name in todo["id"]])
        found = store.failures("b").select("id", "metaxy_message").rows()
        assert len(found) == 300
        assert all(message == f"no {name}" for name, message in found)


def test_messages_that_no_database_keeps_are_made_plain(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        fail(store, ["x"], errors=ValueError("a\udcff\0b"))
        assert store.failures("b")["metaxy_message"].to_list() == ["a?\ufffdb"]


def test_never_quarantined_is_a_policy(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        assert fail(store, ["x"], RetryPolicy(max_attempts=sys.maxsize)) == 0


def test_a_dropped_feature_has_no_failures(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        fail(store, ["x"])
        store.drop("b")
        assert said(store.resolve_update("b"))["new"] == ["x"]


def test_a_filter_that_fits_no_column_is_told_all_of_them(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        fail(store, ["x"])
        with pytest.raises(FilterError, match=r"Columns: id, metaxy_error, metaxy_message, "):
            store.failures("b", "nme = 'x'")
        with pytest.raises(FilterError) as error:
            store.failures("b", "metaxy_attempt = 'x'")
        assert "\n" not in str(error.value)


def test_a_failure_after_a_success_of_the_same_counts(make_store):
    with make_store(CHAIN) as store:
        settle(store, "a", samples=samples(x="1"))
        settle(store, "b")
        again = store.resolve_update("b", staleness_predicates=["id = 'x'"])
        store.record_failures("b", again.stale, "no", policy=LATER)
        assert store.resolve_update("b", staleness_predicates=["id = 'x'"]).failed == 1
        assert store.failures("b")["id"].to_list() == ["x"]
