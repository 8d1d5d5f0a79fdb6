"""Bugs that the machine found, each shrunk to the edits that show it.

The oracle is asked after every edit, so a test needs no assertion of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from metaxy_core.backends.duckdb import DuckDBBackend
from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.spec import FeatureDep, FeatureSpec, LineageRelationship
from metaxy_core.store import MetadataStore
from metaxy_core.testing import Compare
from metaxy_core.testing.strategies import Declared, Sample
from tests.properties.edits import Child, Delete, Edit, Look, Made, Process, Put, Redeclare
from tests.properties.machine import replay

BACKENDS = {"memory": MemoryBackend, "duckdb": lambda: DuckDBBackend(":memory:")}
Replay = Callable[[Declared, Sequence[Edit]], None]


@pytest.fixture(params=["memory", pytest.param("duckdb", marks=pytest.mark.slow)])
def replayed(request: pytest.FixtureRequest) -> Replay:
    make = BACKENDS[request.param]

    def run(declared: Declared, edits: Sequence[Edit]) -> None:
        replay(lambda one: MetadataStore(make(), graph=one.graph), declared, edits)

    return run


def root(**values: str) -> Sample:
    """A sample of the root `a`, identified by `ta`."""
    return Sample({"n_a": 1, "n2_a": 2, "t_a": "x"} | values, {"default": "v1"}, {})


A = FeatureSpec("a", id_columns=["ta"])
CHILDREN = FeatureSpec(
    "z_1",
    id_columns=["ta", "nx"],
    deps=[FeatureDep("a", lineage=LineageRelationship.expansion())],
)


def children(*numbers: int) -> Process:
    """A write of the children of the sample `x`."""
    rows = ({"ta": "x", "nx": n, "n_z_1": n, "n2_z_1": n, "t_z_1": "t"} for n in numbers)
    return Process("z_1", (Made(("x",), tuple(map(Child, rows))),))


def test_a_hard_delete_of_the_last_child_brings_no_older_children_back(replayed: Replay) -> None:
    replayed(
        Declared((A, CHILDREN), {}),
        [
            Put("a", (root(ta="x"),)),
            children(0, 1),
            children(1),
            Delete("z_1", (("x", 1),), soft=False),
        ],
    )


def test_a_hard_delete_chooses_among_the_rows_that_count_now(replayed: Replay) -> None:
    other = FeatureSpec("a", id_columns=["ta"], fields=[{"key": "default", "code_version": "2"}])
    newer = Sample({"ta": "x", "n_a": 9, "n2_a": 2, "t_a": "x"}, {"default": "v1"}, {})
    replayed(
        Declared((A,), {}),
        [
            Put("a", (root(ta="x"),)),
            Redeclare(Declared((other,), {})),
            Put("a", (newer,)),
            Redeclare(Declared((A,), {})),
            Delete("a", (), soft=False, where=Compare("n_a", "=", 9)),
        ],
    )


def test_a_filter_on_a_root_asks_the_samples_not_what_was_stored(replayed: Replay) -> None:
    changed = Sample({"ta": "x", "n_a": 9, "n2_a": 2, "t_a": "x"}, {"default": "v2"}, {})
    where = {"a": (Compare("n_a", "=", 9),)}
    replayed(
        Declared((A,), {}),
        [
            Put("a", (root(ta="x"),)),
            Put("a", (changed,), write=False),
            Look("a", where),
            Delete("a", (("x",),), soft=False),
            Look("a", where),
        ],
    )


def test_an_optional_parent_that_was_never_written_has_its_own_parents_id_types(
    replayed: Replay,
) -> None:
    numbered = FeatureSpec("a", id_columns=["nb"])
    between = FeatureSpec("a/b", id_columns=["nb"], deps=["a"])
    last = FeatureSpec("z_1", id_columns=["nb"], deps=[FeatureDep("a/b", optional=True)])
    sample = Sample({"nb": 1, "n_a": 1, "n2_a": 2, "t_a": "x"}, {"default": "v1"}, {})
    replayed(Declared((numbered, between, last), {}), [Put("a", (sample,))])


def test_a_root_that_was_never_written_says_nothing_about_types(replayed: Replay) -> None:
    numbered, other = (FeatureSpec(key, id_columns=["nb"]) for key in ("a", "a-b"))
    optional = [FeatureDep(key, optional=True) for key in ("a", "a-b")]
    last = FeatureSpec("z_1", id_columns=["nb"], deps=optional)
    sample = Sample({"nb": 1, "n_a": 1, "n2_a": 2, "t_a": "x"}, {"default": "v1"}, {})
    replayed(Declared((numbered, other, last), {}), [Put("a", (sample,))])


def test_an_optional_parent_that_was_never_written_may_be_filtered(replayed: Replay) -> None:
    where = Compare("n_a__b", ">", 1)
    between = FeatureSpec("a/b", id_columns=["ta"], deps=["a"])
    optional = FeatureDep("a/b", optional=True, filters=[where.text])
    last = FeatureSpec("z_1", id_columns=["ta"], deps=["a", optional])
    replayed(Declared((A, between, last), {where.text: where}), [Put("a", (root(ta="x"),))])


def test_an_optional_parent_that_was_never_written_may_be_grouped(replayed: Replay) -> None:
    between = FeatureSpec("a/b", id_columns=["ta"], deps=["a"])
    grouped = FeatureDep(
        "a/b",
        optional=True,
        rename={"t_a__b": "tg"},
        lineage=LineageRelationship.aggregation(on=["tg"]),
    )
    last = FeatureSpec("z_1", id_columns=["tg"], deps=[grouped])
    replayed(Declared((A, between, last), {}), [Put("a", (root(ta="x"),))])


def test_a_filter_asks_a_present_parents_row_though_the_unit_is_orphaned(replayed: Replay) -> None:
    b = FeatureSpec("a/b", id_columns=["ta"])
    both = FeatureSpec("z_1", id_columns=["ta"], deps=["a", "a/b"])
    of_b = Sample({"ta": "x", "n_a__b": 1, "n2_a__b": 2, "t_a__b": "x"}, {"default": "v1"}, {})
    made = Child({"ta": "x", "n_z_1": 1, "n2_z_1": 1, "t_z_1": "t"})
    replayed(
        Declared((A, b, both), {}),
        [
            Put("a", (root(ta="x"),)),
            Put("a/b", (of_b,)),
            Process("z_1", (Made(("x",), (made,)),)),
            Delete("a/b", (("x",),)),
            Look("z_1", {"a": (Compare("n_a", "=", 1),)}),
        ],
    )


def test_a_filter_on_ids_asks_the_unit_where_an_optional_parent_is_absent(
    replayed: Replay,
) -> None:
    b = FeatureSpec("a/b", id_columns=["ta"])
    both = FeatureSpec("z_1", id_columns=["ta"], deps=["a", FeatureDep("a/b", optional=True)])
    of_b = Sample({"ta": "y", "n_a__b": 1, "n2_a__b": 2, "t_a__b": "x"}, {"default": "v1"}, {})
    replayed(
        Declared((A, b, both), {}),
        [
            Put("a", (root(ta="x"),)),
            Put("a/b", (of_b,)),
            Look("z_1", {"a/b": (Compare("ta", "=", "x"),)}),
        ],
    )


def test_open_rows_bring_no_fields_that_the_closing_write_does_not_declare(
    replayed: Replay,
) -> None:
    two = FeatureSpec("z_1", id_columns=["ta", "nx"], deps=CHILDREN.deps, fields=["v", "u/v"])
    one = FeatureSpec("z_1", id_columns=["ta", "nx"], deps=CHILDREN.deps, fields=["v"])
    opened = replace(children(0), partial=True)
    replayed(
        Declared((A, two), {}),
        [
            Put("a", (root(ta="x"),)),
            opened,
            Redeclare(Declared((A, one), {})),
            children(1),
            Redeclare(Declared((A, two), {})),
        ],
    )
