"""The machine: random edits on an engine and on the oracle, compared after every one.

Beside the increments themselves it checks that digests and trees correspond one to one: equal
digests where the oracle sees equal trees, different digests where it sees different ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from metaxy_core.backends.memory import MemoryBackend
from metaxy_core.errors import FeatureNotFoundError
from metaxy_core.spec import FeatureSpec
from metaxy_core.store import LazyIncrement, MetadataStore
from metaxy_core.testing import (
    Cell,
    Choice,
    Given,
    Ids,
    Predicate,
    Reference,
    Tree,
    Trees,
    UnwrittenParentError,
)
from metaxy_core.testing.strategies import (
    Declared,
    Sample,
    kind_of,
    random_graph,
    user_columns,
)
from tests.properties.drawing import World, first_edits, random_edit
from tests.properties.edits import (
    Delete,
    Edit,
    Forget,
    Hold,
    Lend,
    Look,
    Process,
    Put,
    Redeclare,
    Undelete,
)

PROVENANCE, DATA_VERSION = "metaxy_provenance_by_field", "metaxy_data_version_by_field"
STALE_FIELDS = "metaxy_stale_fields"

_TYPES: dict[type, Any] = {str: pl.String, int: pl.Int64, bool: pl.Boolean}


class MismatchError(AssertionError):
    """The engine and the oracle disagree."""


@dataclass
class Machine:
    """One engine and the oracle, side by side."""

    store: MetadataStore
    world: World
    digests: dict[Tree, str] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    retries: int = 0

    @classmethod
    def of(cls, store: MetadataStore, declared: Declared) -> Machine:
        reference = Reference(declared.specs, declared.predicates)
        return cls(store, World(declared, reference))

    @property
    def reference(self) -> Reference:
        return self.world.reference

    def apply(self, edit: Edit) -> None:
        """Do the edit on both sides, then compare what it may have changed."""
        before = self.world.specs
        if isinstance(edit, Redeclare):
            self._redeclare(edit.declared)
        # A writer of its own for every edit: one writer may write a set of children only once.
        self.store = self.store.using(self.store.graph)
        with self.store.open("w"):
            self._do(edit)
            for key in self._touched(edit, before):
                self.compare(key)
            if isinstance(edit, Put | Lend | Process | Delete | Undelete):
                self.compare_read(edit.feature)

    def _do(self, edit: Edit) -> None:
        match edit:
            case Put():
                self._put(edit)
            case Forget():
                known = self.world.samples.get(edit.feature, {})
                for ids in edit.ids:
                    known.pop(ids, None)
            case Process():
                self._process(edit)
            case Hold():
                self._hold(edit.feature)
            case Delete():
                self._delete(edit)
            case Undelete():
                self._undelete(edit)
            case Lend():
                self._lend(edit)
            case Look():
                self.look(edit)

    def compare_all(self) -> None:
        """Compare every feature."""
        with self.store.open("r"):
            for key in self.world.specs:
                self.compare(key)

    def compare(self, key: str) -> None:
        """Compare the increments of a feature."""
        self.look(Look(key))

    def look(self, asked: Look) -> None:
        """Compare the increments that a feature has by what is asked."""
        key = asked.feature
        texts = self.world.texts(key) if self.world.specs[key].is_root else None
        try:
            result = self.reference.resolve(
                key,
                self._given_samples(key),
                filters=self._filters(asked),
                stale_if=asked.staleness_predicates,
                skip_comparison=asked.skip_comparison,
            )
        except UnwrittenParentError:
            try:
                self._increment(asked)
            except FeatureNotFoundError:
                return
            raise MismatchError(f"{key}: a required parent was never written") from None
        found = self._increment(asked)
        columns = self.reference.unit_columns(key)
        # Frames are computed only where the counts say that they have rows.
        rows = {
            status: getattr(found, status).collect("polars").rows(named=True) if count else []
            for status, count in found.counts.items()
            if status != "waiting"
        }
        new, stale = _by_ids(rows["new"], columns), _by_ids(rows["stale"], columns)
        orphaned = _by_ids(rows["orphaned"], self.world.specs[key].id_columns)
        _same(f"{asked}: new", set(result.new), set(new))
        _same(f"{asked}: stale", set(result.stale), set(stale))
        _same(
            f"{asked}: stale fields",
            {unit: list(fields) for unit, fields in result.stale_fields.items()},
            {unit: list(row[STALE_FIELDS] or ()) for unit, row in stale.items()},
        )
        _same(f"{asked}: orphaned", set(result.orphaned), set(orphaned))
        _same(f"{asked}: waiting", len(result.waiting), found.waiting)
        for unit, trees in (result.new | result.stale).items():
            given = (new | stale)[unit][PROVENANCE]
            if texts is None:
                self._correspond(f"{key} {unit}", trees, given)
            else:
                _same(f"{key} {unit}: texts", texts[unit], given)

    def compare_read(self, key: str) -> None:
        """Compare the stored rows of a feature: ids, user columns, data versions."""
        if not self.reference.is_written(key, or_elsewhere=True):
            return
        spec = self.world.specs[key]
        stored = self.reference.read(key, or_elsewhere=True)
        rows = self.store.read(key).collect("polars").rows(named=True)
        found = _by_ids(rows, spec.id_columns)
        _same(f"{key}: read", set(stored), set(found))
        for ids, row in stored.items():
            _same(
                f"{key} {ids}: values",
                dict(row.values),
                {name: found[ids][name] for name in row.values},
            )
            names = [str(declared.key) for declared in spec.fields]
            lacking = {name for name in names if name not in row.data_version}
            versions = found[ids][DATA_VERSION]
            _same(f"{key} {ids}: NULL", lacking, {n for n in names if versions[n] is None})
            known = {n: row.data_version[n] for n in names if n not in lacking}
            self._correspond(f"{key} {ids}: data version", known, versions)

    def _correspond(self, where: str, trees: Trees, digests: Mapping[str, str]) -> None:
        for name, tree in trees.items():
            digest = digests[name]
            if self.digests.setdefault(tree, digest) != digest:
                raise MismatchError(f"{where}.{name}: {tree} had another digest before")
            if self.trees.setdefault(digest, tree) is not tree:
                raise MismatchError(f"{where}.{name}: {self.trees[digest]} and {tree} share one")

    def _touched(self, edit: Edit, before: Mapping[str, FeatureSpec]) -> Iterable[str]:
        """The features whose increment the edit may have changed."""
        graph = self.store.graph
        match edit:
            case Redeclare():
                changed = [
                    spec.key for key, spec in self.world.specs.items() if spec != before[key]
                ]
                below = {key for one in changed for key in (one, *graph.downstream(one))}
                return sorted(map(str, below))
            case Look() | Hold():
                return ()
            case Forget() | Put(write=False):
                return (edit.feature,)
            case Lend():
                return map(str, graph.children(edit.feature))
        return (edit.feature, *map(str, graph.children(edit.feature)))

    def _increment(self, asked: Look) -> LazyIncrement:
        return self.store.resolve_update(
            asked.feature,
            samples=self._samples(asked.feature),
            filters={
                other: [predicate.text for predicate in predicates]
                for other, predicates in asked.filters.items()
            },
            global_filters=[predicate.text for predicate in asked.global_filters],
            staleness_predicates=[predicate.text for predicate in asked.staleness_predicates],
            skip_comparison=asked.skip_comparison,
            lazy=True,
        )

    def _filters(self, asked: Look) -> dict[str, list[Predicate]]:
        """Filters by feature; a global one is on every parent, or root, that has its columns."""
        spec = self.world.specs[asked.feature]
        written = (
            str(dep.feature)
            for dep in spec.deps
            if self.reference.is_written(str(dep.feature), or_elsewhere=True)
        )
        filters = {key: list(predicates) for key, predicates in asked.filters.items()}
        for key in [asked.feature] if spec.is_root else written:
            known = {*self.world.specs[key].id_columns, *user_columns(self.world.specs[key])}
            fitting = [one for one in asked.global_filters if one.columns <= known]
            filters[key] = filters.get(key, []) + fitting
        return filters

    def _samples(self, key: str) -> pl.DataFrame | None:
        spec = self.world.specs[key]
        if not spec.is_root:
            return None
        texts = list(self.world.texts(key).values())
        return self._frame(key, self._given_samples(key), texts, overrides=False)

    def _given_samples(self, key: str) -> list[Given]:
        if not self.world.specs[key].is_root:
            return []
        texts = self.world.texts(key)
        samples = self.world.samples.get(key, {})
        return [
            Given(samples[ids].values, self.reference.made_from(key, texts[ids])) for ids in texts
        ]

    # -- the edits ---------------------------------------------------------------------------

    def _put(self, edit: Put) -> None:
        spec, key = self.world.specs[edit.feature], edit.feature
        known = self.world.samples.setdefault(key, {})
        rows = {tuple(one.values[c] for c in spec.id_columns): one for one in edit.rows}
        known.update(rows)
        if edit.write and rows:
            given, frame = self._written(key, rows.values())
            self._write(key, frame, edit.retried)
            self.reference.write(key, given)

    def _lend(self, edit: Lend) -> None:
        if not self.store.fallback_stores:
            elsewhere = MetadataStore(MemoryBackend(), graph=self.store.graph)
            self.store.fallback_stores = (elsewhere,)
        given, frame = self._written(edit.feature, edit.rows)
        elsewhere = self.store.fallback_stores[0].using(self.store.graph)
        with elsewhere.open("w"):
            elsewhere.write(edit.feature, frame)
        self.reference.write(edit.feature, given, elsewhere=True)

    def _written(self, key: str, rows: Collection[Sample]) -> tuple[list[Given], pl.DataFrame]:
        """A root's samples as they are written, to the oracle and to a store."""
        texts = [self.world.text(key, one) for one in rows]
        given = [
            Given(one.values, self.reference.made_from(key, text), self._known(key, one.overrides))
            for one, text in zip(rows, texts, strict=True)
        ]
        return given, self._frame(key, given, texts)

    def _write(self, key: str, frame: pl.DataFrame, retried: bool, **how: Any) -> None:
        if not retried:
            self.store.write(key, frame, **how)
            return
        self.retries += 1
        counts = [
            self.store.write(key, frame, write_id=f"retried{self.retries}", **how) for _ in range(2)
        ]
        _same(f"{key}: rows stored by the retry", 0, counts[1])

    def _known(self, key: str, overrides: Mapping[str, str | None]) -> dict[str, str | None]:
        names = {str(declared.key) for declared in self.world.specs[key].fields}
        return {name: text for name, text in overrides.items() if name in names}

    def _process(self, edit: Process) -> None:
        key, spec = edit.feature, self.world.specs[edit.feature]
        names = {str(declared.key) for declared in spec.fields}
        if edit.held:
            known = self.world.held.get(key, {})
        else:
            try:
                known = self.reference.resolve(key, skip_comparison=True).new
            except UnwrittenParentError:
                return
            asked = [known[made.unit] for made in edit.made if made.unit in known]
            if any(tree not in self.digests for trees in asked for tree in trees.values()):
                self.look(Look(key, skip_comparison=True))
        rows: list[Given] = []
        empty: dict[Ids, Trees] = {}
        for made in edit.made:
            trees = known.get(made.unit)
            if trees is None or set(trees) != names:
                continue
            if made.children:
                rows += [
                    Given(child.values, trees, self._known(key, child.overrides))
                    for child in made.children
                ]
            else:
                empty[made.unit] = trees
        if not rows and not empty:
            return
        if edit.partial:
            empty = {}
        self._write(
            key,
            self._frame(key, rows, [self._digests(row.provenance) for row in rows]),
            edit.retried,
            partial=edit.partial,
            **({"empty_parents": self._empty(key, empty)} if empty else {}),
        )
        self.reference.write(key, rows, partial=edit.partial, empty_parents=empty)

    def _hold(self, key: str) -> None:
        try:
            units = self.reference.resolve(key, skip_comparison=True).new
        except UnwrittenParentError:
            return
        if units:
            self.world.held[key] = units
        self.look(Look(key, skip_comparison=True))

    def _delete(self, edit: Delete) -> None:
        if not self.reference.is_written(edit.feature):
            return
        if (where := edit.where) is not None:
            self.store.delete(edit.feature, filters=[where.text], soft=edit.soft)
            self.reference.delete(
                edit.feature, lambda values: where.holds(values) is True, soft=edit.soft
            )
        else:
            samples = self._ids(edit.feature, edit.ids)
            self.store.delete(edit.feature, samples=samples, soft=edit.soft)
            self.reference.delete(
                edit.feature, self._chosen(edit.feature, edit.ids), soft=edit.soft
            )

    def _chosen(self, key: str, ids: Iterable[Ids]) -> Choice:
        columns, chosen = self.world.specs[key].id_columns, set(ids)
        return lambda values: tuple(values[column] for column in columns) in chosen

    def _undelete(self, edit: Undelete) -> None:
        if not self.reference.is_written(edit.feature):
            return
        if edit.ids is None:
            self.store.undelete(edit.feature)
            self.reference.undelete(edit.feature)
        else:
            self.store.undelete(edit.feature, samples=self._ids(edit.feature, edit.ids))
            self.reference.undelete(edit.feature, self._chosen(edit.feature, edit.ids))

    def _redeclare(self, declared: Declared) -> None:
        self.world.past.append(self.world.declared)
        self.world.declared = declared
        self.world.reference = self.reference.using(declared.specs, declared.predicates)
        self.store = self.store.using(declared.graph)

    # -- frames ------------------------------------------------------------------------------

    def _digests(self, trees: Trees) -> dict[str, str]:
        return {name: self.digests[tree] for name, tree in trees.items()}

    def _frame(
        self,
        key: str,
        rows: Sequence[Given],
        provenance: Sequence[Mapping[str, str]],
        *,
        overrides: bool = True,
    ) -> pl.DataFrame:
        spec = self.world.specs[key]
        names = [str(declared.key) for declared in spec.fields]
        struct = pl.Struct(dict.fromkeys(names, pl.String))
        columns = (*spec.id_columns, *user_columns(spec))
        frame = _table([row.values for row in rows], columns)
        frame = frame.with_columns(pl.Series(PROVENANCE, list(provenance), dtype=struct))
        if overrides and any(row.overrides for row in rows):
            given = [{name: row.overrides.get(name) for name in names} for row in rows]
            frame = frame.with_columns(pl.Series(DATA_VERSION, given, dtype=struct))
        return frame

    def _empty(self, key: str, units: Mapping[Ids, Trees]) -> pl.DataFrame:
        columns = self.reference.unit_columns(key)
        frame = _table([dict(zip(columns, unit, strict=True)) for unit in units], columns)
        struct = pl.Struct({str(f.key): pl.String for f in self.world.specs[key].fields})
        digests = [self._digests(trees) for trees in units.values()]
        return frame.with_columns(pl.Series(PROVENANCE, digests, dtype=struct))

    def _ids(self, key: str, ids: Iterable[Ids]) -> pl.DataFrame:
        columns = self.world.specs[key].id_columns
        return _table([dict(zip(columns, one, strict=True)) for one in ids], columns)


