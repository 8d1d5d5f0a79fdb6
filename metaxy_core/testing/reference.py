"""The oracle: the semantics of versions and increments, once more, with dicts and sets.

Slow and independent on purpose: it reads `FeatureSpec`s and knows neither plans nor hashes nor
frames. Provenance is a tree that says in full what a sample was made from; two samples have the
same provenance when their trees are the same object. What the engine says must be what this says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakValueDictionary

from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec import ALL, FeatureDep, FeatureSpec, FieldSpec, LineageKind
from metaxy_core.testing.predicates import Cell, Predicate

Ids = tuple[Cell, ...]
"""Values of id columns, in the order the columns are declared."""

_FOREST: WeakValueDictionary[tuple[Any, ...], Tree] = WeakValueDictionary()


class Tree:
    """A nested tuple that exists once: equal trees are the same object, so `is` compares them.

    >>> Tree("user", "a") is Tree("user", "a")
    True
    """

    __slots__ = ("__weakref__", "parts")
    parts: tuple[Any, ...]

    def __new__(cls, *parts: Any) -> Tree:
        """The one tree of these parts."""
        known = _FOREST.get(parts)
        if known is None:
            known = super().__new__(cls)
            known.parts = parts
            _FOREST[parts] = known
        return known

    def __repr__(self) -> str:
        return repr(self.parts)


Choice = Callable[[Mapping[str, Cell]], bool]
"""Says of a row's ids and user columns whether it is meant."""

ABSENT = Tree("absent")
"""Stands for an optional parent that a sample does not have."""

Trees = Mapping[str, Tree]
"""A tree per field, by the field's key as text."""


@dataclass(frozen=True)
class Row:
    """A sample: ids and user columns, what it was made from, and what it is."""

    values: Mapping[str, Cell]
    provenance: Trees
    data_version: Trees


@dataclass(frozen=True)
class Given:
    """A row handed to `write`: provenance from an increment (roots: from `made_from`).

    `overrides` are the user's own data versions; a field left out, or None, has its provenance.
    """

    values: Mapping[str, Cell]
    provenance: Trees
    overrides: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Commit:
    """What one commit did to one unit; `deleted` rows make it a barrier for all before it."""

    version: Tree
    provenance: Trees
    rows: tuple[Row, ...]
    deleted: tuple[Row, ...] = ()
    open: bool = False


@dataclass(frozen=True)
class Result:
    """An increment. Units are told by the values of their unit columns, orphans by their ids.

    Attributes:
        new: units with no stored row, and the provenance to be written.
        stale: units whose provenance differs or that a predicate calls stale, and the provenance
            to be written.
        stale_fields: the fields that differ, sorted, for each unit of `stale`.
        orphaned: ids of stored rows that are not expected any more.
        waiting: units with a parent row that lacks a field they need.
    """

    new: Mapping[Ids, Trees]
    stale: Mapping[Ids, Trees]
    stale_fields: Mapping[Ids, tuple[str, ...]]
    orphaned: frozenset[Ids]
    waiting: frozenset[Ids]


class UnwrittenParentError(LookupError):
    """A required parent has never been written."""


@dataclass(frozen=True)
class _Edge:
    """A parent's rows after renaming and filtering, by the values of the columns it is joined on.

    `names` are the parent's id columns after renaming.
    """

    dep: FeatureDep
    on: tuple[str, ...]
    names: tuple[str, ...]
    groups: Mapping[Ids, Sequence[Row]]

    def group(self, unit: Mapping[str, Cell]) -> Sequence[Row]:
        return self.groups.get(_pick(unit, self.on), ())

    def as_parent(self, values: Mapping[str, Cell]) -> dict[str, Cell]:
        """Values under the parent's own column names."""
        own = {renamed: name for name, renamed in self.dep.rename.items()}
        return {own.get(name, name): cell for name, cell in values.items()}


_Histories = dict[str, dict[Ids, list[Commit]]]


