"""Hypothesis strategies for keys, texts, graphs and rows that are valid and out to do harm.

Graphs are made by plain functions of a `random.Random`, so that a seeded loop and Hypothesis
(whose `st.randoms()` shrinks) make the same ones. A column says its type by its first letter:
`t` text, `n` integer, `b` boolean.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from metaxy_core.errors import DefinitionError
from metaxy_core.graph import Graph
from metaxy_core.keys import FeatureKey, FieldKey
from metaxy_core.spec import (
    ALL,
    FeatureDep,
    FeatureSpec,
    FieldDep,
    FieldsMapping,
    FieldSpec,
    LineageRelationship,
)
from metaxy_core.testing.predicates import (
    Among,
    Cell,
    Compare,
    Junction,
    Missing,
    Negation,
    Predicate,
    Within,
)

TEXTS = (
    "",
    "x",
    "y",
    "x|y",
    "x\x1fy",
    "\x1f",
    "é",
    "e\u0301",
    "שלום",
    "\u202ex",
    "it's",
    '"',
    "NULL",
)
"""Texts that have fooled somebody: separators, accents composed and not, right-to-left, quotes."""
NUMBERS = (0, 1, 2, -1, 10)
FEATURE_KEYS = ("a", "a/b", "a-b", "raw/video", "z_1", "A2", "b/c/d", "0")
FIELD_KEYS = ("audio", "frames", "v", "u/v", "audio/v", "b/v", "default", "a-b")
ID_COLUMNS = ("ta", "nb", "tc", "bd")


@dataclass(frozen=True)
class Declared:
    """Features that form a valid graph, and the meaning of every filter text they use."""

    specs: tuple[FeatureSpec, ...]
    predicates: Mapping[str, Predicate] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The graph of the features."""
        return Graph(self.specs)


@dataclass(frozen=True)
class Sample:
    """A row of a root: ids and user columns, a text per field, overridden data versions."""

    values: Mapping[str, Cell]
    texts: Mapping[str, str]
    overrides: Mapping[str, str | None] = field(default_factory=dict)


def texts() -> st.SearchStrategy[str]:
    """Texts for provenance, data versions and ids; no NUL, which PostgreSQL cannot keep."""
    plain = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
    return st.sampled_from(TEXTS) | plain


def feature_keys() -> st.SearchStrategy[FeatureKey]:
    """Valid feature keys, some of which differ in a separator only."""
    return st.sampled_from(FEATURE_KEYS).map(FeatureKey) | _keys().map(FeatureKey)


def field_keys() -> st.SearchStrategy[FieldKey]:
    """Valid field keys, some of which differ in a separator only."""
    return st.sampled_from(FIELD_KEYS).map(FieldKey) | _keys().map(FieldKey)


def _keys() -> st.SearchStrategy[str]:
    part = st.from_regex(r"[A-Za-z0-9-]{1,6}(_[A-Za-z0-9-]{1,6}){0,2}", fullmatch=True)
    return st.lists(part, min_size=1, max_size=3).map("/".join)


def graphs(max_features: int = 8) -> st.SearchStrategy[Declared]:
    """Valid graphs of one to eight features with one to four fields.

    All lineages, optional edges, renames, static filters, explicit field dependencies and every
    kind of `FieldsMapping` occur, and parents of different granularity.
    """
    randoms = st.randoms(use_true_random=False)
    return st.builds(random_graph, randoms, st.integers(1, max_features))


def rows_for(root: FeatureSpec, max_size: int = 5) -> st.SearchStrategy[list[Sample]]:
    """Samples of a root with distinct ids."""
    randoms = st.randoms(use_true_random=False)
    return randoms.map(lambda rng: random_samples(rng, root, rng.randint(0, max_size)))


def kind_of(column: str) -> type[str | int | bool]:
    """The type of a generated column, told by its name.

    >>> kind_of("nb")
    <class 'int'>
    """
    kinds: dict[str, type[str | int | bool]] = {"t": str, "n": int, "b": bool}
    return kinds[column[0]]


def user_columns(spec: FeatureSpec) -> tuple[str, ...]:
    """The user columns that every row of a generated feature has."""
    name = spec.key.to_table().lower().replace("-", "0")
    return (f"n_{name}", f"n2_{name}", f"t_{name}")


def random_cell(rng: random.Random, column: str, *, nullable: bool = False) -> Cell:
    """A value of a column; from few, so that rows meet in joins."""
    if nullable and rng.random() < 0.15:
        return None
    kind = kind_of(column)
    if kind is bool:
        return rng.random() < 0.5
    if kind is int:
        return rng.choice(NUMBERS[:4])
    return rng.choice(TEXTS[1:5]) if rng.random() < 0.9 else rng.choice(TEXTS)


