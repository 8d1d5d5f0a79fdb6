"""The machine: random edits on an engine and on the oracle, compared after every one.

Beside the increments themselves it checks that digests and trees correspond one to one: equal
digests where the oracle sees equal trees, different digests where it sees different ones.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import polars as pl

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
from metaxy_core.testing.strategies import Declared, kind_of, random_graph, user_columns
from tests.properties.edits import (
    Delete,
    Edit,
    Forget,
    Hold,
    Look,
    Process,
    Put,
    Redeclare,
    Undelete,
    World,
    first_edits,
    random_edit,
    script,
)

PROVENANCE, DATA_VERSION = "metaxy_provenance_by_field", "metaxy_data_version_by_field"
STALE_FIELDS = "metaxy_stale_fields"
LONG = os.environ.get("METAXY_FUZZ") == "long"

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
    held: dict[str, Mapping[Ids, Trees]] = field(default_factory=dict)

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
            if isinstance(edit, Put | Process | Delete | Undelete):
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
            case Look():
                self.compare(edit.feature, edit.filters, edit.skip_comparison)

    def compare_all(self) -> None:
        """Compare every feature."""
        with self.store.open("r"):
            for key in self.world.specs:
                self.compare(key)

    def compare(
        self,
        key: str,
        filters: Mapping[str, Sequence[Predicate]] | None = None,
        skip_comparison: bool = False,
    ) -> None:
        """Compare the increments of a feature."""
        is_root = self.world.specs[key].is_root
        texts = self.world.texts(key) if is_root else None
        asked = {"filters": filters or {}, "skip_comparison": skip_comparison}
        try:
            result = self.reference.resolve(key, self._given_samples(key), **asked)
        except UnwrittenParentError:
            try:
                self._increment(key, filters, skip_comparison)
            except FeatureNotFoundError:
                return
            raise MismatchError(f"{key}: a required parent was never written") from None
        found = self._increment(key, filters, skip_comparison)
        columns = self.reference.unit_columns(key)
        # Frames are computed only where the counts say that they have rows.
        rows = {
            status: getattr(found, status).collect("polars").rows(named=True) if count else []
            for status, count in found.counts.items()
            if status != "waiting"
        }
        new, stale = _by_ids(rows["new"], columns), _by_ids(rows["stale"], columns)
        orphaned = _by_ids(rows["orphaned"], self.world.specs[key].id_columns)
        _same(f"{key} {asked}: new", set(result.new), set(new))
        _same(f"{key} {asked}: stale", set(result.stale), set(stale))
        _same(
            f"{key} {asked}: stale fields",
            {unit: list(fields) for unit, fields in result.stale_fields.items()},
            {unit: list(row[STALE_FIELDS]) for unit, row in stale.items()},
        )
        _same(f"{key} {asked}: orphaned", set(result.orphaned), set(orphaned))
        _same(f"{key} {asked}: waiting", len(result.waiting), found.waiting)
        for unit, trees in (result.new | result.stale).items():
            given = (new | stale)[unit][PROVENANCE]
            if texts is None:
                self._correspond(f"{key} {unit}", trees, given)
            else:
                _same(f"{key} {unit}: texts", texts[unit], given)

    def compare_read(self, key: str) -> None:
        """Compare the stored rows of a feature: ids, user columns, data versions."""
        if not self.reference.is_written(key):
            return
        spec = self.world.specs[key]
        stored = self.reference.read(key)
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
        return (edit.feature, *map(str, graph.children(edit.feature)))

    def _increment(
        self, key: str, filters: Mapping[str, Sequence[Predicate]] | None, skip: bool
    ) -> LazyIncrement:
        texts = {
            other: [predicate.text for predicate in predicates]
            for other, predicates in (filters or {}).items()
        }
        return self.store.resolve_update(
            key, samples=self._samples(key), filters=texts, skip_comparison=skip, lazy=True
        )

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
        if not edit.write or not rows:
            return
        texts = [self.world.texts(key)[ids] for ids in rows]
        given = [
            Given(one.values, self.reference.made_from(key, text), self._known(key, one.overrides))
            for one, text in zip(rows.values(), texts, strict=True)
        ]
        self.store.write(key, self._frame(key, given, texts))
        self.reference.write(key, given)

    def _known(self, key: str, overrides: Mapping[str, str | None]) -> dict[str, str | None]:
        names = {str(declared.key) for declared in self.world.specs[key].fields}
        return {name: text for name, text in overrides.items() if name in names}

    def _process(self, edit: Process) -> None:
        key, spec = edit.feature, self.world.specs[edit.feature]
        names = {str(declared.key) for declared in spec.fields}
        if edit.held:
            known = self.held.get(key, {})
        else:
            try:
                known = self.reference.resolve(key, skip_comparison=True).new
            except UnwrittenParentError:
                return
            asked = [known[made.unit] for made in edit.made if made.unit in known]
            if any(tree not in self.digests for trees in asked for tree in trees.values()):
                self.compare(key, skip_comparison=True)
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
        self.store.write(
            key,
            self._frame(key, rows, [self._digests(row.provenance) for row in rows]),
            partial=edit.partial,
            **({"empty_parents": self._empty(key, empty)} if empty else {}),
        )
        self.reference.write(key, rows, partial=edit.partial, empty_parents=empty)

    def _hold(self, key: str) -> None:
        try:
            self.held[key] = self.reference.resolve(key, skip_comparison=True).new
        except UnwrittenParentError:
            return
        self.compare(key, skip_comparison=True)

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


def run(make_store: MakeStore, seed: int, edits: int, max_features: int = 6) -> None:
    """One random graph and some random edits; a failure is shrunk and raised as a script."""
    rng = random.Random(seed)
    declared = random_graph(rng, max_features)
    machine = Machine.of(make_store(declared), declared)
    done: list[Edit] = []
    try:
        for edit in _drawn(rng, machine, edits):
            done.append(edit)
            machine.apply(edit)
    except Exception as error:  # a crash of the engine is a finding too
        kind = type(error)
        fails = lambda d, e: _fails(make_store, d, e, kind)  # noqa: E731
        declared, done = shrink(fails, declared, done)
        raise MismatchError(f"seed {seed}: {error}\n\n{script(declared, done)}") from error


def first_failure(make_store: MakeStore, seeds: Iterable[int], edits: int) -> int | None:
    """The first seed for which engine and oracle disagree; not shrunk."""
    for seed in seeds:
        rng = random.Random(seed)
        declared = random_graph(rng, 5)
        machine = Machine.of(make_store(declared), declared)
        try:
            for edit in _drawn(rng, machine, edits):
                machine.apply(edit)
        except MismatchError:
            return seed
    return None


def _drawn(rng: random.Random, machine: Machine, count: int) -> Iterator[Edit]:
    first = first_edits(rng, machine.world)
    yield from first
    for _ in range(count - len(first)):
        yield random_edit(rng, machine.world)


def replay(make_store: MakeStore, declared: Declared, edits: Sequence[Edit]) -> None:
    """The same edits once more, with all comparisons."""
    machine = Machine.of(make_store(declared), declared)
    for edit in edits:
        machine.apply(edit)


def _fails(
    make_store: MakeStore, declared: Declared, edits: Sequence[Edit], kind: type[Exception]
) -> bool:
    try:
        replay(make_store, declared, edits)
    except Exception as error:  # noqa: BLE001  # see `run`
        return type(error) is kind
    return False


Fails = Callable[[Declared, Sequence[Edit]], bool]


def shrink(fails: Fails, declared: Declared, edits: list[Edit]) -> tuple[Declared, list[Edit]]:
    """Fewer edits, fewer features, fewer rows, as long as it fails."""
    if not fails(declared, edits):
        return declared, edits
    size = -1
    while size != (size := len(repr(edits)) + len(declared.specs)):
        edits = _fewer(partial(fails, declared), edits)
        for spec in reversed(declared.specs):
            smaller = _without(declared, edits, str(spec.key))
            if smaller and fails(*smaller):
                declared, edits = smaller
        for at in range(len(edits)):
            edits = _with_fewer_parts(partial(fails, declared), edits, at)
    return declared, edits


def _with_fewer_parts(
    fails: Callable[[list[Edit]], bool], edits: list[Edit], at: int
) -> list[Edit]:
    """The same edits, of which one has fewer rows."""
    name = {Put: "rows", Process: "made", Delete: "ids", Forget: "ids"}.get(type(edits[at]))
    if name is None:
        return edits

    def replaced(parts: Sequence[Any]) -> list[Edit]:
        return [*edits[:at], replace(edits[at], **{name: tuple(parts)}), *edits[at + 1 :]]

    return replaced(_fewer(lambda kept: fails(replaced(kept)), getattr(edits[at], name)))


def _fewer(fails: Callable[[list[Any]], bool], items: Sequence[Any]) -> list[Any]:
    kept, step = list(items), max(len(items) // 2, 1)
    while kept:
        at = len(kept)
        while at > 0:
            at = max(at - step, 0)
            fewer = [*kept[:at], *kept[at + step :]]
            if len(fewer) < len(kept) and fails(fewer):
                kept = fewer
        if step == 1:
            break
        step //= 2
    return kept


def _without(
    declared: Declared, edits: Sequence[Edit], key: str
) -> tuple[Declared, list[Edit]] | None:
    """Everything without a feature, None where another is made from it."""
    kept: list[Edit] = []
    graphs = [declared, *(edit.declared for edit in edits if isinstance(edit, Redeclare))]
    for one in graphs:
        if len(one.specs) < 2 or any(
            str(dep.feature) == key for spec in one.specs for dep in spec.deps
        ):
            return None
    for edit in edits:
        if isinstance(edit, Redeclare):
            kept.append(Redeclare(_dropped(edit.declared, key)))
        elif edit.feature != key:
            kept.append(edit)
    return _dropped(declared, key), kept


def _dropped(declared: Declared, key: str) -> Declared:
    return replace(declared, specs=tuple(s for s in declared.specs if str(s.key) != key))