class Reference:
    """A store and its engine in one, for features declared by `specs`.

    `predicates` gives the meaning of the filter texts that the specs use. `using` gives the same
    stored rows under other declarations. `elsewhere` means a fallback store: children see the rows
    there of a feature that has none here.

    >>> video, crop = FeatureSpec("video", id_columns=["id"]), FeatureSpec(
    ...     "crop", id_columns=["id"], deps=["video"])
    >>> reference = Reference([video, crop])
    >>> made = reference.made_from("video", {"default": "v1"})
    >>> reference.write("video", [Given({"id": 1}, made)])
    >>> reference.resolve("crop").new
    {(1,): {'default': ('field', 'default', '1', ('video/default', ...))}}
    """

    def __init__(
        self, specs: Iterable[FeatureSpec], predicates: Mapping[str, Predicate] | None = None
    ) -> None:
        self._specs = {str(spec.key): spec for spec in specs}
        self._predicates = dict(predicates or {})
        self._histories: _Histories = {}
        self._elsewhere: _Histories = {}

    def using(
        self, specs: Iterable[FeatureSpec], predicates: Mapping[str, Predicate] | None = None
    ) -> Reference:
        """The same stored rows, declared otherwise."""
        other = Reference(specs, {**self._predicates, **(predicates or {})})
        other._histories, other._elsewhere = self._histories, self._elsewhere
        return other

    def copy(self) -> Reference:
        """An independent copy: what is written to one is not seen by the other."""
        other = Reference(self._specs.values(), self._predicates)
        other._histories, other._elsewhere = (
            {
                key: {unit: list(commits) for unit, commits in history.items()}
                for key, history in histories.items()
            }
            for histories in (self._histories, self._elsewhere)
        )
        return other

    # -- what the declarations mean ----------------------------------------------------------

    def spec(self, key: str) -> FeatureSpec:
        """The declaration of a feature."""
        return self._specs[key]

    def unit_columns(self, key: str) -> tuple[str, ...]:
        """The id columns of what is replaced as a whole: those that the edges give."""
        spec = self._specs[key]
        if spec.is_root:
            return spec.id_columns
        given = {column for dep in spec.deps for column in self._on(dep)}
        return tuple(column for column in spec.id_columns if column in given)

    def is_expansion(self, key: str) -> bool:
        """Whether a unit holds any number of rows."""
        return self.unit_columns(key) != self._specs[key].id_columns

    def feature_version(self, key: str) -> Tree:
        """The feature version as a tree of code versions."""
        spec = self._specs[key]
        fields = {str(declared.key): declared for declared in spec.fields}
        return Tree(*(self._field_version(key, fields[name]) for name in sorted(fields)))

    def _field_version(self, key: str, declared: FieldSpec) -> Tree:
        parents = []
        for parent, name in self._field_parents(self._specs[key], declared):
            parent_fields = {str(f.key): f for f in self._specs[parent].fields}
            parents.append(self._field_version(parent, parent_fields[name]))
        return Tree(key, str(declared.key), declared.code_version, *parents)

    def _on(self, dep: FeatureDep) -> tuple[str, ...]:
        return dep.lineage.on or self._renamed_ids(dep)

    def _renamed_ids(self, dep: FeatureDep) -> tuple[str, ...]:
        columns = self._specs[str(dep.feature)].id_columns
        return tuple(dep.rename.get(column, column) for column in columns)

    def _field_parents(self, spec: FeatureSpec, declared: FieldSpec) -> list[tuple[str, str]]:
        """`(feature, field)` of everything a field is made from, sorted."""
        upstream = {str(dep.feature): self._names(dep.feature) for dep in spec.deps}
        if declared.deps is ALL:
            chosen = [(parent, name) for parent, names in upstream.items() for name in names]
        elif declared.deps is None:
            chosen = [
                (str(dep.feature), name)
                for dep in spec.deps
                for name in _mapped(dep, str(declared.key), upstream[str(dep.feature)])
            ]
        else:
            chosen = []
            for explicit in declared.deps:
                parent = str(explicit.feature)
                names = upstream[parent] if explicit.fields is ALL else explicit.fields
                chosen += [(parent, str(name)) for name in names]
        return sorted(set(chosen), key=lambda ref: f"{ref[0]}.{ref[1]}")

    def _names(self, key: FeatureKey) -> list[str]:
        return [str(declared.key) for declared in self._specs[str(key)].fields]

    # -- stored rows -------------------------------------------------------------------------

    def made_from(self, key: str, texts: Mapping[str, str]) -> dict[str, Tree]:
        """A root sample's provenance, from the user's text of each field."""
        return {
            str(declared.key): Tree(
                "field",
                str(declared.key),
                declared.code_version,
                Tree("user", texts[str(declared.key)]),
            )
            for declared in self._specs[key].fields
        }

    def is_written(self, key: str, *, or_elsewhere: bool = False) -> bool:
        """Whether the feature has a table: something was written to it once."""
        return self._history(key, or_elsewhere) is not None

    def stored(self, key: str, *, or_elsewhere: bool = False) -> dict[Ids, Commit]:
        """The stored state of each unit that has one (semantics, section 4)."""
        version, history = self.feature_version(key), self._history(key, or_elsewhere) or {}
        states = {unit: _state(commits, version) for unit, commits in history.items()}
        return {unit: state for unit, state in states.items() if state is not None}

    def read(self, key: str, *, or_elsewhere: bool = False) -> dict[Ids, Row]:
        """The stored rows, by all their ids."""
        columns = self._specs[key].id_columns
        return {
            _pick(row.values, columns): row
            for state in self.stored(key, or_elsewhere=or_elsewhere).values()
            for row in state.rows
        }

    def _history(self, key: str, or_elsewhere: bool) -> dict[Ids, list[Commit]] | None:
        """A feature's table: this store's where it has rows, tombstones included."""
        own = self._histories.get(key)
        return own or (self._elsewhere.get(key, own) if or_elsewhere else own)

    def deleted(self, key: str) -> list[Ids]:
        """The ids of deleted rows of units that `undelete` would bring back."""
        lasts = [_last(commits) for commits in self._histories.get(key, {}).values()]
        columns = self._specs[key].id_columns
        return [
            _pick(row.values, columns)
            for last in lasts
            if last and not last.rows
            for row in last.deleted
        ]

    def write(
        self,
        key: str,
        rows: Iterable[Given],
        *,
        partial: bool = False,
        empty_parents: Mapping[Ids, Trees] | None = None,
        elsewhere: bool = False,
    ) -> None:
        """Commit rows; `empty_parents` are units without children and their provenance."""
        columns, version = self.unit_columns(key), self.feature_version(key)
        history = (self._elsewhere if elsewhere else self._histories).setdefault(key, {})
        sets: dict[Ids, list[Given]] = {unit: [] for unit in empty_parents or {}}
        for row in rows:
            sets.setdefault(_pick(row.values, columns), []).append(row)
        for unit, given in sets.items():
            provenance = given[0].provenance if given else (empty_parents or {})[unit]
            stored = tuple(_stored_row(row) for row in given)
            commits = history.setdefault(unit, [])
            if not partial:
                ids = self._specs[key].id_columns
                earlier = _open_rows(commits, provenance)
                merged = {_pick(row.values, ids): row for row in (*earlier, *stored)}
                stored = tuple(merged.values())
            commits.append(Commit(version, dict(provenance), stored, open=partial))

    def delete(self, key: str, chosen: Choice, *, soft: bool = True) -> None:
        """Delete the stored rows that are chosen.

        A hard delete also takes rows that are deleted already. A unit of which nothing is left
        goes whole, with its rows of every version.
        """
        columns = self._specs[key].id_columns
        history, version = self._histories.get(key, {}), self.feature_version(key)
        for unit, commits in list(history.items()):
            state = _state(commits, version)
            rows = state.rows if state else ()
            if not soft and (last := _last(commits)):
                rows += last.deleted
            gone = [row for row in rows if chosen(row.values)]
            left = tuple(row for row in rows if row not in gone)
            if not gone:
                continue
            if soft and state:
                commits.append(replace(state, rows=left, deleted=tuple(gone)))
            elif not left:
                del history[unit]
            else:
                ids = {_pick(row.values, columns) for row in gone}
                history[unit] = list(_without(commits, ids, columns))

    def undelete(self, key: str, chosen: Choice = lambda values: True) -> None:
        """Bring back units whose last commit left no live row, where a deleted row is chosen.

        What counted before the tombstone is committed again, so open rows count as older.
        """
        for commits in self._histories.get(key, {}).values():
            last = _last(commits)
            if last is None or last.rows or not last.deleted:
                continue
            if any(chosen(row.values) for row in last.deleted):
                commits[:] = [c for c in commits if c is not last and not c.open]

    # -- the increment -----------------------------------------------------------------------

    def resolve(
        self,
        key: str,
        samples: Sequence[Given] = (),
        *,
        filters: Mapping[str, Sequence[Predicate]] | None = None,
        stale_if: Sequence[Predicate] = (),
        skip_comparison: bool = False,
    ) -> Result:
        """The increment (semantics, section 5); `samples` are what a root should have.

        `filters` are run-time filters, by feature, on that feature's own column names: on its
        parents' rows, or on its own (a root's samples, else the stored rows). A unit is stale
        where one of `stale_if` holds for one of its stored rows.
        """
        spec = self._specs[key]
        if spec.is_root:
            expected: dict[Ids, Trees | None] = {
                _pick(sample.values, spec.id_columns): sample.provenance for sample in samples
            }
            edges: list[_Edge] = []
        else:
            edges = [self._edge(dep) for dep in spec.deps]
            expected = dict(self._expected(key, edges))
        columns, asked, stored = self.unit_columns(key), filters or {}, self.stored(key)
        # A settled unit without children is judged as a row of which only the unit is known.
        rows: dict[Ids, list[Mapping[str, Cell]]] = {
            unit: [row.values for row in state.rows]
            or [defaultdict(lambda: None, zip(columns, unit, strict=True))]
            for unit, state in stored.items()
        }
        outdated = {
            unit
            for unit, values in rows.items()
            if any(predicate.holds(row) is True for row in values for predicate in stale_if)
        }
        rows |= {_pick(sample.values, columns): [sample.values] for sample in samples}

        def inside(unit: Ids) -> bool:
            named = dict(zip(columns, unit, strict=True))
            return _passes(asked.get(key, ()), rows.get(unit, ()), named) and all(
                _passes(
                    asked.get(str(edge.dep.feature), ()),
                    [edge.as_parent(row.values) for row in edge.group(named)],
                    edge.as_parent({column: named[column] for column in edge.on}),
                )
                for edge in edges
            )

        made = {unit: trees for unit, trees in expected.items() if trees and inside(unit)}
        waiting = frozenset(unit for unit, trees in expected.items() if not trees and inside(unit))
        differing = {
            unit: _differing(trees, stored[unit].provenance)
            for unit, trees in made.items()
            if unit in stored and not skip_comparison
        }
        stale = {unit: differing[unit] for unit in differing if differing[unit] or unit in outdated}
        return Result(
            new={unit: trees for unit, trees in made.items() if unit not in differing},
            stale={unit: made[unit] for unit in stale},
            stale_fields=stale,
            orphaned=frozenset(
                _pick(row.values, spec.id_columns)
                for unit, state in stored.items()
                if unit not in expected and inside(unit)
                for row in state.rows
            ),
            waiting=waiting,
        )

    def _edge(self, dep: FeatureDep) -> _Edge:
        parent, on = str(dep.feature), self._on(dep)
        if not self.is_written(parent, or_elsewhere=True) and not dep.optional:
            raise UnwrittenParentError(parent)
        predicates = [self._predicates[text] for text in dep.filters]
        groups: dict[Ids, list[Row]] = {}
        for row in self.read(parent, or_elsewhere=True).values():
            renamed = {dep.rename.get(name, name): cell for name, cell in row.values.items()}
            group = _pick(renamed, on)
            if None in group or any(p.holds(renamed) is not True for p in predicates):
                continue
            groups.setdefault(group, []).append(replace(row, values=renamed))
        return _Edge(dep, on, self._renamed_ids(dep), groups)

    def _expected(self, key: str, edges: Sequence[_Edge]) -> Iterator[tuple[Ids, Trees | None]]:
        """Expected units and their provenance, None where a unit is waiting."""
        spec, columns = self._specs[key], self.unit_columns(key)
        parents = {str(f.key): self._field_parents(spec, f) for f in spec.fields}
        needed = {ref for refs in parents.values() for ref in refs}
        for unit in _units(edges):
            groups = {str(edge.dep.feature): (edge, edge.group(unit)) for edge in edges}
            lacking = any(
                name not in row.data_version for parent, name in needed for row in groups[parent][1]
            )
            yield (
                _pick(unit, columns),
                None
                if lacking
                else {
                    str(declared.key): Tree(
                        "field",
                        str(declared.key),
                        declared.code_version,
                        *(
                            (f"{parent}/{name}", _input(*groups[parent], name))
                            for parent, name in parents[str(declared.key)]
                        ),
                    )
                    for declared in spec.fields
                },
            )