def random_values(
    rng: random.Random, spec: FeatureSpec, ids: Mapping[str, Cell]
) -> dict[str, Cell]:
    """A row's ids and user columns; ids that are not given are made up."""
    made = {c: ids[c] if c in ids else random_cell(rng, c) for c in spec.id_columns}
    return made | {c: random_cell(rng, c, nullable=True) for c in user_columns(spec)}


def random_overrides(
    rng: random.Random, spec: FeatureSpec, probability: float = 0.15
) -> dict[str, str | None]:
    """Overridden data versions of a row: mostly none, sometimes of some fields."""
    if rng.random() >= probability:
        return {}
    return {str(f.key): rng.choice((None, "same", rng.choice(TEXTS))) for f in spec.fields}


def random_samples(rng: random.Random, root: FeatureSpec, count: int) -> list[Sample]:
    """At most `count` samples of a root, with distinct ids."""
    made: dict[tuple[Cell, ...], Sample] = {}
    for _ in range(count):
        values = random_values(rng, root, {})
        texts = {str(f.key): rng.choice(TEXTS[:6]) for f in root.fields}
        ids = tuple(values[column] for column in root.id_columns)
        made[ids] = Sample(values, texts, random_overrides(rng, root))
    return list(made.values())


def random_graph(rng: random.Random, features: int) -> Declared:
    """A valid graph of so many features; see `graphs`."""
    declared = Declared((), {})
    for index in range(features):
        make = _root if index == 0 or rng.random() < 0.2 else _derived
        grown = None
        for _ in range(10):
            grown = grown or _valid(_grown(declared, make(rng, FEATURE_KEYS[index], declared)))
        declared = grown or _grown(declared, _root(rng, FEATURE_KEYS[index], declared))
    return declared


def random_change(rng: random.Random, declared: Declared) -> Declared | None:
    """The same features declared otherwise, with the same units; None where nothing was found.

    A code version changes, a field comes or goes, an edge comes or goes, becomes optional or
    required, is filtered or mapped otherwise, or leads to another parent.
    """
    units = [declared.graph.plan(spec.key).unit for spec in declared.specs]
    for _ in range(8):
        at = rng.randrange(len(declared.specs))
        made = rng.choice(_CHANGES)(rng, declared.specs[at], declared)
        if made is None or made[0] == declared.specs[at]:
            continue
        specs = (*declared.specs[:at], made[0], *declared.specs[at + 1 :])
        changed = _valid(Declared(specs, {**declared.predicates, **made[1]}))
        if changed and units == [changed.graph.plan(spec.key).unit for spec in specs]:
            return changed
    return None


_Made = tuple[FeatureSpec, Mapping[str, Predicate]]


def _valid(declared: Declared) -> Declared | None:
    try:
        Graph(declared.specs)
    except DefinitionError:
        return None
    return declared


def _grown(declared: Declared, made: _Made) -> Declared:
    return Declared((*declared.specs, made[0]), {**declared.predicates, **made[1]})


def _root(rng: random.Random, key: str, declared: Declared) -> _Made:
    roots = [spec for spec in declared.specs if spec.is_root]
    if roots and rng.random() < 0.3:
        # A twin: its rows can have the data versions of another parent's rows.
        twin = rng.choice(roots)
        return FeatureSpec(key, id_columns=twin.id_columns, fields=twin.fields), {}
    ids = rng.sample(ID_COLUMNS[: rng.choice((1, 2, 3, 4))], 1)
    if rng.random() < 0.4:
        ids = rng.sample(ID_COLUMNS, 2)
    # An id column of its own name must be renamed before it meets others.
    columns = [f"{name}_of_{len(declared.specs)}" if rng.random() < 0.2 else name for name in ids]
    return FeatureSpec(key, id_columns=columns, fields=_fields(rng, {})), {}


def _derived(rng: random.Random, key: str, declared: Declared) -> _Made:
    count = min(rng.choice((1, 1, 2, 2, 2, 3)), len(declared.specs))
    # Later features are likelier parents: deep graphs find more than wide ones.
    parents = rng.sample(declared.specs[-4:], min(count, len(declared.specs[-4:])))
    edges = [_edge(rng, parent) for parent in parents]
    deps = [dep for dep, _, _ in edges]
    ids = list(dict.fromkeys(column for _, on, _ in edges for column in on))
    rng.shuffle(ids)
    if any(dep.lineage.kind == "expansion" for dep in deps):
        ids.insert(rng.randint(0, len(ids)), f"nx{len(declared.specs)}")
    predicates = {text: predicate for _, _, found in edges for text, predicate in found.items()}
    fields = _fields(rng, {parent.key: parent for parent in parents})
    return FeatureSpec(key, id_columns=ids, deps=deps, fields=fields), predicates


