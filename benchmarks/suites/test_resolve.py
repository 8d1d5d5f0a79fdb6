"""Resolve: every graph, and a change of every size, beside SQL written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import pytest

from benchmarks import by_hand
from benchmarks.suites.datasets import SMALL, Dataset, Shelf, size
from benchmarks.suites.measure import Measure, Reach
from metaxy_core import DuckDBMetadataStore

Change = Literal["nothing", "little", "10 %", "everything"]


@dataclass(frozen=True)
class Case:
    """What changed in which dataset, compared in full or beginning from a mark."""

    dataset: Dataset
    change: Change = "10 %"
    full: bool = True

    @property
    def changed(self) -> int:
        """How many samples."""
        samples = self.dataset.samples
        counts: dict[Change, int] = {
            "nothing": 0,
            "little": min(1_000, samples // 10),
            "10 %": samples // 10,
            "everything": samples,
        }
        return counts[self.change]

    @property
    def step(self) -> int:
        """A few changed samples are all over the table; many of them follow each other."""
        return self.dataset.samples // self.changed if self.change == "little" else 1

    def __str__(self) -> str:
        way = "" if self.full else ", by mark"
        return f"resolve, {self.dataset}, {self.change} changed{way}"


def cases(most: int) -> list[Case]:
    """All of them, at up to so many samples; small features have no marks."""
    large, small = size(most), min(SMALL, most)
    simple = Dataset(large)
    return [
        *(Case(Dataset(small, name)) for name in ("simple", "wide", "N:1", "1:N")),
        Case(Dataset(size(most, 10), "deep")),
        *(Case(simple, change) for change in get_args(Change)),
        *(Case(simple, change, full=False) for change in get_args(Change)[:3] if large > SMALL),
        Case(Dataset(large, ids="integer")),
        *(Case(Dataset(large, name)) for name in ("wide", "N:1", "1:N")),
    ]


def reach(case: Case) -> Reach | None:
    """What there is to reach; at sizes where it is promised."""
    dataset = case.dataset
    plain = dataset.name in ("simple", "wide") and dataset.ids == "text" and case.change == "10 %"
    if plain and case.full and dataset.samples == 1_000_000:
        return Reach(1.3)
    if plain and dataset.samples == SMALL:
        return Reach(0.060, "s")
    if case.change == "little" and not case.full and dataset.samples == 10_000_000:
        return Reach(1 / 30)
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    most = metafunc.config.getoption("samples")
    found = cases(most)
    if metafunc.function is test_nothing_to_do_costs_what_a_small_feature_costs:
        found = [Case(Dataset(size(most)), "nothing", full=False)]
    metafunc.parametrize("case", list(dict.fromkeys(found)), ids=str)


def test_resolve(case: Case, shelf: Shelf, measure: Measure) -> None:
    samples, shape = case.dataset.samples, case.dataset.shape
    queries = [by_hand.resolve(shape, feature.key) for feature in shape.derived]
    with shelf.changed(case.dataset, case.changed, case.step) as store:
        connection = connection_of(store)

        def ours() -> int:
            return sum(
                len(store.resolve_update(feature.key, full=case.full).stale)
                for feature in shape.derived
            )

        def theirs() -> int:
            return sum(connection.sql(query).pl().height for query in queries)

        assert ours() == theirs()
        measure(str(case), samples, ours, theirs, reach=reach(case))


def test_nothing_to_do_costs_what_a_small_feature_costs(
    case: Case, shelf: Shelf, measure: Measure
) -> None:
    small = Dataset(min(SMALL, case.dataset.samples))
    (feature,) = small.shape.derived
    with (
        shelf.changed(small, small.samples // 10) as one,
        shelf.changed(case.dataset, 0) as other,
    ):
        measure(
            f"{case}, over the fixed cost",
            case.dataset.samples,
            lambda: other.resolve_update(feature.key),
            lambda: one.resolve_update(feature.key),
            beside="10 k samples",
            reach=Reach(0.020, "over") if case.dataset.samples == 10_000_000 else None,
            rounds=9,
        )


def connection_of(store: DuckDBMetadataStore) -> Any:
    """The open store's own connection, so that both sides have the same pages in memory."""
    backend: Any = store.backend
    return backend.connection.con