def _mapped(dep: FeatureDep, name: str, upstream: Sequence[str]) -> Sequence[str]:
    """The upstream fields that a field is made from when nothing explicit is said."""
    mapping = dep.fields_mapping
    if mapping.kind == "none":
        return ()
    if mapping.kind == "all":
        return upstream
    if mapping.kind == "specific":
        pairs = {str(key): [str(other) for other in others] for key, others in mapping.fields}
        return pairs.get(name, ())
    allowed = [other for other in upstream if FieldKey(other) not in mapping.exclude_fields]
    if name in allowed:
        return (name,)
    suffixed = [other for other in allowed if f"/{other}".endswith(f"/{name}")]
    return suffixed if mapping.match_suffix and suffixed else allowed


def _units(edges: Sequence[_Edge]) -> list[dict[str, Cell]]:
    """Required edges inner-joined on what they share; with none, the union of optional ones."""
    required = [edge for edge in edges if not edge.dep.optional]
    if not required:
        return _distinct(
            dict(zip(edge.on, key, strict=True)) for edge in edges for key in edge.groups
        )
    units: list[dict[str, Cell]] = [{}]
    for edge in required:
        named = [dict(zip(edge.on, key, strict=True)) for key in edge.groups]
        units = [
            {**unit, **other}
            for unit in units
            for other in named
            if all(unit[column] == other[column] for column in unit.keys() & other.keys())
        ]
    return _distinct(units)