def _edge(
    rng: random.Random, parent: FeatureSpec
) -> tuple[FeatureDep, Sequence[str], dict[str, Predicate]]:
    """An edge, the columns it gives and the meaning of its filters."""
    rename = {c: c.split("_of_")[0] for c in parent.id_columns if "_of_" in c}
    number, second, text = user_columns(parent)
    shape, on = rng.random(), None
    grouped = [rename.get(column, column) for column in parent.id_columns]
    if shape < 0.42:
        lineage = LineageRelationship.identity()
    elif shape < 0.62:
        lineage = LineageRelationship.expansion()
    else:
        on = rng.sample(grouped, rng.randint(1, len(grouped)))
        if rng.random() < 0.4:
            if rng.random() < 0.5 and "tg" not in grouped:
                rename[text] = "tg"
            on = [rng.choice((rename.get(text, text), number)), *on[: rng.choice((0, 0, 1))]]
        lineage = LineageRelationship.aggregation(on=on)
    if rng.random() < 0.15:
        rename |= {number: second, second: number}
    columns = [rename.get(c, c) for c in (*user_columns(parent), *parent.id_columns)]
    found: dict[str, Predicate] = {}
    if rng.random() < 0.3:
        predicates = [random_predicate(rng, columns) for _ in range(rng.choice((1, 1, 2)))]
        found = {predicate.text: predicate for predicate in predicates}
    users = columns[: len(user_columns(parent))]
    dep = FeatureDep(
        parent.key,
        select=rng.sample(users, rng.randint(0, 2)) if rng.random() < 0.1 else None,
        rename=rename,
        filters=tuple(found),
        lineage=lineage,
        optional=rng.random() < 0.25,
        fields_mapping=_mapping(rng, parent),
    )
    return dep, on or grouped, found


def random_predicate(rng: random.Random, columns: Sequence[str]) -> Predicate:
    """A filter on some of the columns, mostly one comparison."""
    column = rng.choice(columns)
    literal = random_cell(rng, column)
    simple: list[Predicate] = [
        Compare(column, rng.choice(("=", "!=", "<>")), literal),
        Missing(column, rng.random() < 0.7),
    ]
    if kind_of(column) is not bool:
        simple.append(Compare(column, rng.choice(("<", "<=", ">", ">=")), literal))
        simple.append(Among(column, (literal, random_cell(rng, column)), rng.random() < 0.5))
    if kind_of(column) is int:
        simple.append(Within(column, rng.choice(NUMBERS), rng.choice(NUMBERS)))
    made = rng.choice(simple)
    if rng.random() < 0.1:
        made = Negation(made)
    if rng.random() < 0.15:
        made = Junction(rng.choice(("AND", "OR")), made, random_predicate(rng, columns))
    return made


def _mapping(rng: random.Random, parent: FeatureSpec) -> FieldsMapping:
    names = [str(key) for key in parent.field_keys]
    return rng.choice(
        (
            *[FieldsMapping.default()] * 6,
            FieldsMapping.default(match_suffix=True),
            FieldsMapping.default(exclude_fields=[rng.choice(FIELD_KEYS)]),
            FieldsMapping.specific(
                {name: rng.sample(names, 1) for name in rng.sample(FIELD_KEYS, 4)}
            ),
            FieldsMapping.all(),
            FieldsMapping.none(),
        )
    )


def _fields(rng: random.Random, parents: Mapping[FeatureKey, FeatureSpec]) -> list[FieldSpec]:
    names = rng.sample(FIELD_KEYS, rng.choice((1, 1, 2, 2, 3, 4)))
    return [_field(rng, name, parents) for name in names]


def _field(rng: random.Random, name: str, parents: Mapping[FeatureKey, FeatureSpec]) -> FieldSpec:
    deps: Any = None
    if parents and (shape := rng.random()) < 0.3:
        deps = ALL if shape < 0.1 else tuple(_explicit(rng, parents))
    return FieldSpec(name, code_version=rng.choice(("1", "1", "2")), deps=deps)


def _explicit(rng: random.Random, parents: Mapping[FeatureKey, FeatureSpec]) -> Iterable[FieldDep]:
    for key, parent in parents.items():
        if rng.random() < 0.7:
            keys = parent.field_keys
            some = tuple(rng.sample(keys, rng.randint(1, len(keys))))
            yield FieldDep(feature=key, fields=ALL if rng.random() < 0.3 else some)


# -- changes ---------------------------------------------------------------------------------------


def _with(spec: FeatureSpec, **values: Any) -> FeatureSpec:
    given = {name: getattr(spec, name) for name in ("id_columns", "deps", "fields")} | values
    return FeatureSpec(spec.key, **given)


def _bumped(rng: random.Random, spec: FeatureSpec, declared: Declared) -> _Made | None:
    at = rng.randrange(len(spec.fields))
    old = spec.fields[at]
    new = FieldSpec(old.key, code_version=rng.choice(("1", "2", "3")), deps=old.deps)
    return _with(spec, fields=(*spec.fields[:at], new, *spec.fields[at + 1 :])), {}