def _table(rows: Sequence[Mapping[str, Cell]], columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {c: pl.Series([row[c] for row in rows], dtype=_TYPES[kind_of(c)]) for c in columns}
    )


def _by_ids(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[Ids, dict[str, Any]]:
    found = {tuple(row[column] for column in columns): row for row in rows}
    if len(found) != len(rows):
        raise MismatchError(f"{columns} are there twice: {sorted(map(str, rows))}")
    return found


def _same(what: str, expected: Any, found: Any) -> None:
    if expected != found:
        raise MismatchError(f"{what}: the oracle says {expected}, the engine {found}")


# -- runs ------------------------------------------------------------------------------------------

MakeStore = Callable[[Declared], MetadataStore]


def first_failure(make_store: MakeStore, seeds: Iterable[int], edits: int) -> int | None:
    """The first seed for which engine and oracle disagree: a loop for what needs no shrinking."""
    for seed in seeds:
        rng = random.Random(seed)
        declared = random_graph(rng, rng.randint(1, 5))
        machine = Machine.of(make_store(declared), declared)
        try:
            for edit in _drawn(rng, machine, edits):
                machine.apply(edit)
        except MismatchError:
            return seed
    return None


def _drawn(rng: random.Random, machine: Machine, count: int) -> Iterator[Edit]:
    done = 0
    for edit in first_edits(rng, machine.world):
        yield edit
        done += 1
    for _ in range(count - done):
        yield random_edit(rng, machine.world)


def replay(make_store: MakeStore, declared: Declared, edits: Sequence[Edit]) -> None:
    """The same edits once more, with all comparisons."""
    machine = Machine.of(make_store(declared), declared)
    for edit in edits:
        machine.apply(edit)