def _distinct(units: Iterable[dict[str, Cell]]) -> list[dict[str, Cell]]:
    return list({tuple(sorted(unit.items())): unit for unit in units}.values())


def _input(edge: _Edge, rows: Sequence[Row], name: str) -> Tree:
    """What an edge gives to a field for one unit."""
    if not rows:
        return ABSENT
    if edge.dep.lineage.kind is not LineageKind.AGGREGATION:
        return rows[0].data_version[name]
    members = [(_pick(row.values, edge.names), row.data_version[name]) for row in rows]
    members.sort(key=lambda member: tuple(map(repr, member[0])))
    # True and 1 are one key in a dict, but not one id.
    return Tree("members", *((tuple(map(type, ids)), ids, version) for ids, version in members))


def _state(commits: Sequence[Commit], version: Tree) -> Commit | None:
    """The stored state of a unit, None where it has none."""
    counting = [commit for commit in commits if not commit.open]
    barrier = max((i for i, commit in enumerate(counting) if commit.deleted), default=0)
    live = [commit for commit in counting[barrier:] if commit.rows or not commit.deleted]
    current = [commit for commit in live if commit.version is version]
    return next(reversed(current or live), None)


def _last(commits: Sequence[Commit]) -> Commit | None:
    """The last commit that counts."""
    return next((commit for commit in reversed(commits) if not commit.open), None)