def _field_added(rng: random.Random, spec: FeatureSpec, declared: Declared) -> _Made | None:
    unused = [name for name in FIELD_KEYS if FieldKey(name) not in spec.field_keys]
    parents = {dep.feature: declared.graph[dep.feature] for dep in spec.deps}
    added = _field(rng, rng.choice(unused), parents)
    return (_with(spec, fields=(*spec.fields, added)), {}) if len(spec.fields) < 4 else None


def _field_removed(rng: random.Random, spec: FeatureSpec, declared: Declared) -> _Made | None:
    if len(spec.fields) == 1:
        return None
    at = rng.randrange(len(spec.fields))
    return _with(spec, fields=(*spec.fields[:at], *spec.fields[at + 1 :])), {}


def _field_rewired(rng: random.Random, spec: FeatureSpec, declared: Declared) -> _Made | None:
    parents = {dep.feature: declared.graph[dep.feature] for dep in spec.deps}
    at = rng.randrange(len(spec.fields))
    old = spec.fields[at]
    deps = _field(rng, str(old.key), parents).deps
    new = FieldSpec(old.key, code_version=old.code_version, deps=deps)
    return _with(spec, fields=(*spec.fields[:at], new, *spec.fields[at + 1 :])), {}


def _edge_changed(rng: random.Random, spec: FeatureSpec, declared: Declared) -> _Made | None:
    """Toggle optional, or take filters, mapping and renames from another draw of the edge."""
    if spec.is_root:
        return None
    at = rng.randrange(len(spec.deps))
    old = spec.deps[at]
    parent = declared.graph[old.feature]
    other, _, found = _edge(rng, parent)
    name = rng.choice(("optional", "filters", "fields_mapping", "rename"))
    value = getattr(other, name)
    if name == "optional":
        value = not old.optional
    if name == "rename":
        # The numbers trade places, or back; ids and groups keep their names.
        number, second, _ = user_columns(parent)
        value = {**old.rename, number: second, second: number}
        if number in old.rename:
            value = {c: new for c, new in old.rename.items() if c not in (number, second)}
    columns = (*user_columns(parent), *parent.id_columns)
    known = {old.rename.get(column, column) for column in columns}
    if name == "filters" and any(not predicate.columns <= known for predicate in found.values()):
        return None
    new = old.model_copy(update={name: value})
    kept = {text: declared.predicates[text] for text in old.filters}
    return _with(spec, deps=(*spec.deps[:at], new, *spec.deps[at + 1 :])), kept | found


def _edge_dropped(rng: random.Random, spec: FeatureSpec, declared: Declared) -> _Made | None:
    if len(spec.deps) < 2:
        return None
    at = rng.randrange(len(spec.deps))
    return _with(spec, deps=(*spec.deps[:at], *spec.deps[at + 1 :])), {}


def _edge_added(rng: random.Random, spec: FeatureSpec, declared: Declared) -> _Made | None:
    known = {dep.feature for dep in spec.deps} | {spec.key}
    others = [other for other in declared.specs if other.key not in known]
    if spec.is_root or not others:
        return None
    dep, _, found = _edge(rng, rng.choice(others))
    at = rng.randint(0, len(spec.deps))
    return _with(spec, deps=(*spec.deps[:at], dep, *spec.deps[at:])), found


def _parent_swapped(rng: random.Random, spec: FeatureSpec, declared: Declared) -> _Made | None:
    """What came from one parent comes from another, with the same ids and fields."""
    known = {dep.feature for dep in spec.deps} | {spec.key}
    pairs = [
        (dep, other)
        for dep in spec.deps
        for other in declared.specs
        if other.key not in known
        and (parent := declared.graph[dep.feature]).id_columns == other.id_columns
        and set(parent.field_keys) <= set(other.field_keys)
        and not (dep.filters or dep.select or dep.rename.keys() & set(user_columns(parent)))
    ]
    if not pairs:
        return None
    old, new = rng.choice(pairs)

    def swapped(dep: Any) -> Any:
        return dep.model_copy(update={"feature": new.key}) if dep.feature == old.feature else dep

    fields = [
        FieldSpec(
            one.key,
            code_version=one.code_version,
            deps=tuple(map(swapped, one.deps)) if isinstance(one.deps, tuple) else one.deps,
        )
        for one in spec.fields
    ]
    return _with(spec, deps=tuple(map(swapped, spec.deps)), fields=fields), {}


_CHANGES: tuple[Callable[[random.Random, FeatureSpec, Declared], _Made | None], ...] = (
    _bumped,
    _bumped,
    _field_added,
    _field_removed,
    _field_rewired,
    _edge_changed,
    _edge_changed,
    _edge_dropped,
    _edge_added,
    _parent_swapped,
)
