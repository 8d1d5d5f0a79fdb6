"""What differs between two declarations of one feature, path by path; no graph, no versions."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from metaxy_core.hashing import canonical_json
from metaxy_core.spec import FeatureDep, FeatureSpec


@dataclass(frozen=True)
class DeclarationChange:
    """One declared value that differs.

    Attributes:
        path: where it is: `id_columns`, `description`, `project`, `metadata.<name>`,
            `columns.<name>`, `provenance_from.<field>`, `deps` (the parents' keys),
            `deps.<parent>.<attribute>`, `fields` (their order), `fields.<field>.deps`.
        before: the declared value as JSON; None where nothing was declared.
        after: the same on the other side.
    """

    path: str
    before: JsonValue
    after: JsonValue


def declaration_changes(before: FeatureSpec, after: FeatureSpec) -> tuple[DeclarationChange, ...]:
    """List what was declared otherwise, sorted by path.

    Fields that were added or removed and code versions are left to the comparison of fields.

    >>> declaration_changes(FeatureSpec("video", project="a"), FeatureSpec("video", project="b"))
    (DeclarationChange(path='project', before='a', after='b'),)
    """
    old, new = _flat(before), _flat(after)
    paths = {path for path in {*old, *new} if _text(old, path) != _text(new, path)}
    if set(before.field_keys) != set(after.field_keys):
        paths -= {"fields"}
    # Of fields and parents on one side only it is enough to say that they are.
    common = _parts(before) & _parts(after)
    return tuple(
        DeclarationChange(path, old.get(path), new.get(path))
        for path in sorted(paths)
        if not path.startswith(("deps.", "fields.")) or path.rpartition(".")[0] in common
    )


def _parts(spec: FeatureSpec) -> set[str]:
    fields = {f"fields.{field.key}" for field in spec.fields}
    return fields | {f"deps.{dep.feature}" for dep in spec.deps}


def _text(flat: dict[str, JsonValue], path: str) -> str | None:
    # As text: Python finds 1, 1.0 and true equal.
    return canonical_json(flat[path]) if path in flat else None


def _flat(spec: FeatureSpec) -> dict[str, JsonValue]:
    declared = spec.model_dump(mode="json", exclude={"key", "deps", "fields"})
    flat: dict[str, JsonValue] = {}
    for name, value in declared.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    flat["deps"] = [str(dep.feature) for dep in spec.deps]
    flat["fields"] = [str(field.key) for field in spec.fields]
    for dep in spec.deps:
        flat |= {f"deps.{dep.feature}.{name}": value for name, value in _said(dep).items()}
    for field in spec.fields:
        said = field.model_dump(mode="json", include={"deps"}, exclude_defaults=True)
        flat |= {f"fields.{field.key}.{name}": value for name, value in said.items()}
    return flat


def _said(dep: FeatureDep) -> dict[str, JsonValue]:
    said = dep.model_dump(mode="json", exclude={"feature"}, exclude_defaults=True)
    return {name: value for name, value in said.items() if value != {}}