def _open_rows(commits: Sequence[Commit], provenance: Trees) -> list[Row]:
    """Rows of the open set that a plain write with this provenance closes."""
    rows: list[Row] = []
    for commit in reversed(commits):
        if not commit.open:
            break
        rows[:0] = [row for row in commit.rows if not _differing(provenance, row.provenance)]
    return rows


def _without(
    commits: Iterable[Commit], chosen: set[Ids], columns: Sequence[str]
) -> Iterator[Commit]:
    """Commits without the chosen rows; a commit that had only these is gone."""
    keeps: Callable[[Row], bool] = lambda row: _pick(row.values, columns) not in chosen  # noqa: E731
    for commit in commits:
        rows, deleted = (tuple(filter(keeps, part)) for part in (commit.rows, commit.deleted))
        if rows or deleted or not (commit.rows or commit.deleted):
            yield replace(commit, rows=rows, deleted=deleted)


def _stored_row(row: Given) -> Row:
    overrides = {
        name: Tree("override", text) for name, text in row.overrides.items() if text is not None
    }
    return Row(dict(row.values), dict(row.provenance), {**row.provenance, **overrides})


def _passes(
    predicates: Sequence[Predicate], rows: Sequence[Mapping[str, Cell]], ids: Mapping[str, Cell]
) -> bool:
    """Whether a row passes all run-time filters; where there is none, whether the ids do."""
    known = [ids] if all(predicate.columns <= ids.keys() for predicate in predicates) else []
    return any(all(p.holds(row) is True for p in predicates) for row in rows or known)


def _differing(expected: Trees, stored: Trees) -> tuple[str, ...]:
    differing = (name for name, tree in expected.items() if stored.get(name) is not tree)
    return tuple(sorted(differing, key=FieldKey))


def _pick(values: Mapping[str, Cell], columns: Iterable[str]) -> Ids:
    return tuple(values[column] for column in columns)
